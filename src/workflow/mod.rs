//! The runner: any workflow; it knows no recommender, no tables and no HTTP.
//!
//! Read in this order:
//! 1. [`kind`]: what can be used, [`lineage`]: what it may be told; [`spec`]: what a file says; [`plan`]: what it means;
//! 2. [`fingerprint`], [`digests`], [`store`], [`release`]: what is known, kept and shown;
//! 3. [`decide`]: does a step have to run; [`forecast`]: what would a run do, and why; [`witness`]: that
//!    nothing has to, at a glance;
//! 4. [`executor`] does it, [`process`] runs commands, [`event`] tells, [`history`] remembers;
//! 5. [`remote`]: what stores of other machines have made;
//! 6. [`experiment`]: many variants of a pipeline as one plan.

pub mod accept;
pub mod config;
pub mod context;
pub mod decide;
pub mod digest;
pub mod digests;
pub mod event;
pub mod executor;
pub mod experiment;
pub mod fault;
pub mod files;
pub mod fingerprint;
pub mod forecast;
pub mod history;
pub mod kind;
pub mod lineage;
pub mod outside;
pub mod parameters;
pub mod plan;
pub mod probe;
pub mod process;
pub mod release;
pub mod remote;
pub mod render;
pub mod resources;
pub mod schema;
pub mod source;
pub mod spec;
pub mod store;
pub mod units;
pub mod values;
pub mod witness;
pub mod yaml;
