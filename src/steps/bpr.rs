//! `bpr`: fits Bayesian personalised ranking and proposes candidates.
//!
//! ```yaml
//! bpr:
//!   uses: bpr
//!   inputs: { train: split.train_matrix }
//!   with: { factors: 64, iterations: 50, learning_rate: 0.05 }
//! ```

use std::ops::ControlFlow;

use super::data_type::{CANDIDATES, FACTORS, MATRIX};
use super::propose_to_trained;
use crate::codec::{factors, npz};
use crate::models::bpr::Bpr;
use crate::workflow::kind::{Context, InputPort, OutputPort, Step, StepError};

impl Step for Bpr {
    const KIND: &'static str = "bpr";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str =
        "Learns factors that rank what a user chose above what they did not: Bayesian personalised ranking";
    const EXAMPLE: &'static str = "\
bpr:
  uses: bpr
  inputs: { train: split.train_matrix }
  with: { factors: 64, iterations: 50, learning_rate: 0.05 }
";
    const INPUTS: &'static [InputPort] =
        &[InputPort::new("train", &[MATRIX], "what users chose, users × items").trains()];
    const OUTPUTS: &'static [OutputPort] = &[
        OutputPort::new("model", FACTORS, "npz", "factors and settings; the library `implicit` opens it"),
        OutputPort::new("candidates", CANDIDATES, "parquet", "the best `n` items of each training user"),
    ];

    fn run(&self, ctx: &Context<'_>) -> Result<(), StepError> {
        let train = npz::read_matrix(ctx.input("train"))?;
        let mut auc = 0.5;
        let model = self.fit(&train, |epoch| {
            auc = epoch.train_auc();
            let note = format!("AUC {auc:.4}, {:.1} % passed over", epoch.skipped() * 100.0);
            let measures = vec![("train_auc".into(), auc), ("skipped".into(), epoch.skipped())];
            ctx.progress_with(epoch.done as u64, Some(epoch.total as u64), "iterations", note, measures);
            if ctx.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        ctx.check_cancelled()?;
        ctx.metric("train_auc", auc);
        factors::write_bpr(ctx.output("model"), self, &model)?;
        propose_to_trained(ctx, &model, &train, self.n, self.filter_seen)
    }
}
