//! What no sane fit looks like: defined results or clear errors, never numbers that are none.

use std::ops::ControlFlow;

use super::*;
use crate::interactions::Interactions;
use crate::models::weighting::Weighting;

const SOLVERS: [Solver; 3] = [Solver::Cg, Solver::Cholesky, Solver::IalsPlusPlus];

fn fit(parameters: &Als, interactions: &Interactions) -> Result<AlsModel, AlsError> {
    parameters.fit(interactions, |_| ControlFlow::Continue(()))
}

fn small() -> Interactions {
    let pairs = (0..40u32).map(|at| (at % 9, at * 5 % 7, 1.0 + (at % 3) as f32));
    Interactions::from_triplets(11, 8, pairs).unwrap()
}

/// The model, when there is one, holds finite numbers and its loss is the loss of its factors.
fn assert_sound(parameters: &Als, interactions: &Interactions, outcome: Result<AlsModel, AlsError>) {
    if let Ok(model) = outcome {
        let values = || model.user_factors.values().iter().chain(model.item_factors.values());
        assert!(values().all(|value| value.is_finite()), "{parameters:?}");
        assert!(model.loss.is_finite(), "{parameters:?}");
        assert!(loss(parameters, interactions, &model).unwrap().is_finite(), "{parameters:?}");
    }
}

#[test]
fn a_matrix_without_interactions_rows_or_columns_is_an_error() {
    for (n_users, n_items) in [(3, 4), (0, 4), (3, 0), (0, 0)] {
        let empty = Interactions::from_triplets(n_users, n_items, []).unwrap();
        for solver in SOLVERS {
            let error = fit(&Als { solver, ..Als::default() }, &empty).unwrap_err();
            assert!(matches!(error, AlsError::Empty { .. }), "{error}");
        }
    }
}

#[test]
fn one_pair_one_factor_and_more_factors_than_items_can_be_fitted() {
    let one = Interactions::from_triplets(1, 1, [(0, 0, 1.0)]).unwrap();
    for interactions in [one, small()] {
        for solver in SOLVERS {
            for factors in [1, 2, 16, 40, 300] {
                let parameters =
                    Als { factors, solver, block_size: 16, alpha: 5.0, iterations: 3, ..Als::default() };
                let model = fit(&parameters, &interactions).unwrap();
                assert_sound(&parameters, &interactions, Ok(model));
            }
        }
    }
}

#[test]
fn a_block_longer_than_the_factors_is_the_exact_solver() {
    let exact = Als {
        factors: 6,
        iterations: 3,
        solver: Solver::Cholesky,
        alpha: 4.0,
        regularization: 1.0,
        ..Als::default()
    };
    let block = Als { solver: Solver::IalsPlusPlus, block_size: 100, ..exact.clone() };
    let (exact, block) = (fit(&exact, &small()).unwrap(), fit(&block, &small()).unwrap());
    for (a, b) in exact.user_factors.values().iter().zip(block.user_factors.values()) {
        assert!((a - b).abs() < 1e-3 * (1.0 + a.abs()), "{a} and {b}");
    }
}

#[test]
fn extreme_parameters_give_finite_factors_or_an_error() {
    for solver in SOLVERS {
        for alpha in [1e-6, 1.0, 1e6] {
            for regularization in [0.0, 1e-30, 1.0, 1e6] {
                for unobserved_weight in [0.0, 1e-6, 1e6] {
                    for regularization_exponent in [0.0, 2.0] {
                        let parameters = Als {
                            factors: 3,
                            iterations: 4,
                            block_size: 2,
                            solver,
                            alpha,
                            regularization,
                            unobserved_weight,
                            regularization_exponent,
                            ..Als::default()
                        };
                        assert_sound(&parameters, &small(), fit(&parameters, &small()));
                    }
                }
            }
        }
    }
}

#[test]
fn without_weight_on_unobserved_pairs_all_scores_go_to_one() {
    for solver in SOLVERS {
        let parameters = Als {
            factors: 1,
            iterations: 30,
            block_size: 1,
            solver,
            weighting: Weighting::Binary,
            unobserved_weight: 0.0,
            regularization: 1e-3,
            ..Als::default()
        };
        let model = fit(&parameters, &small()).unwrap();
        for user in 0..9 {
            for item in 0..7 {
                let (x, y) = (model.user_factors.row(user), model.item_factors.row(item));
                let score: f32 = x.iter().zip(y).map(|(x, y)| x * y).sum();
                assert!((score - 1.0).abs() < 0.05, "{solver:?}: user {user}, item {item}: {score}");
            }
        }
    }
}

#[test]
fn a_parameter_out_of_its_range_is_named() {
    let refused = |parameters: Als| fit(&parameters, &small()).unwrap_err().to_string();
    assert_eq!(refused(Als { factors: 0, ..Als::default() }), "`factors` = 0 is not a number from 1 up");
    assert!(refused(Als { iterations: 0, ..Als::default() }).contains("`iterations`"));
    assert!(refused(Als { cg_steps: 0, ..Als::default() }).contains("`cg_steps`"));
    assert!(refused(Als { block_size: 0, ..Als::default() }).contains("`block_size`"));
    for value in [f64::NAN, f64::INFINITY, -1.0] {
        assert!(refused(Als { regularization: value, ..Als::default() }).contains("`regularization`"));
        assert!(refused(Als { unobserved_weight: value, ..Als::default() }).contains("`unobserved_weight`"));
        assert!(refused(Als { start_length: value, ..Als::default() }).contains("`start_length`"));
        assert!(refused(Als { tolerance: value, ..Als::default() }).contains("`tolerance`"));
        assert!(refused(Als { alpha: value, ..Als::default() }).contains("`alpha`"));
    }
}

#[test]
fn the_solver_of_blocks_is_called_as_in_its_paper() {
    let parameters: Als = serde_json::from_str(r#"{ "solver": "ials++" }"#).unwrap();
    assert_eq!(parameters.solver, Solver::IalsPlusPlus);
}
