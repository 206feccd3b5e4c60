//! The runner: any workflow; it knows no recommender, no tables and no HTTP.

pub mod kind;
