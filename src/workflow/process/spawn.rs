//! Starting a shell and waiting for it, as cheaply as the system can.
//!
//! `posix_spawn` shares the runner's memory until the shell begins. A fork would copy the tables of all
//! of it for every command: 3 ms with 20 MB in use, 30 ms with 500 MB, against 1 ms. So nothing of ours
//! runs between the two; what has to be done in the new process, its shell does first.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::Pid;

use super::ShellCommand;
use super::guard::Guarded;

/// What the shell does before the command: it tells the guard which process it is, while it still holds
/// the pipe open, so that the pipe cannot end before; then it gives the pipe up and goes to its folder.
/// All on the first line of the command, whose lines keep their numbers.
const FIRST: &str =
    r#"{ printf '+ %s %s\n' "$1" "$$" >&0; } 2>/dev/null || :; exec </dev/null; cd -- "$2"; shift 2; "#;

/// A shell that was started, and its output.
pub struct Spawned {
    /// Its process, its group and its session at once.
    pub pid: Pid,
    /// Its results.
    pub stdout: OwnedFd,
    /// Its messages.
    pub stderr: OwnedFd,
}

/// Starts the shell of a command, in a session of its own.
///
/// # Errors
/// When the system cannot start it.
pub fn spawn(command: &ShellCommand<'_>, guarded: &Guarded) -> io::Result<Spawned> {
    let (stdout, stdout_of_child) = io::pipe()?;
    let (stderr, stderr_of_child) = io::pipe()?;
    let nothing = File::options().read(true).write(true).open("/dev/null")?;
    let stdin = guarded.pipe().unwrap_or(nothing.as_raw_fd());
    let script = format!("{FIRST}{}", command.command);
    let number = guarded.number().to_string();
    let folder = command.folder.as_os_str();
    let words = ["sh", "-e", "-c", &script, "sh", &number].map(OsStr::new);
    let words = words.into_iter().chain([folder]).map(c_string).collect::<io::Result<Vec<CString>>>()?;
    let ends = [stdin, stdout_of_child.as_raw_fd(), stderr_of_child.as_raw_fd()];
    let pid = posix_spawn(&words, &environment(command)?, ends)?;
    Ok(Spawned { pid, stdout: stdout.into(), stderr: stderr.into() })
}

/// Starts `sh` with these words in a session of its own; `ends` become its standard input, output and
/// error. Signals are as a program expects them at its start.
#[expect(unsafe_code, reason = "std forks for a session of its own, and copies the tables of all memory")]
fn posix_spawn(words: &[CString], environment: &[CString], ends: [RawFd; 3]) -> io::Result<Pid> {
    let pointers = |texts: &[CString]| -> Vec<*mut libc::c_char> {
        texts.iter().map(|text| text.as_ptr().cast_mut()).chain([std::ptr::null_mut()]).collect()
    };
    let (words, environment) = (pointers(words), pointers(environment));
    let checked = |code: i32| if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) };
    let mut pid = 0;
    // SAFETY: actions and attributes are initialised before they are used and destroyed once, whatever
    // happens between; the lists end with a null pointer and lead to texts that outlive the call, which
    // does not change them; sets of signals are plain values that `sigemptyset` initialises.
    unsafe {
        let mut actions = MaybeUninit::uninit();
        checked(libc::posix_spawn_file_actions_init(actions.as_mut_ptr()))?;
        let mut attributes = MaybeUninit::uninit();
        let mut spawned = checked(libc::posix_spawnattr_init(attributes.as_mut_ptr()));
        if spawned.is_ok() {
            let mut none = MaybeUninit::uninit();
            libc::sigemptyset(none.as_mut_ptr());
            // This process ignores it, which a command would inherit.
            let mut default = none;
            libc::sigaddset(default.as_mut_ptr(), libc::SIGPIPE);
            let flags = libc::POSIX_SPAWN_SETSID
                | (libc::POSIX_SPAWN_SETSIGDEF | libc::POSIX_SPAWN_SETSIGMASK) as libc::c_short;
            spawned = checked(libc::posix_spawnattr_setflags(attributes.as_mut_ptr(), flags))
                .and_then(|()| {
                    checked(libc::posix_spawnattr_setsigdefault(attributes.as_mut_ptr(), default.as_ptr()))
                })
                .and_then(|()| {
                    checked(libc::posix_spawnattr_setsigmask(attributes.as_mut_ptr(), none.as_ptr()))
                });
            for (number, end) in (0..).zip(ends) {
                spawned = spawned.and_then(|()| {
                    checked(libc::posix_spawn_file_actions_adddup2(actions.as_mut_ptr(), end, number))
                });
            }
            spawned = spawned.and_then(|()| {
                checked(libc::posix_spawnp(
                    &mut pid,
                    c"sh".as_ptr(),
                    actions.as_ptr(),
                    attributes.as_ptr(),
                    words.as_ptr(),
                    environment.as_ptr(),
                ))
            });
            libc::posix_spawnattr_destroy(attributes.as_mut_ptr());
        }
        libc::posix_spawn_file_actions_destroy(actions.as_mut_ptr());
        spawned?;
    }
    Pid::from_raw(pid).ok_or_else(|| io::Error::other("the shell has no process number"))
}

/// The environment as the shell takes it.
fn environment(command: &ShellCommand<'_>) -> io::Result<Vec<CString>> {
    let passed_on = super::PASSED_ON.iter().filter(|name| !command.environment.contains_key(**name));
    let passed_on = passed_on.filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)));
    let declared = command.environment.iter().map(|(name, value)| (name.into(), value.into()));
    let variable = |(mut variable, value): (OsString, OsString)| {
        variable.push("=");
        variable.push(value);
        c_string(&variable)
    };
    passed_on.chain(declared).map(variable).collect()
}

fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a command must not hold a zero byte"))
}

/// What a process used until it ended, with all that it waited for.
pub struct Used {
    /// Its exit code or signal.
    pub status: ExitStatus,
    /// The most memory that one of them held, in bytes.
    pub peak_memory_bytes: u64,
    /// Processor time.
    pub time: Duration,
}

/// Waits for a child that [`spawn`] has started, and forgets it.
///
/// # Errors
/// When it is no child of this process any more.
pub fn wait(pid: Pid) -> io::Result<Used> {
    let mut status = 0;
    // SAFETY: all fields of `rusage` are integers, for which zero is a value.
    #[expect(
        unsafe_code,
        reason = "only wait4 tells what one child used; no crate has it for a plain number"
    )]
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both pointers lead to live values of the types that the call writes.
        #[expect(unsafe_code, reason = "see above")]
        let found = unsafe { libc::wait4(pid.as_raw_nonzero().get(), &mut status, 0, &mut usage) };
        if found > 0 {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec.unsigned_abs()) + Duration::from_micros(time.tv_usec.unsigned_abs())
    };
    Ok(Used {
        status: ExitStatus::from_raw(status),
        peak_memory_bytes: usage.ru_maxrss.unsigned_abs() * 1024,
        time: time(usage.ru_utime) + time(usage.ru_stime),
    })
}
