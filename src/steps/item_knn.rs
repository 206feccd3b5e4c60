//! `item_knn`: finds the nearest items of each item by who chose them, and proposes candidates.
//!
//! ```yaml
//! item_knn:
//!   uses: item_knn
//!   inputs: { train: split.train_matrix }
//!   with: { similarity: tf_idf, neighbours: 100 }
//! ```

use std::ops::ControlFlow;

use super::data_type::{CANDIDATES, ITEM_WEIGHTS, MATRIX};
use super::propose_to_trained;
use crate::codec::{item_weights, npz};
use crate::models::item_knn::ItemKnn;
use crate::workflow::kind::{Context, InputPort, OutputPort, Step, StepError};

impl Step for ItemKnn {
    const KIND: &'static str = "item_knn";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "Recommends what is similar to a user's items by who else chose it";
    const EXAMPLE: &'static str = "\
item_knn:
  uses: item_knn
  inputs: { train: split.train_matrix }
  with: { similarity: tf_idf, neighbours: 100 }
";
    const INPUTS: &'static [InputPort] =
        &[InputPort::new("train", &[MATRIX], "what users chose, users × items").trains()];
    const OUTPUTS: &'static [OutputPort] = &[
        OutputPort::new(
            "model",
            ITEM_WEIGHTS,
            "npz",
            "similarities; SciPy and the library `implicit` open it",
        ),
        OutputPort::new("candidates", CANDIDATES, "parquet", "the best `n` items of each training user"),
    ];

    fn run(&self, ctx: &Context<'_>) -> Result<(), StepError> {
        let train = npz::read_matrix(ctx.input("train"))?;
        let fitted = self.fit(&train, |progress| {
            ctx.progress(progress.done, Some(progress.total), "products", "");
            if ctx.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        ctx.check_cancelled()?;
        let model = fitted?;
        item_weights::write(ctx.output("model"), &model.similarities, self.neighbours)?;
        propose_to_trained(ctx, &model, &train, self.n, self.filter_seen)
    }
}
