//! Fold-in: a round is the vectors of 1,000 users, one call each, with the model prepared.

use std::ops::ControlFlow;

use recsys::models::als::{Als, FoldIn, loss};

use crate::clock::{Clock, answer, next_round};
use crate::options::Options;

/// Users a round.
const N_USERS: usize = 1000;

/// `--factors 64`, or any parameter of the model.
pub fn race(options: &Options) {
    let interactions = options.interactions();
    let start = Als { iterations: 2, alpha: 10.0, regularization: 1.0, ..Als::default() };
    let parameters: Als = options.parameters(&start);
    let mut model = parameters.fit(&interactions, |_| ControlFlow::Continue(())).unwrap();
    let fold_in = FoldIn::new(&parameters, &model.item_factors).unwrap();
    answer("\"ready\": true");
    let mut first = 0;
    while next_round() {
        let clock = Clock::start();
        for user in first..first + N_USERS {
            let (items, values) = interactions.row(user % interactions.n_users());
            std::hint::black_box(fold_in.row(items, values).unwrap());
        }
        let time = clock.read();
        first += N_USERS;
        // What is lost when all users are folded in says whether the rows are right.
        model.user_factors = fold_in.rows(&interactions).unwrap();
        let lost = loss(&parameters, &interactions, &model).unwrap();
        answer(&format!("\"users\": {N_USERS}, \"loss\": {lost}, {time}"));
    }
}
