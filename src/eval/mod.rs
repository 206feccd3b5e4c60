//! Metrics and comparisons of recommendation lists; no files.
//!
//! Start at [`evaluator`]: a [`Protocol`] says who and what counts, an [`Evaluator`] holds the truth
//! of every counted user, and [`Evaluator::evaluate`] turns [`Lists`] into an [`Evaluation`]. Each
//! family of metrics is a file of plain functions on one user's list; [`compare`] sets several
//! evaluations beside a baseline.

pub mod accuracy;
pub mod beyond_accuracy;
pub mod bootstrap;
pub mod compare;
pub mod coverage;
pub mod diversity;
pub mod evaluator;
pub mod feedback;
pub mod lists;
pub mod metric;
pub mod pareto;
pub mod protocol;
pub mod segments;
pub mod significance;
pub mod table;

pub use evaluator::{Estimate, EvalError, Evaluation, Evaluator, UserValues};
pub use lists::{InvalidLists, Lists};
pub use metric::Metric;
pub use protocol::{Catalog, ItemsCounted, Protocol, SeenItems, UsersCounted};
