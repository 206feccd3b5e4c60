//! Runs a command that cannot outlive the runner: its own process group, ended when the run is
//! stopped, and killed by the kernel when the runner is.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group, set_parent_process_death_signal};

/// Between the polite signal and the last one.
const GRACE: Duration = Duration::from_secs(5);
/// How often a running command is looked at.
const POLL: Duration = Duration::from_millis(10);
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

impl ShellCommand<'_> {
    /// Starts it, with its output in pipes. The calling thread must live as long as the command does.
    ///
    /// # Errors
    /// When the system cannot start a shell.
    pub fn start(&self) -> io::Result<Child> {
        let mut command = Command::new("sh");
        command
            .args(["-e", "-c", self.command])
            .current_dir(self.folder)
            .env_clear()
            .envs(PASSED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .envs(self.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        // SAFETY: between fork and exec only one system call is made, which is async-signal-safe
        // and touches no memory of the parent.
        #[expect(unsafe_code, reason = "the parent-death signal can only be set in the child")]
        unsafe {
            command.pre_exec(|| set_parent_process_death_signal(Some(Signal::KILL)).map_err(io::Error::from));
        }
        command.spawn()
    }
}

/// Waits for a command, ending its whole process group when `stopped` says so.
///
/// # Errors
/// When the system refuses to wait.
pub fn wait(child: &mut Child, stopped: impl Fn() -> bool) -> io::Result<ExitStatus> {
    let mut deadline: Option<Instant> = None;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        match deadline {
            None if stopped() => {
                signal(child, Signal::TERM);
                deadline = Some(Instant::now() + GRACE);
            }
            Some(deadline) if Instant::now() > deadline => signal(child, Signal::KILL),
            _ => {}
        }
        std::thread::sleep(POLL);
    }
}

/// How a command ended, in words.
pub fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "an unknown end".to_owned(),
    }
}

fn signal(child: &Child, signal: Signal) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // The group may be gone already.
        let _ = kill_process_group(group, signal);
    }
}
