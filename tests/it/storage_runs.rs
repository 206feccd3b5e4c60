//! Pipelines with addresses in the place of paths:
//! 1. what is unchanged far away is not fetched again; what changed is, and what depends on it runs; the same
//!    bytes again cut that off;
//! 2. outputs that are addresses are sent, only what changed; without a bucket an upload says so and does nothing;
//! 3. without the server a run says so, and goes on with the local copies when it is told to;
//! 4. what is pinned by a checksum is neither asked for again nor taken when it is wrong;
//! 5. secrets are nowhere: not in the cache, the artifacts, the logs, nor in anything that is printed.

use std::path::Path;

use recsys::storage::Condition;

use crate::project::{Call, Project};
use crate::s3_servers::{Bucket, KEY, SECRET, buckets, seaweedfs};
use crate::storage_proxy::{Proxy, Trouble};

const COUNT: &str = "
steps:
  count:
    inputs: { events: 's3://@bucket/in/events.csv' }
    outputs: { lines: artifacts/lines.txt }
    run: wc -l < {{ inputs.events }} > {{ outputs.lines }}
  double:
    inputs: { lines: count.lines, events: 's3://@bucket/in/events.csv' }
    outputs: { out: 's3://@bucket/out/double.txt' }
    run: cat {{ inputs.lines }} {{ inputs.lines }} > {{ outputs.out }}
";

fn project(bucket: &Bucket, endpoint: &str, pipeline: &str) -> Project {
    let project = Project::with(&pipeline.replace("@bucket", bucket.name()));
    let env = format!(
        "S3_BUCKET_NAME={}\nS3_ENDPOINT_URL={endpoint}\nAWS_ACCESS_KEY_ID={KEY}\nAWS_SECRET_ACCESS_KEY={SECRET}\nRECSYS_STORAGE_ATTEMPTS=2\nRECSYS_STORAGE_TIMEOUT=10\n",
        bucket.name()
    );
    project.write(".env", &env);
    project
}

#[test]
fn what_is_unchanged_is_not_fetched_again_and_what_changed_is() {
    for bucket in buckets() {
        let proxy = Proxy::before(bucket.endpoint(), |_, _| Trouble::None);
        let project = project(&bucket, &proxy.endpoint(), COUNT);
        let events = bucket.remote("in/events.csv");
        events.put(&b"a\nb\n"[..], &Condition::Always).unwrap();
        let first = project.run(&[]);
        let mut ran = first.ran();
        ran.sort_unstable();
        assert_eq!(ran, ["count", "double", "download_events", "upload_double"], "{}", bucket.server());
        assert_eq!(project.read("artifacts/lines.txt").trim(), "2");
        assert_eq!(bucket.remote("out/double.txt").bytes(100).unwrap().0, b"2\n2\n");
        proxy.forget();
        project.run(&[]).says("nothing to do");
        project.call(&["status"]).says("HIT download_events unchanged");
        let asked = proxy.asked();
        assert!(asked.iter().all(|asked| asked.method == "HEAD"), "{asked:?}");
        assert_eq!(asked.len(), 2, "each command asks once");
        // Another object with as many lines.
        events.put(&b"c\nd\n"[..], &Condition::Always).unwrap();
        project
            .call(&["run", "--dry-run"])
            .says(&format!("RUN download_events input `{}` changed", bucket.address("in/events.csv")));
        let again = project.run(&[]);
        assert_eq!(
            again.ran(),
            ["download_events", "count", "double"],
            "the same doubled lines are there already"
        );
    }
}

#[test]
fn without_a_bucket_an_upload_says_so_and_does_nothing() {
    let Some(bucket) = seaweedfs() else { return };
    let pipeline = "
steps:
  make: { run: 'echo x > {{ outputs.out }}', outputs: { out: artifacts/x.txt } }
  send:
    uses: upload
    inputs: { files: { data/x.txt: make.out } }
    with: { to: \"s3://{{ env.S3_BUCKET_NAME | default('') }}/recsys\" }
";
    let project = project(&bucket, bucket.endpoint(), pipeline);
    let with_bucket = project.read(".env");
    project.write(".env", "S3_BUCKET_NAME=\n");
    project.run(&[]).says("nothing was uploaded: set S3_BUCKET_NAME in `.env` to switch that on");
    project.run(&[]).says("nothing was uploaded").says("nothing to do");
    project.write(".env", &with_bucket);
    let sent = project.run(&[]);
    assert_eq!(sent.ran(), ["send"]);
    sent.says("1 of them had changed");
    assert_eq!(bucket.remote("recsys/data/x.txt").bytes(10).unwrap().0, b"x\n");
    project.run(&["--force", "send"]).says("0 of them had changed");
}

#[test]
fn without_the_server_a_run_goes_on_with_the_local_copies_when_told_to() {
    let Some(bucket) = seaweedfs() else { return };
    bucket.remote("in/events.csv").put(&b"a\nb\n"[..], &Condition::Always).unwrap();
    let pipeline = COUNT.replace("'s3://@bucket/out/double.txt'", "artifacts/double.txt");
    let project = project(&bucket, bucket.endpoint(), &pipeline);
    project.run(&[]);
    let offline = project.read(".env").replace(bucket.endpoint(), "http://127.0.0.1:9");
    project.write(".env", &offline);
    let call = project.call(&["run"]);
    assert_eq!(call.code, 1);
    call.says("cannot read").says("no connection").says("`--skip-download` goes on with the local copies");
    let status = project.call(&["status"]);
    assert_eq!(status.code, 0, "{}", status.stderr);
    status.says("MAYBE download_events cannot read");
    project.run(&["--skip-download"]).says("nothing to do");
    // A copy of somebody's own is taken as it is, without a complaint.
    project.write("artifacts/download_events/events.csv", "1\n2\n3\n");
    let mine = project.run(&["--skip-download"]);
    assert_eq!(mine.ran(), ["count", "double"]);
    assert_eq!(project.read("artifacts/lines.txt").trim(), "3");
    project.write(".env", &offline.replace("http://127.0.0.1:9", bucket.endpoint()));
    project.run(&[]);
    assert_eq!(project.read("artifacts/lines.txt").trim(), "2", "the object is what counts again");
    let fresh = self::project(&bucket, "http://127.0.0.1:9", &pipeline);
    let call = fresh.call(&["run", "--skip-download"]);
    assert_eq!(call.code, 1);
    call.says("`count` needs `download_events.file`, which is not in the store");
}

#[test]
fn what_is_pinned_is_fetched_once_and_refused_when_it_is_wrong() {
    let bytes = b"a\nb\nc\n".to_vec();
    let digest = blake3::hash(&bytes).to_hex();
    let proxy = Proxy::of(bytes, |_, _| Trouble::None);
    let url = format!("{}/events.csv#blake3={digest}", proxy.endpoint());
    let pipeline = COUNT.split("  double:").next().unwrap();
    let project = Project::with(&pipeline.replace("s3://@bucket/in/events.csv", &url));
    project.run(&[]);
    proxy.forget();
    project.run(&[]).says("nothing to do");
    project.call(&["status"]).says("HIT download_events");
    assert_eq!(proxy.asked(), [], "the checksum says it all");
    let wrong = url.replace(&digest.to_string(), &"0".repeat(64));
    project.write("pipelines/music.yaml", &pipeline.replace("s3://@bucket/in/events.csv", &wrong));
    let call = project.call(&["run"]);
    assert_eq!(call.code, 1);
    call.says(&format!("expected was blake3:{}", "0".repeat(64)));
    project.write(
        "pipelines/music.yaml",
        &pipeline.replace("s3://@bucket/in/events.csv", &url.replace(&digest[..60], "")),
    );
    let call = project.call(&["check"]);
    assert_eq!(call.code, 2);
    call.says("a checksum is `sha256:`, `blake3:` or `md5:`");
}

#[test]
fn an_address_that_is_none_is_underlined_and_local_ones_are_paths() {
    let project = Project::with(&COUNT.replace("s3://@bucket/in/events.csv", "ftp://host/events.csv"));
    let call = project.call(&["check"]);
    assert_eq!(call.code, 2);
    call.says("`ftp://host/events.csv` is no address of an object: its scheme is not known");
    let local = COUNT.replace("s3://@bucket/in/events.csv", "file:in/events.csv");
    project.write("in/events.csv", "1\n");
    let target = project.path("elsewhere/double.txt");
    let local = local.replace("s3://@bucket/out/double.txt", &format!("file://{}", target.display()));
    project.write("pipelines/music.yaml", &local);
    let mut ran = project.run(&[]).ran().into_iter().map(str::to_owned).collect::<Vec<_>>();
    ran.sort_unstable();
    assert_eq!(ran, ["count", "double", "upload_double"]);
    assert_eq!(std::fs::read_to_string(target).unwrap(), "1\n1\n");
}

/// Every file under a folder that has one of these words in it, somewhere.
fn files_with(folder: &Path, words: &[&str], found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files_with(&path, words, found);
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let name = path.display().to_string();
        let has = |word: &&str| {
            name.contains(*word) || bytes.windows(word.len()).any(|window| window == word.as_bytes())
        };
        found.extend(words.iter().filter(|word| has(word)).map(|word| format!("{word} in {name}")));
    }
}

#[test]
fn secrets_are_nowhere() {
    let Some(bucket) = seaweedfs() else { return };
    let web = Proxy::of(b"x\n".to_vec(), |_, _| Trouble::None);
    let broken = Proxy::of(b"x\n".to_vec(), |_, _| {
        Trouble::Answer("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n".to_owned())
    });
    let (signature, login, token) = ("5ignature-of-a-url", "pa55word-of-a-url", "t0ken-of-a-url");
    let pipeline = format!(
        "
vars: {{ token: '{{{{ env.TOKEN }}}}' }}
steps:
  count:
    inputs:
      a: '{0}/a.csv?X-Amz-Signature={signature}'
      b: '{1}/b.csv'
      c: '{{{{ env.SIGNED }}}}'
      d: 's3://@bucket/d'
    outputs: {{ lines: 's3://@bucket/lines.txt' }}
    run: cat {{{{ inputs.a }}}} {{{{ inputs.b }}}} {{{{ inputs.c }}}} > {{{{ outputs.lines }}}}
",
        web.endpoint(),
        web.endpoint().replace("http://", &format!("http://user:{login}@")),
    );
    let project = project(&bucket, bucket.endpoint(), &pipeline);
    bucket.remote("d").put(&b"d\n"[..], &Condition::Always).unwrap();
    let good =
        format!("{}TOKEN={token}\nSIGNED={}/c.csv?sig={token}\n", project.read(".env"), web.endpoint());
    let words = [SECRET, signature, login, token, "wrong-secret"];
    let mut told: Vec<Call> = Vec::new();
    let commands: &[&[&str]] = &[
        &["run", "--dry-run"],
        &["run"],
        &["run"],
        &["run", "--force", "--log-format", "json"],
        &["status"],
        &["run", "--dry-run", "--log-format", "json"],
        &["why", "count"],
        &["why", "download_a"],
        &["graph", "--format", "json"],
        &["check"],
        &["runs", "last"],
        &["logs", "download_a"],
        &["logs", "upload_lines"],
        &["storage", "check"],
        &["run", "--set", "count.nothing=1"],
        &["run", "--var", "nothing=http://u:pa55word-of-a-url@h/x?y=5ignature-of-a-url"],
    ];
    for env in [
        good.clone(),
        good.replace(SECRET, "wrong-secret"),
        good.replace(&web.endpoint(), &broken.endpoint()),
        good.replace(bucket.endpoint(), "http://127.0.0.1:9").replace("SIGNED=http://", "SIGNED=ftp://"),
    ] {
        project.write(".env", &env);
        told.extend(commands.iter().map(|command| project.call(command)));
    }
    // Mistakes of the file are shown with the lines that they are in.
    let wrong = project.read("pipelines/music.yaml").replace("      d:", "      d: ['x']\n      e:");
    project.write(
        "pipelines/music.yaml",
        &wrong
            .replace("5ignature-of-a-url'", "5ignature-of-a-url'\n      a: https://h/x?y=5ignature-of-a-url"),
    );
    told.push(project.call(&["check"]));
    project.write("pipelines/music.yaml", &wrong.replace("run: cat", "run: 5"));
    told.push(project.call(&["run"]));
    assert_eq!(told[1].code, 0, "{}{}", told[1].stdout, told[1].stderr);
    assert!(told.iter().filter(|call| call.code != 0).count() > 6, "there were errors to look at");
    for call in &told {
        for word in words {
            let all = format!("{}{}", call.stdout, call.stderr);
            assert!(!all.contains(word), "{word} in {all}");
        }
    }
    let mut found = Vec::new();
    for folder in ["cache", "artifacts"] {
        assert!(project.path(folder).is_dir());
        files_with(&project.path(folder), &words, &mut found);
    }
    assert!(found.is_empty(), "{found:#?}");
}
