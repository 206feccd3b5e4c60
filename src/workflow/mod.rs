//! The runner: any workflow; it knows no recommender, no tables and no HTTP.

pub mod fault;
pub mod kind;
pub mod parameters;
pub mod plan;
pub mod spec;
pub mod values;
pub mod yaml;
