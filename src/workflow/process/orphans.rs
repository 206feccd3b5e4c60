//! What a command leaves behind when its shell has ended, in whatever group and however silent.
//!
//! This process asks the kernel to become the parent of such orphans, instead of process 1. So they
//! stand in a short list (the children of the main thread), where a look at each command's end costs
//! microseconds; and they can be waited for: when a step is over, nobody writes to its outputs.

use std::fs;
use std::sync::Once;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getpid, kill_process, pidfd_open, set_child_subreaper, waitpid,
};

use super::session::{self, Membership};

/// A killed process that takes longer hangs in the system, and is left to it.
const AT_MOST: Duration = Duration::from_secs(2);
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// Makes this process the parent of orphans; before the first command is started.
pub fn adopt() {
    static ASKED: Once = Once::new();
    ASKED.call_once(|| {
        if let Err(error) = set_child_subreaper(Some(getpid())) {
            tracing::warn!("what commands leave in the background may go on: {error}");
        }
    });
}

/// Kills the orphans of a session whose leader has ended, and waits until they are gone.
pub fn end(session: Pid) {
    let deadline = Instant::now() + AT_MOST;
    // Whoever ends may leave orphans in turn.
    loop {
        let Some(orphans) = of(session) else {
            // This system does not list children.
            return session::kill(session);
        };
        if orphans.is_empty() || Instant::now() > deadline {
            return;
        }
        for &orphan in &orphans {
            // Nobody else waits for it, so the number is still its own.
            let _ = kill_process(orphan, Signal::KILL);
        }
        for orphan in orphans {
            if let Ok(process) = pidfd_open(orphan, PidfdFlags::empty()) {
                let _ = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&TICK));
            }
            let _ = waitpid(Some(orphan), WaitOptions::NOHANG);
        }
    }
}

/// Its orphans, dead ones included; its leader is not one.
fn of(session: Pid) -> Option<Vec<Pid>> {
    let main = getpid().as_raw_nonzero();
    let children = fs::read_to_string(format!("/proc/self/task/{main}/children")).ok()?;
    let children = children.split_whitespace().filter_map(|child| child.parse().ok().and_then(Pid::from_raw));
    let others = children.filter(|child| *child != session);
    Some(others.filter(|child| Membership::of(*child).is_some_and(|of| of.session == session)).collect())
}
