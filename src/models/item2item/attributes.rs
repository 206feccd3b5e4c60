//! What is known of items, as sparse matrices items × attributes.

use super::Item2ItemError;
use crate::interactions::{Interactions, InvalidInteractions};

/// Attributes of the items in three blocks, each with a row an item and a column an attribute; a value is
/// 1 where the item has the attribute. A block may be without columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Attributes {
    /// Items × albums.
    pub albums: Interactions,
    /// Items × artists.
    pub artists: Interactions,
    /// Items × genres.
    pub genres: Interactions,
}

impl Attributes {
    /// The blocks side by side, each times its weight; a block of weight 0 is left out.
    ///
    /// # Errors
    /// When the blocks have unequal numbers of items or a weight takes values out of the range of f32.
    pub(super) fn weighted(&self, weights: [f64; 3]) -> Result<Interactions, Item2ItemError> {
        let expected = self.albums.n_users();
        for (block, matrix) in [("artists", &self.artists), ("genres", &self.genres)] {
            let found = matrix.n_users();
            if found != expected {
                return Err(Item2ItemError::Shape { block, found, expected });
            }
        }
        let blocks = [&self.albums, &self.artists, &self.genres].into_iter().zip(weights);
        Ok(side_by_side(expected, blocks.filter(|&(_, weight)| weight != 0.0))?)
    }
}

/// Columns of the first block, then those of the next.
fn side_by_side<'a>(
    n_rows: usize,
    blocks: impl Iterator<Item = (&'a Interactions, f64)>,
) -> Result<Interactions, InvalidInteractions> {
    let blocks: Vec<(&Interactions, f64)> = blocks.collect();
    let n_columns = blocks.iter().map(|(block, _)| block.n_items()).sum();
    let (mut starts, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
    for row in 0..n_rows {
        let mut offset = 0;
        for &(block, weight) in &blocks {
            let (block_columns, block_values) = block.row(row);
            columns.extend(block_columns.iter().map(|column| column + offset));
            values.extend(block_values.iter().map(|&value| (f64::from(value) * weight) as f32));
            offset += block.n_items() as u32;
        }
        starts.push(columns.len());
    }
    Interactions::new(n_rows, n_columns, starts, columns, values)
}
