//! Accuracy of each user as a table, so that results of two runs can be compared in pairs.
//!
//! Users stand by their external ids: two runs may number them differently.

use std::path::Path;

use polars::prelude::*;

use crate::codec::CodecError;
use crate::codec::table::{self, ColumnType};
use crate::eval::significance::{PairedTest, bonferroni, holm, t_interval_95};
use crate::eval::{Evaluation, Evaluator};

/// One model against another, user by user.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Paired {
    /// Users that both were measured on.
    pub users: usize,
    /// Users that only one of them was measured on.
    pub others: usize,
    /// Mean of the first's value minus the second's.
    pub difference: f64,
    /// The 95 % interval of that, by the t-distribution; none for fewer than two users.
    pub interval: Option<(f64, f64)>,
    /// Of a two-sided paired t-test, of this comparison alone.
    pub p_value: f64,
}

/// How p-values of several comparisons with one model are corrected for their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Correction {
    /// The one was named beforehand: Holm's steps.
    Named,
    /// The one was picked because it is the best: Bonferroni. What is significant then is that a model is not the
    /// best of all.
    Picked,
}

impl Correction {
    /// The p-values, corrected.
    pub fn apply(self, p_values: &[f64]) -> Vec<f64> {
        match self {
            Self::Named => holm(p_values),
            Self::Picked => bonferroni(p_values),
        }
    }

    /// Whose it is.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Named => "Holm",
            Self::Picked => "Bonferroni",
        }
    }
}

/// Values of one metric by user, sorted by the user.
#[derive(Debug, Clone, PartialEq)]
pub struct ByUser(Vec<(i64, f64)>);

/// Writes `user_id` and a column `<model>.<metric>@<k>` for each model and metric that the evaluator keeps; `users` is
/// the table of users.
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
    for (model, evaluation) in models {
        columns.extend(evaluation.users.iter().map(|kept| {
            // As the step names the metric that it leaves.
            Column::new(format!("{model}.{}", kept.metric.at(kept.k)).into(), &kept.values)
        }));
    }
    let table = DataFrame::new(evaluator.users().len(), columns);
    table::write(path, &mut table.map_err(|error| unfit(path, &error))?)
}

impl ByUser {
    /// Reads a column of a table; nothing when it has no such column.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub fn read(path: &Path, column: &str) -> Result<Option<Self>, CodecError> {
        if !table::column_names(path)?.iter().any(|name| name == column) {
            return Ok(None);
        }
        let rows = table::read(path, &[("user_id", ColumnType::Integer), (column, ColumnType::Number)])?;
        let of = |name: &str, to: DataType| rows.column(name).and_then(|values| values.cast(&to));
        let users = of("user_id", DataType::Int64).map_err(|error| unfit(path, &error))?;
        let values = of(column, DataType::Float64).map_err(|error| unfit(path, &error))?;
        let users = users.i64().map_err(|error| unfit(path, &error))?;
        let values = values.f64().map_err(|error| unfit(path, &error))?;
        let pairs = users.iter().zip(values.iter()).filter_map(|(user, value)| Some((user?, value?)));
        let mut pairs: Vec<(i64, f64)> = pairs.filter(|(_, value)| value.is_finite()).collect();
        pairs.sort_unstable_by_key(|pair| pair.0);
        pairs.dedup_by_key(|pair| pair.0);
        Ok(Some(Self(pairs)))
    }

    /// These values minus the other's, over the users that both have.
    pub fn against(&self, other: &Self) -> Paired {
        let mut theirs = other.0.iter().peekable();
        let mut differences = Vec::with_capacity(self.0.len().min(other.0.len()));
        for (user, value) in &self.0 {
            while theirs.next_if(|pair| pair.0 < *user).is_some() {}
            if let Some(pair) = theirs.next_if(|pair| pair.0 == *user) {
                differences.push(value - pair.1);
            }
        }
        let test = PairedTest::of(&differences);
        Paired {
            users: test.n,
            others: self.0.len() + other.0.len() - 2 * test.n,
            difference: test.mean_difference,
            interval: t_interval_95(&differences),
            p_value: test.p_t_test,
        }
    }
}

fn unfit(path: &Path, error: &PolarsError) -> CodecError {
    CodecError::Format { path: path.to_owned(), format: "Parquet", message: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_paired_by_id() {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str, users: Vec<i64>, values: Vec<f64>| {
            let path = folder.path().join(name);
            table::write(&path, &mut df!("user_id" => users, "als.ndcg@10" => values).unwrap()).unwrap();
            assert_eq!(ByUser::read(&path, "bpr.ndcg@10").unwrap(), None);
            ByUser::read(&path, "als.ndcg@10").unwrap().unwrap()
        };
        let noise = |user: i64| (user * 37 % 11) as f64 / 100.0;
        let best = read("best", (0..100).collect(), (0..100).map(noise).collect());
        // The same users in another order, two that the best does not know, and one without a value.
        let worse = (-1..=100).rev().map(|user| match user {
            7 => f64::NAN,
            user => noise(user) - 0.01 - noise(user.abs() * 3) / 10.0,
        });
        let worse = read("worse", (-1..=100).rev().collect(), worse.collect());
        let found = worse.against(&best);
        assert_eq!((found.users, found.others), (99, 3));
        assert!(found.difference < -0.01 && found.p_value < 0.001, "{found:?}");
        let (low, high) = found.interval.unwrap();
        assert!(low < found.difference && found.difference < high && high < -0.01, "{found:?}");
        let same = best.against(&best);
        assert_eq!((same.difference, same.p_value, same.interval), (0.0, 1.0, Some((0.0, 0.0))));
    }
}
