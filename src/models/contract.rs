//! What is asked of every [`Recommender`], as tests that each model calls with its own `fit`.

use std::convert::Infallible;

use super::recommender::{Recommender, Request};
use crate::interactions::Interactions;

/// Users and items of the board, and one user and one item beside it that nobody has.
const SIZE: u32 = 50;

/// Even users chose even items and odd users odd items, but none the item of their own number; the
/// last user and the last item have nothing.
pub fn checkerboard() -> Interactions {
    let pairs = (0..SIZE).flat_map(|user| (0..SIZE).map(move |item| (user, item, 1.0)));
    let chosen = pairs.filter(|&(user, item, _)| user % 2 == item % 2 && user != item);
    let size = SIZE as usize + 1;
    Interactions::from_triplets(size, size, chosen).unwrap_or_else(|_| unreachable!("counts of 1"))
}

/// Every test of the contract.
pub fn assert_recommender<M: Recommender + Sync>(fit: impl Fn(&Interactions) -> M) {
    let board = checkerboard();
    let model = fit(&board);
    let users: Vec<u32> = (0..=SIZE).collect();
    let lists = |n: usize, filter_seen: bool| -> Vec<Vec<(u32, f32)>> {
        let request = Request { users: &users, history: &board, n, filter_seen };
        let mut all = Vec::new();
        let Ok(()) = model.recommend(&request, |block| {
            for (items, scores) in block.lists.iter() {
                all.push(items.iter().copied().zip(scores.iter().copied()).collect());
            }
            Ok::<(), Infallible>(())
        });
        assert_eq!(all.len(), users.len(), "one list a user");
        all
    };
    for (user, list) in lists(1, true)[..SIZE as usize].iter().enumerate() {
        assert_eq!(list[0].0, user as u32, "what is left of the user's own colour comes first");
    }
    for (user, list) in lists(1000, true).iter().enumerate() {
        let seen = board.row(user).0;
        assert!(list.iter().all(|(item, _)| seen.binary_search(item).is_err()), "seen items are left out");
    }
    for (user, list) in lists(1000, false).iter().enumerate().take(SIZE as usize) {
        assert!(list.iter().all(|(_, score)| score.is_finite()));
        assert!(
            list.windows(2).all(|two| two[0].1 > two[1].1 || two[0].1 == two[1].1 && two[0].0 < two[1].0)
        );
        let mut items: Vec<u32> = list.iter().map(|&(item, _)| item).collect();
        items.sort_unstable();
        items.dedup();
        assert_eq!(items.len(), list.len(), "no item twice");
        let own = list.iter().take(24).filter(|(item, _)| item % 2 == user as u32 % 2).count();
        assert_eq!(own, 24, "the user's own colour comes before the other");
    }
    assert!(lists(10, true)[SIZE as usize].is_empty(), "nothing is known of the last user");
    assert!(lists(0, true).iter().all(Vec::is_empty));
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let again = fit(&board);
    let request = Request { users: &users, history: &board, n: 7, filter_seen: true };
    let mut alone = Vec::new();
    one_thread.install(|| {
        let Ok(()) = again.recommend(&request, |block| {
            alone.extend(block.lists.iter().map(|(items, _)| items.to_vec()));
            Ok::<(), Infallible>(())
        });
    });
    let items: Vec<Vec<u32>> =
        lists(7, true).into_iter().map(|list| list.into_iter().map(|(item, _)| item).collect()).collect();
    assert_eq!(items, alone, "lists do not depend on the thread count, nor on the fit");
}
