//! `blend`: makes one list of several models' lists for each user, by a weighted sum of their scores.
//!
//! ```yaml
//! blend:
//!   uses: blend
//!   inputs: { lists: { als: als.candidates, ease: ease.candidates } }
//!   with: { weights: { ease: 1.5 }, normalization: max }
//! ```

use std::ops::Range;

use miette::Diagnostic;
use polars::prelude::*;
use rayon::prelude::*;
use thiserror::Error;

use super::data_type::CANDIDATES;
use crate::codec::user_rows::UserRows;
use crate::codec::{CodecError, candidates, table};
use crate::models::blend::{Blend, WeightedList, blend};
use crate::models::lists::{Block, Lists, QUERIES_AT_ONCE};
use crate::ranking::RankingError;
use crate::ranking::block::Proposals;
use crate::workflow::fault::did_you_mean;
use crate::workflow::kind::{Context, InputPort, OutputPort, ParameterFault, Step, StepError};

/// Why lists cannot be blended.
#[derive(Debug, Error, Diagnostic)]
pub enum BlendError {
    /// A weight for a list that is not there.
    #[error("`weights` names `{name}`, which is not among the lists")]
    #[diagnostic(help("{hint}"))]
    UnknownModel {
        /// The name.
        name: String,
        /// What is there.
        hint: String,
    },
    /// Nothing counts.
    #[error("all lists have the weight 0")]
    #[diagnostic(help("give one of them at least a weight above 0"))]
    NoWeight,
}

impl Step for Blend {
    const KIND: &'static str = "blend";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "Makes one list of several models' lists by a weighted sum of their scores";
    const EXAMPLE: &'static str = "\
blend:
  uses: blend
  inputs: { lists: { als: als.candidates, ease: ease.candidates } }
  with: { weights: { ease: 1.5 }, normalization: max }
";
    const INPUTS: &'static [InputPort] =
        &[InputPort::new("lists", &[CANDIDATES], "candidates by the name of the model").many()];
    const OUTPUTS: &'static [OutputPort] =
        &[OutputPort::new("candidates", CANDIDATES, "parquet", "the best `n` items of each user")];

    fn check(&self) -> Result<(), ParameterFault> {
        match self.weights.iter().find(|(_, weight)| !(weight.is_finite() && **weight >= 0.0)) {
            Some((name, weight)) => {
                let message = format!("expected a weight of 0 or more for `{name}`, found {weight}");
                Err(ParameterFault { parameter: "weights", message })
            }
            None => Ok(()),
        }
    }

    fn run(&self, ctx: &Context<'_>) -> Result<(), StepError> {
        let models = self.models(ctx)?;
        let n_users =
            models.iter().map(|(_, path)| n_users(path)).try_fold(0, |most, n| n.map(|n| most.max(n)))?;
        let open = |path| UserRows::open(path, &candidates::COLUMNS, Proposals::columns(), n_users);
        let tables = models.iter().map(|(_, path)| open(path)).collect::<Result<Vec<_>, _>>()?;
        let mut writer = candidates::Writer::create(ctx.output("candidates"))?;
        for start in (0..n_users).step_by(QUERIES_AT_ONCE) {
            ctx.check_cancelled()?;
            let users = start..(start + QUERIES_AT_ONCE).min(n_users);
            let proposals = tables
                .iter()
                .map(|table| Ok(Proposals::from_table(&users, &table.read(&users)?, usize::MAX)?))
                .collect::<Result<Vec<_>, StepError>>()?;
            let weights: Vec<f64> = models.iter().map(|(weight, _)| *weight).collect();
            let lists = self.lists(&users, &weights, &proposals);
            let queries: Vec<u32> = users.clone().map(|user| user as u32).collect();
            writer.write(&Block { queries: &queries, lists: &lists, done: users.end, total: n_users })?;
            ctx.progress(users.end as u64, Some(n_users as u64), "users", "");
        }
        Ok(writer.finish()?)
    }
}

impl Blend {
    /// Weight and file of every list that counts.
    fn models<'a>(&self, ctx: &'a Context<'_>) -> Result<Vec<(f64, &'a std::path::Path)>, BlendError> {
        let lists: Vec<_> = ctx.inputs("lists").collect();
        let names = || lists.iter().map(|(name, _)| *name);
        if let Some(name) = self.weights.keys().find(|name| names().all(|known| known != name.as_str())) {
            return Err(BlendError::UnknownModel { name: name.clone(), hint: did_you_mean(name, names()) });
        }
        let weighted = lists.into_iter().map(|(name, path)| (self.weight(name), path));
        let models: Vec<_> = weighted.filter(|(weight, _)| *weight > 0.0).collect();
        if models.is_empty() { Err(BlendError::NoWeight) } else { Ok(models) }
    }

    /// One list a user.
    fn lists(&self, users: &Range<usize>, weights: &[f64], proposals: &[Proposals]) -> Lists {
        let of_user = |user: usize| {
            let parts: Vec<(Vec<u32>, Vec<f32>)> = proposals
                .iter()
                .map(|proposals| {
                    let mut rows = proposals.of(user).to_vec();
                    rows.sort_by_key(|row| row.rank);
                    rows.iter().map(|row| (row.item, row.score)).unzip()
                })
                .collect();
            let lists: Vec<WeightedList<'_>> = parts
                .iter()
                .zip(weights)
                .map(|((items, scores), &weight)| WeightedList { weight, items, scores })
                .collect();
            blend(&lists, self.normalization, self.n)
        };
        let blended: Vec<Vec<(u32, f32)>> = (0..users.len()).into_par_iter().map(of_user).collect();
        let mut lists = Lists::new();
        blended.into_iter().for_each(|list| lists.push(list));
        lists
    }
}

/// One more than the largest user of a table of candidates.
fn n_users(path: &std::path::Path) -> Result<usize, StepError> {
    let query = table::scan(path, &candidates::COLUMNS)?;
    let largest = query
        .select([col("user_idx").max().cast(DataType::Int64)])
        .collect_with_engine(Engine::Streaming)
        .map(|rows| rows.unwrap_single())
        .and_then(|rows| Ok(rows.column("user_idx")?.i64()?.get(0)));
    let largest = largest.map_err(RankingError::from)?;
    match largest.map(u32::try_from) {
        None => Ok(0),
        Some(Ok(user)) => Ok(user as usize + 1),
        Some(Err(_)) => Err(CodecError::Value {
            path: path.to_owned(),
            column: "user_idx".to_owned(),
            message: format!("expected an index from 0, found {}", largest.unwrap_or_default()),
        }
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    /// Lists of `als` for the users 0 and 2, of `bpr` for the users 0 and 1, the latter not by rank.
    fn project(folder: &Path) -> Context<'static> {
        let path = |name: &str| folder.join(name);
        let mut als = df!(
            "user_idx" => [0u32, 0, 2], "item_idx" => [5u32, 6, 7], "score" => [2.0f32, 1.0, 9.0],
            "rank" => [1u32, 2, 1]
        );
        table::write(&path("als.parquet"), als.as_mut().unwrap()).unwrap();
        let mut bpr = df!(
            "user_idx" => [0u32, 0, 1], "item_idx" => [8u32, 6, 9], "score" => [-3.0f32, 4.0, 1.0],
            "rank" => [2u32, 1, 1]
        );
        table::write(&path("bpr.parquet"), bpr.as_mut().unwrap()).unwrap();
        let lists = ["als.parquet", "bpr.parquet"].map(|name| ("lists", path(name)));
        let outputs: [(&str, PathBuf); 1] = [("candidates", path("blended.parquet"))];
        Context::standalone(lists, outputs, folder.to_owned())
    }

    #[test]
    fn every_user_of_any_list_gets_one() {
        let folder = tempfile::tempdir().unwrap();
        let ctx = project(folder.path());
        let weights = [("bpr".to_owned(), 0.5)].into_iter().collect();
        let step = Blend { weights, n: 2, ..Blend::default() };
        Step::run(&step, &ctx).unwrap();
        let rows = table::read(ctx.output("candidates"), &candidates::COLUMNS).unwrap();
        let expected = df!(
            "user_idx" => [0u32, 0, 1, 2], "item_idx" => [5u32, 6, 9, 7], "score" => [1.0f32, 0.5, 0.5, 1.0],
            "rank" => [1u32, 2, 1, 1]
        );
        assert!(rows.equals(&expected.unwrap()), "{rows}");
    }

    #[test]
    fn weights_must_name_a_list_and_leave_one() {
        let folder = tempfile::tempdir().unwrap();
        let ctx = project(folder.path());
        let blend = |weights: &[(&str, f64)]| {
            let weights = weights.iter().map(|&(name, weight)| (name.to_owned(), weight)).collect();
            Blend { weights, ..Blend::default() }
        };
        let error = Step::run(&blend(&[("asl", 1.0)]), &ctx).unwrap_err();
        assert_eq!(error.to_string(), "`weights` names `asl`, which is not among the lists");
        assert_eq!(error.help().unwrap().to_string(), "did you mean `als`?");
        let error = Step::run(&blend(&[("als", 0.0), ("bpr", 0.0)]), &ctx).unwrap_err();
        assert_eq!(error.to_string(), "all lists have the weight 0");
        let fault = Step::check(&blend(&[("als", -1.0)])).unwrap_err();
        assert_eq!(fault.message, "expected a weight of 0 or more for `als`, found -1");
    }
}
