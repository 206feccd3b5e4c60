//! Text in pictures of pixels. Letters stand where the font says, to parts of a pixel: Plotters, which draws
//! everything else, rounds each letter to a whole one, and words come apart.

use std::sync::OnceLock;

use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};
use plotters::style::RGBColor;

use super::Picture;

/// What the size of the font has to be multiplied with to give the height that Ab-glyph counts in.
const HEIGHT: f32 = 1.164;

/// The font of all pictures; it lies beside this file, so that a picture has the same bytes everywhere.
fn font() -> &'static FontRef<'static> {
    static LOADED: OnceLock<FontRef<'static>> = OnceLock::new();
    LOADED.get_or_init(|| {
        FontRef::try_from_slice(include_bytes!("DejaVuSans.ttf"))
            .expect("the font in the source tree is a font")
    })
}

/// Whether the font has this letter.
pub fn has_letter(c: char) -> bool {
    font().glyph_id(c).0 != 0
}

/// Which part of a text stands at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// It begins there.
    Start,
    /// Its middle lies there.
    Middle,
    /// It ends there.
    End,
}

/// A text of one line.
#[derive(Debug, Clone, PartialEq)]
pub struct Words {
    /// What it says.
    pub text: String,
    /// The size of the letters, in pixels.
    pub size: f32,
    /// Its colour.
    pub color: RGBColor,
    /// Which part of it stands at `at`.
    pub side: Side,
    /// From the left, and from the top to the middle of the line.
    pub at: (i32, i32),
}

impl Words {
    /// Draws the text over what is there; what lies outside of the picture is cut off.
    pub fn draw(&self, picture: &mut Picture) {
        let scaled = font().as_scaled(PxScale::from(self.size * HEIGHT));
        let start = self.at.0 as f32
            - match self.side {
                Side::Start => 0.0,
                Side::Middle => width(&self.text, self.size) / 2.0,
                Side::End => width(&self.text, self.size),
            };
        // Half of the height of a capital below the middle.
        let baseline = self.at.1 as f32 + self.size * 0.36;
        for (letter, x) in letters(&self.text, self.size) {
            let mut glyph = scaled.scaled_glyph(letter);
            glyph.position = point(start + x, baseline);
            let Some(outline) = font().outline_glyph(glyph) else { continue };
            let bounds = outline.px_bounds();
            outline.draw(|x, y, cover| {
                let (x, y) = (bounds.min.x as i64 + i64::from(x), bounds.min.y as i64 + i64::from(y));
                picture.blend(x, y, self.color, cover.clamp(0.0, 1.0));
            });
        }
    }
}

impl Picture {
    fn blend(&mut self, x: i64, y: i64, color: RGBColor, cover: f32) {
        if x < 0 || y < 0 || x >= i64::from(self.width) || y >= i64::from(self.height) {
            return;
        }
        let place = (y as usize * self.width as usize + x as usize) * 3;
        for (byte, ink) in self.rgb[place..place + 3].iter_mut().zip([color.0, color.1, color.2]) {
            *byte = (f32::from(*byte) * (1.0 - cover) + f32::from(ink) * cover).round() as u8;
        }
    }
}

/// Each letter and where it begins, in pixels from the start.
fn letters(text: &str, size: f32) -> impl Iterator<Item = (char, f32)> {
    let scaled = font().as_scaled(PxScale::from(size * HEIGHT));
    let (mut x, mut before) = (0.0, None);
    text.chars().map(move |letter| {
        let id = scaled.glyph_id(letter);
        x += before.map_or(0.0, |before| scaled.kern(before, id));
        before = Some(id);
        let start = x;
        x += scaled.h_advance(id);
        (letter, start)
    })
}

/// How wide a text is, in pixels.
pub fn width(text: &str, size: f32) -> f32 {
    let scaled = font().as_scaled(PxScale::from(size * HEIGHT));
    letters(text, size).last().map_or(0.0, |(letter, x)| x + scaled.h_advance(scaled.glyph_id(letter)))
}

/// A text, cut with `…` when it is wider than `most` pixels.
pub fn fitted(text: &str, size: f32, most: f32) -> String {
    if width(text, size) <= most {
        return text.to_owned();
    }
    let room = most - width("…", size);
    let fits = letters(text, size).take_while(|&(_, x)| x <= room).count().saturating_sub(1);
    let kept: String = text.chars().take(fits).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_as_wide_as_it_is_drawn() {
        let mut picture = Picture { width: 400, height: 40, rgb: vec![255; 400 * 40 * 3] };
        let words = |text: &str, side, at| Words {
            text: text.to_owned(),
            size: 20.0,
            color: RGBColor(0, 0, 0),
            side,
            at,
        };
        words("HHHH", Side::End, (390, 20)).draw(&mut picture);
        let is_ink = |x: usize| (0..40).any(|y| picture.rgb[(y * 400 + x) * 3] < 128);
        let (first, last) = ((0..400).find(|&x| is_ink(x)).unwrap(), (0..400).rfind(|&x| is_ink(x)).unwrap());
        assert!((last - first) as f32 <= width("HHHH", 20.0) && last < 390, "{first} {last}");
        assert!((last - first) as f32 > 0.85 * width("HHHH", 20.0), "{first} {last}");
        let rows: Vec<usize> =
            (0..40).filter(|&y| (0..400).any(|x| picture.rgb[(y * 400 + x) * 3] < 128)).collect();
        let middle = usize::midpoint(rows[0], rows[rows.len() - 1]);
        assert!(middle.abs_diff(20) <= 1 && rows.len().abs_diff(15) <= 1, "{rows:?}");
        // Outside is no error.
        words("H", Side::Start, (395, -3)).draw(&mut picture);
    }

    #[test]
    fn a_text_that_is_too_wide_is_cut() {
        let cut = fitted(&"wide ".repeat(40), 17.0, 300.0);
        assert!(cut.ends_with('…') && width(&cut, 17.0) <= 300.0 && cut.len() > 20, "{cut}");
        assert_eq!(fitted("short", 17.0, 300.0), "short");
        assert_eq!(fitted("short", 17.0, 1.0), "…");
    }
}
