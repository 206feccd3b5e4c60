//! Why a fit, a fold-in or an explanation is refused, and what to do about it.

use miette::Diagnostic;
use thiserror::Error;

use crate::interactions::InvalidInteractions;

/// Why no model could be fitted.
#[derive(Debug, Error, Diagnostic)]
pub enum AlsError {
    /// Nothing to learn from.
    #[error("the matrix of interactions is empty ({n_users} users × {n_items} items, no interaction)")]
    #[diagnostic(help("look at the filters and dates of the steps before: they left nothing to train on"))]
    Empty {
        /// Rows of the matrix.
        n_users: usize,
        /// Columns of the matrix.
        n_items: usize,
    },
    /// A confidence that is no number, zero or infinite.
    #[error("confidences with `alpha` = {alpha} and `weighting` = `{weighting}`: {source}")]
    #[diagnostic(help("choose an `alpha` nearer to 1 or the weighting `log`"))]
    Confidence {
        /// The parameter.
        alpha: f64,
        /// The parameter.
        weighting: &'static str,
        /// Which value.
        source: InvalidInteractions,
    },
    /// A parameter outside its range.
    #[error("`{name}` = {value} is not a number from {least} up")]
    #[diagnostic(help("set it to a number in its range, or leave it out for the default"))]
    Parameter {
        /// The parameter.
        name: &'static str,
        /// What it was.
        value: f64,
        /// The least that it can be.
        least: f64,
    },
    /// A state that belongs to another matrix or other parameters.
    #[error("the saved state does not fit: {found}, but the fit is of {expected}")]
    #[diagnostic(help("start from the beginning: remove the saved state"))]
    State {
        /// What the state is.
        found: String,
        /// What it would have to be.
        expected: String,
    },
    /// A row has no single solution.
    #[error("sweep {sweep}: the equations of {side} {row} have no single solution")]
    #[diagnostic(help("raise `regularization`: any value above 0 makes the solution unique"))]
    Singular {
        /// The sweep, from 1.
        sweep: usize,
        /// `user` or `item`.
        side: &'static str,
        /// Its index.
        row: usize,
    },
    /// Numbers left the range of f32.
    #[error("sweep {sweep}: the factors of the {side}s are no longer finite numbers")]
    #[diagnostic(help("raise `regularization`, lower `alpha`, or use the weighting `log`"))]
    Diverged {
        /// The sweep, from 1.
        sweep: usize,
        /// `user` or `item`.
        side: &'static str,
    },
    /// All vectors are zero: nothing can be told apart.
    #[error("`regularization` = {regularization} has pulled all factors to zero")]
    #[diagnostic(help("lower `regularization` or raise `alpha`"))]
    Vanished {
        /// The parameter.
        regularization: f64,
    },
    /// A row to be folded in that does not fit the model.
    #[error("{given} items and {values} values for a row of a model of {n_rows} items: {problem}")]
    #[diagnostic(help("give every item below {n_rows} at most once, with a finite value above 0"))]
    Row {
        /// Items given.
        given: usize,
        /// Values given.
        values: usize,
        /// Items of the model.
        n_rows: usize,
        /// What does not fit.
        problem: String,
    },
    /// A weighting that a row alone does not determine.
    #[error("the weights of `weighting: bm25` depend on all interactions, not on one row alone")]
    #[diagnostic(help("compute the confidences with the training matrix and fold those in"))]
    WeightsOfAll,
    /// The equations of a row to be folded in have no single solution.
    #[error("the equations of the row have no single solution")]
    #[diagnostic(help("fit and fold in with a `regularization` above 0"))]
    SingularRow,
}
