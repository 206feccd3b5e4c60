//! Parquet tables: reading with a check of the columns, writing, and streaming.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use polars::prelude::*;

use super::CodecError;

/// What a column must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// Any signed or unsigned integer.
    Integer,
    /// Any integer or floating-point number.
    Number,
    /// Text.
    Text,
    /// A date or a date with time.
    Date,
    /// A list of integers.
    IntegerList,
    /// A list of texts.
    TextList,
}

impl ColumnType {
    /// For messages.
    pub const fn expected(self) -> &'static str {
        match self {
            Self::Integer => "integers",
            Self::Number => "numbers",
            Self::Text => "text",
            Self::Date => "dates or dates with time",
            Self::IntegerList => "lists of integers",
            Self::TextList => "lists of text",
        }
    }

    /// Whether a Polars type fits.
    pub fn accepts(self, found: &DataType) -> bool {
        match self {
            Self::Integer => found.is_integer(),
            Self::Number => found.is_integer() || found.is_float(),
            Self::Text => found.is_string(),
            Self::Date => matches!(found, DataType::Date | DataType::Datetime(_, _)),
            Self::IntegerList => matches!(found, DataType::List(inner) if inner.is_integer()),
            Self::TextList => matches!(found, DataType::List(inner) if inner.is_string()),
        }
    }
}

/// Checks that a file has these columns, from its footer alone, and starts a lazy query on it.
///
/// # Errors
/// When the file cannot be read, is not Parquet, or a column is missing or of another type.
pub fn scan(path: &Path, columns: &[(&str, ColumnType)]) -> Result<LazyFrame, CodecError> {
    let schema = schema(path)?;
    for &(name, expected) in columns {
        let Some(found) = schema.get(name) else {
            return Err(CodecError::MissingColumn {
                path: path.to_owned(),
                column: name.to_owned(),
                expected: expected.expected(),
                found: schema.iter_names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
            });
        };
        if !expected.accepts(found) {
            return Err(CodecError::ColumnType {
                path: path.to_owned(),
                column: name.to_owned(),
                expected: expected.expected(),
                found: found.to_string(),
            });
        }
    }
    LazyFrame::scan_parquet(PlRefPath::new(path.to_string_lossy()), ScanArgsParquet::default())
        .map_err(|error| format_error(path, &error))
}

/// The names of the columns, from the footer alone.
///
/// # Errors
/// When the file cannot be read or is not Parquet.
pub fn column_names(path: &Path) -> Result<Vec<String>, CodecError> {
    Ok(schema(path)?.iter_names().map(ToString::to_string).collect())
}

fn schema(path: &Path) -> Result<Schema, CodecError> {
    let file = File::open(path).map_err(CodecError::io("read", path))?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        let error = std::io::Error::from(std::io::ErrorKind::IsADirectory);
        return Err(CodecError::io("read", path)(error));
    }
    let schema =
        ParquetReader::new(BufReader::new(file)).schema().map_err(|error| format_error(path, &error))?;
    Ok(Schema::from_arrow_schema(&schema))
}

/// Reads these columns, and no others, into memory.
///
/// # Errors
/// See [`scan`].
pub fn read(path: &Path, columns: &[(&str, ColumnType)]) -> Result<DataFrame, CodecError> {
    let selection: Vec<Expr> = columns.iter().map(|&(name, _)| col(name)).collect();
    scan(path, columns)?.select(selection).collect().map_err(|error| format_error(path, &error))
}

/// Writes a table.
///
/// # Errors
/// When the disk refuses.
pub fn write(path: &Path, table: &mut DataFrame) -> Result<(), CodecError> {
    let file = File::create(path).map_err(CodecError::io("write", path))?;
    let mut file = BufWriter::new(file);
    ParquetWriter::new(&mut file).finish(table).map_err(|error| write_error(path, error))?;
    file.flush().map_err(CodecError::io("write", path))
}

/// Runs a lazy query in the streaming engine and writes its rows as they come.
///
/// # Errors
/// When an input of the query cannot be read or the disk refuses.
pub fn sink(path: &Path, query: LazyFrame) -> Result<(), CodecError> {
    let destination =
        SinkDestination::File { target: SinkTarget::Path(PlRefPath::new(path.to_string_lossy())) };
    let format = FileWriteFormat::Parquet(Arc::new(ParquetWriteOptions::default()));
    query
        .sink(destination, format, UnifiedSinkArgs::default())
        .and_then(|query| query.collect_with_engine(Engine::Streaming))
        .map(|_| ())
        .map_err(|error| write_error(path, error))
}

pub(super) fn format_error(path: &Path, error: &PolarsError) -> CodecError {
    CodecError::Format { path: path.to_owned(), format: "Parquet", message: error.to_string() }
}

pub(super) fn write_error(path: &Path, error: PolarsError) -> CodecError {
    let source = match error {
        PolarsError::IO { error, .. } => std::io::Error::new(error.kind(), error.to_string()),
        other => std::io::Error::other(other.to_string()),
    };
    CodecError::io("write", path)(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_column_and_a_wrong_type_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        write(&path, &mut df!("a" => [1i64, 2], "b" => ["x", "y"]).unwrap()).unwrap();
        assert_eq!(read(&path, &[("a", ColumnType::Integer)]).unwrap().height(), 2);
        let missing = read(&path, &[("c", ColumnType::Date)]).unwrap_err().to_string();
        assert!(
            missing.contains("no column `c` (expected dates or dates with time); it has: `a`, `b`"),
            "{missing}"
        );
        let wrong = read(&path, &[("b", ColumnType::Integer)]).unwrap_err().to_string();
        assert!(wrong.contains("column `b`: expected integers, found str"), "{wrong}");
    }
}
