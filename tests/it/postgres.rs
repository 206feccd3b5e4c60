//! A real PostgreSQL for tests, in a temporary folder on a free port.
//!
//! Where none is installed the tests that need one say so and pass: Debian's package is `postgresql`. The
//! server refuses to run as root and is started as `nobody` then.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::serve_project::free_port;

const PASSWORD: &str = "test-password";

/// A database server, stopped when it is dropped.
pub struct Postgres {
    folder: TempDir,
    programs: PathBuf,
    port: u16,
}

impl Postgres {
    /// Starts one; `None` where PostgreSQL is not installed.
    pub fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            eprintln!("skipped: PostgreSQL is not installed (Debian: postgresql)");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let server = Self { folder, programs, port: free_port() };
        std::fs::write(server.folder.path().join("password"), PASSWORD).unwrap();
        let password = format!("--pwfile={}", server.folder.path().join("password").display());
        let fixed = ["-U", "recsys", "--auth=scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync"];
        server.command("initdb", &[&["-D", &server.data(), &password], &fixed[..]].concat());
        server.run();
        Some(server)
    }

    /// Where it is reached.
    pub fn url(&self) -> String {
        format!("postgres://recsys:{PASSWORD}@127.0.0.1:{}/postgres", self.port)
    }

    /// The password in the address.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// Starts it again.
    pub fn run(&self) {
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c shared_buffers=16MB",
            self.port
        );
        let log = self.folder.path().join("data/log").display().to_string();
        self.command("pg_ctl", &["-D", &self.data(), "-l", &log, "-w", "-o", &options, "start"]);
    }

    /// Stops it without a word to its clients.
    pub fn crash(&mut self) {
        self.command("pg_ctl", &["-D", &self.data(), "-m", "immediate", "-w", "stop"]);
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    fn command(&self, program: &str, arguments: &[&str]) {
        let status = self.prepared(program, arguments).status().unwrap();
        assert!(status.success(), "{program} {arguments:?}");
    }

    fn prepared(&self, program: &str, arguments: &[&str]) -> Command {
        let program = self.programs.join(program);
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "nobody", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.args(arguments).current_dir("/").stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.prepared("pg_ctl", &["-D", &self.data(), "-m", "immediate", "-w", "stop"]).status();
    }
}

/// The folder with `initdb` and `pg_ctl`.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let folders = debian.map(|version| version.path().join("bin")).chain(std::env::split_paths(&path));
    let has = |folder: &Path| ["initdb", "pg_ctl", "postgres"].iter().all(|name| folder.join(name).exists());
    folders.into_iter().find(|folder| has(folder))
}
