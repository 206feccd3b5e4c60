//! Several models beside one baseline: paired differences of NDCG, user by user.

use serde::Serialize;

use super::bootstrap::interval_95;
use super::evaluator::{Evaluation, Evaluator};
use super::significance::{PairedTest, holm};

/// A model against the baseline, by per-user NDCG at one cut.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Versus {
    /// The cut.
    pub k: usize,
    /// Both tests; differences are model − baseline.
    #[serde(flatten)]
    pub test: PairedTest,
    /// The t-test's p-value, corrected by Holm for all models compared with the baseline.
    pub p_holm: f64,
    /// 95 % bootstrap interval of the mean difference.
    pub interval: Option<(f64, f64)>,
}

impl Versus {
    /// Whether the difference is significant at 5 % after the correction.
    pub fn is_significant(&self) -> bool {
        self.p_holm < 0.05
    }
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

/// Every model against `evaluations[baseline]`, one [`Versus`] a cut; the baseline itself has none.
pub fn against(evaluator: &Evaluator<'_>, evaluations: &[Evaluation], baseline: usize) -> Vec<Vec<Versus>> {
    let cuts = &evaluator.protocol().k;
    let n_users = evaluator.counts().evaluated_users;
    let others: Vec<usize> = (0..evaluations.len()).filter(|&model| model != baseline).collect();
    let width = others.len() * cuts.len();
    let mut differences = vec![0.0; n_users * width];
    for (column, (model, cut)) in pairs(&others, cuts.len()).enumerate() {
        let (ours, theirs) = (&evaluations[model].ndcg[cut], &evaluations[baseline].ndcg[cut]);
        let column = differences.iter_mut().skip(column).step_by(width.max(1));
        column.zip(ours.iter().zip(theirs)).for_each(|(cell, (a, b))| *cell = a - b);
    }
    let sums = evaluator.resamples().sums(&differences, width);
    let mut results = vec![Vec::new(); evaluations.len()];
    for (column, (model, cut)) in pairs(&others, cuts.len()).enumerate() {
        let of_users: Vec<f64> = differences.iter().skip(column).step_by(width).copied().collect();
        let means = sums.iter().skip(column).step_by(width).map(|sum| sum / n_users as f64);
        let test = PairedTest::of(&of_users);
        results[model].push(Versus {
            k: cuts[cut],
            test,
            p_holm: test.p_t_test,
            interval: interval_95(means),
        });
    }
    for cut in 0..cuts.len() {
        let p_values: Vec<f64> = others.iter().map(|&model| results[model][cut].test.p_t_test).collect();
        for (&model, p_holm) in others.iter().zip(holm(&p_values)) {
            results[model][cut].p_holm = p_holm;
        }
    }
    results
}

fn pairs(models: &[usize], n_cuts: usize) -> impl Iterator<Item = (usize, usize)> {
    models.iter().flat_map(move |&model| (0..n_cuts).map(move |cut| (model, cut)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_baseline_is_the_one_asked_for_else_popularity_else_the_first() {
        let names = ["als", "popularity", "ranked"];
        assert_eq!(choose_baseline(&names, Some("ranked")), Some(2));
        assert_eq!(choose_baseline(&names, Some("bpr")), None);
        assert_eq!(choose_baseline(&names, None), Some(1));
        assert_eq!(choose_baseline(&["als", "ranked"], None), Some(0));
    }
}
