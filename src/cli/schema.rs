//! `recsys schema`: what an editor needs to complete and check pipeline files.

use clap::Args;

use super::{CommandError, kinds};
use crate::console;
use crate::steps::KINDS;
use crate::tracking::settings;
use crate::workflow::schema;

/// Print the JSON Schema of pipeline files, for editors
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  recsys schema > pipeline.schema.json
  recsys schema --kind als                  only the parameters of `als`

With this first line in a pipeline file, editors that speak the YAML language server
(VS Code, Neovim, Helix, Zed, JetBrains) complete and check it while you type:
  # yaml-language-server: $schema=../pipeline.schema.json")]
pub struct SchemaArgs {
    /// The parameters of one kind, instead of whole pipeline files
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
}

/// Prints the schema.
///
/// # Errors
/// When there is no such kind.
pub fn schema(args: &SchemaArgs) -> Result<(), CommandError> {
    let schema = match &args.kind {
        None => of_pipelines(),
        Some(name) => schema::parameters(kinds::find(name)?),
    };
    console::say(&format!("{schema:#}\n"));
    Ok(())
}

/// The JSON Schema of whole pipeline files.
pub fn of_pipelines() -> serde_json::Value {
    schema::with_section(schema::pipeline(KINDS), "tracking", settings::schema())
}
