//! ALS: a round is a sweep over all users and all items.

use std::ops::ControlFlow;

use recsys::models::als::Als;

use crate::clock::{Clock, answer, next_round};
use crate::options::Options;

/// `--factors 64 --solver cg|cholesky|ials++ --alpha 10 --regularization 1`, or any parameter of the model.
pub fn race(options: &Options) {
    let interactions = options.interactions();
    let start = Als { iterations: 1000, alpha: 10.0, regularization: 1.0, ..Als::default() };
    let parameters: Als = options.parameters(&start);
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
