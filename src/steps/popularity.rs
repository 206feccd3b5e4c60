//! `popularity`: what everybody listens to.
//!
//! ```yaml
//! popularity:
//!   uses: popularity
//!   inputs: { events: split.train_events, items: preprocess.items, users: preprocess.users }
//!   with: { by: users, n: 100 }
//! ```

use super::data_type::{CANDIDATES, EVENTS, ITEMS, TOP_POPULAR, TRACK_SCORES, USERS};
use super::propose;
use crate::codec::{listens, popular, table, track_ids};
use crate::models::popularity::Popularity;
use crate::models::recommender::Request;
use crate::workflow::kind::{Context, InputPort, OutputPort, Step, StepError};

impl Step for Popularity {
    const KIND: &'static str = "popularity";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "Counts listens, users or recent listens of each track";
    const EXAMPLE: &'static str = "\
popularity:
  uses: popularity
  inputs: { events: split.train_events, items: preprocess.items, users: preprocess.users }
  with: { by: users, n: 100 }
";
    const INPUTS: &'static [InputPort] = &[
        InputPort::new("events", &[EVENTS], "what is counted").trains(),
        InputPort::new("items", &[ITEMS], "the tracks behind the item indices"),
        InputPort::new("users", &[USERS], "users who get candidates; without it, those with events")
            .optional(),
    ];
    const OUTPUTS: &'static [OutputPort] = &[
        OutputPort::new("top_popular", TOP_POPULAR, "parquet", "the `n` most popular tracks"),
        OutputPort::new("track_scores", TRACK_SCORES, "parquet", "score and rank of every track"),
        OutputPort::new(
            "candidates",
            CANDIDATES,
            "parquet",
            "the `n` most popular tracks that are new to each user",
        ),
    ];

    fn run(&self, ctx: &Context<'_>) -> Result<(), StepError> {
        let tracks = track_ids::read(ctx.input("items"))?;
        let n_users = match ctx.optional_input("users") {
            Some(path) => Some(table::read(path, &[("user_idx", table::ColumnType::Integer)])?.height()),
            None => None,
        };
        let listens = listens::read(ctx.input("events"), n_users, tracks.len())?;
        let model = self.fit(&listens)?;
        popular::write_top(ctx.output("top_popular"), &model, self.n, &tracks)?;
        popular::write_scores(ctx.output("track_scores"), &model, &tracks)?;

        let history = &listens.counts;
        let has_list = |user: &u32| n_users.is_some() || !history.row(*user as usize).0.is_empty();
        let users: Vec<u32> = (0..history.n_users() as u32).filter(has_list).collect();
        let request = Request { users: &users, history, n: self.n, filter_seen: self.filter_seen };
        propose(ctx, &model, &request)
    }
}

#[cfg(test)]
mod tests {
    use polars::prelude::*;

    use super::*;
    use crate::codec::table::ColumnType;

    /// Runs on two users with events and one without; returns the three tables.
    fn run(with_users: bool) -> [DataFrame; 3] {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let dates = Column::new("last_listen".into(), [5i32; 3]).cast(&DataType::Date).unwrap();
        let mut events =
            df!("user_idx" => [0u32, 0, 2], "item_idx" => [1u32, 2, 1], "listen_count" => [1u32, 9, 1])
                .unwrap();
        table::write(&path("events.parquet"), events.with_column(dates).unwrap()).unwrap();
        let mut items = df!("item_idx" => [0u32, 1, 2], "track_id" => [50i64, 60, 70]).unwrap();
        table::write(&path("items.parquet"), &mut items).unwrap();
        let mut users = df!("user_idx" => [0u32, 1, 2], "user_id" => [7i64, 8, 9]).unwrap();
        table::write(&path("users.parquet"), &mut users).unwrap();

        let mut inputs = vec![("events", path("events.parquet")), ("items", path("items.parquet"))];
        if with_users {
            inputs.push(("users", path("users.parquet")));
        }
        let outputs = ["top_popular", "track_scores", "candidates"].map(|name| (name, path(name)));
        Step::run(&Popularity::default(), &Context::standalone(inputs, outputs, path("work"))).unwrap();
        let read = |name: &str, columns: &[&str]| {
            let columns: Vec<_> = columns.iter().map(|&name| (name, ColumnType::Number)).collect();
            table::read(&path(name), &columns).unwrap()
        };
        [
            read("top_popular", &["track_id", "score", "rank"]),
            read("track_scores", &["track_id", "item_idx", "score", "rank"]),
            read("candidates", &["user_idx", "item_idx", "score", "rank"]),
        ]
    }

    #[test]
    fn every_track_gets_a_score_and_only_heard_tracks_are_listed() {
        let [top, scores, candidates] = run(false);
        let expected = df!("track_id" => [60i64, 70], "score" => [2.0, 1.0], "rank" => [1u32, 2]);
        assert!(top.equals(&expected.unwrap()));
        let expected = df!(
            "track_id" => [50i64, 60, 70], "item_idx" => [0u32, 1, 2],
            "score" => [0.0, 2.0, 1.0], "rank" => [3u32, 1, 2]
        );
        assert!(scores.equals(&expected.unwrap()));
        let expected = df!("user_idx" => [2u32], "item_idx" => [2u32], "score" => [1.0f32], "rank" => [1u32]);
        assert!(candidates.equals(&expected.unwrap()), "user 0 knows both, user 1 has no events");
    }

    #[test]
    fn with_a_table_of_users_strangers_get_the_overall_list() {
        let [_, _, candidates] = run(true);
        let users = candidates.column("user_idx").unwrap().u32().unwrap();
        assert_eq!(users.into_no_null_iter().collect::<Vec<_>>(), [1, 1, 2]);
    }
}
