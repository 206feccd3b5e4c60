//! Waiting for another run of the same pipeline: what it tells is passed on meanwhile, so that the
//! person who started the second run sees what the first one does.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Plan, RunError, World};
use crate::workflow::event::Event;
use crate::workflow::history::{Follower, read};
use crate::workflow::store::Lock;

/// How often a waiting run looks whether it can go on.
const POLL: Duration = Duration::from_millis(50);

/// The store's lock and that of the release, when they are free; nothing when the wait was stopped.
pub fn for_locks(plan: &Plan, world: &World<'_>) -> Result<Option<(Lock, Lock)>, RunError> {
    let mut follower: Option<Follower> = None;
    let mut followed: Option<String> = None;
    let mut told = false;
    loop {
        if let Some(shared) = world.store.share()?
            && let Some(release) = world.store.lock_release(&plan.name)?
        {
            return Ok(Some((shared, release)));
        }
        // The word may be that of an earlier run.
        let live = |run: &String| read::find(&world.store.runs(), run).is_ok_and(|run| run.is_live());
        let holder = world.store.holder(&plan.name).filter(live);
        if !told || (holder.is_some() && holder != followed) {
            told = true;
            world.listener.hear(&Event::RunWaited { run: holder.clone() });
            follower = holder.as_ref().map(|run| Follower::new(&world.store.runs().join(run)));
            followed = holder;
        }
        for event in follower.iter_mut().flat_map(Follower::news) {
            world.listener.hear(&Event::RunFollowed { told: Box::new(event) });
        }
        if world.stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        std::thread::sleep(POLL);
    }
}
