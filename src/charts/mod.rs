//! Pictures, drawn in memory, and the page of a report; who asked for one writes the file.
//!
//! [`pictures`] are files of their own, of [`bars`] and a [`histogram`]; [`plot`] draws for a page, which [`mod@page`] puts
//! together from [`markup`].
//!
//! No system font is used: DejaVu Sans lies beside this file, so a picture has the same bytes on every
//! machine.

pub mod bars;
pub mod histogram;
pub mod legible;
pub mod markup;
pub mod numbers;
pub mod page;
pub mod pictures;
pub mod plot;
pub mod scale;

use std::sync::Once;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, register_font};

/// An image, rows from the top, three bytes (red, green, blue) per pixel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Pixels per row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `height × width × 3` bytes.
    pub rgb: Vec<u8>,
}

/// The bytes of the font.
const FONT_FILE: &[u8] = include_bytes!("DejaVuSans.ttf");

/// The texts around a picture.
#[derive(Debug, Clone, Copy)]
pub struct Labels<'a> {
    /// Large, on top.
    pub title: &'a str,
    /// Small, below the title.
    pub subtitle: &'a str,
    /// Below the axis.
    pub unit: &'a str,
}

const INK: RGBColor = RGBColor(38, 43, 51);
const QUIET: RGBColor = RGBColor(98, 106, 118);
const GRID: RGBColor = RGBColor(228, 231, 236);
const FILL: RGBColor = RGBColor(47, 111, 187);

/// A text of the font of all pictures.
fn text(size: i32, color: RGBColor, horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    TextStyle {
        font: (FONT, size).into_font(),
        color: color.to_backend_color(),
        pos: Pos::new(horizontal, vertical),
    }
}

/// How wide a text is, in pixels.
fn width(words: &str, size: i32) -> i32 {
    load_font();
    (FONT, size).into_font().box_size(words).map_or(0, |size| size.0 as i32)
}

/// A text, cut with `…` when it is wider than `most` pixels.
fn fitted(words: &str, size: i32, most: i32) -> String {
    if width(words, size) <= most {
        return words.to_owned();
    }
    let letters: Vec<char> = words.chars().collect();
    // How many letters fit, found by halving.
    let cut = |n: usize| format!("{}…", letters[..n].iter().collect::<String>().trim_end());
    let (mut fits, mut too_many) = (0, letters.len());
    while fits + 1 < too_many {
        let middle = usize::midpoint(fits, too_many);
        if width(&cut(middle), size) <= most { fits = middle } else { too_many = middle }
    }
    cut(fits)
}

/// The name under which the font is known to Plotters.
const FONT: &str = "sans-serif";

/// Makes the font known, once.
fn load_font() {
    static LOADED: Once = Once::new();
    LOADED.call_once(|| {
        assert!(
            register_font(FONT, FontStyle::Normal, FONT_FILE).is_ok(),
            "the font in the source tree is a font"
        );
    });
}
