//! Boosting: one round trains on the rows of an npz file, the next scores its test rows, and so on.
//! `tests/bench/boosting_vs_catboost.py` writes the file and is the other side.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use recsys::codec::catboost_json;
use recsys::codec::npz::Reader;
use recsys::models::boosting::{
    BoostedTrees, Boosting, Feature, Features, Loss, Samples, Values, category_hash,
};

use crate::clock::{Clock, answer, next_round};
use crate::options::Options;

/// `--learning-rate 0.5 --iterations 300 --depth 6 --loss logloss --scores FILE --model FILE`, and the other
/// parameters of CatBoost by their names.
pub fn race(options: &Options) {
    let train = read(options.path(), "train");
    let test = read(options.path(), "test");
    let names = Loss::ALL.map(|loss| (loss.catboost_name(), loss));
    let loss: String = options.get("loss", "Logloss".to_owned());
    let loss_function = names.into_iter().find(|(name, _)| *name == loss).expect("a loss of ours").1;
    let boosting = Boosting {
        loss_function,
        iterations: options.get("iterations", 300),
        learning_rate: options.get("learning-rate", 0.1),
        depth: options.get("depth", 6),
        l2_leaf_reg: options.get("l2-leaf-reg", 3.0),
        one_hot_max_size: options.get("one-hot-max-size", 255),
        subsample: options.get("subsample", 0.8),
        rsm: options.get("rsm", 1.0),
        seed: options.get("seed", 0),
        ..Boosting::default()
    };
    answer(&format!("\"ready\": true, \"rows\": {}", train.labels.len()));
    let mut model: Option<BoostedTrees> = None;
    while next_round() {
        let clock = Clock::start();
        let fitted = boosting.fit(&[], &train, None, |_| ControlFlow::Continue(())).unwrap();
        answer(&format!("\"trees\": {}, {}", fitted.model.trees.len(), clock.read()));
        model = Some(fitted.model);
        if !next_round() {
            break;
        }
        let clock = Clock::start();
        let scores = model.as_ref().unwrap().score(&test.features).unwrap();
        let time = clock.read();
        let path: String = options.get("scores", String::new());
        if !path.is_empty() {
            std::fs::write(path, scores.iter().flat_map(|score| score.to_le_bytes()).collect::<Vec<_>>())
                .unwrap();
        }
        answer(&time);
    }
    let path: String = options.get("model", String::new());
    if let (Some(model), false) = (model, path.is_empty()) {
        catboost_json::write(Path::new(&path), &model).unwrap();
    }
}

/// The rows of one side: `{side}_numbers` by columns, `{side}_categories` by columns, `{side}_labels`,
/// `{side}_groups` (rows of each).
fn read(path: &Path, side: &str) -> Samples {
    let mut file = Reader::open(path).unwrap();
    let (numbers, shape) = file.array::<f32>(&format!("{side}_numbers")).unwrap();
    let n_rows = shape[1] as usize;
    let numbers = numbers.chunks(n_rows).enumerate();
    let mut columns: Vec<Feature> =
        numbers.map(|(at, values)| Feature::real(format!("f{at}"), values.to_vec())).collect();
    let (categories, _) = file.array::<i64>(&format!("{side}_categories")).unwrap();
    for (at, values) in categories.chunks(n_rows).enumerate() {
        let names: std::collections::BTreeMap<i64, (u32, String)> = values
            .iter()
            .map(|value| (*value, (category_hash(&value.to_string()), value.to_string())))
            .collect();
        let hashes = values.iter().map(|value| names[value].0).collect();
        let names = Arc::new(names.into_values().collect());
        columns.push(Feature { name: format!("c{}", at + 1), values: Values::Category { hashes, names } });
    }
    let (labels, _) = file.array::<f32>(&format!("{side}_labels")).unwrap();
    let (sizes, _) = file.array::<i64>(&format!("{side}_groups")).unwrap();
    let mut end = 0;
    let groups = sizes.into_iter().map(|size| {
        let start = end;
        end += size as usize;
        start..end
    });
    let groups = groups.collect();
    Samples { features: Features::new(columns), labels, groups }
}
