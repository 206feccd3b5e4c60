//! What every model that proposes items to users can do.
//!
//! Models differ in what they keep (factors, similarities, counts), not in what is asked of them: for
//! some users, given their histories, the best `n` items. `contract` holds the tests that each of them
//! must pass.

use rayon::prelude::*;

use super::factors::Factors;
use super::lists::{Block, Lists, QUERIES_AT_ONCE};
use super::top_k::{self, TopK};
use crate::interactions::Interactions;

/// Whose lists are wanted, and how long.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The users, rising.
    pub users: &'a [u32],
    /// What each user chose so far: a row a user, as many columns as the model has items.
    pub history: &'a Interactions,
    /// Items per user, fewer where there are not so many.
    pub n: usize,
    /// Whether items of the user's own history are left out.
    pub filter_seen: bool,
}

impl<'a> Request<'a> {
    /// The items that this user must not get, rising.
    pub fn excluded(&self, user: u32) -> &'a [u32] {
        if self.filter_seen { self.history.row(user as usize).0 } else { &[] }
    }
}

/// A fitted model that proposes items to users.
pub trait Recommender {
    /// The best items of each user asked for, block after block in the order of the request, best first;
    /// equal scores go to the smaller item index. A user of whom the model knows nothing gets an empty
    /// list: fallbacks serve them.
    ///
    /// The lists do not depend on the thread count. `emit` may end the work with an error.
    ///
    /// # Errors
    /// The error of `emit`.
    fn recommend<E>(
        &self,
        request: &Request<'_>,
        emit: impl FnMut(Block<'_>) -> Result<(), E>,
    ) -> Result<(), E>;
}

/// [`Recommender::recommend`] by `list(state, user)`, the users in parallel; a `state` is made once and used
/// for many users in turn.
///
/// # Errors
/// The error of `emit`.
pub fn recommend_each<S, E>(
    request: &Request<'_>,
    state: impl Fn() -> S + Sync + Send,
    list: impl Fn(&mut S, u32) -> Vec<(u32, f32)> + Sync + Send,
    mut emit: impl FnMut(Block<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut done = 0;
    for queries in request.users.chunks(QUERIES_AT_ONCE) {
        let per_user: Vec<Vec<(u32, f32)>> =
            queries.par_iter().map_init(&state, |state, &user| list(state, user)).collect();
        let mut lists = Lists::new();
        per_user.into_iter().for_each(|list| lists.push(list));
        done += queries.len();
        emit(Block { queries, lists: &lists, done, total: request.users.len() })?;
    }
    Ok(())
}

/// [`Recommender::recommend`] for a model that scores all items at once: `score(user, scores)` gets a
/// slice of one `−∞` an item and overwrites those that the user may get.
///
/// # Errors
/// The error of `emit`.
pub fn recommend_by_scores<E>(
    n_items: usize,
    request: &Request<'_>,
    score: impl Fn(u32, &mut [f32]) + Sync + Send,
    emit: impl FnMut(Block<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let list = |scores: &mut Vec<f32>, user: u32| {
        scores.fill(f32::NEG_INFINITY);
        score(user, scores);
        top_k::best(scores, request.n, request.excluded(user))
    };
    recommend_each(request, || vec![0.0; n_items], list, emit)
}

/// [`Recommender::recommend`] for a model whose score is the inner product of a user's and an item's
/// vector; a user with a vector of zeros gets an empty list, an item with one is in no list.
///
/// # Errors
/// The error of `emit`.
pub fn recommend_by_factors<E>(
    user_factors: &Factors,
    item_factors: &Factors,
    request: &Request<'_>,
    emit: impl FnMut(Block<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let excluded = |at: usize| request.excluded(request.users[at]);
    let search = TopK::inner_product(item_factors);
    search.search_rows(user_factors, request.users, request.n, excluded, emit)
}
