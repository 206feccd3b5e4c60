//! Runs one command line that cannot outlive the runner.
//!
//! One loop on the calling thread waits for the command's end and for its output at once (`poll`), so
//! a command costs no thread and no sleep. The command leads a session and a group of its own. When
//! its shell has ended, what it left in the background is killed, and what is still in the pipes is
//! read without waiting for their end. When the runner is killed, the [`guard`] kills the group.
//!
//! The parent-death signal comes second. It reaches the shell only, and it comes when the *thread*
//! that started the command ends: hence one call starts the command and waits for it.

mod guard;
mod lines;
mod pipe;
mod session;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, set_parent_process_death_signal, setsid};
use wait4::{ResUse, Wait4};

use self::guard::Guarded;
use self::pipe::Pipe;
pub use self::pipe::{Output, Stream};
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
        let guarded = Guarded::new();
        let announce = guarded.announcement();
        let mut command = Command::new("sh");
        command
            .args(["-e", "-c", self.command])
            .current_dir(self.folder)
            .env_clear()
            .envs(PASSED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .envs(self.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // SAFETY: between fork and exec only system calls are made (setsid, getpid, write, prctl): all
        // are async-signal-safe, none allocates, and the closure touches no memory but its own.
        #[expect(unsafe_code, reason = "only the child can name its session, its guard and its last signal")]
        unsafe {
            command.pre_exec(move || {
                setsid()?;
                announce();
                Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
            });
        }
        let own_memory = memory_handed_on();
        let mut child = command.spawn()?;
        let pipes = [
            child.stdout.take().map(|pipe| Pipe::new(Stream::Stdout, pipe.into())),
            child.stderr.take().map(|pipe| Pipe::new(Stream::Stderr, pipe.into())),
        ];
        let pid = Pid::from_child(&child);
        let mut running = Running {
            pid,
            child: Some(child),
            process: None,
            exited: false,
            pipes: Vec::new(),
            own_memory,
            guarded: Some(guarded),
        };
        // From here on an error ends the command: see `drop`.
        running.process = Some(pidfd_open(pid, PidfdFlags::empty())?);
        running.pipes = pipes.into_iter().flatten().collect::<io::Result<_>>()?;
        Ok(running)
    }
}

/// A command between its start and its end; killed when dropped before.
struct Running {
    /// Process, group and session at once.
    pid: Pid,
    /// Until it is waited for: so long its number is given to nobody else.
    child: Option<Child>,
    process: Option<OwnedFd>,
    exited: bool,
    /// Those of its pipes that have not ended.
    pipes: Vec<Pipe>,
    own_memory: u64,
    guarded: Option<Guarded>,
}

impl Running {
    /// Waits for output, the end of the command, or the tick.
    fn listen(&mut self, tick: Timespec, buffer: &mut [u8], output: &mut dyn Output) -> io::Result<()> {
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
    fn end_the_rest(&mut self, buffer: &mut [u8], output: &mut dyn Output) {
        session::kill_group(self.pid);
        self.pipes.retain_mut(|pipe| pipe.drain(buffer, output));
        if !self.pipes.is_empty() {
            // Somebody holds a pipe: dying, or in another group of the session.
            session::kill(self.pid);
            self.pipes.iter_mut().for_each(|pipe| pipe.finish(output));
        }
    }

    fn reap(mut self) -> io::Result<Ended> {
        let used = self.wait().expect("it is waited for here or in `drop`, which comes after")?;
        let time = used.rusage.utime + used.rusage.stime;
        let peak_memory_bytes = if used.rusage.maxrss > self.own_memory { used.rusage.maxrss } else { 0 };
        Ok(Ended { status: used.status, usage: Usage { peak_memory_bytes, cpu_seconds: time.as_secs_f64() } })
    }

    fn wait(&mut self) -> Option<io::Result<ResUse>> {
        let child = self.child.take()?;
        // The guard must forget its number before the system may give it to somebody else.
        self.guarded = None;
        Some(child.wait4())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.child.is_some() {
            session::kill(self.pid);
            let _ = self.wait();
        }
    }
}

/// What a child's peak is at least: a fork begins with the runner's private memory, and the kernel
/// counts that, though exec gives it up at once. With some room for what changes meanwhile.
fn memory_handed_on() -> u64 {
    let pages = || -> Option<u64> {
        let text = fs::read_to_string("/proc/self/statm").ok()?;
        let mut fields = text.split(' ').skip(1).map(str::parse::<u64>);
        let (resident, shared) = (fields.next()?.ok()?, fields.next()?.ok()?);
        resident.checked_sub(shared)
    };
    let private = pages().unwrap_or(0) * rustix::param::page_size() as u64;
    private + (private / 8).max(1 << 20)
}

/// How a command ended, in words.
pub fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal().and_then(Signal::from_named_raw)) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {} ({signal:?})", signal.as_raw()),
        (None, None) => format!("signal {}", status.signal().unwrap_or_default()),
    }
}
