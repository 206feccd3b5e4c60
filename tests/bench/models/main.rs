//! Our side of the race of model kernels against `implicit`; `tests/bench/models_vs_implicit.py` is the
//! other side and starts both. The tasks that end in a protocol of the literature need no driver.
//!
//! `models TASK DATA.npz [--option value]…` prepares the task, prints `{"ready": true}`, and does one
//! round of work for each line on its standard input, answered by one line of JSON with at least
//! `cpu` and `wall`, the seconds that the round took over all threads and by the clock.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark talks to its driver")]

mod als;
mod boosting;
mod bpr;
mod clock;
mod fold_in;
mod gowalla;
mod item_knn;
mod ml1m;
mod options;
mod retrieval;

use options::Options;

/// What a task does, to the end.
type Work = fn(&Options);

/// What can be raced or measured, by name.
const TASKS: &[(&str, Work)] = &[
    ("als", als::race),
    ("boosting", boosting::race),
    ("bpr", bpr::race),
    ("fold-in", fold_in::race),
    ("gowalla", gowalla::measure),
    ("item-knn", item_knn::race),
    ("ml1m", ml1m::measure),
    ("recommend", retrieval::recommend),
    ("similar-items", retrieval::similar),
];

fn main() {
    let options = Options::from_arguments();
    match TASKS.iter().find(|(name, _)| *name == options.task) {
        Some((_, work)) => work(&options),
        // `cargo test --benches` and `cargo bench` call without a task.
        None => {
            let names: Vec<&str> = TASKS.iter().map(|(name, _)| *name).collect();
            println!("usage: models TASK DATA.npz [--option value]…; TASK: {}", names.join(", "));
        }
    }
}
