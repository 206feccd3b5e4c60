//! `recsys schema`: what an editor needs to complete and check pipeline files.

use clap::Args;
use miette::Diagnostic;
use thiserror::Error;

use super::CommandError;
use crate::console;
use crate::steps::KINDS;
use crate::workflow::fault::did_you_mean;
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

#[derive(Debug, Error, Diagnostic)]
#[error("there is no kind `{name}`")]
#[diagnostic(help("{hint}"))]
struct UnknownKind {
    name: String,
    hint: String,
}

/// Prints the schema.
///
/// # Errors
/// When there is no such kind.
pub fn schema(args: &SchemaArgs) -> Result<(), CommandError> {
    let schema = match &args.kind {
        None => schema::pipeline(KINDS),
        Some(name) => {
            let kind = KINDS.iter().find(|kind| kind.name == name).ok_or_else(|| {
                let hint = did_you_mean(name, KINDS.iter().map(|kind| kind.name));
                CommandError::Usage(UnknownKind { name: name.clone(), hint }.into())
            })?;
            schema::parameters(kind)
        }
    };
    console::say(&format!("{schema:#}\n"));
    Ok(())
}
