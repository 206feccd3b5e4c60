//! Collection in a remote cache: old results go, then what is cheap to make again, then the objects
//! that no result names.
//!
//! Somebody may be sending at the same time: what was put there within a day stays. A result that lost
//! its objects to a collection is as good as none, and is sent again.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::push::at_once;
use super::{Found, RemoteError, RemoteStore, digest, objects, results};
use crate::workflow::digest::Digest;
use crate::workflow::store::StepResult;
use crate::workflow::store::collect::{Policy, Users, cost_per_byte};

/// What is younger may belong to somebody who is still sending.
const YOUNG: Duration = Duration::from_secs(24 * 3600);

/// What was removed, or would be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Collected {
    /// Results.
    pub results: usize,
    /// Objects.
    pub objects: usize,
    /// Bytes of these objects.
    pub bytes: u64,
    /// Bytes of the objects that stay.
    pub kept_bytes: u64,
}

/// Removes what the policy gives up, or only says what that is; records of runs do not lie there.
///
/// # Errors
/// When the far end cannot be reached or refuses; what was removed until then is gone.
pub fn collect(remote: &dyn RemoteStore, policy: &Policy, dry_run: bool) -> Result<Collected, RemoteError> {
    let now = SystemTime::now();
    let older =
        |found: &Found, age: Duration| now.duration_since(found.modified).is_ok_and(|past| past > age);
    let there = remote.list(&objects())?;
    let sizes: BTreeMap<Digest, u64> =
        there.iter().filter_map(|(name, found)| Some((digest(name)?, found.size))).collect();
    let mut removed: Vec<String> = Vec::new();
    let records = remote.list(&results())?;
    let read = Mutex::new(Vec::new());
    at_once(&records, |(name, found)| {
        let record = remote.read(name)?.and_then(|record| StepResult::unsealed(&record).ok());
        read.lock().unwrap_or_else(PoisonError::into_inner).push((name, *found, record));
        Ok(())
    })?;
    let mut kept = Vec::new();
    for (name, found, record) in read.into_inner().unwrap_or_else(PoisonError::into_inner) {
        let is_whole =
            |result: &StepResult| result.outputs.values().all(|object| sizes.contains_key(&object.digest));
        match record {
            Some(result) if policy.older_than.is_none_or(|age| !older(&found, age)) => {
                if is_whole(&result) || !older(&found, YOUNG) {
                    kept.push((name, found, result));
                } else {
                    removed.push(name.clone());
                }
            }
            None if !older(&found, YOUNG) => {}
            _ => removed.push(name.clone()),
        }
    }
    let mut users = Users::new(&sizes);
    kept.iter().for_each(|(_, _, result)| users.add(result));
    kept.sort_by(|(_, a_found, a), (_, b_found, b)| {
        cost_per_byte(a).total_cmp(&cost_per_byte(b)).then(a_found.modified.cmp(&b_found.modified))
    });
    for (name, _, result) in kept {
        if policy.max_size.is_none_or(|limit| users.total <= limit) {
            break;
        }
        removed.push(name.clone());
        users.remove(&result);
    }
    let mut collected = Collected { results: removed.len(), ..Collected::default() };
    for (name, found) in &there {
        let is_needed = digest(name).is_none_or(|digest| users.need(digest));
        if is_needed || !older(found, YOUNG) {
            collected.kept_bytes += found.size;
        } else {
            removed.push(name.clone());
            collected.objects += 1;
            collected.bytes += found.size;
        }
    }
    if !dry_run {
        // Results first: nobody may find one whose objects are already gone and take it for whole.
        let (results, objects) = removed.split_at(collected.results);
        at_once(results, |name| remote.remove(name))?;
        at_once(objects, |name| remote.remove(name))?;
    }
    Ok(collected)
}
