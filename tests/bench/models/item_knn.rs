//! Item-kNN: a round is a fit. What is told of it is a digest of the neighbours.

use std::ops::ControlFlow;

use recsys::models::item_knn::{ItemKnn, Similarity};

use crate::clock::{Clock, answer, next_round};
use crate::options::Options;

/// `--similarity cosine|tf_idf|bm25 --neighbours 20`
pub fn race(options: &Options) {
    let interactions = options.interactions();
    let similarity = match options.get("similarity", "cosine".to_owned()).as_str() {
        "cosine" => Similarity::Cosine,
        "tf_idf" => Similarity::TfIdf,
        "bm25" => Similarity::Bm25,
        other => panic!("unknown similarity {other}"),
    };
    let neighbours = options.get("neighbours", 20);
    let parameters = ItemKnn { similarity, neighbours, ..ItemKnn::default() };
    answer("\"ready\": true");
    while next_round() {
        let clock = Clock::start();
        let model = parameters.fit(&interactions, |_| ControlFlow::Continue(())).unwrap();
        let time = clock.read();
        let sum: f64 = model.similarities.weights().iter().map(|&value| f64::from(value)).sum();
        answer(&format!("\"neighbours\": {}, \"sum\": {sum}, {time}", model.similarities.items().len()));
    }
}
