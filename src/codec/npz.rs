//! NumPy archives: sparse matrices as `scipy.sparse.save_npz` writes them.
//!
//! `scipy.sparse.load_npz` opens what is written here. Entries are stored without compression and
//! without a clock time, so that equal matrices are equal bytes.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use npyz::npz::{NpzArchive, NpzWriter};
use npyz::{AutoSerialize, Deserialize, WriterBuilder, zip};

use super::CodecError;
use crate::interactions::Interactions;

/// An archive that is being read; every error names the file.
pub struct Reader<'a> {
    path: &'a Path,
    archive: NpzArchive<BufReader<File>>,
}

impl<'a> Reader<'a> {
    /// Opens `path`.
    ///
    /// # Errors
    /// When there is no such file or it is not an archive.
    pub fn open(path: &'a Path) -> Result<Self, CodecError> {
        let file = File::open(path).map_err(CodecError::io("read", path))?;
        match NpzArchive::new(BufReader::new(file)) {
            Ok(archive) => Ok(Self { path, archive }),
            Err(error) => Err(format_error(path, error.to_string())),
        }
    }

    /// The values of an array of any of the types that `T` can hold, and its shape.
    ///
    /// # Errors
    /// When the array is missing or holds another type.
    pub fn array<T: FromNumpy>(&mut self, name: &str) -> Result<(Vec<T>, Vec<u64>), CodecError> {
        let path = self.path;
        let array = self
            .archive
            .by_name(name)
            .map_err(|error| format_error(path, error.to_string()))?
            .ok_or_else(|| format_error(path, format!("it has no array `{name}`")))?;
        if array.order() == npyz::Order::Fortran && array.shape().len() > 1 {
            return Err(format_error(path, format!("array `{name}` is in Fortran order, expected C order")));
        }
        let shape = array.shape().to_vec();
        let found = array.dtype().descr();
        let values = T::read(array).ok_or_else(|| {
            format_error(path, format!("array `{name}` holds {found}, expected {}", T::EXPECTED))
        })?;
        let values = values.map_err(|error| format_error(path, format!("array `{name}`: {error}")))?;
        Ok((values, shape))
    }
}

impl Reader<'_> {
    /// A single number, or `None` when the archive has no such array.
    ///
    /// # Errors
    /// When the array holds another type or not one number.
    pub fn number<T: FromNumpy + Copy>(&mut self, name: &str) -> Result<Option<T>, CodecError> {
        if !self.archive.array_names().any(|found| found == name) {
            return Ok(None);
        }
        match self.array::<T>(name)?.0.as_slice() {
            &[value] => Ok(Some(value)),
            values => {
                let message = format!("array `{name}` holds {} numbers, expected one", values.len());
                Err(format_error(self.path, message))
            }
        }
    }

    /// A text as NumPy's `str`, or `None` when the archive has no such array or it holds something else.
    ///
    /// # Errors
    /// When the archive is damaged.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, CodecError> {
        let file_name = npyz::npz::file_name_from_array_name(name);
        let Ok(mut entry) = self.archive.zip_archive().by_name(&file_name) else { return Ok(None) };
        let mut npy = Vec::new();
        entry.read_to_end(&mut npy).map_err(|error| format_error(self.path, error.to_string()))?;
        let header_len = npy.get(8..10).map_or(0, |len| usize::from(u16::from_le_bytes([len[0], len[1]])));
        let Some((header, letters)) = npy.split_at_checked(10 + header_len) else { return Ok(None) };
        if !header.windows(2).any(|letters| letters == b"<U") {
            return Ok(None);
        }
        let letters = letters.as_chunks::<4>().0.iter().map(|&letter| u32::from_le_bytes(letter));
        Ok(letters.take_while(|&letter| letter > 0).map(char::from_u32).collect())
    }
}

/// Types that an array of one of several NumPy types can be read into.
pub trait FromNumpy: Sized {
    /// For messages.
    const EXPECTED: &'static str;
    /// The values, or `None` when the type does not fit.
    fn read<R: std::io::Read>(array: npyz::NpyFile<R>) -> Option<std::io::Result<Vec<Self>>>;
}

fn cast<S: Deserialize, T, R: std::io::Read>(
    array: npyz::NpyFile<R>,
    convert: impl Fn(S) -> T,
) -> Result<std::io::Result<Vec<T>>, npyz::NpyFile<R>> {
    array.try_data::<S>().map(|data| data.map(|value| value.map(&convert)).collect())
}

impl FromNumpy for f32 {
    const EXPECTED: &'static str = "real numbers (f4, f8) or integers (i4, i8)";
    fn read<R: std::io::Read>(array: npyz::NpyFile<R>) -> Option<std::io::Result<Vec<Self>>> {
        cast(array, |value: f32| value)
            .or_else(|array| cast(array, |value: f64| value as f32))
            .or_else(|array| cast(array, |value: i32| value as f32))
            .or_else(|array| cast(array, |value: i64| value as f32))
            .ok()
    }
}

impl FromNumpy for f64 {
    const EXPECTED: &'static str = "real numbers (f8)";
    fn read<R: std::io::Read>(array: npyz::NpyFile<R>) -> Option<std::io::Result<Vec<Self>>> {
        cast(array, |value: f64| value).ok()
    }
}

impl FromNumpy for i64 {
    const EXPECTED: &'static str = "integers (i4, i8)";
    fn read<R: std::io::Read>(array: npyz::NpyFile<R>) -> Option<std::io::Result<Vec<Self>>> {
        cast(array, |value: i64| value)
            .or_else(|array| cast(array, |value: i32| i64::from(value)))
            .or_else(|array| cast(array, |value: u32| i64::from(value)))
            .ok()
    }
}

/// An archive that is being written.
pub struct Writer<'a> {
    path: &'a Path,
    archive: NpzWriter<BufWriter<File>>,
}

impl<'a> Writer<'a> {
    /// Creates `path`.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(path: &'a Path) -> Result<Self, CodecError> {
        let file = File::create(path).map_err(CodecError::io("write", path))?;
        Ok(Self { path, archive: NpzWriter::new(BufWriter::new(file)) })
    }

    /// Adds an array in C order; an empty shape is a scalar.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn array<T: AutoSerialize>(
        &mut self,
        name: &str,
        shape: &[u64],
        values: impl IntoIterator<Item = T>,
    ) -> Result<(), CodecError> {
        let write = || {
            let mut writer = self.archive.array(name, options())?.default_dtype().shape(shape).begin_nd()?;
            writer.extend(values)?;
            writer.finish()
        };
        write().map_err(CodecError::io("write", self.path))
    }

    /// Adds an entry whose `.npy` bytes are given, for types that NumPy has and Rust has not.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn raw(&mut self, name: &str, npy: &[u8]) -> Result<(), CodecError> {
        let file_name = npyz::npz::file_name_from_array_name(name);
        let zip = self.archive.zip_writer();
        zip.start_file(file_name, options())
            .map_err(std::io::Error::from)
            .and_then(|()| zip.write_all(npy))
            .map_err(CodecError::io("write", self.path))
    }

    /// Writes the directory of the archive.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(mut self) -> Result<(), CodecError> {
        let mut write = || self.archive.zip_writer().finish()?.flush();
        write().map_err(CodecError::io("write", self.path))
    }
}

fn options() -> zip::write::FileOptions {
    zip::write::FileOptions::default()
        .compression_method(zip::CompressionMethod::Stored)
        .last_modified_time(zip::DateTime::default())
        .large_file(true)
}

fn format_error(path: &Path, message: String) -> CodecError {
    CodecError::Format { path: path.to_owned(), format: "npz", message }
}

/// Reads a CSR matrix of interactions.
///
/// # Errors
/// When the file is missing, is no CSR matrix, or holds values that no count can be.
pub fn read_matrix(path: &Path) -> Result<Interactions, CodecError> {
    let mut reader = Reader::open(path)?;
    let (shape, _) = reader.array::<i64>("shape")?;
    let (row_starts, _) = reader.array::<i64>("indptr")?;
    let (items, _) = reader.array::<i64>("indices")?;
    let (values, _) = reader.array::<f32>("data")?;
    let &[n_users, n_items] = shape.as_slice() else {
        return Err(format_error(path, format!("a matrix has 2 dimensions, found {}", shape.len())));
    };
    let size = |value: i64| {
        usize::try_from(value).map_err(|_| format_error(path, format!("a size or position is {value}")))
    };
    let row_starts = row_starts.into_iter().map(size).collect::<Result<Vec<_>, _>>()?;
    let items = items
        .into_iter()
        .map(|item| u32::try_from(item).map_err(|_| format_error(path, format!("an item index is {item}"))))
        .collect::<Result<Vec<_>, _>>()?;
    Interactions::new(size(n_users)?, size(n_items)?, row_starts, items, values)
        .map_err(|source| CodecError::Interactions { path: path.to_owned(), source })
}

/// Writes a CSR matrix; `scipy.sparse.load_npz` reads it.
///
/// # Errors
/// When the disk refuses.
pub fn write_matrix(path: &Path, matrix: &Interactions) -> Result<(), CodecError> {
    let n_values = matrix.len() as u64;
    let mut writer = Writer::create(path)?;
    writer.array("indices", &[n_values], matrix.items().iter().map(|&item| item as i32))?;
    let starts = matrix.row_starts();
    writer.array("indptr", &[starts.len() as u64], starts.iter().map(|&start| start as i64))?;
    writer.raw("format", &npy_string(b"|S3", b"csr"))?;
    writer.array("shape", &[2], [matrix.n_users() as i64, matrix.n_items() as i64])?;
    writer.array("data", &[n_values], matrix.values().iter().copied())?;
    writer.finish()
}

/// A `.npy` file (version 1.0) that holds one scalar of the NumPy type `descr` with these bytes.
pub fn npy_string(descr: &[u8], bytes: &[u8]) -> Vec<u8> {
    const PREAMBLE: usize = 10;
    let mut header = Vec::from(&b"{'descr': '"[..]);
    header.extend_from_slice(descr);
    header.extend_from_slice(b"', 'fortran_order': False, 'shape': (), }");
    while !(PREAMBLE + header.len() + 1).is_multiple_of(64) {
        header.push(b' ');
    }
    header.push(b'\n');
    let mut npy = Vec::from(&b"\x93NUMPY\x01\x00"[..]);
    npy.extend_from_slice(&(header.len() as u16).to_le_bytes());
    npy.extend_from_slice(&header);
    npy.extend_from_slice(bytes);
    npy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_survives_the_disk_and_equal_matrices_are_equal_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let matrix = Interactions::from_triplets(3, 5, [(0, 4, 2.0), (2, 1, 1.5)]).unwrap();
        let (a, b) = (folder.path().join("a.npz"), folder.path().join("b.npz"));
        write_matrix(&a, &matrix).unwrap();
        write_matrix(&b, &matrix).unwrap();
        assert_eq!(read_matrix(&a).unwrap(), matrix);
        assert_eq!(std::fs::read(a).unwrap(), std::fs::read(b).unwrap());
    }

    #[test]
    fn a_file_that_is_no_archive_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("broken.npz");
        std::fs::write(&path, b"not a zip").unwrap();
        let message = read_matrix(&path).unwrap_err().to_string();
        assert!(message.contains("broken.npz"), "{message}");
    }
}
