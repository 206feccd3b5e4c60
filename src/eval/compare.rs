//! Several models beside one baseline: paired differences of NDCG, user by user.

use std::collections::BTreeMap;

use serde::Serialize;

use super::bootstrap::interval_95;
use super::evaluator::{Counts, Evaluation, Evaluator};
use super::feedback::OnlineReport;
use super::metric::Metric;
use super::pareto::{Front, fronts};
use super::protocol::Protocol;
use super::significance::{PairedTest, holm};

/// Everything measured of all models under one protocol, in the order of their names.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// The model that the others are compared with.
    pub baseline: String,
    /// The cut of the headline numbers and of the lead.
    pub compare_at: usize,
    /// The best model by NDCG against the second best; none for a single model.
    pub lead: Option<Lead>,
    /// Models that no other beats in NDCG and in one more quality at once, at `compare_at`.
    pub pareto: Vec<Front>,
    /// One report a model.
    pub models: BTreeMap<String, ModelReport>,
    /// What users did with the answers of a service, where its log was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub online: Option<OnlineReport>,
}

/// What is known of one model; complete by itself, so that it can be cut out of the file.
#[derive(Debug, Clone, Serialize)]
pub struct ModelReport {
    /// Name of the model.
    pub model: String,
    /// Who and what counted.
    pub protocol: Protocol,
    /// How many of whom took part.
    pub counts: Counts,
    /// Evaluated users whose list is empty; they count as misses.
    pub users_without_list: usize,
    /// Length of the longest list, as far as lists were read: at most the largest cut.
    pub longest_list: usize,
    /// Every metric at every cut, by `ndcg@10`.
    pub metrics: BTreeMap<String, Value>,
    /// Differences of NDCG to the baseline, one entry a cut; empty for the baseline itself.
    pub against_baseline: Vec<Versus>,
}

impl ModelReport {
    /// A metric at a cut of the protocol.
    ///
    /// # Panics
    /// When the protocol has no such cut.
    pub fn value(&self, metric: Metric, k: usize) -> &Value {
        self.metrics.get(&metric.at(k)).expect("every metric is measured at every cut of the protocol")
    }
}

/// A value and its 95 % bootstrap interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Value {
    /// The value.
    pub value: f64,
    /// Lower end of the interval; none without resamples.
    pub low: Option<f64>,
    /// Upper end of the interval.
    pub high: Option<f64>,
}

/// A model against the baseline, by per-user NDCG at one cut; differences are model − baseline.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Versus {
    /// The cut.
    pub k: usize,
    /// Both tests.
    #[serde(flatten)]
    pub test: PairedTest,
    /// The t-test's p-value, corrected by Holm for all models compared with the baseline.
    pub p_holm: f64,
    /// Lower end of the 95 % bootstrap interval of the mean difference.
    pub low: Option<f64>,
    /// Upper end of it.
    pub high: Option<f64>,
}

/// The best model against the second best.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lead {
    /// The best model.
    pub best: String,
    /// The second best.
    pub second: String,
    /// Both tests of best − second.
    #[serde(flatten)]
    pub test: PairedTest,
}

/// Whether a p-value is below the level that this product calls significant, 5 %.
pub fn is_significant(p: f64) -> bool {
    p < 0.05
}

/// The baseline's position: the name asked for, else `popularity`, else the first.
///
/// Returns `None` when the name asked for is not there.
pub fn choose_baseline(names: &[&str], wanted: Option<&str>) -> Option<usize> {
    match wanted {
        Some(name) => names.iter().position(|other| *other == name),
        None => Some(names.iter().position(|name| *name == "popularity").unwrap_or(0)),
    }
}

impl Comparison {
    /// Sets models beside `models[baseline]`; headline numbers are at `compare_at`.
    ///
    /// # Panics
    /// When `baseline` is no position of `models` or `compare_at` no cut of the protocol.
    pub fn new(
        evaluator: &Evaluator<'_>,
        models: Vec<(String, Evaluation)>,
        baseline: usize,
        compare_at: usize,
    ) -> Self {
        let (names, evaluations): (Vec<String>, Vec<Evaluation>) = models.into_iter().unzip();
        let versus = against(evaluator, &evaluations, baseline);
        let lead = lead(evaluator, &names, &evaluations, compare_at);
        let baseline = names[baseline].clone();
        let reports = names.into_iter().zip(evaluations).zip(versus).map(|((model, evaluation), versus)| {
            let report = report(evaluator, &model, &evaluation, versus);
            (model, report)
        });
        let models = reports.collect();
        let pareto = fronts(&models, compare_at);
        Self { baseline, compare_at, lead, pareto, models, online: None }
    }
}

fn report(
    evaluator: &Evaluator<'_>,
    model: &str,
    evaluation: &Evaluation,
    versus: Vec<Versus>,
) -> ModelReport {
    let metrics = evaluation.estimates.iter().map(|estimate| {
        let (low, high) = estimate.interval.unzip();
        (estimate.metric.at(estimate.k), Value { value: estimate.value, low, high })
    });
    ModelReport {
        model: model.to_owned(),
        protocol: evaluator.protocol().clone(),
        counts: *evaluator.counts(),
        users_without_list: evaluation.users_without_list,
        longest_list: evaluation.longest_list,
        metrics: metrics.collect(),
        against_baseline: versus,
    }
}

/// Every model against the baseline, one [`Versus`] a cut; the baseline itself has none.
fn against(evaluator: &Evaluator<'_>, evaluations: &[Evaluation], baseline: usize) -> Vec<Vec<Versus>> {
    let cuts = &evaluator.protocol().k;
    let n_users = evaluator.counts().evaluated_users;
    let others: Vec<usize> = (0..evaluations.len()).filter(|&model| model != baseline).collect();
    let pairs: Vec<(usize, usize)> =
        others.iter().flat_map(|&model| (0..cuts.len()).map(move |cut| (model, cut))).collect();
    let width = pairs.len();
    let mut differences = vec![0.0; n_users * width];
    for (column, &(model, cut)) in pairs.iter().enumerate() {
        let of_users = differences_of(&evaluations[model], &evaluations[baseline], cut);
        let cells = differences.iter_mut().skip(column).step_by(width);
        cells.zip(of_users).for_each(|(cell, difference)| *cell = difference);
    }
    let sums = evaluator.resamples().sums(&differences, width);
    let mut results = vec![Vec::new(); evaluations.len()];
    for (column, &(model, cut)) in pairs.iter().enumerate() {
        let test = PairedTest::of(&differences_of(&evaluations[model], &evaluations[baseline], cut));
        let means = sums.iter().skip(column).step_by(width).map(|sum| sum / n_users as f64);
        let (low, high) = interval_95(means).unzip();
        results[model].push(Versus { k: cuts[cut], test, p_holm: test.p_t_test, low, high });
    }
    for (cut, _) in cuts.iter().enumerate() {
        let p_values: Vec<f64> = others.iter().map(|&model| results[model][cut].test.p_t_test).collect();
        for (&model, p_holm) in others.iter().zip(holm(&p_values)) {
            results[model][cut].p_holm = p_holm;
        }
    }
    results
}

fn lead(evaluator: &Evaluator<'_>, names: &[String], evaluations: &[Evaluation], k: usize) -> Option<Lead> {
    let cut = evaluator.protocol().k.iter().position(|&other| other == k)?;
    let ndcg = |model: usize| evaluations[model].get(Metric::Ndcg, k).map_or(0.0, |estimate| estimate.value);
    let mut order: Vec<usize> = (0..evaluations.len()).collect();
    order.sort_by(|&a, &b| ndcg(b).total_cmp(&ndcg(a)));
    let &[best, second, ..] = order.as_slice() else { return None };
    let test = PairedTest::of(&differences_of(&evaluations[best], &evaluations[second], cut));
    Some(Lead { best: names[best].clone(), second: names[second].clone(), test })
}

/// NDCG of every user, model − other.
fn differences_of(model: &Evaluation, other: &Evaluation, cut: usize) -> Vec<f64> {
    model.ndcg[cut].iter().zip(&other.ndcg[cut]).map(|(ours, theirs)| ours - theirs).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::diversity::ItemVectors;
    use super::super::{Catalog, ItemsCounted, Lists, SeenItems, UsersCounted};
    use super::*;
    use crate::interactions::Interactions;

    /// 60 users who all like item 1. The second model finds it at place 1 for all but the first user,
    /// the first one at place 2 for all, the third for the first user only.
    pub fn comparison(names: [&str; 3], baseline: &str) -> Comparison {
        let history = Interactions::from_triplets(60, 4, (0..60).map(|user| (user, 0, 1.0))).unwrap();
        let test = Interactions::from_triplets(60, 4, (0..60).map(|user| (user, 1, 1.0))).unwrap();
        let catalog = Catalog {
            track_groups: (0..4).map(Some).collect(),
            categories: vec![Some(0); 4],
            vectors: ItemVectors::new(1, vec![[(0, 1.0)]; 4]),
        };
        let protocol = Protocol {
            k: vec![1, 2],
            novel_only: true,
            users: UsersCounted::Warm,
            items: ItemsCounted::All,
            seen_items: SeenItems::Keep,
            bootstrap_samples: 200,
            seed: 1,
        };
        let evaluator = Evaluator::new(protocol, &test, &history, &catalog).unwrap();
        let list = |place: usize, user: usize| match (place, user) {
            (1, 1..) | (2, 0) => vec![1, 2],
            (0, _) => vec![2, 1],
            _ => vec![2, 3],
        };
        let models = [0, 1, 2].map(|place| {
            let lists: Vec<Vec<u32>> = (0..60).map(|user| list(place, user)).collect();
            let evaluation = evaluator.evaluate(&Lists::from_nested(4, &lists).unwrap()).unwrap();
            (names[place].to_owned(), evaluation)
        });
        let baseline = choose_baseline(&names, Some(baseline)).unwrap();
        Comparison::new(&evaluator, models.into(), baseline, 2)
    }

    #[test]
    fn models_stand_beside_the_baseline_with_the_sign_of_the_gain() {
        let comparison = comparison(["fair", "good", "poor"], "poor");
        assert!(comparison.models["poor"].against_baseline.is_empty());
        let good = &comparison.models["good"].against_baseline;
        assert_eq!(good.iter().map(|versus| versus.k).collect::<Vec<_>>(), [1, 2]);
        // 58 more users of 60 have NDCG 1.
        assert!((good[1].test.mean_difference - 58.0 / 60.0).abs() < 1e-12);
        assert!(good[1].low.unwrap() < good[1].test.mean_difference && is_significant(good[1].p_holm));
        let lead = comparison.lead.unwrap();
        assert_eq!((lead.best.as_str(), lead.second.as_str()), ("good", "fair"));
        // 59/60 against 1/log2(3).
        assert!((lead.test.mean_difference - (59.0 / 60.0 - 0.6309297535714575)).abs() < 1e-12);
    }

    #[test]
    fn a_model_below_the_baseline_has_a_negative_difference() {
        let comparison = comparison(["fair", "good", "poor"], "good");
        assert_eq!(comparison.models["fair"].against_baseline.len(), 2);
        assert!(comparison.models["fair"].against_baseline[1].test.mean_difference < 0.0);
    }

    #[test]
    fn the_baseline_is_the_one_asked_for_else_popularity_else_the_first() {
        let names = ["als", "popularity", "ranked"];
        assert_eq!(choose_baseline(&names, Some("ranked")), Some(2));
        assert_eq!(choose_baseline(&names, Some("bpr")), None);
        assert_eq!(choose_baseline(&names, None), Some(1));
        assert_eq!(choose_baseline(&["als", "ranked"], None), Some(0));
    }
}
