//! The NDCG of each user beside the size of their history.

use std::path::Path;

use polars::prelude::*;

use crate::charts::page::facts::Segments;
use crate::codec::table::{self, ColumnType};
use crate::codec::{CodecError, stream};
use crate::data::columns as c;
use crate::data::error::DataError;
use crate::eval::segments::by_history;
use crate::workflow::kind::StepError;

/// Columns of the table are called `als.ndcg@10`.
const NDCG: &str = ".ndcg@";

/// Cuts the users of `values` into `n` groups by their rows in `history`; at the largest cut of lists there is.
///
/// # Errors
/// When a table cannot be read or lacks a column.
pub fn read(values: &Path, history: &Path, n: usize) -> Result<Option<Segments>, StepError> {
    let names = table::column_names(values)?;
    let cuts = names.iter().filter_map(|name| {
        let (model, k) = name.rsplit_once(NDCG)?;
        Some((k.parse::<usize>().ok()?, model, name.as_str()))
    });
    let mut columns: Vec<(usize, &str, &str)> = cuts.collect();
    let Some(k) = columns.iter().map(|column| column.0).max() else { return Ok(None) };
    columns.retain(|column| column.0 == k);

    let mut wanted = vec![(c::USER_ID, ColumnType::Integer)];
    wanted.extend(columns.iter().map(|&(_, _, name)| (name, ColumnType::Number)));
    let metrics = table::scan(values, &wanted)?;
    let sizes = table::scan(history, &[(c::USER_ID, ColumnType::Integer)])?
        .group_by([col(c::USER_ID).cast(DataType::Int64)])
        .agg([len().cast(DataType::UInt32).alias("size")]);
    let sizes = stream::collect(history, sizes)?.lazy();
    let mut selection = vec![col("size").fill_null(lit(0u32))];
    selection.extend(columns.iter().map(|&(_, _, name)| col(name).cast(DataType::Float64)));
    let joined = metrics
        .with_column(col(c::USER_ID).cast(DataType::Int64))
        .join(sizes, [col(c::USER_ID)], [col(c::USER_ID)], JoinArgs::new(JoinType::Left))
        .select(selection);
    let joined = joined.collect().map_err(DataError::frame(values))?;
    let sizes = joined.column("size").and_then(|sizes| sizes.u32()).map_err(DataError::frame(values))?;
    let sizes: Vec<u32> = sizes.iter().map(Option::unwrap_or_default).collect();
    let of_model = |&(_, _, name): &(usize, &str, &str)| -> Result<Vec<f64>, StepError> {
        let column = joined.column(name).and_then(|values| values.f64()).map_err(DataError::frame(values))?;
        if column.null_count() > 0 {
            let message = format!("expected no nulls, found {}", column.null_count());
            return Err(
                CodecError::Value { path: values.to_owned(), column: name.to_owned(), message }.into()
            );
        }
        Ok(column.into_no_null_iter().collect())
    };
    let of_models = columns.iter().map(of_model).collect::<Result<Vec<_>, _>>()?;
    let models = columns.iter().map(|column| column.1.to_owned()).collect();
    Ok(Some(Segments { k, models, segments: by_history(&sizes, &of_models, n) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_meet_their_histories_by_id() {
        let folder = tempfile::tempdir().unwrap();
        let (values, history) = (folder.path().join("v"), folder.path().join("h"));
        let mut rows = df!(
            "user_id" => [30i64, 10, 20, 40], "als.ndcg@5" => [0.0; 4], "als.ndcg@10" => [0.3, 0.1, 0.2, 0.4],
            "als.two.ndcg@10" => [0.0, 0.0, 1.0, 1.0]
        );
        table::write(&values, rows.as_mut().unwrap()).unwrap();
        table::write(&history, &mut df!("user_id" => [10i64, 20, 20, 20, 30, 30, 30, 30]).unwrap()).unwrap();
        let found = read(&values, &history, 2).unwrap().unwrap();
        assert_eq!((found.k, found.models), (10, vec!["als".to_owned(), "als.two".to_owned()]));
        let told: Vec<_> =
            found.segments.iter().map(|s| (s.from, s.to, s.means[0].value, s.means[1].value)).collect();
        // User 40 has no history; users 20 and 30 have three and four tracks.
        assert_eq!(told, [(0, 1, 0.25, 0.5), (3, 4, 0.25, 0.5)]);
        table::write(&values, &mut df!("user_id" => [30i64]).unwrap()).unwrap();
        assert!(read(&values, &history, 2).unwrap().is_none());
    }
}
