//! JSON reports and models.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

use serde::{Serialize, de::DeserializeOwned};

use super::CodecError;

/// Reads a value.
///
/// # Errors
/// When the file cannot be read or is not JSON of this type.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, CodecError> {
    let file = File::open(path).map_err(CodecError::io("read", path))?;
    serde_json::from_reader(BufReader::new(file)).map_err(|error| CodecError::Format {
        path: path.to_owned(),
        format: "JSON",
        message: error.to_string(),
    })
}

/// Writes a value, indented, with a line break at the end.
///
/// # Errors
/// When the file cannot be written.
pub fn write<T: Serialize + ?Sized>(path: &Path, value: &T) -> Result<(), CodecError> {
    let file = File::create(path).map_err(CodecError::io("write", path))?;
    let mut file = BufWriter::new(file);
    serde_json::to_writer_pretty(&mut file, value)
        .map_err(std::io::Error::from)
        .and_then(|()| file.write_all(b"\n"))
        .and_then(|()| file.flush())
        .map_err(CodecError::io("write", path))
}
