//! Our side of the race of model kernels against `implicit`; `tests/bench/models_vs_implicit.py` is the
//! other side and starts both.
//!
//! `models TASK DATA.npz [--option value]…` prepares the task, prints `{"ready": true}`, and does one
//! round of work for each line on its standard input, answered by one line of JSON with at least
//! `cpu` and `wall`, the seconds that the round took over all threads and by the clock.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark talks to its driver")]

mod als;
mod clock;
mod fold_in;
mod gowalla;
mod ml1m;
mod options;

use options::Options;

fn main() {
    let options = Options::from_arguments();
    match options.task.as_str() {
        "als" => als::race(&options),
        "fold-in" => fold_in::race(&options),
        "gowalla" => gowalla::measure(&options),
        "ml1m" => ml1m::measure(&options),
        // `cargo test --benches` and `cargo bench` call without a task.
        "" | "--bench" | "--test" => {
            println!("usage: models TASK DATA [--option value]…; TASK: als, fold-in, gowalla, ml1m")
        }
        other => panic!("unknown task {other}"),
    }
}
