//! Pictures, drawn in memory, and the page of a report; who asked for one writes the file.
//!
//! [`pictures`] are files of their own, of [`bars`] and a [`histogram`]; [`plot`] draws for a page, which
//! [`mod@page`] puts together from [`markup`].

pub mod bars;
pub mod histogram;
pub mod legible;
pub mod markup;
pub mod numbers;
pub mod page;
pub mod pictures;
pub mod plot;
pub mod scale;
pub mod words;

use plotters::coord::Shift;
use plotters::prelude::*;

use words::{Side, Words, fitted};

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

impl Labels<'_> {
    /// Title and subtitle of a picture of this width.
    fn heading(&self, width: i32, margin: i32) -> Vec<Words> {
        let words = |text: &str, size, color, line| {
            let text = fitted(text, size, (width - 2 * margin) as f32);
            Words { text, size, color, side: Side::Start, at: (margin, line) }
        };
        vec![words(self.title, 23.0, INK, 34), words(self.subtitle, 14.0, QUIET, 64)]
    }
}

impl Picture {
    /// Shapes on white ground, then texts over them.
    fn draw(
        (width, height): (u32, u32),
        shapes: impl FnOnce(
            &DrawingArea<BitMapBackend<'_>, Shift>,
        ) -> Result<(), DrawingAreaErrorKind<BitMapBackendError>>,
        texts: &[Words],
    ) -> Self {
        let mut rgb = vec![255; (width * height * 3) as usize];
        let area = BitMapBackend::with_buffer(&mut rgb, (width, height)).into_drawing_area();
        shapes(&area).expect("drawing into memory cannot fail");
        area.present().expect("drawing into memory cannot fail");
        drop(area);
        let mut picture = Self { width, height, rgb };
        texts.iter().for_each(|words| words.draw(&mut picture));
        picture
    }
}

/// The error of a backend that draws into memory.
type BitMapBackendError = <BitMapBackend<'static> as DrawingBackend>::ErrorType;
