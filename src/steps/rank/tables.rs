//! The tables of the `rank` step, read by blocks of users.

use std::ops::Range;

use polars::prelude::*;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;

use crate::codec::table::{self, ColumnType};
use crate::codec::user_rows::UserRows;
use crate::codec::{CodecError, candidates};
use crate::ranking::RankingError;
use crate::ranking::block::{Block, History, Proposals};
use crate::ranking::catalog::Catalog;
use crate::ranking::columns::{i32s, i64s, u32s};
use crate::ranking::features::Past;
use crate::ranking::item_stats::{self, ItemStats};
use crate::ranking::ranker::Lists;
use crate::steps::read_catalog;
use crate::workflow::kind::{Context, StepError};

/// Users whose tables lie in memory at a time.
const BLOCK: usize = 16_384;

const EVENTS: [(&str, ColumnType); 5] = [
    ("user_idx", ColumnType::Integer),
    ("item_idx", ColumnType::Integer),
    ("listen_count", ColumnType::Integer),
    ("first_listen", ColumnType::Date),
    ("last_listen", ColumnType::Date),
];

/// What both periods share.
pub(super) struct Tables {
    catalog: Catalog,
    user_ids: Vec<i64>,
}

/// Events and candidates of one period.
pub(super) struct Period {
    events: Vec<UserRows>,
    candidates: Vec<UserRows>,
    stats: ItemStats,
}

impl Tables {
    pub(super) fn open(ctx: &Context<'_>) -> Result<Self, StepError> {
        let catalog = read_catalog(ctx.input("items"))?;
        let columns = [("user_idx", ColumnType::Integer), ("user_id", ColumnType::Integer)];
        let users = table::read(ctx.input("users"), &columns)?;
        let rows = u32s(&users, "user_idx").map_err(RankingError::from)?;
        if rows.iter().copied().ne(0..rows.len() as u32) {
            return Err(RankingError::Unsorted { table: "users" }.into());
        }
        Ok(Self { catalog, user_ids: i64s(&users, "user_id").map_err(RankingError::from)? })
    }

    pub(super) fn n_users(&self) -> usize {
        self.user_ids.len()
    }

    /// Whether users sorted by `user_idx` are sorted by `user_id`.
    pub(super) fn user_ids_rise(&self) -> bool {
        self.user_ids.is_sorted()
    }

    /// Ranges that cover all users; one empty range when there are none.
    pub(super) fn blocks(&self) -> Vec<Range<usize>> {
        let n_users = self.n_users();
        let starts = (0..n_users.max(1)).step_by(BLOCK);
        starts.map(|start| start..(start + BLOCK).min(n_users)).collect()
    }

    /// The same in an order drawn by seed, so that a limit on users favours none.
    pub(super) fn shuffled_blocks(&self, seed: u64) -> Vec<Range<usize>> {
        let mut blocks = self.blocks();
        blocks.shuffle(&mut Pcg64Mcg::seed_from_u64(seed));
        blocks
    }

    /// Before the target period.
    pub(super) fn train_period(&self, ctx: &Context<'_>) -> Result<Period, StepError> {
        self.period(ctx, &["train_events"], "train_candidates")
    }

    /// Before the test period.
    pub(super) fn history_period(&self, ctx: &Context<'_>) -> Result<Period, StepError> {
        self.period(ctx, &["train_events", "target_events"], "candidates")
    }

    pub(super) fn target_events(&self, ctx: &Context<'_>) -> Result<UserRows, CodecError> {
        self.events(ctx, "target_events")
    }

    fn events(&self, ctx: &Context<'_>, port: &str) -> Result<UserRows, CodecError> {
        UserRows::open(ctx.input(port), &EVENTS, History::columns(), self.n_users())
    }

    fn period(&self, ctx: &Context<'_>, events: &[&str], candidates: &str) -> Result<Period, StepError> {
        let scan = |port: &&str| table::scan(ctx.input(port), &EVENTS);
        let scans = events.iter().map(scan).collect::<Result<Vec<_>, _>>()?;
        let all = concat(scans, UnionArgs::default()).map_err(RankingError::from)?;
        let collect = |query: LazyFrame| {
            let rows = query.collect_with_engine(Engine::Streaming);
            rows.map(|rows| rows.unwrap_single()).map_err(RankingError::from)
        };
        let day = collect(item_stats::reference_day(all.clone()))?;
        let day = if day.column("day").is_ok_and(|day| day.null_count() == 0) {
            i32s(&day, "day").map_err(RankingError::from)?[0]
        } else {
            return Err(RankingError::NoEvents.into());
        };
        let counts = collect(item_stats::counts(all, day))?;
        let lists = ctx.inputs(candidates).map(|(_, path)| {
            UserRows::open(path, &candidates::COLUMNS, Proposals::columns(), self.n_users())
        });
        Ok(Period {
            events: events.iter().map(|port| self.events(ctx, port)).collect::<Result<_, _>>()?,
            candidates: lists.collect::<Result<_, _>>()?,
            stats: ItemStats::new(&self.catalog, &counts, day)?,
        })
    }

    /// The events of some users, from tables of several periods.
    pub(super) fn history(&self, events: &[&UserRows], users: &Range<usize>) -> Result<History, StepError> {
        let tables = events.iter().map(|rows| rows.read(users)).collect::<Result<Vec<_>, _>>()?;
        Ok(History::from_tables(users, &tables, self.catalog.n_items())?)
    }

    /// Lists as they leave the pipeline: `user_id, track_id, score, rank`.
    pub(super) fn with_external_ids(&self, lists: Lists) -> PolarsResult<DataFrame> {
        let users: Vec<i64> = lists.users.iter().map(|&user| self.user_ids[user as usize]).collect();
        let tracks: Vec<i64> =
            lists.items.iter().map(|&item| self.catalog.track_ids[item as usize]).collect();
        df!("user_id" => users, "track_id" => tracks, "score" => lists.scores, "rank" => lists.ranks)
    }
}

impl Period {
    /// What is known at its end.
    pub(super) fn past<'a>(&'a self, tables: &'a Tables) -> Past<'a> {
        Past { catalog: &tables.catalog, stats: &self.stats }
    }

    /// The tables of some users.
    pub(super) fn block(&self, tables: &Tables, users: &Range<usize>) -> Result<Block, StepError> {
        let events: Vec<&UserRows> = self.events.iter().collect();
        let proposals = self.candidates.iter().map(|rows| -> Result<Proposals, StepError> {
            Ok(Proposals::from_table(users, &rows.read(users)?, tables.catalog.n_items())?)
        });
        Ok(Block {
            users: users.clone(),
            history: tables.history(&events, users)?,
            proposals: proposals.collect::<Result<_, _>>()?,
        })
    }
}
