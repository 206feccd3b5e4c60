//! What the commands share: the project folder, the pipeline that is meant, and the changes to it.

use std::path::{Path, PathBuf};

use clap::Args;
use miette::Diagnostic;
use thiserror::Error;

use super::{CommandError, tracked};
use crate::steps::KINDS;
use crate::workflow::plan::Plan;
use crate::workflow::spec::{Overrides, Spec};
use crate::workflow::values::Scope;

/// The pipeline that is meant when none is named.
pub const DEFAULT_PIPELINE: &str = "pipelines/music.yaml";

/// Which pipeline, with what values.
#[derive(Debug, Clone, Args)]
pub struct PipelineArgs {
    /// The pipeline file
    #[arg(env = "RECSYS_PIPELINE", default_value = DEFAULT_PIPELINE)]
    pub pipeline: PathBuf,

    /// Take values from a file: `vars:` and, under `steps:`, parameters by step
    #[arg(long = "config", value_name = "FILE")]
    pub configs: Vec<PathBuf>,

    /// Change a variable of the file: what stands under `vars:`
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub vars: Vec<String>,

    /// Change a parameter of a step; the value is read as YAML
    #[arg(long = "set", value_name = "STEP.PARAMETER=VALUE", value_parser = step_parameter_and_value)]
    pub set: Vec<String>,
}

#[derive(Debug, Error, Diagnostic)]
#[error("cannot enter the folder `{}`", path.display())]
#[diagnostic(help("name an existing folder after `-C`"))]
struct NoFolder {
    path: PathBuf,
    source: std::io::Error,
}

/// Goes to the project folder and tells its path.
///
/// # Errors
/// When there is no such folder.
pub fn enter(folder: Option<&Path>) -> Result<PathBuf, CommandError> {
    let path = folder.unwrap_or(Path::new("."));
    let entered = std::env::set_current_dir(path).and_then(|()| std::env::current_dir());
    let entered = entered.and_then(|folder| match folder.to_str() {
        Some(_) => Ok(folder),
        None => {
            Err(std::io::Error::other("its name is not UTF-8, and commands could not be given paths in it"))
        }
    });
    entered.map_err(|source| CommandError::Usage(NoFolder { path: path.to_owned(), source }.into()))
}

impl PipelineArgs {
    /// The changes to the file.
    pub fn overrides(&self) -> Overrides {
        Overrides { configs: self.configs.clone(), vars: self.vars.clone(), set: self.set.clone() }
    }

    /// The pipeline, read, resolved and checked.
    ///
    /// # Errors
    /// Everything that is wrong with the file or the changes to it.
    pub fn plan(&self, root: &Path) -> Result<(Spec, Plan), CommandError> {
        let mut spec = Spec::read(&self.pipeline, Scope::from_environment(root), &self.overrides())
            .map_err(|error| CommandError::Usage(error.into()))?;
        tracked::check(&mut spec);
        let plan = Plan::new(&spec, KINDS, root).map_err(|error| CommandError::Usage(error.into()))?;
        Ok((spec, plan))
    }
}

/// Checks the shape of `NAME=VALUE`.
///
/// # Errors
/// When it has another one.
pub fn name_and_value(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((name, _)) if !name.is_empty() => Ok(text.to_owned()),
        _ => Err("expected NAME=VALUE, for example `raw=data/raw`".to_owned()),
    }
}

/// Checks the shape of `STEP.PARAMETER=VALUE`.
///
/// # Errors
/// When it has another one.
pub fn step_parameter_and_value(text: &str) -> Result<String, String> {
    match text.split_once('=').and_then(|(path, _)| path.split_once('.')) {
        Some((step, parameter)) if !step.is_empty() && !parameter.is_empty() => Ok(text.to_owned()),
        _ => Err("expected STEP.PARAMETER=VALUE, for example `als.factors=128`".to_owned()),
    }
}
