//! `als`: fits alternating least squares and proposes candidates.
//!
//! ```yaml
//! als:
//!   uses: als
//!   inputs: { train: split.train_matrix }
//!   with: { factors: 64, iterations: 15, alpha: 10, regularization: 0.1 }
//! ```

use std::ops::ControlFlow;

use super::data_type::{CANDIDATES, FACTORS, MATRIX};
use super::propose_to_trained;
use crate::codec::{als_state, factors, npz};
use crate::models::als::{Als, AlsState, Sweep};
use crate::workflow::kind::{Context, InputPort, OutputPort, Step, StepError};

impl Step for Als {
    const KIND: &'static str = "als";
    const VERSION: u32 = 4;
    const SUMMARY: &'static str =
        "Learns factors of users and items from implicit feedback by alternating least squares";
    const EXAMPLE: &'static str = "\
als:
  uses: als
  inputs: { train: split.train_matrix }
  with: { factors: 64, iterations: 15, alpha: 10, regularization: 0.1 }
";
    const INPUTS: &'static [InputPort] =
        &[InputPort::new("train", &[MATRIX], "what users chose, users × items").trains()];
    const OUTPUTS: &'static [OutputPort] = &[
        OutputPort::new("model", FACTORS, "npz", "factors and settings; the library `implicit` opens it"),
        OutputPort::new("candidates", CANDIDATES, "parquet", "the best `n` items of each training user"),
    ];

    fn run(&self, ctx: &Context<'_>) -> Result<(), StepError> {
        let train = npz::read_matrix(ctx.input("train"))?;
        let model = self.fit_from(&train, saved(ctx), |sweep| {
            let note = format!("loss {:.6}", sweep.loss);
            let measures = vec![("loss".into(), sweep.loss)];
            ctx.progress_with(sweep.done as u64, Some(sweep.total as u64), "iterations", note, measures);
            let stopped = ctx.is_cancelled();
            if self.is_saved(&sweep, stopped)
                && let Err(error) = als_state::write(ctx.checkpoint(), &sweep.state())
            {
                ctx.warn(format!("the state after iteration {} is not saved: {error}", sweep.done));
            }
            if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        ctx.check_cancelled()?;
        ctx.metric("loss", model.loss);
        factors::write_als(ctx.output("model"), self, &model)?;
        propose_to_trained(ctx, &model, &train, self.n, self.filter_seen)
    }
}

impl Als {
    /// Whether the state after this sweep is worth saving: every so many sweeps, and when the run is
    /// stopped; never after the last.
    fn is_saved(&self, sweep: &Sweep<'_>, stopped: bool) -> bool {
        self.checkpoint_every > 0
            && sweep.done < sweep.total
            && (stopped || sweep.done.is_multiple_of(self.checkpoint_every))
    }
}

/// Where an earlier run of this very step was killed, if it was.
fn saved(ctx: &Context<'_>) -> Option<AlsState> {
    match als_state::read(ctx.checkpoint()) {
        Ok(state) => {
            if let Some(state) = &state {
                tracing::info!(iteration = state.done, "continues from the checkpoint of an earlier run");
            }
            state
        }
        Err(error) => {
            ctx.warn(format!("the checkpoint of an earlier run is not used: {error}"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::table::{self, ColumnType};
    use crate::interactions::Interactions;

    #[test]
    fn it_writes_a_model_and_candidates_that_are_new_to_the_user() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let pairs = (0..60u32).map(|at| (at % 12, (at * 7 + at / 12) % 9, 1.0));
        let train = Interactions::from_triplets(13, 10, pairs).unwrap();
        npz::write_matrix(&path("train.npz"), &train).unwrap();
        let outputs = [("model", path("model.npz")), ("candidates", path("candidates.parquet"))];
        let ctx = Context::standalone([("train", path("train.npz"))], outputs, path("work"));
        let parameters = Als { factors: 4, iterations: 3, n: 3, ..Als::default() };
        Step::run(&parameters, &ctx).unwrap();

        assert_eq!(factors::read_user_factors(&path("model.npz")).unwrap().n_rows(), 13);
        let columns = ["user_idx", "item_idx", "rank"].map(|name| (name, ColumnType::Integer));
        let table = table::read(&path("candidates.parquet"), &columns).unwrap();
        let column = |name: &str| -> Vec<u32> {
            table.column(name).unwrap().u32().unwrap().into_no_null_iter().collect()
        };
        for (user, item) in column("user_idx").into_iter().zip(column("item_idx")) {
            assert!(user < 12, "user 12 has no history");
            assert!(item < 9, "nobody chose item 9");
            assert!(train.row(user as usize).0.binary_search(&item).is_err());
        }
        assert!(column("rank").iter().all(|rank| (1..=3).contains(rank)));
    }
}
