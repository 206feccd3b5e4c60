//! The processes of a command's session, wherever they are.
//!
//! A signal to the group reaches nearly everything that a command started, in one call. Programs such
//! as `timeout`, and shells with job control, make groups of their own; they stay in the session, whose
//! members only `/proc` tells, all processes read one by one: for rare moments. A process that makes a
//! session of its own (`setsid`, a daemon) has left.

use std::fs;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// A process that begins others while the list is read is found in the next round.
const ROUNDS: usize = 20;

/// Kills the group that the session began with: cheap, and at once.
pub fn kill_group(session: Pid) {
    // There may be nobody left.
    let _ = kill_process_group(session, Signal::KILL);
}

/// Asks every process of the session to end.
pub fn terminate(session: Pid) {
    let _ = kill_process_group(session, Signal::TERM);
    for member in members(session).filter(|member| member.group != session) {
        let _ = kill_process(member.pid, Signal::TERM);
    }
}

/// Kills every process of the session.
pub fn kill(session: Pid) {
    kill_group(session);
    for _ in 0..ROUNDS {
        let mut found = false;
        for member in members(session).filter(|member| member.group != session) {
            found = true;
            let _ = kill_process(member.pid, Signal::KILL);
        }
        if !found {
            return;
        }
    }
}

/// Whether any process of the session is still alive.
pub fn is_alive(session: Pid) -> bool {
    members(session).next().is_some()
}

/// Where a process belongs.
#[derive(Debug, PartialEq, Eq)]
pub struct Membership {
    /// It has ended, and nobody has waited for it.
    pub dead: bool,
    group: Pid,
    /// Its session.
    pub session: Pid,
}

impl Membership {
    /// Of a process, unless it is gone.
    pub fn of(pid: Pid) -> Option<Self> {
        let stat = fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
        Self::parse(&String::from_utf8_lossy(&stat))
    }

    fn parse(stat: &str) -> Option<Self> {
        // The name, in brackets, may hold anything.
        let (_, fields) = stat.rsplit_once(") ")?;
        let mut fields = fields.split(' ');
        let dead = matches!(fields.next()?, "Z" | "X");
        let mut pid = |skipped| fields.nth(skipped)?.parse().ok().and_then(Pid::from_raw);
        Some(Self { dead, group: pid(1)?, session: pid(0)? })
    }
}

struct Member {
    pid: Pid,
    group: Pid,
}

fn members(session: Pid) -> impl Iterator<Item = Member> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter_map(move |process| {
        let pid = process.file_name().to_str()?.parse().ok().and_then(Pid::from_raw)?;
        let found = Membership::of(pid)?;
        (found.session == session && !found.dead).then_some(Member { pid, group: found.group })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_and_session_are_read_whatever_the_name_is() {
        let pid = |number| Pid::from_raw(number).unwrap();
        let sleeping = Membership { dead: false, group: pid(30), session: pid(20) };
        assert_eq!(Membership::parse("7 (a) b) S 1 30 20 0 -1"), Some(sleeping));
        assert!(Membership::parse("7 (sh) Z 1 30 20 0 -1").unwrap().dead);
        assert_eq!(Membership::parse(""), None);
    }
}
