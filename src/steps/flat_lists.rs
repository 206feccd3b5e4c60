//! `flat_lists`: the lists of a service as they lie in its memory.
//!
//! ```yaml
//! flat_lists:
//!   uses: flat_lists
//!   inputs:
//!     recommendations: rerank.recommendations
//!     similar: similar.similar
//!     items: preprocess.items
//! ```
//!
//! A service maps the files and answers, where it would read Parquet for seconds. They hold a digest of the tables
//! that they were made from, and the service takes them for no other tables.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::data_type::{FLAT_LISTS, ITEMS, RECOMMENDATIONS, SIMILAR};
use crate::serve::flat_lists::make;
use crate::workflow::kind::{Context, InputPort, OutputPort, Step, StepError};

/// `flat_lists` has no parameters.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FlatLists {}

impl Step for FlatLists {
    const KIND: &'static str = "flat_lists";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "Lays the lists of a service out as in memory, so that it starts at once";
    const EXAMPLE: &'static str = "\
flat_lists:
  uses: flat_lists
  inputs:
    recommendations: rerank.recommendations
    similar: similar.similar
    items: preprocess.items
";
    const INPUTS: &'static [InputPort] = &[
        InputPort::new("recommendations", &[RECOMMENDATIONS], "the final lists of the users"),
        InputPort::new("similar", &[SIMILAR], "the similar tracks of each track"),
        InputPort::new("items", &[ITEMS], "the tracks, which are numbered by their rows"),
    ];
    const OUTPUTS: &'static [OutputPort] = &[
        OutputPort::new("recommendations", FLAT_LISTS, "lists", "the lists of users, eight bytes a row"),
        OutputPort::new("similar", FLAT_LISTS, "lists", "the lists of tracks"),
    ];

    fn run(&self, ctx: &Context<'_>) -> Result<(), StepError> {
        let ports = [("recommendations", "user_id", "track_id"), ("similar", "track_id", "similar_track_id")];
        for (port, key, track) in ports {
            ctx.check_cancelled()?;
            let n_lists = make(ctx.input(port), key, track, ctx.input("items"), ctx.output(port))?;
            ctx.metric(port, n_lists as f64);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use polars::prelude::*;

    use super::*;
    use crate::codec::table;
    use crate::serve::lists_file::{Found, open};
    use crate::serve::origin::{digest, of_lists};

    #[test]
    fn lists_are_laid_out_for_these_tables_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mut items = df!("track_id" => [100i64, 101, 102]).unwrap();
        table::write(&path("items"), &mut items).unwrap();
        for (name, key, track) in
            [("recommendations", "user_id", "track_id"), ("similar", "track_id", "similar_track_id")]
        {
            let mut lists = df!(key => [7i64, 7, 8], track => [102i64, 100, 101], "score" => [3.0f32, 2.0, 1.0], "rank" => [1u32, 2, 1]);
            table::write(&path(name), lists.as_mut().unwrap()).unwrap();
        }
        let inputs = ["recommendations", "similar", "items"].map(|port| (port, path(port)));
        let outputs = ["recommendations", "similar"].map(|port| (port, path(&format!("{port}.lists"))));
        FlatLists {}.run(&Context::standalone(inputs, outputs, folder.path().to_owned())).unwrap();
        for port in ["recommendations", "similar"] {
            let made_from = of_lists([digest(&path(port)).unwrap(), digest(&path("items")).unwrap()]);
            let file = path(&format!("{port}.lists"));
            let Found::Lists(lists) = open(&file, made_from) else { panic!("{port}: no lists") };
            assert_eq!(lists.list(7).unwrap().iter().collect::<Vec<_>>(), [(2, 3.0), (0, 2.0)]);
            assert!(matches!(open(&file, digest(&path("items")).unwrap()), Found::Other));
        }
    }
}
