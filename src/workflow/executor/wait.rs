//! Waiting for another run that writes to the same places: what it tells is passed on meanwhile, so that
//! the person who started the second run sees what the first one does.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Options, Plan, RunError, World};
use crate::workflow::event::Event;
use crate::workflow::history::{Follower, read};
use crate::workflow::release::Release;
use crate::workflow::store::Lock;

/// How often a waiting run looks whether it can go on.
const POLL: Duration = Duration::from_millis(50);

/// The release of the pipeline, with its paths claimed, and the locks that go with it.
pub struct Held {
    pub release: Release,
    /// Of the store, of the release, and of those that share paths with it.
    pub locks: Vec<Lock>,
}

/// What one look has found.
enum Look {
    Free(Box<Held>),
    /// This pipeline is at work.
    Busy(String),
}

/// Waits until nobody else writes to the places of a plan; nothing when the wait was stopped.
pub fn for_places(plan: &Plan, options: &Options, world: &World<'_>) -> Result<Option<Held>, RunError> {
    let mut follower: Option<Follower> = None;
    let mut followed: Option<String> = None;
    let mut told = false;
    loop {
        let busy = match look(plan, options, world)? {
            Look::Free(held) => return Ok(Some(*held)),
            Look::Busy(pipeline) => pipeline,
        };
        // The word may be that of an earlier run.
        let live = |run: &String| read::find(&world.store.runs(), run).is_ok_and(|run| run.is_live());
        let holder = world.store.holder(&busy).filter(live);
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

/// Takes everything at once or nothing, so that no two runs wait for each other.
fn look(plan: &Plan, options: &Options, world: &World<'_>) -> Result<Look, RunError> {
    let store = world.store;
    let busy = || Ok(Look::Busy(plan.name.clone()));
    // Two new pipelines must not both find a path free.
    let Some(_claiming) = store.lock_claims()? else { return busy() };
    let Some(shared) = store.share()? else { return busy() };
    let Some(own) = store.lock_release(&plan.name)? else { return busy() };
    let mut release = Release::open(world.root, store, &plan.name);
    release.belong_to(&plan.path)?;
    let outputs = plan.steps.iter().flat_map(|step| &step.outputs).map(|output| output.path.as_path());
    let mut locks = vec![own, shared];
    for rival in release.rivals(outputs) {
        match store.lock_release(&rival)? {
            Some(lock) => locks.push(lock),
            None => return Ok(Look::Busy(rival)),
        }
    }
    let steps = options.selected.iter().map(|&position| &plan.steps[position]);
    release.claim(store, steps).map_err(RunError::NoPlace)?;
    release.save()?;
    Ok(Look::Free(Box::new(Held { release, locks })))
}
