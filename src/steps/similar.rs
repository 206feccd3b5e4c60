//! `similar`: for each track the most similar tracks by a factor model.
//!
//! ```yaml
//! similar:
//!   uses: similar
//!   inputs: { model: als.model, items: preprocess.items }
//!   with: { n: 50 }
//! ```

use super::data_type::{FACTORS, ITEMS, SIMILAR};
use crate::codec::{CodecError, factors, similar, track_ids};
use crate::models::similar::Similar;
use crate::workflow::kind::{Context, InputPort, OutputPort, Step, StepError};

impl Step for Similar {
    const KIND: &'static str = "similar";
    const VERSION: u32 = 2;
    const SUMMARY: &'static str =
        "Finds the most similar tracks of each track by the vectors of a factor model";
    const EXAMPLE: &'static str = "\
similar:
  uses: similar
  inputs: { model: als.model, items: preprocess.items }
  with: { n: 50 }
";
    const INPUTS: &'static [InputPort] = &[
        InputPort::new("model", &[FACTORS], "a model with item factors"),
        InputPort::new("items", &[ITEMS], "the tracks behind the item indices"),
    ];
    const OUTPUTS: &'static [OutputPort] = &[OutputPort::new(
        "similar",
        SIMILAR,
        "parquet",
        "the best `n` other tracks of each track that somebody chose in training",
    )];

    fn run(&self, ctx: &Context<'_>) -> Result<(), StepError> {
        let item_factors = factors::read_item_factors(ctx.input("model"))?;
        let tracks = track_ids::read(ctx.input("items"))?;
        if tracks.len() != item_factors.n_rows() {
            Err(CodecError::Value {
                path: ctx.input("items").to_owned(),
                column: "item_idx".to_owned(),
                message: format!(
                    "expected the {} items of the model, found {}",
                    item_factors.n_rows(),
                    tracks.len()
                ),
            })?;
        }
        let mut writer = similar::Writer::create(ctx.output("similar"), &tracks)?;
        self.search(&item_factors, |block| -> Result<(), StepError> {
            writer.write(&block)?;
            ctx.progress(block.done as u64, Some(block.total as u64), "tracks", "");
            Ok(ctx.check_cancelled()?)
        })?;
        Ok(writer.finish()?)
    }
}

#[cfg(test)]
mod tests {
    use polars::prelude::*;

    use super::*;
    use crate::codec::table::{self, ColumnType};
    use crate::models::als::{Als, AlsModel};
    use crate::models::factors::Factors;

    #[test]
    fn it_names_tracks_and_refuses_the_items_of_another_model() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let model = AlsModel {
            user_factors: Factors::new(1, 2, vec![1.0, 1.0]),
            item_factors: Factors::new(3, 2, vec![1.0, 0.0, 0.0, 0.0, 1.0, 1.0]),
            loss: 1.0,
        };
        factors::write_als(&path("model.npz"), &Als::default(), &model).unwrap();
        let run = |track_ids: &[i64]| {
            let indices: Vec<u32> = (0..track_ids.len() as u32).collect();
            let mut items = df!("item_idx" => indices, "track_id" => track_ids).unwrap();
            table::write(&path("items.parquet"), &mut items).unwrap();
            let inputs = [("model", path("model.npz")), ("items", path("items.parquet"))];
            let outputs = [("similar", path("similar.parquet"))];
            Step::run(&Similar::default(), &Context::standalone(inputs, outputs, path("work")))
        };
        run(&[70, 80, 90]).unwrap();
        let columns = ["track_id", "similar_track_id"].map(|name| (name, ColumnType::Integer));
        let found = table::read(&path("similar.parquet"), &columns).unwrap();
        assert!(found.equals(&df!("track_id" => [70i64, 90], "similar_track_id" => [90i64, 70]).unwrap()));

        let message = run(&[70, 80]).unwrap_err().to_string();
        assert!(message.contains("expected the 3 items of the model, found 2"), "{message}");
    }
}
