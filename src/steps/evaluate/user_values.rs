//! NDCG of each user as a table, so that results of two runs can be compared in pairs.
//!
//! Users stand by their external ids: two runs may number them differently.

use std::collections::HashMap;
use std::path::Path;

use polars::prelude::*;

use crate::codec::CodecError;
use crate::codec::table::{self, ColumnType};
use crate::eval::significance::{PairedTest, holm};
use crate::eval::{Evaluation, Evaluator, Metric};

/// One model against another, user by user.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Paired {
    /// Users that both were measured on.
    pub users: usize,
    /// Mean of the second's value minus the first's.
    pub difference: f64,
    /// Of a paired t-test, Holm-corrected over all that were compared at once.
    pub p_value: f64,
}

/// Writes `user_id` and a column `<model>.ndcg@<k>` for each model and cut; `users` is the table of users.
///
/// # Errors
/// When `users` cannot be read or the disk refuses.
pub fn write(
    path: &Path,
    users: &Path,
    evaluator: &Evaluator<'_>,
    models: &[(String, Evaluation)],
) -> Result<(), CodecError> {
    let ids = table::read(users, &[("user_id", ColumnType::Integer)])?;
    let rows = UInt32Chunked::from_slice("user_idx".into(), evaluator.users());
    let ids = ids.column("user_id").and_then(|ids| ids.take(&rows));
    let mut columns = vec![ids.map_err(|error| unfit(users, &error))?];
    for (name, evaluation) in models {
        for (&k, values) in evaluator.protocol().k.iter().zip(&evaluation.ndcg) {
            columns.push(Column::new(column_of(name, k).into(), values));
        }
    }
    let table = DataFrame::new(evaluator.users().len(), columns);
    table::write(path, &mut table.map_err(|error| unfit(path, &error))?)
}

/// The column of a model at a cut: the name of the metric that the step leaves.
fn column_of(model: &str, k: usize) -> String {
    format!("{model}.{}@{k}", Metric::Ndcg.name())
}

/// Compares a column of other tables with that of `best`; nothing when `best` has no such column.
///
/// # Errors
/// When a table cannot be read.
pub fn compare(best: &Path, others: &[&Path], column: &str) -> Result<Option<Vec<Paired>>, CodecError> {
    if !table::column_names(best)?.iter().any(|name| name == column) {
        return Ok(None);
    }
    let best = read(best, column)?;
    let mut outcomes = Vec::with_capacity(others.len());
    for path in others {
        let other = read(path, column)?;
        let mut users: Vec<&i64> = other.keys().filter(|user| best.contains_key(*user)).collect();
        users.sort_unstable();
        let differences: Vec<f64> = users.iter().map(|user| other[*user] - best[*user]).collect();
        let test = PairedTest::of(&differences);
        outcomes.push(Paired { users: test.n, difference: test.mean_difference, p_value: test.p_t_test });
    }
    let corrected = holm(&outcomes.iter().map(|outcome| outcome.p_value).collect::<Vec<_>>());
    for (outcome, p_value) in outcomes.iter_mut().zip(corrected) {
        outcome.p_value = p_value;
    }
    Ok(Some(outcomes))
}

fn read(path: &Path, column: &str) -> Result<HashMap<i64, f64>, CodecError> {
    let rows = table::read(path, &[("user_id", ColumnType::Integer), (column, ColumnType::Number)])?;
    let of = |name: &str, to: DataType| rows.column(name).and_then(|values| values.cast(&to));
    let users = of("user_id", DataType::Int64).map_err(|error| unfit(path, &error))?;
    let values = of(column, DataType::Float64).map_err(|error| unfit(path, &error))?;
    let users = users.i64().map_err(|error| unfit(path, &error))?;
    let values = values.f64().map_err(|error| unfit(path, &error))?;
    let pairs = users.iter().zip(values.iter());
    Ok(pairs.filter_map(|(user, value)| Some((user?, value?))).collect())
}

fn unfit(path: &Path, error: &PolarsError) -> CodecError {
    CodecError::Format { path: path.to_owned(), format: "Parquet", message: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_paired_by_id_and_p_values_corrected() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, users: Vec<i64>, values: Vec<f64>| {
            let path = folder.path().join(name);
            table::write(&path, &mut df!("user_id" => users, "als.ndcg@10" => values).unwrap()).unwrap();
            path
        };
        let noise = |user: i64| (user * 37 % 11) as f64 / 100.0;
        let best = write("best", (0..100).collect(), (0..100).map(noise).collect());
        // The same users in another order, and one that the best does not know.
        let worse = (0..=100).rev().map(|user| noise(user) - 0.01 - noise(user * 3) / 10.0);
        let worse = write("worse", (0..=100).rev().collect(), worse.collect());
        let same = write("same", (0..100).collect(), (0..100).map(noise).collect());
        let found = compare(&best, &[&worse, &same], "als.ndcg@10").unwrap().unwrap();
        assert_eq!((found[0].users, found[1].users), (100, 100));
        assert!(found[0].difference < -0.01 && found[0].p_value < 0.001, "{:?}", found[0]);
        assert_eq!((found[1].difference, found[1].p_value), (0.0, 1.0));
        assert_eq!(compare(&best, &[&worse], "bpr.ndcg@10").unwrap(), None);
    }
}
