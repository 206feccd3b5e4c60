//! A command between its start and its end: its process, its pipes, what it used.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::guard::Guarded;
use super::pipe::{Output, Pipe, Stream};
use super::spawn::{self, Spawned, Used};
use super::{Ended, orphans, session};
use crate::workflow::kind::Usage;

/// A command between its start and its end; killed when dropped before.
pub struct Running {
    /// Process, group and session at once.
    pub pid: Pid,
    /// Until then its number is given to nobody else.
    waited_for: bool,
    process: Option<OwnedFd>,
    /// Whether its shell has ended; others of its session may live on.
    pub exited: bool,
    /// Those of its pipes that have not ended.
    pipes: Vec<Pipe>,
    own_memory: u64,
    guarded: Option<Guarded>,
}

impl Running {
    /// Takes over a command that has just been started; on an error it is killed.
    pub fn new(spawned: Spawned, guarded: Guarded, own_memory: u64) -> io::Result<Self> {
        let mut running = Self {
            pid: spawned.pid,
            waited_for: false,
            process: None,
            exited: false,
            pipes: Vec::new(),
            own_memory,
            guarded: Some(guarded),
        };
        running.process = Some(pidfd_open(running.pid, PidfdFlags::empty())?);
        for (stream, source) in [(Stream::Stdout, spawned.stdout), (Stream::Stderr, spawned.stderr)] {
            running.pipes.push(Pipe::new(stream, source)?);
        }
        Ok(running)
    }

    /// Waits for output, the end of the command, or the tick.
    pub fn listen(&mut self, tick: Timespec, buffer: &mut [u8], output: &mut dyn Output) -> io::Result<()> {
        let mut sources: Vec<PollFd<'_>> =
            self.pipes.iter().map(|pipe| PollFd::new(pipe, PollFlags::IN)).collect();
        let process = self.process.as_ref().filter(|_| !self.exited);
        sources.extend(process.map(|process| PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)));
        match poll(&mut sources, Some(&tick)) {
            Ok(_) => {}
            // A signal to the runner: the caller looks at what it meant.
            Err(Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<bool> = sources.iter().map(|source| !source.revents().is_empty()).collect();
        self.exited |= process.is_some() && ready.last() == Some(&true);
        let mut ready = ready.into_iter();
        self.pipes.retain_mut(|pipe| ready.next() != Some(true) || pipe.read(buffer, output));
        Ok(())
    }

    /// Ends what the shell left behind, and reads what is in the pipes now.
    pub fn end_the_rest(&mut self, buffer: &mut [u8], output: &mut dyn Output) {
        session::kill_group(self.pid);
        orphans::end(self.pid);
        self.pipes.retain_mut(|pipe| pipe.drain(buffer, output));
        // Whoever still holds a pipe has left the session, and keeps nobody waiting.
        self.pipes.iter_mut().for_each(|pipe| pipe.finish(output));
    }

    /// Waits for the shell, which has ended, and forgets it.
    pub fn reap(mut self) -> io::Result<Ended> {
        let used = self.wait()?;
        let peak_memory_bytes =
            if used.peak_memory_bytes > self.own_memory { used.peak_memory_bytes } else { 0 };
        let usage = Usage { peak_memory_bytes, cpu_seconds: used.time.as_secs_f64() };
        Ok(Ended { status: used.status, usage })
    }

    fn wait(&mut self) -> io::Result<Used> {
        // The guard must forget its number before the system may give it to somebody else.
        self.guarded = None;
        self.waited_for = true;
        spawn::wait(self.pid)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.waited_for {
            session::kill(self.pid);
            orphans::end(self.pid);
            let _ = self.wait();
        }
    }
}

/// What a child's peak is at least: it begins with the runner's memory, and the kernel counts the
/// runner's own peak, though the child gives all of it up at once. With some room for what changes
/// meanwhile.
pub fn memory_handed_on() -> u64 {
    let peak = || -> Option<u64> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    let peak = peak().unwrap_or(0) * 1024;
    peak + (peak / 8).max(1 << 20)
}
