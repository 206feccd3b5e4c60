//! What steps read outside of the project, such as objects on a server: asked once in each run.

use std::path::Path;

use miette::Diagnostic;
use thiserror::Error;

use super::digest::Digest;
use super::executor::describe;
use super::kind::Outside;
use super::plan::PlannedStep;

/// The state of what a step reads outside of the project cannot be told.
#[derive(Debug, Error, Diagnostic)]
#[error("{message}")]
#[diagnostic(code(recsys::outside), help("{help}"))]
pub struct OutsideError {
    message: String,
    help: String,
}

/// What a step reads outside of the project: what it is called, and a digest of its state.
///
/// # Errors
/// When it cannot be told.
pub fn ask(
    step: &PlannedStep,
    root: &Path,
    stop: &(dyn Fn() -> bool + Send + Sync),
) -> Result<Option<(String, Digest)>, OutsideError> {
    let world = Outside { root, environment: &step.environment, stop };
    let runnable = step.runnable().map_err(|error| OutsideError {
        message: format!("the parameters of `{}`: {error}", step.name),
        help: "this is a bug in recsys; please report it".to_owned(),
    })?;
    runnable.outside(&world).map_err(|error| {
        let told = describe(&*error);
        let (message, help) = told.split_once("\n  help: ").unwrap_or((&told, ""));
        OutsideError { message: message.to_owned(), help: help.to_owned() }
    })
}
