//! Waiting for another run of the same pipeline: what it tells is passed on meanwhile, so that the
//! person who started the second run sees what the first one does.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Plan, RunError, World};
use crate::workflow::event::Event;
use crate::workflow::history::Follower;
use crate::workflow::store::Lock;

/// How often a waiting run looks whether it can go on.
const POLL: Duration = Duration::from_millis(50);

/// The store's lock and that of the release, when they are free; nothing when the wait was stopped.
pub fn for_locks(plan: &Plan, world: &World<'_>) -> Result<Option<(Lock, Lock)>, RunError> {
    let mut follower: Option<Follower> = None;
    let mut told = false;
    loop {
        if let Some(shared) = world.store.share()?
            && let Some(release) = world.store.lock_release(&plan.name)?
        {
            return Ok(Some((shared, release)));
        }
        let holder = world.store.holder(&plan.name).filter(|holder| !holder.is_empty());
        if !told || (follower.is_none() && holder.is_some()) {
            told = true;
            world.listener.hear(&Event::RunWaited { run: holder.clone() });
            follower = holder.map(|run| Follower::new(&world.store.runs().join(run)));
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
