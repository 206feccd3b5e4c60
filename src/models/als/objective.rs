//! The weights of the objective, written once for every solver, the loss, fold-in and explanations.

use super::Als;

/// What the pairs never observed and the lengths of the vectors weigh.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Objective {
    /// Confidence `α₀` of a pair never observed.
    pub unobserved_weight: f32,
    regularization: f64,
    exponent: f64,
}

impl Objective {
    /// The weights that the parameters ask for.
    pub fn of(parameters: &Als) -> Self {
        Self {
            unobserved_weight: parameters.unobserved_weight as f32,
            regularization: parameters.regularization,
            exponent: parameters.regularization_exponent,
        }
    }

    /// `λ (n + α₀ m)^ν`, the weight of the squared length of a row with `n` interactions out of `m` that
    /// it could have: the confidence of all its pairs when that of an observed one is `1 + α₀`.
    #[inline]
    pub fn regularization(&self, n_interactions: usize, n_columns: usize) -> f32 {
        if self.exponent == 0.0 {
            return self.regularization as f32;
        }
        let weight = n_interactions as f64 + f64::from(self.unobserved_weight) * n_columns as f64;
        (self.regularization * libm::pow(weight, self.exponent)) as f32
    }

    /// The regularisation that all rows share, if they do.
    pub fn shared_regularization(&self) -> Option<f32> {
        (self.exponent == 0.0).then_some(self.regularization as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exponent_scales_the_regularisation_by_the_weight_of_the_row() {
        let constant = Als { regularization: 0.5, ..Als::default() };
        assert_eq!(Objective::of(&constant).regularization(3, 100), 0.5);
        assert_eq!(Objective::of(&constant).shared_regularization(), Some(0.5));

        let parameters = Als { unobserved_weight: 0.25, regularization_exponent: 1.0, ..constant.clone() };
        assert_eq!(Objective::of(&parameters).regularization(3, 100), 0.5 * 28.0);
        assert_eq!(Objective::of(&parameters).shared_regularization(), None);

        let parameters = Als { regularization_exponent: 0.5, ..parameters };
        assert_eq!(Objective::of(&parameters).regularization(11, 100), 0.5 * 6.0);
    }
}
