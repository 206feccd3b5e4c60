//! How many users each two items share: `XᵀX` of a matrix of ones.

use rayon::prelude::*;

use crate::interactions::Interactions;
use crate::models::linear_algebra::symmetric_tiles::SymmetricTiles;

/// `XᵀX` of the items `known`, rising, with `X = 1` for every stored pair.
pub fn gram(interactions: &Interactions, known: &[u32]) -> SymmetricTiles {
    let mut place = vec![u32::MAX; interactions.n_items()];
    for (at, &item) in known.iter().enumerate() {
        place[item as usize] = at as u32;
    }
    let users_of = interactions.transposed();
    let mut gram = SymmetricTiles::zeros(known.len());
    gram.tile_rows().into_par_iter().with_max_len(1).for_each(|mut rows| {
        for row in 0..rows.n_rows() {
            let item = known[rows.start + row];
            for &user in users_of.row(item as usize).0 {
                let items = interactions.row(user as usize).0;
                // Items rise, and so do their places: those up to `item` lie in the lower triangle.
                for &other in items.iter().take_while(|&&other| other <= item) {
                    *rows.value_mut(row, place[other as usize] as usize) += 1.0;
                }
            }
        }
    });
    gram
}
