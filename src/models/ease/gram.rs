//! How much the users of each two items have in common: `XᵀX`.

use rayon::prelude::*;

use crate::interactions::Interactions;
use crate::models::linear_algebra::symmetric_tiles::SymmetricTiles;

/// `XᵀX` of the items `known`, rising.
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
            let (users, own) = users_of.row(item as usize);
            for (&user, &own) in users.iter().zip(own) {
                let (items, values) = interactions.row(user as usize);
                // Items rise, and so do their places: those up to `item` lie in the lower triangle.
                let lower = items.iter().zip(values).take_while(|&(&other, _)| other <= item);
                for (&other, &value) in lower {
                    *rows.value_mut(row, place[other as usize] as usize) += own * value;
                }
            }
        }
    });
    gram
}
