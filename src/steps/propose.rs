//! What every step of a base model does once it has a model: candidates for the users of its training data.

use crate::codec::candidates;
use crate::interactions::Interactions;
use crate::models::recommender::{Recommender, Request};
use crate::workflow::kind::{Context, StepError};

/// Writes the output `candidates`: the best `n` items of every user with items in `train`, block after
/// block, with progress.
pub fn propose(
    ctx: &Context<'_>,
    model: &impl Recommender,
    train: &Interactions,
    n: usize,
    filter_seen: bool,
) -> Result<(), StepError> {
    let users = train.users_with_items();
    let mut writer = candidates::Writer::create(ctx.output("candidates"))?;
    let request = Request { users: &users, history: train, n, filter_seen };
    model.recommend(&request, |block| -> Result<(), StepError> {
        writer.write(&block)?;
        ctx.progress(block.done as u64, Some(block.total as u64), "users", "");
        Ok(ctx.check_cancelled()?)
    })?;
    Ok(writer.finish()?)
}
