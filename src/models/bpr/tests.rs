//! By what is learned, by reproducibility, and with input that is hardly any.

use super::*;
use crate::models::contract::{assert_recommender, checkerboard};

fn fit(parameters: &Bpr, interactions: &Interactions) -> (BprModel, Vec<Epoch>) {
    let mut epochs = Vec::new();
    let model = parameters.fit(interactions, |epoch| {
        epochs.push(epoch);
        ControlFlow::Continue(())
    });
    (model.unwrap(), epochs)
}

fn bits(model: &BprModel) -> Vec<u32> {
    let tables = [&model.user_factors, &model.item_factors];
    tables.iter().flat_map(|table| table.values()).map(|value| value.to_bits()).collect()
}

fn quick() -> Bpr {
    Bpr { factors: 8, iterations: 200, learning_rate: 0.1, deterministic: true, ..Bpr::default() }
}

/// Enough for many blocks, so that threads meet.
fn many() -> Interactions {
    let pairs = (0..3000u32)
        .flat_map(|user| (0..20).map(move |n| (user, (user % 10) + 10 * ((n * 7 + user / 10) % 30), 1.0)));
    Interactions::from_triplets(3000, 300, pairs).unwrap()
}

#[test]
fn it_keeps_the_contract_of_recommenders() {
    for negatives in [Negatives::Uniform, Negatives::Popularity] {
        let parameters = Bpr { negatives, ..quick() };
        assert_recommender(|board| fit(&parameters, board).0);
    }
}

#[test]
fn the_share_of_correct_comparisons_rises_from_chance_to_certainty() {
    for deterministic in [false, true] {
        let (_, epochs) = fit(&Bpr { iterations: 30, deterministic, ..quick() }, &many());
        assert!((epochs[0].train_auc() - 0.5).abs() < 0.1, "{:?}", epochs[0]);
        assert!(epochs[29].train_auc() > 0.95, "{:?}", epochs[29]);
        assert!(epochs.iter().all(|epoch| epoch.n_samples == 60_000 && epoch.total == 30));
        // A user has 20 of 300 items, all equally popular.
        assert!((epochs[5].skipped() - 20.0 / 300.0).abs() < 0.01, "{}", epochs[5].skipped());
    }
}

#[test]
fn deterministic_means_the_same_bits_at_any_thread_count() {
    let interactions = many();
    let with_threads = |n_threads, seed| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        bits(&pool.install(|| fit(&Bpr { iterations: 2, seed, ..quick() }, &interactions)).0)
    };
    assert_eq!(with_threads(1, 5), with_threads(3, 5));
    assert_ne!(with_threads(1, 5), with_threads(1, 6));
}

#[test]
fn one_thread_of_many_learns_what_the_deterministic_mode_learns() {
    let interactions = many();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let free = pool.install(|| fit(&Bpr { iterations: 2, deterministic: false, ..quick() }, &interactions));
    assert_eq!(bits(&free.0), bits(&fit(&Bpr { iterations: 2, ..quick() }, &interactions).0));
}

#[test]
fn a_fit_that_is_stopped_gives_the_model_so_far() {
    let mut n_epochs = 0;
    let model = quick().fit(&checkerboard(), |epoch| {
        n_epochs = epoch.done;
        if epoch.done == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(n_epochs, 3);
    assert_eq!(bits(&model.unwrap()), bits(&fit(&Bpr { iterations: 3, ..quick() }, &checkerboard()).0));
}

#[test]
fn the_last_column_is_one_for_users_and_the_bias_for_items() {
    // Everybody has item 0, half have item 1: item 0 wins its comparisons.
    let pairs = (0..40u32).flat_map(|user| [(user, 0, 1.0), (user, 1 + user % 2, 1.0)]);
    let interactions = Interactions::from_triplets(41, 4, pairs).unwrap();
    let (model, _) = fit(&Bpr { negatives: Negatives::Uniform, ..quick() }, &interactions);
    assert!((0..40).all(|user| model.user_factors.row(user)[8] == 1.0));
    assert!(model.user_factors.is_zero(40), "a user without interactions");
    assert!(model.item_factors.is_zero(3), "an item without interactions");
    assert!(model.item_factors.row(0)[8] > model.item_factors.row(1)[8]);
}

#[test]
fn hardly_any_input_gives_finite_factors() {
    let one = Interactions::from_triplets(1, 1, [(0, 0, 1.0)]).unwrap();
    let (model, epochs) = fit(&Bpr { verify_negatives: false, ..quick() }, &one);
    assert_eq!((epochs[0].n_compared, epochs[0].train_auc(), epochs[0].skipped()), (0, 0.5, 1.0));
    assert!(model.item_factors.values().iter().all(|value| value.is_finite()));
    let few = Interactions::from_triplets(5, 9, [(1, 2, 1.0), (3, 2, 4.0), (3, 8, 1.0)]).unwrap();
    for factors in [1, 100] {
        let (model, _) = fit(&Bpr { factors, ..quick() }, &few);
        assert_eq!(model.item_factors.n_factors(), factors + 1);
        assert_eq!(model.item_factors.nonzero_rows().collect::<Vec<_>>(), [2, 8]);
        assert_eq!(model.user_factors.nonzero_rows().collect::<Vec<_>>(), [1, 3]);
        assert!(model.user_factors.values().iter().all(|value| value.is_finite()));
    }
}

#[test]
fn nothing_to_learn_from_is_an_error() {
    for (n_users, n_items) in [(0, 0), (3, 0), (0, 3), (3, 4)] {
        let empty = Interactions::from_triplets(n_users, n_items, []).unwrap();
        let error = quick().fit(&empty, |_| ControlFlow::Continue(())).unwrap_err();
        assert!(matches!(error, BprError::Empty { .. }));
    }
}

#[test]
fn steps_that_are_too_large_are_an_error() {
    let parameters = Bpr { learning_rate: 10.0, regularization: 10.0, ..quick() };
    let error = parameters.fit(&many(), |_| ControlFlow::Continue(())).unwrap_err();
    assert!(error.to_string().contains("no longer finite numbers with `learning_rate` = 10"), "{error}");
}
