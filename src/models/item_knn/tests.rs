//! By brute force, by hand, by the contract, and with input that is hardly any.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use super::*;
use crate::models::contract::assert_recommender;

const ALL: [Similarity; 3] = [Similarity::Cosine, Similarity::TfIdf, Similarity::Bm25];

fn fit(parameters: &ItemKnn, interactions: &Interactions) -> ItemKnnModel {
    parameters.fit(interactions, |_| ControlFlow::Continue(())).unwrap()
}

/// Popular and rare items, users with few and many.
fn sample(n_users: u32, n_items: u32, seed: u64) -> Interactions {
    let mut random = Pcg64::seed_from_u64(seed);
    let mut triplets = Vec::new();
    for user in 0..n_users {
        let appetite = random.random::<f64>().powi(3);
        for item in 0..n_items {
            if random.random_bool(appetite / (1.0 + f64::from(item * 7 % n_items) / 20.0)) {
                triplets.push((user, item, random.random_range(1..6) as f32));
            }
        }
    }
    Interactions::from_triplets(n_users as usize, n_items as usize, triplets).unwrap()
}

/// The formulas of `implicit`, written down once more for dense arrays; items × users.
fn plain_weights(parameters: &ItemKnn, interactions: &Interactions) -> Vec<Vec<f64>> {
    let (n_users, n_items) = (interactions.n_users(), interactions.n_items());
    let mut rows = vec![vec![0.0; n_users]; n_items];
    let mut n_of_user = vec![0.0; n_users];
    for user in 0..n_users {
        let (items, counts) = interactions.row(user);
        n_of_user[user] = items.len() as f64;
        items.iter().zip(counts).for_each(|(&item, &count)| rows[item as usize][user] = f64::from(count));
    }
    let lengths: Vec<f64> = rows.iter().map(|row| row.iter().sum()).collect();
    let mean_length = lengths.iter().sum::<f64>() / n_items as f64;
    let idf = |user: usize| (n_items as f64).ln() - n_of_user[user].ln_1p();
    for (row, length) in rows.iter_mut().zip(&lengths) {
        let norm = 1.0 - parameters.b + parameters.b * length / mean_length;
        for (user, value) in row.iter_mut().enumerate() {
            *value = match parameters.similarity {
                Similarity::Cosine => *value,
                Similarity::TfIdf => value.sqrt() * idf(user),
                Similarity::Bm25 => {
                    *value * (parameters.k1 + 1.0) / (parameters.k1 * norm + *value) * idf(user)
                }
            };
        }
        let length = row.iter().map(|value| value * value).sum::<f64>().sqrt();
        if parameters.similarity != Similarity::Bm25 && length > 0.0 {
            row.iter_mut().for_each(|value| *value /= length);
        }
    }
    rows
}

#[test]
fn the_neighbours_are_those_of_the_full_product() {
    // The second has more items than a segment.
    for (n_users, n_items) in [(90, 70), (40, 1500)] {
        let interactions = sample(n_users, n_items, 1);
        for similarity in ALL {
            let parameters = ItemKnn { similarity, neighbours: 9, ..ItemKnn::default() };
            let model = fit(&parameters, &interactions);
            let rows = plain_weights(&parameters, &interactions);
            for item in 0..n_items as usize {
                let product =
                    |other: usize| -> f64 { rows[item].iter().zip(&rows[other]).map(|(a, b)| a * b).sum() };
                let mut plain: Vec<f64> = (0..n_items as usize).map(product).filter(|&s| s > 1e-12).collect();
                plain.sort_by(|a, b| b.total_cmp(a));
                plain.truncate(9);
                let (others, similarities) = model.similarities.row(item);
                assert_eq!(others.len(), plain.len(), "{similarity:?} {item}");
                for (&other, &similarity) in others.iter().zip(similarities) {
                    let expected = product(other as usize);
                    assert!((f64::from(similarity) / expected - 1.0).abs() < 1e-4);
                }
                let mut sorted = similarities.to_vec();
                sorted.sort_by(|a, b| b.total_cmp(a));
                for (found, plain) in sorted.iter().zip(&plain) {
                    assert!((f64::from(*found) / plain - 1.0).abs() < 1e-4, "{similarity:?} {item}");
                }
            }
        }
    }
}

#[test]
fn cosines_by_hand() {
    // Item 0: (1, 2), item 1: (0, 3), item 2: (4, 0).
    let pairs = [(0, 0, 1.0), (1, 0, 2.0), (1, 1, 3.0), (0, 2, 4.0)];
    let interactions = Interactions::from_triplets(2, 3, pairs).unwrap();
    let model = fit(&ItemKnn { neighbours: 2, ..ItemKnn::default() }, &interactions);
    let (others, similarities) = model.similarities.row(0);
    assert_eq!(others, [0, 1]);
    assert!((similarities[0] - 1.0).abs() < 1e-6 && (similarities[1] - 2.0 / 5f32.sqrt()).abs() < 1e-6);
    assert_eq!(model.similarities.row(2).0, [0, 2], "1 and 2 share no user");
}

#[test]
fn equal_similarities_go_to_the_smaller_item() {
    let pairs = (0..3u32).flat_map(|user| (0..40).map(move |item| (user, item, 1.0)));
    let interactions = Interactions::from_triplets(3, 40, pairs).unwrap();
    let model = fit(&ItemKnn { neighbours: 4, ..ItemKnn::default() }, &interactions);
    assert!((0..40).all(|item| model.similarities.row(item).0 == [0, 1, 2, 3]));
}

#[test]
fn it_keeps_the_contract_of_recommenders() {
    for similarity in ALL {
        assert_recommender(|board| {
            fit(&ItemKnn { similarity, neighbours: 100, ..ItemKnn::default() }, board)
        });
    }
}

#[test]
fn contributions_sum_to_the_score() {
    let interactions = sample(60, 50, 3);
    let model = fit(&ItemKnn { similarity: Similarity::TfIdf, ..ItemKnn::default() }, &interactions);
    let users: Vec<u32> = (0..60).collect();
    let request = Request { users: &users, history: &interactions, n: 50, filter_seen: false };
    let mut n_explained = 0;
    let done = model.recommend(&request, |block| {
        for (&user, (items, scores)) in block.queries.iter().zip(block.lists.iter()) {
            for (&item, &score) in items.iter().zip(scores) {
                let parts = model.explain(interactions.row(user as usize), item);
                let sum: f32 = parts.iter().map(|part| part.1).sum();
                assert!((sum / score - 1.0).abs() < 1e-5, "{sum} is not {score}");
                assert!(parts.windows(2).all(|two| two[0].1 >= two[1].1));
                n_explained += 1;
            }
        }
        Ok::<(), ()>(())
    });
    assert!(done.is_ok() && n_explained > 1000);
    assert!(model.explain((&[999], &[1.0]), 0).is_empty(), "an item that the model does not know");
}

#[test]
fn the_similarities_do_not_depend_on_the_thread_count() {
    let interactions = sample(300, 200, 5);
    let with_threads = |n_threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| fit(&ItemKnn::default(), &interactions))
    };
    assert_eq!(with_threads(1), with_threads(3));
}

#[test]
fn hardly_any_input_gives_finite_similarities() {
    let one = Interactions::from_triplets(1, 1, [(0, 0, 2.0)]).unwrap();
    let few = Interactions::from_triplets(5, 9, [(1, 2, 1.0), (3, 2, 4.0), (3, 8, 1e-30)]).unwrap();
    // The user has all items but one, who says nothing by the inverse document frequency.
    let mute = Interactions::from_triplets(2, 3, [(0, 0, 1.0), (0, 2, 1.0)]).unwrap();
    for similarity in ALL {
        for neighbours in [1, 1000] {
            let parameters = ItemKnn { similarity, neighbours, ..ItemKnn::default() };
            assert_eq!(fit(&parameters, &one).similarities.row(0).0, [0]);
            let model = fit(&parameters, &few);
            assert!(
                (0..9).filter(|item| *item != 2 && *item != 8).all(|item| model
                    .similarities
                    .row(item)
                    .0
                    .is_empty())
            );
            let expected = usize::from(similarity == Similarity::Cosine);
            assert_eq!(fit(&parameters, &mute).similarities.row(0).0.len(), expected * neighbours.min(2));
        }
    }
}

#[test]
fn nothing_to_learn_from_is_an_error() {
    for (n_users, n_items) in [(0, 0), (3, 0), (0, 3), (3, 4)] {
        let empty = Interactions::from_triplets(n_users, n_items, []).unwrap();
        let error = ItemKnn::default().fit(&empty, |_| ControlFlow::Continue(())).unwrap_err();
        assert!(matches!(error, ItemKnnError::Empty { .. }));
    }
}

#[test]
fn progress_reaches_the_end_and_may_stop_the_fit() {
    let interactions = sample(100, 80, 4);
    let mut last = None;
    let finished = ItemKnn::default().fit(&interactions, |progress| {
        assert!(last.is_none_or(|last: Progress| last.done < progress.done));
        last = Some(progress);
        ControlFlow::Continue(())
    });
    assert!(finished.is_ok() && last.is_some_and(|last| last.done == last.total));
    let stopped = ItemKnn::default().fit(&interactions, |_| ControlFlow::Break(()));
    assert!(matches!(stopped, Err(ItemKnnError::Stopped)));
}
