//! By objective, by identity (the normal equations) and by reproducibility.

use std::ops::ControlFlow;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use super::*;
use crate::interactions::Interactions;
use crate::models::contract::assert_recommender;
use crate::models::weighting::Weighting;

/// Users with tastes: each prefers items of its own residue class.
fn tastes(n_users: u32, n_items: u32, seed: u64) -> Interactions {
    let mut random = Pcg64::seed_from_u64(seed);
    let mut triplets = Vec::new();
    for user in 0..n_users {
        for item in 0..n_items {
            let chance = if item % 4 == user % 4 { 0.4 } else { 0.03 };
            if random.random_bool(chance) {
                triplets.push((user, item, random.random_range(1..6) as f32));
            }
        }
    }
    Interactions::from_triplets(n_users as usize, n_items as usize, triplets).unwrap()
}

fn fit(parameters: &Als, interactions: &Interactions) -> (AlsModel, Vec<f64>) {
    let mut losses = Vec::new();
    let model = parameters.fit(interactions, |sweep| {
        losses.push(sweep.loss);
        ControlFlow::Continue(())
    });
    (model.unwrap(), losses)
}

#[test]
fn a_sweep_never_raises_the_objective_whatever_the_solver_and_weighting() {
    let interactions = tastes(120, 90, 1);
    for solver in [Solver::Cg, Solver::Cholesky, Solver::IalsPlusPlus] {
        for weighting in [Weighting::Linear, Weighting::Log, Weighting::Bm25, Weighting::Binary] {
            for alpha in [0.3, 1.0, 20.0] {
                let parameters = Als {
                    factors: 7,
                    block_size: 3,
                    iterations: 8,
                    solver,
                    weighting,
                    alpha,
                    ..Als::default()
                };
                let (_, losses) = fit(&parameters, &interactions);
                for pair in losses.windows(2) {
                    assert!(pair[1] <= pair[0] * (1.0 + 1e-6), "{parameters:?}: {losses:?}");
                }
            }
        }
    }
}

#[test]
fn the_loss_of_a_sweep_is_the_loss_of_the_factors() {
    let interactions = tastes(130, 70, 2);
    for (solver, factors) in
        [(Solver::Cg, 16), (Solver::Cg, 37), (Solver::Cholesky, 20), (Solver::IalsPlusPlus, 20)]
    {
        let parameters = Als {
            factors,
            block_size: 8,
            solver,
            iterations: 3,
            alpha: 5.0,
            regularization: 0.7,
            ..Als::default()
        };
        let scaled = Als {
            regularization: 0.01,
            regularization_exponent: 1.0,
            unobserved_weight: 0.3,
            ..parameters.clone()
        };
        for parameters in [parameters, scaled] {
            let (model, losses) = fit(&parameters, &interactions);
            let computed = loss(&parameters, &interactions, &model).unwrap();
            assert!(
                (losses[2] / computed - 1.0).abs() < 1e-5,
                "{parameters:?}: {} and {computed}",
                losses[2]
            );
            assert_eq!(model.loss, losses[2]);
        }
    }
}

#[test]
fn the_loss_is_the_formula_over_all_pairs() {
    let interactions = tastes(9, 8, 3);
    let parameters = Als {
        factors: 3,
        iterations: 2,
        alpha: 4.0,
        unobserved_weight: 0.6,
        regularization: 0.05,
        regularization_exponent: 0.5,
        ..Als::default()
    };
    let (model, _) = fit(&parameters, &interactions);
    let (mut error, mut weight, mut lengths) = (0.0, 0.0, 0.0);
    for user in 0..9 {
        let (items, values) = interactions.row(user);
        for item in 0..8 {
            let score: f32 = std::iter::zip(model.user_factors.row(user), model.item_factors.row(item))
                .map(|(x, y)| x * y)
                .sum();
            let (confidence, preference) = match items.binary_search(&(item as u32)) {
                Ok(at) => (4.0 * values[at], 1.0),
                Err(_) => (0.6, 0.0),
            };
            error += f64::from(confidence * (preference - score).powi(2));
            weight += f64::from(confidence);
        }
    }
    for (matrix, factors, n_columns) in
        [(&interactions, &model.user_factors, 8.0), (&interactions.transposed(), &model.item_factors, 9.0)]
    {
        for row in 0..factors.n_rows() {
            let n_interactions = matrix.row(row).0.len() as f64;
            let squares: f32 = factors.row(row).iter().map(|value| value * value).sum();
            lengths += 0.05 * (n_interactions + 0.6 * n_columns).sqrt() * f64::from(squares);
        }
    }
    let expected = (error + lengths) / weight;
    assert!((loss(&parameters, &interactions, &model).unwrap() / expected - 1.0).abs() < 1e-5);
}

#[test]
fn the_exact_solver_satisfies_the_normal_equations_of_the_last_half_step() {
    let interactions = tastes(60, 40, 4);
    let parameters = Als {
        factors: 5,
        iterations: 2,
        alpha: 3.0,
        unobserved_weight: 0.4,
        regularization: 0.02,
        regularization_exponent: 1.0,
        solver: Solver::Cholesky,
        ..Als::default()
    };
    let (model, _) = fit(&parameters, &interactions);
    let (users, items, by_item) = (&model.user_factors, &model.item_factors, interactions.transposed());
    for item in 0..40 {
        let (raters, values) = by_item.row(item);
        let mut gradient = vec![0.0f32; 5];
        for user in 0..60 {
            let x = users.row(user);
            let score: f32 = x.iter().zip(items.row(item)).map(|(x, y)| x * y).sum();
            let (c, p) =
                raters.binary_search(&(user as u32)).map_or((0.4, 0.0), |at| (3.0 * values[at], 1.0));
            gradient.iter_mut().zip(x).for_each(|(g, x)| *g += c * (p - score) * x);
        }
        let lambda = 0.02 * (raters.len() as f32 + 0.4 * 60.0);
        for (g, y) in gradient.iter().zip(items.row(item)) {
            assert!((g - lambda * y).abs() < 1e-3, "item {item}: {gradient:?}");
        }
    }
}

#[test]
fn many_cg_steps_reach_the_exact_solution() {
    let interactions = tastes(80, 60, 5);
    let exact = Als {
        factors: 8,
        iterations: 6,
        alpha: 2.0,
        regularization: 1.0,
        solver: Solver::Cholesky,
        ..Als::default()
    };
    let steps = Als { solver: Solver::Cg, cg_steps: 30, ..exact.clone() };
    let ((exact, _), (steps, _)) = (fit(&exact, &interactions), fit(&steps, &interactions));
    // Conjugate gradients turn all vectors alike, so the scores are compared.
    let score = |model: &AlsModel, user: usize, item: usize| -> f32 {
        let pairs = model.user_factors.row(user).iter().zip(model.item_factors.row(item));
        pairs.map(|(x, y)| x * y).sum()
    };
    for user in 0..80 {
        for item in 0..60 {
            let (a, b) = (score(&exact, user, item), score(&steps, user, item));
            assert!((a - b).abs() < 2e-3, "{a} and {b}");
        }
    }
}

#[test]
fn the_bits_do_not_depend_on_the_thread_count() {
    let interactions = tastes(300, 400, 6);
    for solver in [Solver::Cg, Solver::Cholesky, Solver::IalsPlusPlus] {
        let parameters = Als { factors: 20, iterations: 2, solver, ..Als::default() };
        let with_threads = |n_threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            pool.install(|| fit(&parameters, &interactions))
        };
        assert_eq!(with_threads(1), with_threads(3));
    }
}

#[test]
fn another_seed_gives_other_factors() {
    let interactions = tastes(30, 20, 7);
    let parameters = Als { factors: 4, iterations: 1, ..Als::default() };
    let other = Als { seed: 7, ..parameters.clone() };
    assert_ne!(fit(&parameters, &interactions).0, fit(&other, &interactions).0);
}

#[test]
fn rows_without_interactions_are_zero_and_others_are_not() {
    let interactions = Interactions::from_triplets(4, 5, [(0, 1, 1.0), (2, 1, 2.0), (2, 3, 1.0)]).unwrap();
    let (model, _) = fit(&Als { factors: 3, ..Als::default() }, &interactions);
    assert_eq!(model.user_factors.nonzero_rows().collect::<Vec<_>>(), [0, 2]);
    assert_eq!(model.item_factors.nonzero_rows().collect::<Vec<_>>(), [1, 3]);
}

#[test]
fn a_row_longer_than_the_scratch_is_solved_in_pieces() {
    let triplets = (0..8000).map(|user| (user, u32::from(user % 8 == 0), 1.0 + (user % 3) as f32));
    let interactions = Interactions::from_triplets(8000, 2, triplets).unwrap();
    let parameters = Als { factors: 17, iterations: 2, alpha: 2.0, regularization: 1.0, ..Als::default() };
    let (model, losses) = fit(&parameters, &interactions);
    let computed = loss(&parameters, &interactions, &model).unwrap();
    // Relative to the loss of no factors, 1, of which 1 % is left: f32 sums of 9,000 terms cancel.
    assert!((losses[1] - computed).abs() < 1e-5, "{} and {computed}", losses[1]);
}

#[test]
fn the_fit_ends_when_the_listener_says_so() {
    let mut sweeps = 0;
    let parameters = Als { factors: 2, ..Als::default() };
    let model = parameters.fit(&tastes(10, 10, 8), |sweep| {
        sweeps += 1;
        if sweep.done == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(sweeps, 3);
    assert!(model.unwrap().loss.is_finite());
}

#[test]
fn what_cannot_be_fitted_is_said() {
    let empty = Interactions::from_triplets(3, 4, []).unwrap();
    let message = Als::default().fit(&empty, |_| ControlFlow::Continue(())).unwrap_err().to_string();
    assert!(message.contains("3 users × 4 items"), "{message}");

    let huge = Interactions::from_triplets(2, 2, [(0, 0, 1e38), (1, 1, 2.0)]).unwrap();
    let parameters = Als { alpha: 100.0, ..Als::default() };
    let message = parameters.fit(&huge, |_| ControlFlow::Continue(())).unwrap_err().to_string();
    assert!(message.contains("`alpha` = 100"), "{message}");

    let parameters = Als { factors: 4, regularization: 1e6, ..Als::default() };
    let error = parameters.fit(&tastes(20, 20, 9), |_| ControlFlow::Continue(())).unwrap_err();
    assert!(matches!(error, AlsError::Vanished { .. }), "{error}");

    let one = Interactions::from_triplets(1, 1, [(0, 0, 1.0)]).unwrap();
    let parameters = Als { factors: 4, regularization: 0.0, solver: Solver::Cholesky, ..Als::default() };
    let error = parameters.fit(&one, |_| ControlFlow::Continue(())).unwrap_err();
    assert!(matches!(error, AlsError::Singular { sweep: 1, side: "user", row: 0 }), "{error}");
}

#[test]
fn it_keeps_the_contract_of_a_recommender() {
    let parameters = Als { factors: 3, iterations: 20, alpha: 2.0, regularization: 1.0, ..Als::default() };
    assert_recommender(|board| fit(&parameters, board).0);
}

#[test]
fn a_fit_resumed_from_a_state_has_the_bits_of_one_without_a_break() {
    let interactions = tastes(60, 50, 10);
    for solver in [Solver::Cg, Solver::Cholesky, Solver::IalsPlusPlus] {
        let parameters = Als { factors: 17, block_size: 5, iterations: 5, solver, ..Als::default() };
        let mut states = Vec::new();
        let whole = parameters.fit(&interactions, |sweep| {
            states.push(sweep.state());
            ControlFlow::Continue(())
        });
        let whole = whole.unwrap();
        for state in states {
            let done = state.done;
            let mut sweeps = Vec::new();
            let resumed = parameters.fit_from(&interactions, Some(state), |sweep| {
                sweeps.push(sweep.done);
                ControlFlow::Continue(())
            });
            assert_eq!(resumed.unwrap(), whole, "{solver:?} after {done}");
            assert_eq!(sweeps, (done + 1..=5).collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_state_of_another_fit_is_refused() {
    let interactions = tastes(20, 15, 11);
    let parameters = Als { factors: 3, ..Als::default() };
    let state = |n_users: usize, n_factors: usize, value: f32| AlsState {
        done: 1,
        loss: 0.5,
        user_factors: Factors::new(n_users, n_factors, vec![value; n_users * n_factors]),
        item_factors: Factors::new(15, n_factors, vec![value; 15 * n_factors]),
    };
    let refused = |state: AlsState| {
        let outcome = parameters.fit_from(&interactions, Some(state), |_| ControlFlow::Continue(()));
        outcome.unwrap_err().to_string()
    };
    assert!(refused(state(21, 3, 1.0)).contains("21 users × 15 items with 3 factors"));
    assert!(refused(state(20, 4, 1.0)).contains("20 users × 15 items with 4 factors"));
    assert!(refused(state(20, 3, f32::NAN)).contains("not finite"));
}

#[test]
fn the_fit_ends_when_the_loss_hardly_falls() {
    let interactions = tastes(60, 50, 12);
    let parameters = Als { factors: 4, iterations: 200, tolerance: 1e-3, ..Als::default() };
    let (model, losses) = fit(&parameters, &interactions);
    let falls: Vec<f64> = losses.windows(2).map(|two| 1.0 - two[1] / two[0]).collect();
    let (last, others) = falls.split_last().unwrap();
    assert!(losses.len() < 200 && *last < 1e-3 && others.iter().all(|fall| *fall >= 1e-3), "{falls:?}");
    assert_eq!(model.loss, *losses.last().unwrap());
}

#[test]
fn published_settings_rank_as_the_published_objective() {
    // Rendle's objective, minimised by its own normal equations in f64 from our solution: a solution of
    // ours is a fixed point, up to the scale.
    let interactions = tastes(40, 30, 14);
    let (alpha0, lambda, exponent) = (0.3, 0.02, 1.0);
    let parameters = Als {
        factors: 4,
        iterations: 400,
        weighting: Weighting::Binary,
        alpha: 1.0 + alpha0,
        unobserved_weight: alpha0,
        regularization: (1.0 + alpha0) * lambda,
        regularization_exponent: exponent,
        solver: Solver::Cholesky,
        ..Als::default()
    };
    let (model, _) = fit(&parameters, &interactions);
    let scale = 1.0 / (1.0 + alpha0).sqrt();
    let score = |a: &[f32], b: &[f32]| -> f64 {
        scale * scale * a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>()
    };
    for user in 0..40 {
        let x = model.user_factors.row(user);
        let (items, _) = interactions.row(user);
        let weight = lambda * (items.len() as f64 + alpha0 * 30.0).powf(exponent);
        for k in 0..4 {
            let mut gradient = weight * scale * f64::from(x[k]);
            for item in 0..30 {
                let y = model.item_factors.row(item as usize);
                let score = score(x, y);
                let observed = if items.binary_search(&item).is_ok() { score - 1.0 } else { 0.0 };
                gradient += (observed + alpha0 * score) * scale * f64::from(y[k]);
            }
            assert!(gradient.abs() < 1e-3, "user {user}, factor {k}: {gradient}");
        }
    }
}
