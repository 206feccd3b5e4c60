//! Successive halving: every variant gets a little, those that do best get more, and so on.
//!
//! The rungs are counted down from `max`, so that the last one has all of it and no step up is smaller than
//! `eta`. Of the variants of a rung the best 1/`eta`, rounded up, go on.
//!
//! Source: Jamieson, Talwalkar, *Non-stochastic best arm identification and hyperparameter optimization*, AISTATS
//! 2016; rungs as in Li et al., *Hyperband*, JMLR 18 (2018).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value as Json};

use super::objective::Objective;

/// Rungs of one experiment; more are a slip of the pen.
const MOST_RUNGS: usize = 20;

/// A little for every variant, more for those that do best.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Halving {
    /// The parameter that grows from rung to rung: `vars.iterations`, or `preprocess.users_sample_rate` for more
    /// users.
    pub resource: String,
    /// No rung has less of it.
    pub min: Number,
    /// What the last rung has of it.
    pub max: Number,
    /// How many times more each rung has than the one before; the best 1/`eta` of its variants go on.
    #[serde(default = "three")]
    pub eta: f64,
}

fn three() -> f64 {
    3.0
}

impl Halving {
    /// What each rung has of the resource, from the first to the last; whole numbers where `min` and `max` are.
    ///
    /// # Errors
    /// When that is less than two rungs, or too many.
    pub fn rungs(&self) -> Result<Vec<Json>, String> {
        let Self { min, max, eta, .. } = self;
        let (low, high) = (number(min), number(max));
        if !(low > 0.0 && low < high && high.is_finite()) {
            return Err(format!(
                "`min` must be more than 0 and `max` more than `min`, found {min} and {max}"
            ));
        }
        if !(*eta > 1.0 && eta.is_finite()) {
            return Err(format!("`eta` must be more than 1, found {eta}"));
        }
        let is_whole = !min.is_f64() && !max.is_f64();
        let mut rungs = Vec::new();
        let mut value = high;
        // A rounding error must not cost a rung.
        while value >= low * (1.0 - 1e-9) {
            let rung = if is_whole { Json::from(value.round() as u64) } else { rounded(value) };
            if rungs.last() == Some(&rung) || rungs.len() == MOST_RUNGS {
                return Err(format!(
                    "`eta` {eta} makes more than {MOST_RUNGS} rungs, or equal ones: raise it"
                ));
            }
            rungs.push(rung);
            value /= eta;
        }
        if rungs.len() < 2 {
            return Err(format!(
                "`max` must be at least `eta` times `min`: {max} is less than {eta} × {min}"
            ));
        }
        rungs.reverse();
        Ok(rungs)
    }

    /// How many of the variants of a rung go on to the next.
    pub fn survivors(&self, variants: usize) -> usize {
        ((variants as f64 / self.eta - 1e-9).ceil() as usize).clamp(1, variants.max(1))
    }

    /// How many variants each of so many rungs has, when none fails.
    pub fn sizes(&self, variants: usize, rungs: usize) -> Vec<usize> {
        std::iter::successors(Some(variants), |&size| Some(self.survivors(size))).take(rungs).collect()
    }

    /// Those of a rung's `entered` variants that go on, of the `candidates` that may: each a position and its
    /// objective. In the order of the file; of equal ones the first.
    pub fn choose(&self, entered: usize, candidates: &[(usize, f64)], objective: &Objective) -> Vec<usize> {
        let mut order: Vec<&(usize, f64)> = candidates.iter().collect();
        order.sort_by(|a, b| match (objective.is_better(a.1, b.1), objective.is_better(b.1, a.1)) {
            (true, _) => std::cmp::Ordering::Less,
            (_, true) => std::cmp::Ordering::Greater,
            _ => a.0.cmp(&b.0),
        });
        let mut chosen: Vec<usize> =
            order.iter().take(self.survivors(entered)).map(|candidate| candidate.0).collect();
        chosen.sort_unstable();
        chosen
    }
}

fn number(number: &Number) -> f64 {
    number.as_f64().unwrap_or(f64::NAN)
}

/// Six digits are enough for a share, and 1/3 of something is read more easily.
fn rounded(value: f64) -> Json {
    format!("{value:.5e}").parse::<f64>().unwrap_or(value).into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::workflow::experiment::Direction;

    fn halving(min: Json, max: Json, eta: f64) -> Halving {
        let resource = "vars.iterations";
        serde_json::from_value(json!({ "resource": resource, "min": min, "max": max, "eta": eta })).unwrap()
    }

    #[test]
    fn the_last_rung_has_all_and_each_has_eta_times_the_one_before() {
        let rungs = |min, max, eta| halving(min, max, eta).rungs().unwrap();
        assert_eq!(rungs(json!(2), json!(18), 3.0), [2, 6, 18]);
        assert_eq!(rungs(json!(5), json!(16), 3.0), [5, 16]);
        assert_eq!(rungs(json!(1), json!(8), 2.0), [1, 2, 4, 8]);
        assert_eq!(rungs(json!(0.1), json!(1.0), 3.0), [json!(0.111111), json!(0.333333), json!(1.0)]);
        // 0.2 · 5 is not less than 1, whatever the last bit says.
        assert_eq!(rungs(json!(0.2), json!(1.0), 5.0).len(), 2);
    }

    #[test]
    fn what_is_no_ladder_says_why() {
        for (min, max, eta, words) in [
            (json!(0), json!(8), 2.0, "`min` must be more than 0"),
            (json!(8), json!(8), 2.0, "`max` more than `min`"),
            (json!(1), json!(8), 1.0, "`eta` must be more than 1"),
            (json!(5), json!(8), 3.0, "8 is less than 3 × 5"),
            (json!(1), json!(8), 1.01, "raise it"),
            (json!(0.001), json!(1000.0), 1.1, "more than 20 rungs"),
        ] {
            let error = halving(min, max, eta).rungs().unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn the_best_go_on_and_of_equal_ones_the_first() {
        let three = halving(json!(1), json!(9), 3.0);
        assert_eq!(three.sizes(12, 3), [12, 4, 2]);
        assert_eq!(three.sizes(1, 3), [1, 1, 1]);
        assert_eq!(three.survivors(9), 3);
        let objective = |direction| Objective { metric: "validate.ndcg".parse().unwrap(), direction };
        let candidates = [(0, 0.3), (2, 0.5), (3, 0.3), (5, 0.1)];
        assert_eq!(three.choose(6, &candidates, &objective(Direction::Maximize)), [0, 2]);
        assert_eq!(three.choose(6, &candidates, &objective(Direction::Minimize)), [0, 5]);
        assert_eq!(three.choose(6, &candidates[..1], &objective(Direction::Maximize)), [0]);
        assert_eq!(three.choose(6, &[], &objective(Direction::Maximize)), [0; 0]);
    }
}
