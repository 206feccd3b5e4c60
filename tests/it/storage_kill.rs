//! `kill -9` in the middle of a transfer, then the same command again:
//! 1. a download goes on with the parts that had arrived;
//! 2. an upload goes on with the parts that had arrived, and no upload is left unfinished, also when the file has
//!    changed in between.

use std::process::Stdio;
use std::time::{Duration, Instant};

use recsys::storage::Condition;

use crate::project::Project;
use crate::s3_servers::{Bucket, KEY, SECRET, buckets};
use crate::storage::{Files, noise, unfinished};
use crate::storage_proxy::{Asked, Proxy, Trouble};

/// Twelve parts.
const SIZE: usize = 60 << 20;

/// Parts take their time, so that there is a middle to be killed in.
fn slow(asked: &Asked, _: usize) -> Trouble {
    match is_part(asked) {
        true => Trouble::Delay(Duration::from_millis(250)),
        false => Trouble::None,
    }
}

fn is_part(asked: &Asked) -> bool {
    asked.range.is_some() || (asked.method == "PUT" && asked.target.contains("partNumber"))
}

fn parts(proxy: &Proxy) -> usize {
    proxy.asked().iter().filter(|asked| is_part(asked)).count()
}

/// A project whose transfers go through a proxy, two parts at a time.
fn project(bucket: &Bucket, proxy: &Proxy, pipeline: &str) -> Project {
    let project = Project::with(&pipeline.replace("@bucket", bucket.name()));
    project.write(
        ".env",
        &format!(
            "S3_ENDPOINT_URL={}\nAWS_ACCESS_KEY_ID={KEY}\nAWS_SECRET_ACCESS_KEY='{SECRET}'\nRECSYS_STORAGE_PART_SIZE=5\nRECSYS_STORAGE_PARTS=2\n",
            proxy.endpoint()
        ),
    );
    project
}

/// Runs until so many parts were asked for, then kills the run; how many were asked for.
fn run_and_kill(project: &Project, proxy: &Proxy, after: usize) -> usize {
    let mut command = project.command(&["run"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    while parts(proxy) < after {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        assert!(began.elapsed() < Duration::from_secs(120));
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    parts(proxy)
}

#[test]
fn a_killed_download_goes_on_where_it_was() {
    for bucket in buckets() {
        let bytes = noise(SIZE);
        let files = Files::new();
        files.upload(&bucket.remote("large"), &files.with("large", &bytes)).unwrap();
        let proxy = Proxy::before(bucket.endpoint(), slow);
        let pipeline = "
steps:
  size:
    inputs: { large: 's3://@bucket/large' }
    outputs: { size: artifacts/size.txt }
    run: wc -c < {{ inputs.large }} > {{ outputs.size }}
";
        let project = project(&bucket, &proxy, pipeline);
        let asked = run_and_kill(&project, &proxy, 7);
        assert!(!project.path("artifacts/download_large/large").exists());
        proxy.forget();
        project.run(&[]);
        // Two were under way when it was killed.
        assert!(parts(&proxy) <= 12 - (asked - 2), "{asked}, then {}", parts(&proxy));
        assert!(std::fs::read(project.path("artifacts/download_large/large")).unwrap() == bytes);
        assert_eq!(project.read("artifacts/size.txt").trim(), SIZE.to_string());
        let kept = std::fs::read_dir(project.path("cache/v2/checkpoints")).unwrap().count();
        assert_eq!(kept, 0, "nothing is left of the partial file");
    }
}

#[test]
fn a_killed_upload_goes_on_where_it_was_or_is_taken_back() {
    for bucket in buckets() {
        let mut bytes = noise(SIZE);
        let proxy = Proxy::before(bucket.endpoint(), slow);
        let pipeline = "
steps:
  send:
    uses: upload
    inputs: { files: { large: in/large } }
    with: { to: 's3://@bucket/up' }
";
        let project = project(&bucket, &proxy, pipeline);
        let put = |bytes: &[u8]| {
            std::fs::create_dir_all(project.path("in")).unwrap();
            std::fs::write(project.path("in/large"), bytes).unwrap();
        };
        put(&bytes);
        let object = bucket.remote("up/large");
        object.put(&b"the old one"[..], &Condition::Always).unwrap();
        let asked = run_and_kill(&project, &proxy, 7);
        assert_eq!(unfinished(&bucket), 1, "{}", bucket.server());
        assert_eq!(object.bytes(100).unwrap().0, b"the old one", "nothing is seen of it yet");
        proxy.forget();
        project.run(&[]);
        // moto does not tell in the way of S3 which parts it has.
        let had = if bucket.server() == "moto" { 0 } else { asked - 2 };
        assert!(parts(&proxy) <= 12 - had, "{asked}, then {}", parts(&proxy));
        assert_eq!(unfinished(&bucket), 0, "{}", bucket.server());
        assert!(object.bytes(SIZE).unwrap().0 == bytes);
        bytes.reverse();
        put(&bytes);
        run_and_kill(&project, &proxy, 2);
        assert!(unfinished(&bucket) <= 1);
        bytes.truncate(SIZE / 2);
        put(&bytes);
        project.run(&[]);
        assert_eq!(unfinished(&bucket), 0, "{}", bucket.server());
        assert!(object.bytes(SIZE).unwrap().0 == bytes);
    }
}
