//! The guard: a small process that ends the commands of a runner that was killed.
//!
//! The kernel tells nobody when a process dies of `kill -9`, except whoever reads a pipe that only
//! that process could write to. So the guard, a shell with a short script, reads such a pipe: each
//! command says there which process it is, the runner says when it is over, and at the end of the
//! pipe the guard kills what is left. One guard serves the whole process. It has a group of its own
//! and ignores the terminal's signals, so that it outlives what ends the runner, by milliseconds.
//!
//! * A command says its number itself, between fork and exec, while it still holds the pipe open: at
//!   no moment is there a command of which the guard does not know.
//! * The runner keeps the reading end too, and writes without waiting: a guard that is gone, or slow,
//!   neither ends nor delays a command. The parent-death signal is left then.

use std::io::{self, PipeReader, PipeWriter};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::getpid;

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

    /// What the command itself calls between fork and exec: it tells the guard who it is.
    ///
    /// The closure is async-signal-safe: it touches only its own bytes, and calls `getpid` and `write`.
    pub fn announcement(&self) -> impl Fn() + Send + Sync + 'static {
        let guard = self.guard;
        let beginning = Line::new().text(b"+ ").number(self.number).text(b" ");
        move || {
            if let Some(guard) = guard {
                let pid = u64::from(getpid().as_raw_nonzero().get().unsigned_abs());
                guard.say(beginning.number(pid).text(b"\n").bytes());
            }
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if let Some(guard) = self.guard {
            guard.say(Line::new().text(b"- ").number(self.number).text(b"\n").bytes());
        }
    }
}

/// A line put together without allocation; two numbers of twenty digits fit.
#[derive(Clone, Copy)]
struct Line {
    bytes: [u8; 48],
    length: usize,
}

impl Line {
    const fn new() -> Self {
        Self { bytes: [0; 48], length: 0 }
    }

    fn text(mut self, text: &[u8]) -> Self {
        for byte in text {
            self.bytes[self.length] = *byte;
            self.length += 1;
        }
        self
    }

    fn number(self, number: u64) -> Self {
        let mut digits = [0; 20];
        let (mut first, mut rest) = (digits.len(), number);
        loop {
            first -= 1;
            digits[first] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                return self.text(&digits[first..]);
            }
        }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_line_fits() {
        let line = Line::new().text(b"+ ").number(u64::MAX).text(b" ").number(u64::MAX).text(b"\n");
        assert_eq!(line.bytes(), format!("+ {0} {0}\n", u64::MAX).as_bytes());
        assert_eq!(Line::new().number(0).bytes(), b"0");
    }
}
