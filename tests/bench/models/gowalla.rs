//! Quality on Gowalla, in the split and protocol of the LightGCN papers.
//!
//! `models gowalla FOLDER --model ease|graph_filter|als|blend [--split validation|test] [--parameter value]…`
//! fits on `FOLDER/train.txt` and prints Recall@20 and NDCG@20 over all users with pairs in the other file,
//! all items ranked but those of training. `validation` takes the pairs of `valid_lightgcnpp.txt` out of
//! training and measures on them: parameters are chosen there, `test` is for the last look. `blend` blends
//! EASE and ALS, each as published here.

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::path::Path;

use recsys::interactions::Interactions;
use recsys::models::als::{Als, AlsModel, AlsState};
use recsys::models::blend::{Blend, WeightedList, blend};
use recsys::models::ease::{Ease, EaseModel};
use recsys::models::graph_filter::GraphFilter;
use recsys::models::lists::{Block, Lists};
use recsys::models::recommender::{Recommender, Request};
use recsys::models::weighting::Weighting;

use crate::clock::{Clock, answer};
use crate::options::Options;

/// Length of the lists.
const K: usize = 20;
/// Length of the lists that are blended.
const DEPTH: usize = 200;
const N_USERS: usize = 29_858;
const N_ITEMS: usize = 40_981;

/// Fits the model of the options and prints what it reaches.
pub fn measure(options: &Options) {
    let split = options.get("split", "validation".to_owned());
    let (train, truth) = read(options.path(), &split);
    let clock = Clock::start();
    let model = options.get("model", "ease".to_owned());
    match model.as_str() {
        "ease" => {
            let parameters: Ease = options.parameters(&Ease::default());
            print(&clock, &parameters.fit(&train, |_| ControlFlow::Continue(())).unwrap(), &train, &truth);
        }
        "graph_filter" => {
            let parameters: GraphFilter = options.parameters(&GraphFilter::default());
            print(&clock, &parameters.fit(&train, |_| ControlFlow::Continue(())).unwrap(), &train, &truth);
        }
        "als" => {
            let start = Als { factors: 256, weighting: Weighting::Binary, ..Als::default() };
            let parameters: Als = options.parameters(&start);
            // `--every 2` also looks at the model after every second sweep.
            let every = options.get("every", usize::MAX);
            let model = parameters.fit(&train, |sweep| {
                if sweep.done % every == 0 && sweep.done < sweep.total {
                    let AlsState { user_factors, item_factors, loss, .. } = sweep.state();
                    print(&clock, &AlsModel { user_factors, item_factors, loss }, &train, &truth);
                }
                ControlFlow::Continue(())
            });
            print(&clock, &model.unwrap(), &train, &truth);
        }
        "blend" => {
            let blend: Blend = options.parameters(&Blend::default());
            let ease = tuned_ease().fit(&train, |_| ControlFlow::Continue(())).unwrap();
            let als = tuned_als().fit(&train, |_| ControlFlow::Continue(())).unwrap();
            print(&clock, &Blended { ease, als, blend }, &train, &truth);
        }
        other => panic!("unknown model {other}"),
    }
}

/// EASE with the exponents that validation chose.
fn tuned_ease() -> Ease {
    Ease {
        regularization: 6.5,
        user_exponent: 0.25,
        item_exponent: 0.25,
        popularity_exponent: 0.1,
        ..Ease::default()
    }
}

/// ALS as validation chose it.
fn tuned_als() -> Als {
    Als {
        factors: 1024,
        iterations: 6,
        weighting: Weighting::Binary,
        alpha: 1.01,
        unobserved_weight: 0.01,
        regularization: 0.003_03,
        regularization_exponent: 1.0,
        start_length: 0.1,
        ..Als::default()
    }
}

/// Both models and how their lists become one.
struct Blended {
    ease: EaseModel,
    als: AlsModel,
    blend: Blend,
}

impl Recommender for Blended {
    fn recommend<E>(
        &self,
        request: &Request<'_>,
        mut emit: impl FnMut(Block<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let deep = Request { n: DEPTH, ..*request };
        let (ease, als) = (lists(&self.ease, &deep), lists(&self.als, &deep));
        let mut blended = Lists::new();
        for (ease, als) in ease.iter().zip(als.iter()) {
            let both = [("ease", ease), ("als", als)].map(|(name, (items, scores))| WeightedList {
                weight: self.blend.weight(name),
                items,
                scores,
            });
            blended.push(blend(&both, self.blend.normalization, request.n));
        }
        let total = request.users.len();
        emit(Block { queries: request.users, lists: &blended, done: total, total })
    }
}

/// All lists of a model.
fn lists(model: &impl Recommender, request: &Request<'_>) -> Lists {
    let mut lists = Lists::new();
    let Ok(()) = model.recommend(request, |block| {
        lists.append(block.lists);
        Ok::<(), Infallible>(())
    });
    lists
}

/// Prints the quality of a fitted model and the time since the clock was started.
fn print(clock: &Clock, model: &impl Recommender, train: &Interactions, truth: &Interactions) {
    let fit = clock.read();
    let (recall, ndcg) = quality(model, train, truth);
    answer(&format!("\"recall@20\": {recall:.5}, \"ndcg@20\": {ndcg:.5}, \"fit\": {{{fit}}}"));
}

/// Means over the users with pairs in `truth` of recall, hits / |truth|, and of NDCG with binary
/// relevance, whose ideal has min(|truth|, K) hits.
fn quality(model: &impl Recommender, train: &Interactions, truth: &Interactions) -> (f64, f64) {
    let users = truth.users_with_items();
    let discount = |rank: usize| 1.0 / (rank as f64 + 2.0).log2();
    let (mut recall, mut ndcg) = (0.0, 0.0);
    let request = Request { users: &users, history: train, n: K, filter_seen: true };
    let Ok(()) = model.recommend(&request, |block| {
        for (&user, (items, _)) in block.queries.iter().zip(block.lists.iter()) {
            let wanted = truth.row(user as usize).0;
            let hits = items.iter().enumerate().filter(|(_, item)| wanted.binary_search(item).is_ok());
            let ranks: Vec<usize> = hits.map(|(rank, _)| rank).collect();
            let ideal: f64 = (0..wanted.len().min(K)).map(discount).sum();
            recall += ranks.len() as f64 / wanted.len() as f64;
            ndcg += ranks.into_iter().map(discount).sum::<f64>() / ideal;
        }
        Ok::<(), Infallible>(())
    });
    (recall / users.len() as f64, ndcg / users.len() as f64)
}

/// Training pairs and the pairs to be found.
fn read(folder: &Path, split: &str) -> (Interactions, Interactions) {
    let train = pairs(&folder.join("train.txt"));
    match split {
        "test" => (matrix(train), matrix(pairs(&folder.join("test.txt")))),
        "validation" => {
            let held_out = matrix(pairs(&folder.join("valid_lightgcnpp.txt")));
            let kept = train
                .into_iter()
                .filter(|&(user, item)| held_out.row(user as usize).0.binary_search(&item).is_err());
            (matrix(kept.collect()), held_out)
        }
        other => panic!("unknown split {other}"),
    }
}

/// `user item item …` a line.
fn pairs(path: &Path) -> Vec<(u32, u32)> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut pairs = Vec::new();
    for line in text.lines() {
        let mut numbers = line.split_whitespace().map(|number| number.parse::<u32>().unwrap());
        if let Some(user) = numbers.next() {
            pairs.extend(numbers.map(|item| (user, item)));
        }
    }
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

fn matrix(pairs: Vec<(u32, u32)>) -> Interactions {
    let ones = pairs.into_iter().map(|(user, item)| (user, item, 1.0));
    Interactions::from_triplets(N_USERS, N_ITEMS, ones).unwrap()
}
