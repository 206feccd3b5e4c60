//! ALS: a round is a sweep over all users and all items.

use std::ops::ControlFlow;

use recsys::models::als::{Als, Solver};

use crate::clock::{Clock, answer, next_round};
use crate::options::Options;

/// `--factors 64 --solver cg|cholesky --alpha 10 --regularization 1`
pub fn race(options: &Options) {
    let interactions = options.interactions();
    let solver = match options.get("solver", "cg".to_owned()).as_str() {
        "cg" => Solver::Cg,
        "cholesky" => Solver::Cholesky,
        other => panic!("unknown solver {other}"),
    };
    let parameters = Als {
        factors: options.get("factors", 64),
        iterations: 1000,
        alpha: options.get("alpha", 10.0),
        regularization: options.get("regularization", 1.0),
        solver,
        ..Als::default()
    };
    // The first sweep cannot be told from the preparation, so it stands for both.
    let mut clock = Clock::start();
    let model = parameters.fit(&interactions, |sweep| {
        if sweep.done == 1 {
            answer(&format!("\"ready\": true, \"loss\": {}, {}", sweep.loss, clock.read()));
        } else {
            answer(&format!("\"sweep\": {}, \"loss\": {}, {}", sweep.done, sweep.loss, clock.read()));
        }
        if !next_round() {
            return ControlFlow::Break(());
        }
        clock = Clock::start();
        ControlFlow::Continue(())
    });
    model.unwrap();
}
