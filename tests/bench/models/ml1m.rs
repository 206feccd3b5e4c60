//! Quality on MovieLens-1M in the leave-one-out protocol of He et al. (2017): each user's held-out item is
//! ranked among 99 others. A sampled measure, so good for one thing: to see whether a solver reaches what
//! others published with it.
//!
//! `models ml1m FOLDER [--parameter value]…` fits on `FOLDER/train.txt` with the settings of Rendle et al.
//! (2022), unless told otherwise, and prints the hit rate and NDCG at 10.

use std::ops::ControlFlow;
use std::path::Path;

use recsys::interactions::Interactions;
use recsys::models::als::{Als, AlsModel};
use recsys::models::weighting::Weighting;

use crate::clock::{Clock, answer};
use crate::options::Options;

/// Length of the lists.
const K: usize = 10;
const N_USERS: usize = 6_040;
const N_ITEMS: usize = 3_706;

/// A user's held-out item and the others that it is ranked among.
struct Question {
    user: usize,
    held_out: usize,
    others: Vec<usize>,
}

/// Fits and prints the quality.
pub fn measure(options: &Options) {
    let unobserved_weight = 0.3;
    let published = Als {
        factors: 192,
        iterations: 12,
        weighting: Weighting::Binary,
        alpha: 1.0 + unobserved_weight,
        unobserved_weight,
        regularization: (1.0 + unobserved_weight) * 0.007,
        regularization_exponent: 1.0,
        start_length: 0.1 * (1.0 + unobserved_weight).sqrt(),
        ..Als::default()
    };
    let parameters: Als = options.parameters(&published);
    let train = train(&options.path().join("train.txt"));
    let questions = questions(&options.path().join("ml-1m.test.negative"));
    let clock = Clock::start();
    let mut losses = Vec::new();
    let model = parameters.fit(&train, |sweep| {
        losses.push(sweep.loss);
        ControlFlow::Continue(())
    });
    let fit = clock.read();
    let (hit_rate, ndcg) = quality(&model.unwrap(), &questions);
    answer(&format!(
        "\"hr@10\": {hit_rate:.4}, \"ndcg@10\": {ndcg:.4}, \"losses\": {losses:?}, \"fit\": {{{fit}}}"
    ));
}

/// Means over the questions; an item with the score of the held-out one ranks before it.
fn quality(model: &AlsModel, questions: &[Question]) -> (f64, f64) {
    let (mut hit_rate, mut ndcg) = (0.0, 0.0);
    for Question { user, held_out, others } in questions {
        let score = |item: usize| -> f32 {
            let (user, item) = (model.user_factors.row(*user), model.item_factors.row(item));
            user.iter().zip(item).map(|(x, y)| x * y).sum()
        };
        let wanted = score(*held_out);
        let rank = others.iter().filter(|&&item| item != *held_out && score(item) >= wanted).count();
        if rank < K {
            hit_rate += 1.0;
            ndcg += 1.0 / (rank as f64 + 2.0).log2();
        }
    }
    (hit_rate / questions.len() as f64, ndcg / questions.len() as f64)
}

/// `user item item …` a line.
fn train(path: &Path) -> Interactions {
    let text = read(path);
    let rows = text.lines().map(|line| line.split_whitespace().map(|number| number.parse::<u32>().unwrap()));
    let pairs = rows.flat_map(|mut row| {
        let user = row.next().unwrap();
        row.map(move |item| (user, item, 1.0))
    });
    Interactions::from_triplets(N_USERS, N_ITEMS, pairs).unwrap()
}

/// `(user,item) other other …` a line.
fn questions(path: &Path) -> Vec<Question> {
    let question = |line: &str| {
        let mut numbers =
            line.split(|letter: char| !letter.is_ascii_digit()).filter(|digits| !digits.is_empty());
        let mut next = || numbers.next().map(|digits| digits.parse::<usize>().unwrap());
        let (user, held_out) = (next().unwrap(), next().unwrap());
        Question { user, held_out, others: std::iter::from_fn(next).collect() }
    };
    read(path).lines().map(question).collect()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
