//! `rerank`: from long lists the final ones, with caps and a choice between relevance, variety and
//! discovery.
//!
//! ```yaml
//! rerank:
//!   uses: rerank
//!   inputs:
//!     recommendations: rank.recommendations
//!     items: preprocess.items
//!     history: split.history_matrix
//!   with: { n: 50, max_per_artist: 3 }
//! ```

use std::collections::HashMap;

use miette::Diagnostic;
use polars::prelude::*;
use rayon::prelude::*;
use thiserror::Error;

use super::data_type::{FACTORS, ITEMS, MATRIX, RECOMMENDATIONS};
use super::read_catalog;
use crate::codec::ranked::{self, RankedBlock};
use crate::codec::table_writer::TableWriter;
use crate::codec::{factors, npz};
use crate::models::factors::Factors;
use crate::ranking::catalog::Catalog;
use crate::ranking::rerank::{Items, Rerank, Similarity, self_information};
use crate::workflow::kind::{Context, InputPort, OutputPort, ParameterFault, Step, StepError};

/// How far the three weights may be from 1 together.
const ROUNDING: f64 = 1e-6;

/// Why lists cannot be re-ranked.
#[derive(Debug, Error, Diagnostic)]
pub enum RerankError {
    /// A track that the table of items does not have.
    #[error("the lists hold the track {0}, which is not in the table of items")]
    #[diagnostic(help("make the lists from the same `preprocess` step as `items`"))]
    UnknownTrack(i64),
    /// The lists of users in another order.
    #[error("the lists are not sorted: user {0} comes again after another user")]
    #[diagnostic(help("sort the table by `user_id` and `rank`"))]
    Unsorted(i64),
    /// Tables of different runs.
    #[error("`{port}` has {found} items, the table of items has {expected}")]
    #[diagnostic(help("make both from the same `preprocess` step"))]
    OtherItems {
        /// The input.
        port: &'static str,
        /// Its items.
        found: usize,
        /// Rows of the table.
        expected: usize,
    },
    /// Vectors are asked for, but there is no model.
    #[error("`similarity: factors` needs the vectors of a model")]
    #[diagnostic(help("add an input `model: als.model`, or choose `genres` or `artists`"))]
    NoModel,
}

impl Step for Rerank {
    const KIND: &'static str = "rerank";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str =
        "Makes final lists more varied: caps per artist and version, diversity, novelty";
    const EXAMPLE: &'static str = "\
rerank:
  uses: rerank
  inputs:
    recommendations: rank.recommendations
    items: preprocess.items
    history: split.history_matrix
  with: { n: 50, max_per_artist: 3, relevance: 0.8, diversity: 0.1, novelty: 0.1 }
";
    const INPUTS: &'static [InputPort] = &[
        InputPort::new("recommendations", &[RECOMMENDATIONS], "lists that are longer than the final ones"),
        InputPort::new("items", &[ITEMS], "artists, genres and track groups"),
        InputPort::new("history", &[MATRIX], "how many users know each item").trains(),
        InputPort::new("model", &[FACTORS], "vectors of the items, for `similarity: factors`").optional(),
    ];
    const OUTPUTS: &'static [OutputPort] =
        &[OutputPort::new("recommendations", RECOMMENDATIONS, "parquet", "the final list of each user")];

    fn check(&self) -> Result<(), ParameterFault> {
        let sum = self.relevance + self.diversity + self.novelty;
        if (sum - 1.0).abs() > ROUNDING {
            let message = format!(
                "expected `relevance` + `diversity` + `novelty` = 1, found {} + {} + {} = {sum}",
                self.relevance, self.diversity, self.novelty
            );
            return Err(ParameterFault { parameter: "relevance", message });
        }
        Ok(())
    }

    fn run(&self, ctx: &Context<'_>) -> Result<(), StepError> {
        let catalog = read_catalog(ctx.input("items"))?;
        let history = npz::read_matrix(ctx.input("history"))?;
        same_items("history", history.n_items(), &catalog)?;
        let novelty = self_information(&history.item_counts(), history.n_users());
        let vectors = self.vectors(ctx, &catalog)?;
        let items = Items { catalog: &catalog, novelty: &novelty, vectors: vectors.as_ref() };
        let index: HashMap<i64, u32> = catalog.track_ids.iter().copied().zip(0..).collect();

        let mut writer: Option<TableWriter> = None;
        let mut write = |lists: &[UserList]| -> Result<(), StepError> {
            ctx.check_cancelled()?;
            let rows = self.final_rows(items, lists);
            let writer = match &mut writer {
                Some(writer) => writer,
                none => none.insert(TableWriter::create(ctx.output("recommendations"), rows.schema())?),
            };
            Ok(writer.append(&rows)?)
        };
        let mut lists = UserLists::default();
        let mut n_users = 0;
        ranked::read(
            ctx.input("recommendations"),
            "user_id",
            "track_id",
            |block| -> Result<(), StepError> {
                lists.append(&block, &index)?;
                let complete = lists.take_complete();
                n_users += complete.len() as u64;
                ctx.progress(n_users, None, "users", "");
                write(&complete)
            },
        )?;
        write(&lists.done)?;
        writer.expect("the last lists are written even when there are none").finish()?;
        Ok(())
    }
}

impl Rerank {
    fn vectors(&self, ctx: &Context<'_>, catalog: &Catalog) -> Result<Option<Factors>, StepError> {
        if self.similarity != Similarity::Factors {
            return Ok(None);
        }
        let model = ctx.optional_input("model").ok_or(RerankError::NoModel)?;
        let vectors = factors::read_item_factors(model)?;
        same_items("model", vectors.n_rows(), catalog)?;
        Ok(Some(vectors.normalized()))
    }

    /// The final lists as rows.
    fn final_rows(&self, items: Items<'_>, lists: &[UserList]) -> DataFrame {
        let chosen: Vec<Vec<(u32, f32)>> =
            lists.par_iter().map(|list| self.choose(items, &list.entries)).collect();
        let n_rows = chosen.iter().map(Vec::len).sum();
        let (mut users, mut tracks) = (Vec::with_capacity(n_rows), Vec::with_capacity(n_rows));
        let (mut scores, mut ranks) = (Vec::with_capacity(n_rows), Vec::with_capacity(n_rows));
        for (list, chosen) in lists.iter().zip(&chosen) {
            for (&(item, score), rank) in chosen.iter().zip(1u32..) {
                users.push(list.user);
                tracks.push(items.catalog.track_ids[item as usize]);
                scores.push(score);
                ranks.push(rank);
            }
        }
        df!("user_id" => users, "track_id" => tracks, "score" => scores, "rank" => ranks)
            .expect("the columns are equally long")
    }
}

fn same_items(port: &'static str, found: usize, catalog: &Catalog) -> Result<(), RerankError> {
    let expected = catalog.n_items();
    if found == expected { Ok(()) } else { Err(RerankError::OtherItems { port, found, expected }) }
}

/// The list of one user, `(item, score)` in the order of the file.
struct UserList {
    user: i64,
    entries: Vec<(u32, f32)>,
}

/// Lists that are put together from blocks of rows, which may cut through a list.
#[derive(Default)]
struct UserLists {
    done: Vec<UserList>,
}

impl UserLists {
    fn append(&mut self, block: &RankedBlock<'_>, index: &HashMap<i64, u32>) -> Result<(), RerankError> {
        let rows = block.keys.iter().zip(block.tracks).zip(block.scores);
        for ((&user, track), &score) in rows {
            let item = *index.get(track).ok_or(RerankError::UnknownTrack(*track))?;
            match self.done.last_mut() {
                Some(list) if list.user == user => list.entries.push((item, score)),
                Some(list) if list.user > user => return Err(RerankError::Unsorted(user)),
                _ => self.done.push(UserList { user, entries: vec![(item, score)] }),
            }
        }
        Ok(())
    }

    /// All lists but the last, which may go on in the next block.
    fn take_complete(&mut self) -> Vec<UserList> {
        let last = self.done.pop();
        std::mem::replace(&mut self.done, last.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::codec::table;
    use crate::interactions::Interactions;

    /// Tracks 100 and 101 are versions of one; track 102 has another artist. Nobody but user 0 knows any.
    fn project(folder: &Path, users: [i64; 5], tracks: [i64; 5]) -> Context<'static> {
        let path = |name: &str| folder.join(name);
        let mut items = df!(
            "item_idx" => [0u32, 1, 2], "track_id" => [100i64, 101, 102],
            "track_group_id" => [7i64, 7, 8], "genre_name" => ["rock", "rock", "jazz"]
        )
        .unwrap();
        for (name, ids) in [("artist_ids", [1i64, 1, 2]), ("genre_ids", [3, 3, 4])] {
            let lists: Vec<Series> = ids.iter().map(|&id| Series::new("".into(), [id])).collect();
            items.with_column(Series::new(name.into(), lists).into()).unwrap();
        }
        table::write(&path("items.parquet"), &mut items).unwrap();
        let mut lists = df!(
            "user_id" => users, "track_id" => tracks, "score" => [3.0f32, 2.0, 1.0, 5.0, 4.0],
            "rank" => [1u32, 2, 3, 1, 2]
        );
        table::write(&path("long.parquet"), lists.as_mut().unwrap()).unwrap();
        let history = Interactions::from_triplets(2, 3, [(0, 0, 1.0)]).unwrap();
        npz::write_matrix(&path("history.npz"), &history).unwrap();
        let inputs =
            [("recommendations", "long.parquet"), ("items", "items.parquet"), ("history", "history.npz")];
        let inputs = inputs.map(|(port, name)| (port, path(name)));
        Context::standalone(inputs, [("recommendations", path("final.parquet"))], folder.to_owned())
    }

    #[test]
    fn lists_are_cut_by_caps_and_numbered_anew() {
        let folder = tempfile::tempdir().unwrap();
        let ctx = project(folder.path(), [11, 11, 11, 12, 12], [100, 101, 102, 102, 100]);
        let step = Rerank { relevance: 1.0, diversity: 0.0, novelty: 0.0, ..Rerank::default() };
        Step::run(&step, &ctx).unwrap();
        let columns = ["user_id", "track_id", "score", "rank"].map(|name| (name, table::ColumnType::Number));
        let expected = df!(
            "user_id" => [11i64, 11, 12, 12], "track_id" => [100i64, 102, 102, 100],
            "score" => [1.0f32, 0.0, 1.0, 0.0], "rank" => [1u32, 2, 1, 2]
        );
        let rows = table::read(ctx.output("recommendations"), &columns).unwrap();
        assert!(rows.equals(&expected.unwrap()), "{rows}");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let step = Rerank::default();
        let message = |users, tracks, step: &Rerank| {
            let folder = tempfile::tempdir().unwrap();
            Step::run(step, &project(folder.path(), users, tracks)).unwrap_err().to_string()
        };
        let unknown = message([11, 11, 11, 12, 12], [100, 999, 102, 102, 100], &step);
        assert_eq!(unknown, "the lists hold the track 999, which is not in the table of items");
        let unsorted = message([11, 11, 12, 11, 11], [100, 101, 102, 102, 100], &step);
        assert_eq!(unsorted, "the lists are not sorted: user 11 comes again after another user");
        let factors = Rerank { similarity: Similarity::Factors, ..step };
        let no_model = message([11, 11, 11, 12, 12], [100, 101, 102, 102, 100], &factors);
        assert_eq!(no_model, "`similarity: factors` needs the vectors of a model");
    }

    #[test]
    fn weights_sum_up_to_one() {
        let step = Rerank { relevance: 0.9, diversity: 0.3, novelty: 0.0, ..Rerank::default() };
        let message = Step::check(&step).unwrap_err().message;
        assert!(
            message.starts_with("expected `relevance` + `diversity` + `novelty` = 1, found"),
            "{message}"
        );
        assert!(Step::check(&Rerank::default()).is_ok());
    }
}
