//! Horizontal bars with a name on the left and a value at the end, longest first.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::scale::{Axis, Scale};
use super::{FILL, GRID, INK, Labels, Picture, QUIET, fitted, load_font, text, width};

const WIDTH: u32 = 1200;
const ROW: u32 = 30;
const BAR: i32 = 20;
const TOP: u32 = 92;
const BOTTOM: u32 = 52;
const MARGIN: i32 = 24;
const NAME: i32 = 17;
const SMALL: i32 = 15;
/// The widest name; longer ones are cut.
const WIDEST: i32 = 520;

/// One bar.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// On its left.
    pub name: String,
    /// Its length, at least 0.
    pub value: f64,
    /// At its end.
    pub label: String,
}

/// Draws `bars` in the order given.
pub fn bars(labels: Labels<'_>, bars: &[Bar]) -> Picture {
    load_font();
    let height = TOP + BOTTOM + ROW * bars.len().max(1) as u32;
    let mut rgb = vec![255; (WIDTH * height * 3) as usize];
    {
        let area = BitMapBackend::with_buffer(&mut rgb, (WIDTH, height)).into_drawing_area();
        draw(&area, labels, bars, height as i32).expect("drawing into memory cannot fail");
    }
    Picture { width: WIDTH, height, rgb }
}

fn draw<B: DrawingBackend>(
    area: &DrawingArea<B, plotters::coord::Shift>,
    labels: Labels<'_>,
    bars: &[Bar],
    height: i32,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let write = |words: &str, style: TextStyle<'static>, at: (i32, i32)| {
        area.draw(&Text::new(words.to_owned(), at, style))
    };
    let across = WIDTH as i32 - 2 * MARGIN;
    write(&fitted(labels.title, 28, across), text(28, INK, HPos::Left, VPos::Top), (MARGIN, 20))?;
    write(&fitted(labels.subtitle, 16, across), text(16, QUIET, HPos::Left, VPos::Top), (MARGIN, 56))?;

    let names: Vec<String> = bars.iter().map(|bar| fitted(&bar.name, NAME, WIDEST)).collect();
    let widest = names.iter().map(|name| width(name, NAME)).max().unwrap_or(0).max(120);
    let left = MARGIN + widest + 12;
    let right = bars.iter().map(|bar| width(&bar.label, SMALL)).max().unwrap_or(0).max(60) + MARGIN + 8;
    let (top, bottom) = (TOP as i32, height - BOTTOM as i32);
    let largest = bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    let axis = Axis::from_zero("", Scale::Linear, largest);
    let x = |value: f64| left + (axis.place(value) * f64::from(WIDTH as i32 - left - right)).round() as i32;
    for (value, label) in axis.ticks(6) {
        area.draw(&PathElement::new([(x(value), top), (x(value), bottom)], GRID))?;
        write(&label, text(SMALL, QUIET, HPos::Center, VPos::Top), (x(value), bottom + 6))?;
    }
    write(
        labels.unit,
        text(SMALL, QUIET, HPos::Center, VPos::Top),
        (i32::midpoint(x(0.0), x(axis.high)), bottom + 27),
    )?;

    for ((row, bar), name) in bars.iter().enumerate().zip(&names) {
        let middle = top + row as i32 * ROW as i32 + ROW as i32 / 2;
        let end = x(bar.value).max(left + 1);
        area.draw(&Rectangle::new([(left, middle - BAR / 2), (end, middle + BAR / 2)], FILL.filled()))?;
        write(name, text(NAME, INK, HPos::Right, VPos::Center), (left - 12, middle))?;
        write(&bar.label, text(SMALL, INK, HPos::Left, VPos::Center), (end + 8, middle))?;
    }
    area.present()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(name: &str, value: f64) -> Bar {
        Bar { name: name.to_owned(), value, label: format!("{value:.1}") }
    }

    #[test]
    fn longer_bars_color_more_pixels() {
        let labels = Labels { title: "t", subtitle: "s", unit: "%" };
        let picture = bars(labels, &[bar("long", 10.0), bar(&"very long name ".repeat(20), 2.5)]);
        assert_eq!(picture.rgb.len(), (picture.width * picture.height * 3) as usize);
        let filled = |row: u32| {
            let start = ((TOP + ROW * row + ROW / 2) * WIDTH * 3) as usize;
            let line = &picture.rgb[start..start + WIDTH as usize * 3];
            line.chunks(3).filter(|pixel| *pixel == [FILL.0, FILL.1, FILL.2]).count()
        };
        assert!(filled(0).abs_diff(4 * filled(1)) < 8, "{} {}", filled(0), filled(1));
    }

    #[test]
    fn no_bars_are_an_empty_picture() {
        let picture = bars(Labels { title: "t", subtitle: "", unit: "" }, &[]);
        assert!(picture.rgb.iter().any(|&byte| byte != 255));
    }

    #[test]
    fn a_name_that_is_too_wide_is_cut() {
        let cut = fitted(&"wide ".repeat(40), NAME, WIDEST);
        assert!(cut.ends_with('…') && width(&cut, NAME) <= WIDEST && cut.len() > 40, "{cut}");
        assert_eq!(fitted("short", NAME, WIDEST), "short");
    }
}
