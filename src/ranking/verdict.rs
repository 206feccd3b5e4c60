//! Whether the ranker beats the best base model on users it has not seen, and if not, why.

use serde::Serialize;

use crate::eval::significance::PairedTest;
use crate::eval::table::{grouped, p_with_sign};

/// Below this p-value the ranker counts as better, or as worse.
const LEVEL: f64 = 0.01;

/// |t| at this level when there are many users.
const CRITICAL_T: f64 = 2.576;

/// Fewer chosen candidates teach little about order.
const FEW_POSITIVES: usize = 1_000;

/// The ranker against the base model whose own order is best, user by user.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// The base model with the highest NDCG@10.
    pub best_base: String,
    /// Users compared: those held out with a chosen candidate.
    pub users: usize,
    /// Mean over users of the ranker's NDCG@10 minus the base model's.
    pub difference: f64,
    /// Of a paired t-test of this difference.
    pub p_value: f64,
    /// Whether the ranker is better with p < 0.01.
    pub beats: bool,
    /// The same in words, with what may be the reason and what may help.
    pub words: String,
}

impl Verdict {
    /// From the NDCG@10 of each user by the ranker and by the base model; `positives` is the number of chosen
    /// candidates that the final model learns from.
    pub fn new(best_base: &str, ranker: &[f64], base: &[f64], positives: usize) -> Self {
        let differences: Vec<f64> = ranker.iter().zip(base).map(|(ranker, base)| ranker - base).collect();
        let test = PairedTest::of(&differences);
        let is_certain = test.p_t_test < LEVEL;
        Self {
            best_base: best_base.to_owned(),
            users: test.n,
            difference: test.mean_difference,
            p_value: test.p_t_test,
            beats: is_certain && test.mean_difference > 0.0,
            words: words(best_base, &test, is_certain, positives),
        }
    }
}

fn words(best_base: &str, test: &PairedTest, is_certain: bool, positives: usize) -> String {
    let numbers = format!(
        "NDCG@10 {:+.4} on {} held-out users, p {}",
        test.mean_difference,
        grouped(test.n),
        p_with_sign(test.p_t_test)
    );
    match (is_certain, test.mean_difference > 0.0) {
        (true, true) => format!("the ranker beats `{best_base}` ({numbers})"),
        (true, false) => {
            format!("the ranker is worse than `{best_base}` ({numbers}): {}", few_positives(positives))
        }
        (false, _) => {
            let why = match test.users_needed(CRITICAL_T) {
                Some(needed) => format!(
                    "too few users to tell, about {} would be needed for such a difference",
                    grouped(needed)
                ),
                None => "the two order the candidates equally well".to_owned(),
            };
            format!(
                "it is not certain that the ranker beats `{best_base}` ({numbers}): {why}; {}",
                few_positives(positives)
            )
        }
    }
}

/// What the number of chosen candidates has to do with it.
fn few_positives(positives: usize) -> String {
    let learnt = format!("it learns from {} chosen candidates", grouped(positives));
    if positives < FEW_POSITIVES {
        format!(
            "{learnt}, which are few: a longer target period, more users or longer lists of the base \
                 models give it more"
        )
    } else {
        format!("{learnt}, so what may be missing is features or base models that tell more")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `n` users of whom every fourth gains `gain` and every fourth loses `loss`.
    fn verdict(n: usize, gain: f64, loss: f64, positives: usize) -> Verdict {
        let ranker = (0..n).map(|user| match user % 4 {
            0 => 0.5 + gain,
            1 => 0.5 - loss,
            _ => 0.5,
        });
        Verdict::new("als", &ranker.collect::<Vec<_>>(), &vec![0.5; n], positives)
    }

    #[test]
    fn a_clear_gain_is_called_one() {
        let verdict = verdict(1200, 0.3, 0.1, 5000);
        assert!(verdict.beats && (verdict.difference - 0.05).abs() < 1e-12);
        assert_eq!(
            verdict.words,
            "the ranker beats `als` (NDCG@10 +0.0500 on 1,200 held-out users, p < 0.001)"
        );
    }

    #[test]
    fn with_few_users_the_words_say_how_many_would_tell() {
        let verdict = verdict(40, 0.3, 0.2, 300);
        assert!(!verdict.beats);
        // Differences 0.3, −0.2, 0, 0: mean 0.025, s = 0.1809 with n − 1, so (2.576 · 0.1809 / 0.025)² ≈ 347.
        assert_eq!(
            verdict.words,
            "it is not certain that the ranker beats `als` (NDCG@10 +0.0250 on 40 held-out users, p = 0.387): \
             too few users to tell, about 350 would be needed for such a difference; it learns from 300 chosen \
             candidates, which are few: a longer target period, more users or longer lists of the base models \
             give it more"
        );
    }

    #[test]
    fn a_clear_loss_and_a_draw_are_no_gain() {
        let worse = verdict(1200, 0.1, 0.3, 5000);
        assert!(!worse.beats);
        assert!(
            worse.words.starts_with("the ranker is worse than `als` (NDCG@10 -0.0500"),
            "{}",
            worse.words
        );
        assert!(worse.words.ends_with("what may be missing is features or base models that tell more"));
        let equal = verdict(1200, 0.0, 0.0, 5000);
        assert!(!equal.beats && equal.words.contains("the two order the candidates equally well"));
    }
}
