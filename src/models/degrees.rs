//! Degree normalisation: users who choose much and items that many choose say less.
//!
//! `N = D_u^−a R D_i^−c` with `R` the matrix of ones, `d_u` the items of a user and `d_i` the users of an
//! item. Models of item weights learn from `N` in place of `R`.
//!
//! # Source
//! Fu, Wang, Ma et al.: Revisiting neighborhood-based link prediction for collaborative filtering, WWW
//! 2022, arXiv 2203.15789 (an exponent for each side).

use crate::interactions::{Interactions, InvalidInteractions};

/// `N`, for all stored pairs, whatever their values.
///
/// # Errors
/// When exponents far from 0 take a value out of the range of f32.
pub fn normalized(
    interactions: &Interactions,
    user_exponent: f64,
    item_exponent: f64,
) -> Result<Interactions, InvalidInteractions> {
    let of_item = item_powers(interactions, -item_exponent);
    let mut values = Vec::with_capacity(interactions.len());
    for user in 0..interactions.n_users() {
        let items = interactions.row(user).0;
        let of_user = (items.len().max(1) as f64).powf(-user_exponent);
        values.extend(items.iter().map(|&item| (of_user * of_item[item as usize]) as f32));
    }
    interactions.with_values(values)
}

/// `d_i` to a power, for every item; an item that nobody has counts as if one user had it.
pub fn item_powers(interactions: &Interactions, exponent: f64) -> Vec<f64> {
    let counts = interactions.item_counts();
    counts.into_iter().map(|count| f64::from(count.max(1)).powf(exponent)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_powers_of_both_degrees() {
        let pairs = [(0, 0, 9.0), (0, 2, 9.0), (1, 2, 9.0), (2, 2, 9.0)];
        let pairs = Interactions::from_triplets(4, 4, pairs).unwrap();
        let values = normalized(&pairs, 0.5, 1.0).unwrap();
        let half = 0.5f32.sqrt();
        assert_eq!(values.values(), [half, half / 3.0, 1.0 / 3.0, 1.0 / 3.0]);
        assert_eq!(normalized(&pairs, 0.0, 0.0).unwrap().values(), [1.0; 4]);
        assert_eq!(item_powers(&pairs, 2.0), [1.0, 1.0, 9.0, 1.0]);
    }

    #[test]
    fn powers_beyond_f32_are_an_error() {
        let pairs = Interactions::from_triplets(2, 1, [(0, 0, 1.0), (1, 0, 1.0)]).unwrap();
        assert!(normalized(&pairs, 0.0, -200.0).is_err());
    }
}
