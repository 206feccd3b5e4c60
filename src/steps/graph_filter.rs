//! `graph_filter`: spreads each user's items over the graph of users and items, and proposes candidates.
//!
//! ```yaml
//! graph_filter:
//!   uses: graph_filter
//!   inputs: { train: split.train_matrix }
//!   with: { smoothing: 0.14 }
//! ```

use std::ops::ControlFlow;

use super::data_type::{CANDIDATES, ITEM_WEIGHTS, MATRIX};
use super::propose_to_trained;
use crate::codec::{item_weights, npz};
use crate::models::graph_filter::GraphFilter;
use crate::workflow::kind::{Context, InputPort, OutputPort, Step, StepError};

impl Step for GraphFilter {
    const KIND: &'static str = "graph_filter";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str =
        "Spreads a user's items over the graph of users and items: no training, strong on sparse data";
    const EXAMPLE: &'static str = "\
graph_filter:
  uses: graph_filter
  inputs: { train: split.train_matrix }
  with: { smoothing: 0.14 }
";
    const INPUTS: &'static [InputPort] =
        &[InputPort::new("train", &[MATRIX], "what users chose, users × items").trains()];
    const OUTPUTS: &'static [OutputPort] = &[
        OutputPort::new("model", ITEM_WEIGHTS, "npz", "the largest weights of each item; SciPy opens it"),
        OutputPort::new("candidates", CANDIDATES, "parquet", "the best `n` items of each training user"),
    ];

    fn run(&self, ctx: &Context<'_>) -> Result<(), StepError> {
        let train = npz::read_matrix(ctx.input("train"))?;
        let fitted = self.fit(&train, |progress| {
            ctx.progress(progress.done as u64, Some(progress.total as u64), "steps", "");
            if ctx.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        ctx.check_cancelled()?;
        let model = fitted?;
        item_weights::write(ctx.output("model"), &model.weights, self.weights_per_item)?;
        propose_to_trained(ctx, &model, &train, self.n, self.filter_seen)
    }
}
