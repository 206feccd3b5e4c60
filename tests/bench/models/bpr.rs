//! BPR: a round is an epoch. One interaction of fifty is held out, the same on both sides, and compared
//! with an item drawn among all: the share that the model ranks correctly is its AUC.

use recsys::interactions::Interactions;
use recsys::models::bpr::{Bpr, BprModel, Negatives, Training};

use crate::clock::{Clock, answer, next_round};
use crate::options::Options;

/// `--factors 64 --learning-rate 0.05 --regularization 0.01 --deterministic false
/// --negatives popularity|uniform`
pub fn race(options: &Options) {
    let interactions = options.interactions();
    let (train, held_out) = hold_out(&interactions);
    let parameters = Bpr {
        factors: options.get("factors", 64),
        learning_rate: options.get("learning-rate", 0.05),
        regularization: options.get("regularization", 0.01),
        deterministic: options.get("deterministic", false),
        negatives: match options.get("negatives", "popularity".to_owned()).as_str() {
            "uniform" => Negatives::Uniform,
            "popularity" => Negatives::Popularity,
            other => panic!("unknown negatives {other}"),
        },
        ..Bpr::default()
    };
    let mut training = Training::new(&parameters, &train).unwrap();
    answer("\"ready\": true");
    while next_round() {
        let clock = Clock::start();
        let epoch = training.epoch().unwrap();
        let time = clock.read();
        let auc = auc(&training.model(), &held_out);
        let (train_auc, skipped) = (epoch.train_auc(), epoch.skipped());
        answer(&format!("\"train_auc\": {train_auc}, \"skipped\": {skipped}, \"auc\": {auc}, {time}"));
    }
}

/// The training matrix, and of one interaction of fifty `(user, item, an item the user has not)`.
fn hold_out(interactions: &Interactions) -> (Interactions, Vec<(u32, u32, u32)>) {
    let (mut kept, mut held_out, mut position) = (Vec::new(), Vec::new(), 0u32);
    for user in 0..interactions.n_users() {
        let (items, values) = interactions.row(user);
        for (&item, &value) in items.iter().zip(values) {
            position += 1;
            let random = position.wrapping_mul(2_654_435_761);
            if random % 50 != 0 {
                kept.push((user as u32, item, value));
                continue;
            }
            let other = ((u64::from(random) * interactions.n_items() as u64) >> 32) as u32;
            if items.binary_search(&other).is_err() {
                held_out.push((user as u32, item, other));
            }
        }
    }
    let train = Interactions::from_triplets(interactions.n_users(), interactions.n_items(), kept).unwrap();
    (train, held_out)
}

fn auc(model: &BprModel, held_out: &[(u32, u32, u32)]) -> f64 {
    let correct = |&&(user, liked, disliked): &&(u32, u32, u32)| {
        let score = |item: u32| -> f32 {
            let (x, y) = (model.user_factors.row(user as usize), model.item_factors.row(item as usize));
            x.iter().zip(y).map(|(x, y)| x * y).sum()
        };
        score(liked) > score(disliked)
    };
    held_out.iter().filter(correct).count() as f64 / held_out.len() as f64
}
