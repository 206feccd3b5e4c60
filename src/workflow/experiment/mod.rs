//! Experiments: many variants of one pipeline, and which of them is best.
//!
//! An experiment file ([`file`]) names a pipeline, a space of settings ([`space`]) and an objective. Each
//! point of the space is a variant: the pipeline with these settings, planned and checked like any other.
//! [`Merged`](super::plan::merge::Merged) makes one plan of all of them, in which steps that would make
//! the same are one step, so that a hundred variants preprocess and split once. What came out is kept as a
//! [`record`], so that it can be shown again without running anything.

pub mod file;
pub mod halving;
pub mod objective;
pub mod record;
pub mod space;

pub use file::{Experiment, ExperimentError};
pub use halving::Halving;
pub use objective::{Constraint, Direction, MetricName, Objective};
pub use record::{Against, Ended, ExperimentRecord, UnreadableRecord, VariantRecord};
pub use space::Variant;
