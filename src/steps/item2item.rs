//! `item2item`: packs what tracks are by album, artist and genre into vectors, and proposes candidates.
//!
//! ```yaml
//! item2item:
//!   uses: item2item
//!   inputs: { train: split.train_matrix, items: preprocess.items }
//!   with: { components: 128 }
//! ```

use super::data_type::{CANDIDATES, FACTORS, ITEMS, MATRIX};
use super::propose_to_trained;
use crate::codec::{CodecError, attributes, factors, npz};
use crate::models::item2item::Item2Item;
use crate::workflow::kind::{Context, InputPort, OutputPort, Step, StepError};

impl Step for Item2Item {
    const KIND: &'static str = "item2item";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str =
        "Recommends tracks that are like a user's by album, artist and genre, whoever chose them";
    const EXAMPLE: &'static str = "\
item2item:
  uses: item2item
  inputs: { train: split.train_matrix, items: preprocess.items }
  with: { components: 128 }
";
    const INPUTS: &'static [InputPort] = &[
        InputPort::new("train", &[MATRIX], "what users chose, users × items").trains(),
        InputPort::new("items", &[ITEMS], "albums, artists and genres of the items"),
    ];
    const OUTPUTS: &'static [OutputPort] = &[
        OutputPort::new("model", FACTORS, "npz", "vectors of the items, and of the training users"),
        OutputPort::new("candidates", CANDIDATES, "parquet", "the best `n` items of each training user"),
    ];

    fn run(&self, ctx: &Context<'_>) -> Result<(), StepError> {
        let train = npz::read_matrix(ctx.input("train"))?;
        let attributes = attributes::read(ctx.input("items"))?;
        if attributes.albums.n_users() != train.n_items() {
            let (expected, found) = (train.n_items(), attributes.albums.n_users());
            Err(CodecError::Value {
                path: ctx.input("items").to_owned(),
                column: "item_idx".to_owned(),
                message: format!("expected the {expected} items of `train`, found {found}"),
            })?;
        }
        ctx.progress(0, None, "components", "decomposing");
        let model = self.fit(&attributes)?;
        ctx.check_cancelled()?;
        let users: Vec<u32> = (0..train.n_users() as u32).collect();
        factors::write_item2item(ctx.output("model"), &model, &model.user_factors(&train, &users))?;
        propose_to_trained(ctx, &model, &train, self.n, self.filter_seen)
    }
}

#[cfg(test)]
mod tests {
    use polars::prelude::*;

    use super::*;
    use crate::codec::table;
    use crate::interactions::Interactions;

    fn list(ids: &[i64]) -> Series {
        Series::new("".into(), ids)
    }

    #[test]
    fn it_finds_what_nobody_chose_and_refuses_the_items_of_another_matrix() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        // Items 0, 1 and 2 are of artist 7; nobody chose item 2. Items 3 and 4 are of artist 8.
        let artists: Vec<Series> = [7i64, 7, 7, 8, 8].iter().map(|&artist| list(&[artist])).collect();
        let nothing: Vec<Series> = (0..5).map(|_| list(&[])).collect();
        let mut items = df!("item_idx" => [0u32, 1, 2, 3, 4]).unwrap();
        for (column, values) in
            [("artist_ids", artists), ("album_ids", nothing.clone()), ("genre_ids", nothing)]
        {
            items.with_column(Series::new(column.into(), values).into()).unwrap();
        }
        table::write(&path("items.parquet"), &mut items).unwrap();
        let run = |n_items: usize| {
            let pairs = [(0, 0, 1.0), (0, 1, 1.0), (1, 3, 1.0)];
            let train = Interactions::from_triplets(3, n_items, pairs).unwrap();
            npz::write_matrix(&path("train.npz"), &train).unwrap();
            let inputs = [("train", path("train.npz")), ("items", path("items.parquet"))];
            let outputs = [("model", path("model.npz")), ("candidates", path("candidates.parquet"))];
            let parameters = Item2Item { n: 1, ..Item2Item::default() };
            Step::run(&parameters, &Context::standalone(inputs, outputs, path("work")))
        };
        run(5).unwrap();
        let columns = ["user_idx", "item_idx"].map(|name| (name, table::ColumnType::Integer));
        let found = table::read(&path("candidates.parquet"), &columns).unwrap();
        assert!(found.equals(&df!("user_idx" => [0u32, 1], "item_idx" => [2u32, 4]).unwrap()), "{found}");
        assert_eq!(factors::read_item_factors(&path("model.npz")).unwrap().n_rows(), 5);

        let message = run(6).unwrap_err().to_string();
        assert!(message.contains("expected the 6 items of `train`, found 5"), "{message}");
    }
}
