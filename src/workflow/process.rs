//! Runs one command line that cannot outlive the runner.
//!
//! One loop on the calling thread waits for the command's end and for its output at once (`poll`), so
//! a command costs no thread and no sleep. The command leads a session and a group of its own. When
//! its shell has ended, what it left in the background is killed ([`orphans`]), and what is still in the
//! pipes is read without waiting for their end. When the runner is killed, the [`guard`] kills.

mod guard;
mod lines;
mod orphans;
mod pipe;
mod running;
mod session;
mod spawn;

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::process::Signal;

use self::guard::Guarded;
pub use self::pipe::{Output, Stream};
use self::running::{Running, memory_handed_on};
use super::kind::Usage;

/// Between the polite signal and the last one.
const GRACE: Duration = Duration::from_secs(5);
/// How often a command is asked to go on or to stop.
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
/// How often those that were asked to end are looked for.
const TICK_WHILE_STOPPING: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
/// What a command needs to find its programs and its language; everything else is declared.
const PASSED_ON: [&str; 6] = ["PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TERM"];

/// A command line for the shell.
pub struct ShellCommand<'a> {
    /// The command line.
    pub command: &'a str,
    /// The folder it runs in.
    pub folder: &'a Path,
    /// Declared environment; besides it the command sees only what finding programs takes.
    pub environment: &'a BTreeMap<String, String>,
}

/// How a command ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// Its exit code or signal.
    pub status: ExitStatus,
    /// What it used.
    pub usage: Usage,
}

impl ShellCommand<'_> {
    /// Runs it to its end, or until `stopped` says so: then every process of it is asked to end, and
    /// killed if it has not after five seconds.
    ///
    /// # Errors
    /// When the system cannot start a shell, or refuses to wait for it.
    pub fn run(&self, output: &mut dyn Output, stopped: &dyn Fn() -> bool) -> io::Result<Ended> {
        let mut running = self.start()?;
        let mut buffer = vec![0; 64 * 1024];
        let mut kill_at: Option<Instant> = None;
        loop {
            let tick = if kill_at.is_some() { TICK_WHILE_STOPPING } else { TICK };
            running.listen(tick, &mut buffer, output)?;
            match kill_at {
                None if running.exited => break,
                None if stopped() => {
                    session::terminate(running.pid);
                    kill_at = Some(Instant::now() + GRACE);
                }
                None => {}
                // Whom the shell started may take longer than the shell to end in order.
                Some(_) if running.exited && !session::is_alive(running.pid) => break,
                Some(time) if Instant::now() >= time => {
                    session::kill(running.pid);
                    if running.exited {
                        break;
                    }
                }
                Some(_) => {}
            }
        }
        running.end_the_rest(&mut buffer, output);
        running.reap()
    }

    /// Starts it, with its output in pipes.
    fn start(&self) -> io::Result<Running> {
        orphans::adopt();
        let guarded = Guarded::new();
        let own_memory = memory_handed_on();
        Running::new(spawn::spawn(self, &guarded)?, guarded, own_memory)
    }
}

/// How a command ended, in words.
pub fn describe(status: ExitStatus) -> String {
    if let Some(code) = status.code() {
        return format!("exit code {code}");
    }
    let signal = status.signal().unwrap_or_default();
    const NAMES: [(Signal, &str); 9] = [
        (Signal::KILL, "SIGKILL"),
        (Signal::TERM, "SIGTERM"),
        (Signal::INT, "SIGINT"),
        (Signal::HUP, "SIGHUP"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::ILL, "SIGILL"),
        (Signal::FPE, "SIGFPE"),
    ];
    match NAMES.iter().find(|(known, _)| known.as_raw() == signal) {
        Some((_, name)) => format!("signal {signal} ({name})"),
        None => format!("signal {signal}"),
    }
}

#[cfg(test)]
mod tests;
