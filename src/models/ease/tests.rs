//! By definition on small matrices, by brute force, and on input that is hardly any.

use super::*;
use crate::models::contract::{assert_recommender, checkerboard};

fn go(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Users 0 and 1 have items 0 and 2, user 2 has item 2 only; nobody has item 1.
fn small() -> Interactions {
    let pairs = [(0, 0, 5.0), (0, 2, 1.0), (1, 0, 1.0), (1, 2, 2.0), (2, 2, 1.0)];
    Interactions::from_triplets(4, 3, pairs).unwrap()
}

#[test]
fn it_recommends() {
    assert_recommender(|board| Ease { regularization: 5.0, ..Ease::default() }.fit(board, go).unwrap());
}

#[test]
fn weights_are_those_worked_by_hand() {
    // XᵀX + I = [3 2; 2 4], P = [4 −2; −2 3] / 8, B_02 = −P_02 / P_22 = 2/3, B_20 = −P_20 / P_00 = 1/2.
    let model = Ease { regularization: 1.0, ..Ease::default() }.fit(&small(), go).unwrap();
    let row = |item| {
        let (items, weights) = model.weights.row(item);
        items.iter().copied().zip(weights.iter().copied()).collect::<Vec<_>>()
    };
    let close = |row: Vec<(u32, f32)>, item: u32, weight: f32| {
        assert_eq!(row.len(), 1);
        assert_eq!(row[0].0, item);
        assert!((row[0].1 - weight).abs() < 1e-6, "{row:?}");
    };
    close(row(0), 2, 2.0 / 3.0);
    assert!(row(1).is_empty());
    close(row(2), 0, 0.5);
}

#[test]
fn exponents_normalise_the_matrix_and_scale_the_weights() {
    // Degrees of users 2, 2, 1 and of items 2, 0, 3. With a = ½, c = 1, p = ½ the rows of X are
    // (√½/2, √½/3) twice and (0, 1/3): XᵀX + I = [5/4 1/6; 1/6 11/9], P = [11/9 −1/6; −1/6 5/4] / det.
    let parameters = Ease {
        regularization: 1.0,
        user_exponent: 0.5,
        item_exponent: 1.0,
        popularity_exponent: 0.5,
        ..Ease::default()
    };
    let model = parameters.fit(&small(), go).unwrap();
    let forward = (1.0 / 6.0) / (5.0 / 4.0) / 2.0 * 3f32.sqrt();
    let back = (1.0 / 6.0) / (11.0 / 9.0) / 3.0 * 2f32.sqrt();
    assert!((model.weights.row(0).1[0] - forward).abs() < 1e-6, "{:?} {forward}", model.weights.row(0));
    assert!((model.weights.row(2).1[0] - back).abs() < 1e-6, "{:?} {back}", model.weights.row(2));
    assert_recommender(|board| {
        let parameters = Ease { regularization: 0.5, item_exponent: 0.25, ..parameters.clone() };
        parameters.fit(board, go).unwrap()
    });
}

#[test]
fn exponents_out_of_range_are_an_error() {
    for (user_exponent, item_exponent, popularity_exponent) in
        [(3.0, 0.0, 0.0), (0.0, f64::NAN, 0.0), (0.0, 0.0, -2.5)]
    {
        let parameters = Ease { user_exponent, item_exponent, popularity_exponent, ..Ease::default() };
        let error = parameters.fit(&small(), go);
        assert!(matches!(error, Err(EaseError::Parameter { .. })), "{error:?}");
    }
}

#[test]
fn no_other_weights_have_a_smaller_objective() {
    let (board, regularization) = (checkerboard(), 3.0);
    let model = Ease { regularization, ..Ease::default() }.fit(&board, go).unwrap();
    let n = board.n_items();
    let objective = |change: Option<(usize, usize, f64)>| {
        let mut weights = vec![vec![0.0f64; n]; n];
        for (item, row) in weights.iter_mut().enumerate() {
            let (items, values) = model.weights.row(item);
            items.iter().zip(values).for_each(|(&to, &value)| row[to as usize] = f64::from(value));
        }
        if let Some((from, to, by)) = change {
            weights[from][to] += by;
        }
        let penalty: f64 = weights.iter().flatten().map(|weight| weight * weight).sum();
        let misfit = (0..board.n_users()).map(|user| {
            let items = board.row(user).0;
            let error = |item: usize| {
                let score: f64 = items.iter().map(|&from| weights[from as usize][item]).sum();
                let truth = f64::from(u8::from(items.contains(&(item as u32))));
                (truth - score).powi(2)
            };
            (0..n).map(error).sum::<f64>()
        });
        misfit.sum::<f64>() + regularization * penalty
    };
    let minimum = objective(None);
    for change in [(0, 2, 0.01), (0, 2, -0.01), (3, 4, 0.01), (3, 4, -0.01), (50, 1, 0.01)] {
        assert!(objective(Some(change)) > minimum, "{change:?}");
    }
}

#[test]
fn each_item_keeps_its_largest_weights() {
    let all = Ease::default().fit(&checkerboard(), go).unwrap().weights;
    let few = Ease { weights_per_item: 3, ..Ease::default() }.fit(&checkerboard(), go).unwrap().weights;
    let size = |weights: &ItemWeights, item| weights.row(item).1.iter().map(|w| w.abs()).fold(0.0, f32::max);
    for item in 0..50 {
        assert_eq!(few.row(item).0.len(), 3);
        assert_eq!(size(&few, item), size(&all, item));
    }
}

#[test]
fn an_empty_matrix_is_an_error() {
    for (n_users, n_items) in [(0, 0), (3, 0), (0, 3), (3, 4)] {
        let empty = Interactions::from_triplets(n_users, n_items, []).unwrap();
        assert!(matches!(Ease::default().fit(&empty, go), Err(EaseError::Empty { .. })));
    }
}

#[test]
fn one_item_leads_nowhere() {
    let one = Interactions::from_triplets(2, 1, [(0, 0, 1.0)]).unwrap();
    assert_eq!(Ease::default().fit(&one, go).unwrap().weights.weights(), [0f32; 0]);
}

#[test]
fn too_many_items_are_refused_with_what_they_would_take() {
    let limited = Ease { memory_limit_gib: 0.001, ..Ease::default() };
    let message = limited.fit(&checkerboard(), go).map(|_| ()).map_err(|error| error.to_string());
    assert_eq!(message, Ok(()), "50 items fit");
    let many = Interactions::from_triplets(1, 60_000, (0..60_000).map(|item| (0, item, 1.0))).unwrap();
    let message = Ease { memory_limit_gib: 1.0, ..Ease::default() }.fit(&many, go).unwrap_err().to_string();
    assert_eq!(message, "60000 items take 7.4 GiB of memory, `memory_limit_gib` allows 1");
}

#[test]
fn items_that_nobody_has_take_no_memory() {
    let few = Interactions::from_triplets(2, 1_000_000, [(0, 7, 1.0), (0, 999_999, 1.0)]).unwrap();
    let model = Ease { memory_limit_gib: 0.01, ..Ease::default() }.fit(&few, go).unwrap();
    assert_eq!(model.weights.row(7).0, [999_999]);
}

#[test]
fn no_regularization_is_an_error_where_items_are_twins() {
    let error = Ease { regularization: 0.0, ..Ease::default() }.fit(&checkerboard(), go);
    assert!(error.is_ok() || matches!(error, Err(EaseError::Singular { .. })));
    let twins = Interactions::from_triplets(1, 2, [(0, 0, 1.0), (0, 1, 1.0)]).unwrap();
    let error = Ease { regularization: 0.0, ..Ease::default() }.fit(&twins, go);
    assert!(matches!(error, Err(EaseError::Singular { .. })), "{error:?}");
}

#[test]
fn the_fit_can_be_stopped() {
    let stopped = Ease::default().fit(&checkerboard(), |_| ControlFlow::Break(()));
    assert!(matches!(stopped, Err(EaseError::Stopped)));
}
