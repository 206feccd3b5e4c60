//! What users listened to before the release was made: the matrix that its model was fitted on.
//!
//! Only reasons need it, and it takes eight bytes a user and track, so a service has it on request.

use std::path::Path;

use super::catalog::Catalog;
use super::failure::ServiceError;
use super::online::Listened;
use crate::codec::{CodecError, npz, ranked};
use crate::interactions::Interactions;

/// Listens by user.
#[derive(Debug)]
pub struct Past {
    users: Catalog,
    matrix: Interactions,
}

impl Past {
    /// Reads a matrix users × items and the ids of its users.
    ///
    /// # Errors
    /// When a file cannot be read, or they do not belong to each other or to these many tracks.
    pub fn read(matrix: &Path, users: &Path, n_tracks: usize) -> Result<Self, ServiceError> {
        let user_ids = ranked::read_ids(users, "user_id")?;
        let wrong =
            |message| CodecError::Value { path: users.to_owned(), column: "user_id".to_owned(), message };
        let catalog =
            Catalog::new(user_ids).map_err(|user_id| wrong(format!("user {user_id} occurs twice")))?;
        let history = npz::read_matrix(matrix)?;
        if history.n_users() != catalog.len() || history.n_items() != n_tracks {
            Err(wrong(format!(
                "expected the {} users and {} tracks of `{}`, found {} and {n_tracks}",
                history.n_users(),
                history.n_items(),
                matrix.display(),
                catalog.len()
            )))?;
        }
        Ok(Self { users: catalog, matrix: history })
    }

    /// What a user listened to, then and since: tracks of both count together.
    pub fn with(&self, user_id: i64, since: &[Listened]) -> Vec<Listened> {
        let (items, counts) =
            self.users.item(user_id).map_or((&[][..], &[][..]), |user| self.matrix.row(user as usize));
        let old = items.iter().zip(counts).map(|(&item, &count)| Listened { item, count, weight: 1.0 });
        let mut all: Vec<Listened> =
            old.chain(since.iter().map(|new| Listened { weight: 1.0, ..*new })).collect();
        all.sort_by_key(|one| one.item);
        all.dedup_by(|again, first| {
            let is_same = again.item == first.item;
            first.count += if is_same { again.count } else { 0.0 };
            is_same
        });
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listens_then_and_since_count_together_and_unknown_users_have_only_the_latter() {
        let matrix = Interactions::from_triplets(2, 5, [(1, 0, 2.0), (1, 3, 1.0)]).unwrap();
        let past = Past { users: Catalog::new(vec![70, 71]).unwrap(), matrix };
        let since =
            [Listened { item: 3, count: 4.0, weight: 1.0 }, Listened { item: 1, count: 1.0, weight: 0.5 }];
        let all = |user_id| -> Vec<(u32, f32)> {
            past.with(user_id, &since).iter().map(|one| (one.item, one.count * one.weight)).collect()
        };
        assert_eq!(all(71), [(0, 2.0), (1, 1.0), (3, 5.0)]);
        assert_eq!(all(70), [(1, 1.0), (3, 4.0)]);
        assert_eq!(all(72), [(1, 1.0), (3, 4.0)]);
    }
}
