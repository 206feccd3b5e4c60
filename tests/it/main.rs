//! The one integration-test binary: one module a topic.

mod architecture;
mod bad_input;
mod cache;
mod catboost;
mod contracts;
mod graph;
mod oracle;
mod pipelines;
mod project;
mod serve;
mod stop;
