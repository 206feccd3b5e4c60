//! `synthetic`: writes the three raw files of a data set that never was.

use std::path::Path;

use polars::prelude::{DataFrame, Schema};

use super::data_type::{RAW_CATALOG, RAW_INTERACTIONS, RAW_TRACKS};
use crate::codec::table_writer::TableWriter;
use crate::data::synthetic::{
    ImpossibleSize, Sink, Size, Synthetic, World, catalog_schema, interactions_schema, tracks_schema,
};
use crate::workflow::kind::{Context, InputPort, OutputPort, ParameterFault, Step, StepError};

impl Step for Synthetic {
    const KIND: &'static str = "synthetic";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str =
        "Makes raw music tables of any size, with tastes to learn and dirt to clean";
    const EXAMPLE: &'static str = "\
raw:
  uses: synthetic
  with: { interactions: 300000, seed: 42 }
";
    const INPUTS: &'static [InputPort] = &[];
    const OUTPUTS: &'static [OutputPort] = &[
        OutputPort::new("tracks", RAW_TRACKS, "parquet", "tracks with their albums, artists and genres"),
        OutputPort::new(
            "catalog_names",
            RAW_CATALOG,
            "parquet",
            "names of tracks, albums, artists and genres",
        ),
        OutputPort::new("interactions", RAW_INTERACTIONS, "parquet", "who listened to what on which day"),
    ];

    fn check(&self) -> Result<(), ParameterFault> {
        let parameter = match (self.users, self.tracks) {
            (Some(_), _) => "users",
            (None, Some(_)) => "tracks",
            (None, None) => "interactions",
        };
        let fault = |error: ImpossibleSize| ParameterFault { parameter, message: error.to_string() };
        Size::of(self).map(|_| ()).map_err(fault)
    }

    fn run(&self, ctx: &Context<'_>) -> Result<(), StepError> {
        let world = World::new(self)?;
        write(ctx, "tracks", &tracks_schema(), None, |sink| world.tracks(sink))?;
        write(ctx, "catalog_names", &catalog_schema(), None, |sink| world.catalog(sink))?;
        let total = Some(self.interactions);
        write(ctx, "interactions", &interactions_schema(), total, |sink| world.interactions(sink))
    }
}

/// Writes the pieces that `make` hands on to the file behind `port`.
fn write(
    ctx: &Context<'_>,
    port: &str,
    schema: &Schema,
    total: Option<u64>,
    make: impl FnOnce(Sink<'_, StepError>) -> Result<(), StepError>,
) -> Result<(), StepError> {
    let path: &Path = ctx.output(port);
    let mut writer = TableWriter::create(path, schema)?;
    let mut rows = 0;
    make(&mut |piece: DataFrame| {
        ctx.check_cancelled()?;
        writer.append(&piece)?;
        rows += piece.height() as u64;
        ctx.progress(rows, total, "rows", port);
        Ok(())
    })?;
    writer.finish()?;
    ctx.metric(format!("rows.{port}"), rows as f64);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::Value;

    use super::*;
    use crate::codec::json;
    use crate::steps::preprocess::Preprocess;

    fn run<S: Step>(step: &S, inputs: &[(&'static str, PathBuf)], folder: &Path) {
        let outputs = S::OUTPUTS.iter().map(|port| (port.name, folder.join(port.name)));
        let ctx = Context::standalone(inputs.iter().cloned(), outputs, folder.to_owned());
        if let Err(error) = step.run(&ctx) {
            panic!("{}: {error}", S::KIND);
        }
    }

    #[test]
    fn preprocess_takes_the_files_and_finds_what_was_hidden_in_them() {
        let folder = tempfile::tempdir().unwrap();
        for rising in [false, true] {
            let step = Synthetic { interactions: 30_000, ids_rise_with_date: rising, ..Synthetic::default() };
            run(&step, &[], folder.path());
            let inputs =
                [("tracks", "tracks"), ("catalog", "catalog_names"), ("interactions", "interactions")]
                    .map(|(input, output)| (input, folder.path().join(output)));
            let report = folder.path().join("report");
            run(&Preprocess::default(), &inputs, folder.path());
            let report: Value = json::read(&report).unwrap();
            let number = |path: &str| report.pointer(path).and_then(Value::as_u64).unwrap();
            assert_eq!(number("/interactions/rows_in"), 30_000);
            assert!(number("/interactions/rows_out") > 24_000);
            assert!(number("/entities/artist/entities") < number("/entities/artist/ids"));
            assert!(number("/entities/track/entities") < number("/entities/track/ids"));
            assert!(number("/track_groups/groups_of_several") > 100);
            assert_eq!(report.pointer("/ids_in_time_order/suspicious"), Some(&Value::Bool(rising)));
        }
    }

    #[test]
    fn sizes_that_do_not_go_together_name_the_parameter() {
        let fault = Step::check(&Synthetic { users: Some(3), ..Synthetic::default() }).unwrap_err();
        assert_eq!(fault.parameter, "users");
        assert!(fault.message.contains("300000 interactions do not fit 3 users"), "{}", fault.message);
        let fault = Step::check(&Synthetic { tracks: Some(100), ..Synthetic::default() }).unwrap_err();
        assert_eq!(fault.parameter, "tracks");
        for interactions in [1_000, 20_000, 200_000_000] {
            Step::check(&Synthetic { interactions, ..Synthetic::default() }).unwrap();
        }
    }
}
