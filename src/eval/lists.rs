//! Ranked lists of many users, best item first, without a map per user.

use miette::Diagnostic;
use rayon::prelude::*;
use thiserror::Error;

/// One ranked list for each of `n_users` users; a list may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lists {
    starts: Vec<usize>,
    items: Vec<u32>,
}

/// Why some rows are not ranked lists.
#[derive(Debug, Error, Diagnostic, Clone, PartialEq, Eq)]
pub enum InvalidLists {
    /// A row of a user or item that does not exist.
    #[error("row {row}: `{column}` is {found}, but there are only {limit}")]
    #[diagnostic(help("make the lists from the same `users` and `items` tables as the matrices"))]
    OutOfRange {
        /// Position of the row in the table.
        row: usize,
        /// `user_idx` or `item_idx`.
        column: &'static str,
        /// The index.
        found: u32,
        /// How many there are.
        limit: usize,
    },
    /// Ranks of a user are not 1, 2, … n.
    #[error(
        "the list of user {user} has {length} items, but none at rank {missing}: its ranks must be 1 … n"
    )]
    #[diagnostic(help("number each user's items 1, 2, 3 … by falling score, without gaps and ties"))]
    Ranks {
        /// Dense index of the user.
        user: u32,
        /// How many items the list has.
        length: usize,
        /// The first rank that no item has.
        missing: usize,
    },
    /// A user is offered one item twice.
    #[error("the list of user {user} holds item {item} twice")]
    #[diagnostic(help("keep the best rank of each (user, item) pair and number the ranks again"))]
    Duplicate {
        /// Dense index of the user.
        user: u32,
        /// Dense index of the item.
        item: u32,
    },
}

impl Lists {
    /// Lists of `n_users` users from parallel columns in any order.
    ///
    /// # Errors
    /// When an index lies outside, a user's ranks are not 1 … n, or an item is repeated in a list.
    ///
    /// # Panics
    /// When the columns differ in length.
    pub fn from_rows(
        n_users: usize,
        n_items: usize,
        users: &[u32],
        items: &[u32],
        ranks: &[u32],
    ) -> Result<Self, InvalidLists> {
        assert!(users.len() == items.len() && users.len() == ranks.len(), "columns have one length");
        in_range("user_idx", users, n_users)?;
        in_range("item_idx", items, n_items)?;
        let mut starts = vec![0usize; n_users + 1];
        for &user in users {
            starts[user as usize + 1] += 1;
        }
        for user in 0..n_users {
            starts[user + 1] += starts[user];
        }
        let mut slots = vec![VACANT; items.len()];
        for ((&user, &item), &rank) in users.iter().zip(items).zip(ranks) {
            let list = &mut slots[starts[user as usize]..starts[user as usize + 1]];
            let place = (rank as usize).checked_sub(1);
            // A rank outside 1 … n, or one taken twice, leaves a slot vacant.
            if let Some(slot) = place.and_then(|place| list.get_mut(place)) {
                *slot = item;
            }
        }
        let lists = Self { starts, items: slots };
        (0..n_users).into_par_iter().try_for_each_init(Vec::new, |sorted, user| lists.check(user, sorted))?;
        Ok(lists)
    }

    /// From one list a user, for few users.
    ///
    /// # Errors
    /// See [`from_rows`](Self::from_rows).
    pub fn from_nested(n_items: usize, lists: &[Vec<u32>]) -> Result<Self, InvalidLists> {
        let mut columns = (Vec::new(), Vec::new(), Vec::new());
        for (user, list) in lists.iter().enumerate() {
            for (place, &item) in list.iter().enumerate() {
                columns.0.push(user as u32);
                columns.1.push(item);
                columns.2.push(place as u32 + 1);
            }
        }
        Self::from_rows(lists.len(), n_items, &columns.0, &columns.1, &columns.2)
    }

    /// How many users there are, those with an empty list included.
    pub fn n_users(&self) -> usize {
        self.starts.len() - 1
    }

    /// The items offered to a user, best first.
    pub fn of(&self, user: usize) -> &[u32] {
        &self.items[self.starts[user]..self.starts[user + 1]]
    }

    /// Length of the longest list.
    pub fn longest(&self) -> usize {
        self.starts.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0)
    }

    fn check(&self, user: usize, sorted: &mut Vec<u32>) -> Result<(), InvalidLists> {
        let list = self.of(user);
        if let Some(place) = list.iter().position(|&item| item == VACANT) {
            return Err(InvalidLists::Ranks { user: user as u32, length: list.len(), missing: place + 1 });
        }
        sorted.clear();
        sorted.extend_from_slice(list);
        sorted.sort_unstable();
        match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(InvalidLists::Duplicate { user: user as u32, item: pair[0] }),
            None => Ok(()),
        }
    }
}

/// A rank that no row has taken; no item has this index because a table never has 2³² rows.
const VACANT: u32 = u32::MAX;

fn in_range(column: &'static str, indices: &[u32], limit: usize) -> Result<(), InvalidLists> {
    match indices.iter().position(|&index| index as usize >= limit) {
        Some(row) => Err(InvalidLists::OutOfRange { row, column, found: indices[row], limit }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_in_any_order_become_lists_by_rank() {
        let lists = Lists::from_rows(3, 9, &[2, 0, 2], &[7, 5, 8], &[2, 1, 1]).unwrap();
        assert_eq!((lists.of(0), lists.of(1), lists.of(2)), (&[5][..], &[][..], &[8, 7][..]));
        assert_eq!((lists.n_users(), lists.longest()), (3, 2));
    }

    #[test]
    fn ranks_must_be_one_to_n() {
        let rows = |ranks: &[u32]| Lists::from_rows(1, 9, &[0, 0], &[3, 4], ranks);
        assert!(rows(&[2, 1]).is_ok());
        for (ranks, missing) in [([0, 1], 2), ([1, 1], 2), ([1, 3], 2), ([2, 3], 1)] {
            assert_eq!(rows(&ranks), Err(InvalidLists::Ranks { user: 0, length: 2, missing }), "{ranks:?}");
        }
    }

    #[test]
    fn an_item_twice_and_an_unknown_index_are_refused() {
        let twice = Lists::from_nested(9, &[vec![], vec![4, 2, 4]]);
        assert_eq!(twice, Err(InvalidLists::Duplicate { user: 1, item: 4 }));
        let outside = Lists::from_nested(4, &[vec![4]]);
        assert!(matches!(outside, Err(InvalidLists::OutOfRange { column: "item_idx", .. })), "{outside:?}");
    }
}
