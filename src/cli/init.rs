//! `recsys init`: a project that runs at once.
//!
//! What it writes is what the product itself ships, taken in when it is built: there is one demo
//! pipeline and one service file, and they are tested.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use miette::Diagnostic;
use thiserror::Error;

use super::CommandError;
use crate::console::say;

/// The pipeline that runs without any file.
const DEMO: &str = include_str!("../../pipelines/demo.yaml");
const SERVICE: &str = include_str!("../../services/default.yaml");

/// The head of the pipeline of a new project, in place of the demo's.
const PIPELINE_HEAD: &str = "\
# From raw tables to evaluated recommendations that can be served, on data made on the spot.
#
#   recsys run
#
# For data of your own, take the step `synthetic` out and let the inputs of `preprocess` name your
# files. `recsys kinds KIND` explains every parameter.
name: music
";

const CONFIG: &str = "\
# Other values for a run, which then overrule those of the pipeline file:
#
#   recsys run --config configs/small.yaml
vars:
  interactions: 20000
";

const GITIGNORE: &str = "\
/cache/*
/artifacts/*
!/cache/.gitkeep
!/artifacts/.gitkeep
/services/state/
.env
";

const README: &str = "\
# A recommender system

`pipelines/` says what to build, `configs/` with what values, `services/` what to serve. `cache/` and
`artifacts/` are made from these and may be deleted at any time.

    recsys run                      # runs what has changed; results are in artifacts/
    recsys graph                    # shows the steps
    recsys run --dry-run            # says what would run, and why
    recsys serve                    # answers over HTTP from the last run
";

/// Set up a project that runs at once.
///
/// Writes a pipeline with made-up data, a service file and a few lines of README. Files that are there
/// already are kept as they are.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  recsys init                 in this folder
  recsys init my-project      in a folder of its own, made where needed")]
pub struct InitArgs {
    /// The folder
    #[arg(default_value = ".")]
    folder: PathBuf,
}

#[derive(Debug, Error, Diagnostic)]
#[error("cannot write `{}`: {source}", path.display())]
#[diagnostic(help("name a folder in which you may write; what was written so far is kept"))]
struct Refused {
    path: PathBuf,
    source: io::Error,
}

/// Writes the project and says what comes next.
///
/// # Errors
/// When the disk refuses.
pub fn init(args: &InitArgs, root: &Path) -> Result<(), CommandError> {
    let folder = root.join(&args.folder);
    let mut told = String::new();
    for (name, text) in files() {
        let path = folder.join(name);
        let written = write_new(&path, &text)
            .map_err(|source| CommandError::Failed(Refused { path: path.clone(), source }.into()))?;
        told.push_str(&format!("{} {name}\n", if written { "wrote" } else { "kept " }));
    }
    let enter = if args.folder == Path::new(".") {
        String::new()
    } else {
        format!("  cd {}\n", args.folder.display())
    };
    say(&format!(
        "{told}\nNext:\n{enter}  recsys run                  makes data, trains, compares: a few seconds\n  \
         recsys run --set als.iterations=20    runs again only what that changes\n"
    ));
    Ok(())
}

/// The files of a new project.
fn files() -> [(&'static str, String); 7] {
    let (_, steps) = DEMO.split_once("name: demo\n").expect("the demo pipeline says its name");
    [
        ("pipelines/music.yaml", format!("{PIPELINE_HEAD}{steps}")),
        ("configs/small.yaml", CONFIG.to_owned()),
        ("services/default.yaml", SERVICE.to_owned()),
        ("README.md", README.to_owned()),
        (".gitignore", GITIGNORE.to_owned()),
        ("cache/.gitkeep", String::new()),
        ("artifacts/.gitkeep", String::new()),
    ]
}

/// Writes a file unless there is one; tells whether it did.
fn write_new(path: &Path, text: &str) -> io::Result<bool> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => file.write_all(text.as_bytes()).map(|()| true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pipeline_is_the_demo_under_another_head() {
        let files = files();
        let [(_, pipeline), ..] = &files;
        assert!(pipeline.contains("\nname: music\n") && !pipeline.contains("demo"), "{pipeline}");
        assert!(pipeline.contains("uses: synthetic") && pipeline.contains("uses: serve"));
    }
}
