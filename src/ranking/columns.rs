//! Columns of a table as plain vectors, nulls refused.

use polars::prelude::*;

/// Values of a column that holds no null, converted to the type of `T`.
///
/// # Errors
/// When the column is missing, cannot be converted, or holds a null.
fn values<T: PolarsNumericType>(table: &DataFrame, name: &str) -> PolarsResult<Vec<T::Native>> {
    let column = table.column(name)?.cast(&T::get_static_dtype())?;
    if column.null_count() > 0 {
        polars_bail!(ComputeError: "column `{name}` holds {} nulls, expected none", column.null_count());
    }
    let values = column.as_materialized_series().unpack::<T>()?;
    Ok(values.into_no_null_iter().collect())
}

/// Whole numbers from 0 on, such as `user_idx`.
///
/// # Errors
/// When the column is missing, holds other values or a null.
pub fn u32s(table: &DataFrame, name: &str) -> PolarsResult<Vec<u32>> {
    values::<UInt32Type>(table, name)
}

/// Ids.
///
/// # Errors
/// When the column is missing, holds other values or a null.
pub fn i64s(table: &DataFrame, name: &str) -> PolarsResult<Vec<i64>> {
    values::<Int64Type>(table, name)
}

/// Days.
///
/// # Errors
/// When the column is missing, holds other values or a null.
pub fn i32s(table: &DataFrame, name: &str) -> PolarsResult<Vec<i32>> {
    values::<Int32Type>(table, name)
}

/// Numbers.
///
/// # Errors
/// When the column is missing, holds other values or a null.
pub fn f32s(table: &DataFrame, name: &str) -> PolarsResult<Vec<f32>> {
    values::<Float32Type>(table, name)
}

/// The day of a date or a date with time, as days since 1970.
pub fn day(name: &str) -> Expr {
    col(name).cast(DataType::Date).cast(DataType::Int32)
}
