//! What a user may set, with defaults and ranges; the doc comments are the reference that users read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::AlsError;
use crate::models::weighting::Weighting;

/// How a row's equations are solved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Solver {
    /// A few steps of conjugate gradients from the previous solution: fast, nearly as good.
    #[default]
    Cg,
    /// Exactly, by a Cholesky factorisation: several times slower.
    Cholesky,
    /// Exactly in blocks of `block_size` factors, one block after the other: as good a sweep as an exact
    /// one, in less time the more factors there are; `cg` is faster still.
    #[serde(rename = "ials++")]
    IalsPlusPlus,
}

/// Parameters of the model and of the candidates made with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Als {
    /// Length of the factor vectors.
    #[schemars(range(min = 1, max = 2048))]
    pub factors: usize,
    /// Sweeps over all users and all items.
    #[schemars(range(min = 1, max = 1000))]
    pub iterations: usize,
    /// Weight `λ` of the squared lengths of the vectors; more pulls them towards zero.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub regularization: f64,
    /// Exponent `ν`: a user with `n` interactions has the weight `λ (n + unobserved_weight · items)^ν`, an
    /// item likewise. 0 is the same `λ` for all; 1 is best in published comparisons, with a `λ` as much
    /// smaller (0.001 to 0.01).
    #[schemars(range(min = 0, max = 2))]
    pub regularization_exponent: f64,
    /// Confidence of a pair never observed; below 1 the observed pairs count for more.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub unobserved_weight: f64,
    /// Confidence of an observed pair per unit of its weight, against `unobserved_weight` for the others.
    #[schemars(range(min = 0.000_001, max = 1_000_000))]
    pub alpha: f64,
    /// How a listen count becomes a weight.
    pub weighting: Weighting,
    /// How each row is solved.
    pub solver: Solver,
    /// Steps of conjugate gradients a row and sweep; `solver: cg` only.
    #[schemars(range(min = 1, max = 100))]
    pub cg_steps: usize,
    /// Factors that are solved at once; `solver: ials++` only.
    #[schemars(range(min = 1, max = 2048))]
    pub block_size: usize,
    /// Expected length of the random vectors that the first sweep starts from. 0 starts as `implicit`
    /// does, with numbers between 0 and 0.01; 1 reaches the same loss in a fraction of the sweeps when
    /// `regularization` is large; 0.1 is usual in published settings.
    #[schemars(range(min = 0, max = 1000))]
    pub start_length: f64,
    /// The fit ends when a sweep lowers the loss by less than this part of it; 0 never ends it early.
    #[schemars(range(min = 0, max = 1))]
    pub tolerance: f64,
    /// Sweeps after which the state is saved, so that a killed fit continues from there; 0 saves none.
    #[schemars(range(min = 0, max = 1000))]
    pub checkpoint_every: usize,
    /// Seed of the random start.
    pub seed: u64,
    /// Candidates per user.
    #[schemars(range(min = 1, max = 10_000))]
    pub n: usize,
    /// Whether items of the user's own training history are left out of the candidates.
    pub filter_seen: bool,
}

impl Default for Als {
    fn default() -> Self {
        Self {
            factors: 64,
            iterations: 15,
            regularization: 0.01,
            regularization_exponent: 0.0,
            unobserved_weight: 1.0,
            alpha: 1.0,
            weighting: Weighting::Linear,
            solver: Solver::Cg,
            cg_steps: 3,
            block_size: 64,
            start_length: 0.0,
            tolerance: 0.0,
            checkpoint_every: 5,
            seed: 42,
            n: 100,
            filter_seen: true,
        }
    }
}

impl Als {
    /// Whether the parameters that no confidence depends on can be worked with.
    pub(super) fn check(&self) -> Result<(), AlsError> {
        let at_least_one = [
            ("factors", self.factors),
            ("iterations", self.iterations),
            ("cg_steps", self.cg_steps),
            ("block_size", self.block_size),
        ];
        if let Some((name, value)) = at_least_one.into_iter().find(|&(_, value)| value == 0) {
            return Err(AlsError::Parameter { name, value: value as f64, least: 1.0 });
        }
        let not_negative = [
            ("regularization", self.regularization),
            ("regularization_exponent", self.regularization_exponent),
            ("unobserved_weight", self.unobserved_weight),
            ("start_length", self.start_length),
            ("tolerance", self.tolerance),
        ];
        match not_negative.into_iter().find(|(_, value)| !(value.is_finite() && *value >= 0.0)) {
            Some((name, value)) => Err(AlsError::Parameter { name, value, least: 0.0 }),
            None => Ok(()),
        }
    }
}
