//! Pictures as PNG files.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use super::CodecError;

/// Writes `height × width` pixels of red, green and blue, rows from the top.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, width: u32, height: u32, rgb: &[u8]) -> Result<(), CodecError> {
    let mut file = BufWriter::new(File::create(path).map_err(CodecError::io("write", path))?);
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Default);
    encoder.set_adaptive_filter(png::AdaptiveFilterType::Adaptive);
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(rgb)?;
        writer.finish()
    });
    written.map_err(std::io::Error::from).and_then(|()| file.flush()).map_err(CodecError::io("write", path))
}
