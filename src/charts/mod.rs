//! Pictures, drawn in memory; who asked for one writes the file.
//!
//! No system font is used: DejaVu Sans lies beside this file, so a picture has the same bytes on every
//! machine.

pub mod bars;

use std::sync::Once;

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

/// The name under which the font is known to Plotters.
const FONT: &str = "sans-serif";

/// Makes the font known, once.
fn load_font() {
    static LOADED: Once = Once::new();
    LOADED.call_once(|| {
        let bytes = include_bytes!("DejaVuSans.ttf");
        assert!(
            register_font(FONT, FontStyle::Normal, bytes).is_ok(),
            "the font in the source tree is a font"
        );
    });
}
