//! The one integration-test binary: one module a topic.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on should say so and stop"
)]

mod architecture;
mod bad_input;
mod cache;
mod catboost;
mod checkpoint;
mod contracts;
mod crash;
mod determinism;
mod experiment;
mod experiment_halving;
mod experiment_results;
mod experiment_scale;
mod explain;
mod graph;
mod history;
mod implicit;
mod include;
mod init;
mod metrics;
mod oracle;
mod output;
mod pipelines;
mod postgres;
mod project;
mod rank;
mod remote_cache;
mod report;
mod s3_servers;
mod same;
mod schema;
mod serve;
mod serve_commands;
mod serve_events;
mod serve_explain;
mod serve_layouts;
mod serve_lists;
mod serve_openapi;
mod serve_operations;
mod serve_page;
mod serve_project;
mod serve_reload;
mod serve_search;
mod shipped;
mod stop;
mod storage;
mod storage_faults;
mod storage_flagship;
mod storage_kill;
mod storage_proxy;
mod storage_runs;
mod toy;
mod tracking;
mod trust;
mod witness;
