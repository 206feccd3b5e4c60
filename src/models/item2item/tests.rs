//! By hand on small catalogues, and on input that is hardly any.

use std::convert::Infallible;

use super::*;
use crate::models::contract::{assert_recommender, checkerboard};

fn none(n_items: usize) -> Interactions {
    Interactions::from_triplets(n_items, 0, []).unwrap()
}

/// Items 0 and 1 share an album, 0, 1 and 2 an artist, 3 and 4 another; item 5 has nothing.
fn music() -> Attributes {
    let matrix = |n, pairs: &[(u32, u32)]| {
        Interactions::from_triplets(6, n, pairs.iter().map(|&(item, column)| (item, column, 1.0))).unwrap()
    };
    Attributes {
        albums: matrix(4, &[(0, 0), (1, 0), (2, 1), (3, 2), (4, 3)]),
        artists: matrix(2, &[(0, 0), (1, 0), (2, 0), (3, 1), (4, 1)]),
        genres: none(6),
    }
}

fn list(model: &Item2ItemModel, history: &[u32]) -> Vec<u32> {
    let history = Interactions::from_triplets(1, 6, history.iter().map(|&item| (0, item, 3.0))).unwrap();
    let mut list = Vec::new();
    let Ok(()) =
        model.recommend(&Request { users: &[0], history: &history, n: 9, filter_seen: true }, |block| {
            list = block.lists.list(0).0.to_vec();
            Ok::<(), Infallible>(())
        });
    list
}

#[test]
fn it_recommends() {
    for metric in [Metric::Cosine, Metric::Dot] {
        assert_recommender(|board| {
            // Items that the same users chose have the same attributes.
            let attributes = Attributes { albums: board.transposed(), artists: none(51), genres: none(51) };
            Item2Item { metric, ..Item2Item::default() }.fit(&attributes).unwrap()
        });
    }
    assert_eq!(checkerboard().n_items(), 51);
}

#[test]
fn items_of_the_same_album_come_before_those_of_the_artist() {
    let model = Item2Item::default().fit(&music()).unwrap();
    let found = list(&model, &[0]);
    assert_eq!(found[..2], [1, 2]);
    assert!(!found.contains(&5), "nothing is known of item 5");
    assert!(list(&model, &[5]).is_empty());
    assert_eq!(list(&model, &[3])[0], 4);
}

#[test]
fn inner_products_of_vectors_are_those_of_the_attributes() {
    let model = Item2Item { artist_weight: 2.0, ..Item2Item::default() }.fit(&music()).unwrap();
    let product = |a: usize, b: usize| -> f32 {
        model.item_factors.row(a).iter().zip(model.item_factors.row(b)).map(|(a, b)| a * b).sum()
    };
    for (a, b, expected) in [(0, 0, 5.0), (0, 1, 5.0), (0, 2, 4.0), (3, 4, 4.0), (0, 3, 0.0)] {
        assert!((product(a, b) - expected).abs() < 1e-4, "{a} {b} {}", product(a, b));
    }
    assert_eq!(model.singular_values.len(), 5 - 1, "the rank: two items are twins");
}

#[test]
fn a_user_is_the_mean_of_their_items() {
    let model = Item2Item::default().fit(&music()).unwrap();
    let history = Interactions::from_triplets(2, 6, [(1, 0, 9.0), (1, 3, 1.0)]).unwrap();
    let users = model.user_factors(&history, &[0, 1]);
    assert!(users.is_zero(0));
    for (at, value) in users.row(1).iter().enumerate() {
        assert_eq!(*value, (model.item_factors.row(0)[at] + model.item_factors.row(3)[at]) / 2.0);
    }
}

#[test]
fn one_component_is_enough_to_fit() {
    let model = Item2Item { components: 1, ..Item2Item::default() }.fit(&music()).unwrap();
    assert_eq!(model.item_factors.n_factors(), 1);
    assert_eq!(list(&model, &[0])[0], 1);
}

#[test]
fn no_attributes_are_an_error() {
    let nothing = Attributes { albums: none(3), artists: none(3), genres: none(3) };
    assert!(matches!(Item2Item::default().fit(&nothing), Err(Item2ItemError::Empty { n_items: 3 })));
    let weightless = Item2Item { album_weight: 0.0, artist_weight: 0.0, ..Item2Item::default() };
    assert!(matches!(weightless.fit(&music()), Err(Item2ItemError::Empty { n_items: 6 })));
}

#[test]
fn attributes_of_other_items_are_an_error() {
    let other = Attributes { genres: none(7), ..music() };
    let message = Item2Item::default().fit(&other).unwrap_err().to_string();
    assert_eq!(message, "the genres belong to 7 items, the albums to 6");
}

#[test]
fn a_weight_out_of_range_is_an_error() {
    for album_weight in [-1.0, f64::NAN, 1e60] {
        let wrong = Item2Item { album_weight, ..Item2Item::default() };
        assert!(matches!(wrong.fit(&music()), Err(Item2ItemError::Value(_))), "{album_weight}");
    }
}
