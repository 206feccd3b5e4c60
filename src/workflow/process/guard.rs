//! The guard: a small process that ends the commands of a runner that was killed.
//!
//! The kernel tells nobody when a process dies of `kill -9`, except whoever reads a pipe that only
//! that process could write to. So the guard, a shell with a short script, reads such a pipe: each
//! command says there which process it is, the runner says when it is over, and at the end of the
//! pipe the guard kills what is left. One guard serves the whole process. It has a group of its own
//! and ignores the terminal's signals, so that it outlives what ends the runner, by milliseconds.
//!
//! * A command says its number itself, while it still holds the pipe open: at no moment is there a
//!   command of which the guard does not know.
//! * The runner keeps the reading end too, and writes without waiting: a guard that is gone, or slow,
//!   neither ends nor delays a command.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Reads the pipe; kept as a file so that editors and linters know it as a script.
const SCRIPT: &str = include_str!("guard.sh");

/// The guard of this process and the pipe to it.
struct Guard {
    to_guard: PipeWriter,
    _reader: PipeReader,
    _process: Child,
}

impl Guard {
    fn start() -> io::Result<Self> {
        let (reader, to_guard) = io::pipe()?;
        rustix::io::ioctl_fionbio(&to_guard, true)?;
        let mut command = Command::new("sh");
        command
            .args(["-c", SCRIPT, "recsys-guard"])
            .current_dir("/")
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .stdin(Stdio::from(reader.try_clone()?))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        // It outlives this process; whoever inherits it waits for it.
        let process = command.spawn()?;
        Ok(Self { to_guard, _reader: reader, _process: process })
    }

    /// The guard of this process, started by the first command; nothing when it could not be.
    fn of_this_process() -> Option<&'static Self> {
        static GUARD: OnceLock<Option<Guard>> = OnceLock::new();
        let started = GUARD.get_or_init(|| match Self::start() {
            Ok(guard) => Some(guard),
            Err(error) => {
                tracing::warn!("if this process is killed, what its commands started may go on: {error}");
                None
            }
        });
        started.as_ref()
    }

    fn say(&self, line: &[u8]) {
        // Short lines go into a pipe whole or not at all. There is nobody else to tell.
        let _ = rustix::io::write(&self.to_guard, line);
    }
}

/// A command that the guard ends if this process is gone; over when dropped.
pub struct Guarded {
    guard: Option<&'static Guard>,
    number: u64,
}

impl Guarded {
    /// For one command, before it is started.
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self { guard: Guard::of_this_process(), number: NEXT.fetch_add(1, Ordering::Relaxed) }
    }

    /// The number under which the command announces itself.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Where it does so.
    pub fn pipe(&self) -> Option<RawFd> {
        self.guard.map(|guard| guard.to_guard.as_raw_fd())
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if let Some(guard) = self.guard {
            guard.say(format!("- {}\n", self.number).as_bytes());
        }
    }
}
