//! `recsys`: a declarative workflow runner for recommender systems.
//!
//! Two halves that do not know each other meet in [`steps`] and [`codec`]:
//!
//! | room | what it is |
//! |---|---|
//! | [`workflow`] | the runner: any workflow, no recommender, no tables, no HTTP |
//! | [`console`], [`cli`] | the edge: what people see and type; the only rooms that print |
//! | [`steps`] | the seam: one file a kind, and the registry; load, call the domain, save |
//! | [`codec`] | how domain types lie on disk |
//! | [`storage`] | objects far away: S3, HTTP(S), files, behind one small trait |
//! | [`data`] | tables in, tables out: cleaning, events, the split, synthetic data |
//! | [`interactions`] | the matrix users × items that the domain shares |
//! | [`models`] | `fit(parameters, interactions) → model`; no tables, no files, no clocks |
//! | [`ranking`] | two-stage recommendation: candidates, features, the ranker around them |
//! | [`eval`] | metrics and comparisons, no files |
//! | [`charts`] | pictures |
//! | [`tracking`] | runs, logged to an MLflow server: a listener to the events of a run |
//! | [`serve`] | the HTTP service layer; reads artifacts, never writes them |
//!
//! Invariants, each asserted by `tests/it/architecture.rs`: `workflow` uses no other room; `models`
//! and `eval` name neither Polars nor files nor clocks; `petgraph` is named in `workflow::plan` alone.
//! The same inputs and parameters give the same bytes, whatever the thread count.
//!
//! Start with [`workflow::kind`], then [`workflow::plan`] and [`workflow::executor`]; then one file of
//! `steps` and the model that it calls.

pub mod cli;
pub mod console;
pub mod tracking;
pub mod workflow;

pub mod codec;
pub mod steps;
pub mod storage;

pub mod charts;
pub mod data;
pub mod eval;
pub mod interactions;
pub mod models;
pub mod ranking;

pub mod serve;
