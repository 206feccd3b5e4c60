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
        "makes raw music tables of any size, with tastes to learn and dirt to clean";
    const EXAMPLE: &'static str = "\
raw:
  uses: synthetic
  with: { interactions: 300000, seed: 42 }
";
    const INPUTS: &'static [InputPort] = &[];
    const OUTPUTS: &'static [OutputPort] = &[
        OutputPort::new("tracks", RAW_TRACKS, "parquet", "tracks with their albums, artists and genres"),
        OutputPort::new("catalog", RAW_CATALOG, "parquet", "names of tracks, albums, artists and genres"),
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
        write(ctx, "catalog", &catalog_schema(), None, |sink| world.catalog(sink))?;
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
