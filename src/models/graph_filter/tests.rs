//! By dense linear algebra on small matrices, and on input that is hardly any.

use std::convert::Infallible;

use faer::Mat;
use faer::linalg::solvers::DenseSolveCore;

use super::*;
use crate::models::contract::{assert_recommender, checkerboard};

fn go(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn it_recommends() {
    for smoothing in [0.05, 0.2, 1e6] {
        let parameters = GraphFilter { smoothing, ..GraphFilter::default() };
        assert_recommender(|board| parameters.fit(board, go).unwrap());
    }
}

/// Some users and items of unequal degrees; nobody has the last item.
fn uneven() -> Interactions {
    let pairs = (0..90u32).flat_map(|user| {
        let items = (0..70u32).filter(move |item| (user * user + 3 * item) % (2 + item % 11 + user % 5) == 0);
        items.map(move |item| (user, item, 1.0 + user as f32))
    });
    Interactions::from_triplets(90, 71, pairs).unwrap()
}

#[test]
fn weights_are_those_of_the_dense_formula() {
    let board = uneven();
    let parameters = GraphFilter {
        user_exponent: 0.4,
        item_exponent: 0.3,
        popularity_exponent: 0.1,
        smoothing: 0.3,
        ..GraphFilter::default()
    };
    let model = parameters.fit(&board, go).unwrap();
    let (n_users, n_items) = (board.n_users(), board.n_items());
    let counts: Vec<f64> = board.item_counts().iter().map(|&count| f64::from(count.max(1))).collect();
    let n = Mat::from_fn(n_users, n_items, |user, item| {
        let items = board.row(user).0;
        let chosen = f64::from(u8::from(items.contains(&(item as u32))));
        chosen * (items.len().max(1) as f64).powf(-0.4) * counts[item].powf(-0.3)
    });
    let gram = n.transpose() * &n;
    let largest = gram.self_adjoint_eigenvalues(faer::Side::Lower).unwrap().last().copied().unwrap();
    // The margin of the power iteration is part of the definition to three digits only.
    let g = gram * faer::Scale(1.0 / (1.01 * largest));
    let damped = &g + Mat::<f64>::identity(n_items, n_items) * faer::Scale(0.3);
    let filtered = &g * damped.partial_piv_lu().inverse() * faer::Scale(1.3);
    let mut weights = Mat::<f64>::zeros(n_items, n_items);
    for item in 0..n_items {
        let (items, values) = model.weights.row(item);
        items.iter().zip(values).for_each(|(&to, &value)| weights[(item, to as usize)] = f64::from(value));
    }
    for item in 0..n_items {
        for other in 0..n_items {
            let exact = if item == other {
                0.0
            } else {
                counts[item].powf(-0.3) * filtered[(item, other)] * counts[other].powf(0.1)
            };
            let error = (weights[(item, other)] - exact).abs();
            assert!(error < 3e-3, "{item} {other}: {} {exact}", weights[(item, other)]);
        }
    }
}

#[test]
fn without_bound_the_filter_is_one_step() {
    let board = uneven();
    let step = GraphFilter {
        user_exponent: 1.0,
        item_exponent: 0.0,
        popularity_exponent: 0.0,
        smoothing: 1e6,
        ..GraphFilter::default()
    };
    let model = step.fit(&board, go).unwrap();
    let users = board.transposed();
    let shared = |a: usize, b: usize| -> f32 {
        let others = users.row(b).0;
        let both = users.row(a).0.iter().filter(|user| others.contains(user));
        both.map(|&user| 1.0 / (board.row(user as usize).0.len() as f32).powi(2)).sum()
    };
    let (items, weights) = model.weights.row(0);
    let scale = weights[0] / shared(0, items[0] as usize);
    for (&item, weight) in items.iter().zip(weights) {
        assert!((weight - scale * shared(0, item as usize)).abs() < 1e-4 * scale, "{item}");
    }
}

#[test]
fn an_empty_matrix_is_an_error() {
    for (n_users, n_items) in [(0, 0), (3, 0), (0, 3), (3, 4)] {
        let empty = Interactions::from_triplets(n_users, n_items, []).unwrap();
        assert!(matches!(GraphFilter::default().fit(&empty, go), Err(GraphFilterError::Empty { .. })));
    }
}

#[test]
fn one_pair_leads_nowhere() {
    let one = Interactions::from_triplets(2, 3, [(0, 1, 1.0)]).unwrap();
    let model = GraphFilter::default().fit(&one, go).unwrap();
    assert_eq!(model.weights.weights(), [0f32; 0]);
    let mut lists = 0;
    let request = Request { users: &[0, 1], history: &one, n: 5, filter_seen: false };
    let Ok(()) = model.recommend(&request, |block| {
        lists += block.lists.n_entries();
        Ok::<(), Infallible>(())
    });
    assert_eq!(lists, 0);
}

#[test]
fn parameters_out_of_range_are_an_error() {
    for parameters in [
        GraphFilter { smoothing: 0.0, ..GraphFilter::default() },
        GraphFilter { smoothing: f64::NAN, ..GraphFilter::default() },
        GraphFilter { user_exponent: 900.0, ..GraphFilter::default() },
        GraphFilter { item_exponent: f64::INFINITY, ..GraphFilter::default() },
        GraphFilter { popularity_exponent: -3.0, ..GraphFilter::default() },
    ] {
        let error = parameters.fit(&checkerboard(), go).unwrap_err();
        assert!(matches!(error, GraphFilterError::Parameter { .. }), "{error}");
    }
}

#[test]
fn weights_do_not_depend_on_the_thread_count() {
    let board = uneven();
    let with_threads = |n_threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| GraphFilter::default().fit(&board, go)).unwrap()
    };
    assert_eq!(with_threads(1), with_threads(3));
}

#[test]
fn the_work_can_be_stopped() {
    let stopped = GraphFilter::default().fit(&checkerboard(), |_| ControlFlow::Break(()));
    assert!(matches!(stopped, Err(GraphFilterError::Stopped)));
}
