//! The remote cache:
//! 1. what one folder made, another has with no step run: read through, pulled, forecast;
//! 2. what is damaged, incomplete or out of reach there is told, and the step runs;
//! 3. several writers do not harm one another, and one that is killed leaves nothing wrong;
//! 4. collection there keeps what is in use.

use std::path::Path;

use crate::project::{Call, Project};
use crate::s3_servers;

const PIPELINE: &str = "
name: words
steps:
  sort:
    inputs: { words: words.txt }
    outputs: { sorted: artifacts/sorted.txt }
    run: sort {{ inputs.words }} > {{ outputs.sorted }}
  count:
    inputs: { sorted: sort.sorted }
    outputs: { lines: artifacts/lines.txt }
    run: wc -l < {{ inputs.sorted }} > {{ outputs.lines }}
";

fn project() -> Project {
    let project = Project::with(PIPELINE);
    project.write("words.txt", "b\na\n");
    project
}

/// A folder as a remote cache, and a project that has sent what it made there.
fn pushed() -> (tempfile::TempDir, String, Project) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file:{}", folder.path().display());
    let project = project();
    assert_eq!(project.run(&[]).ran(), ["sort", "count"]);
    done(&project, &["cache", "push", &url]).says("sent: 2 results, 2 objects (6 B); 0 results were there");
    (folder, url, project)
}

fn done(project: &Project, args: &[&str]) -> Call {
    let call = project.call(args);
    assert_eq!(call.code, 0, "{}{}", call.stdout, call.stderr);
    call
}

/// Every file below a folder whose path has this part.
fn files(folder: &Path, part: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            found.extend(files(&entry.path(), part));
        } else if entry.path().to_string_lossy().contains(part) {
            found.push(entry.path());
        }
    }
    found
}

#[test]
fn a_second_folder_runs_nothing() {
    let (_folder, url, first) = pushed();
    let second = project();
    let call = second.run(&["--cache-from", &url, "--dry-run"]);
    assert_eq!(call.stdout.matches("HIT").count(), 2, "{}", call.stdout);
    call.says(&format!("made elsewhere: in {url}"));
    let call = second.run(&["--cache-from", &url]);
    assert!(call.ran().is_empty(), "{}", call.stderr);
    call.says("fetched");
    for artifact in ["artifacts/sorted.txt", "artifacts/lines.txt"] {
        assert_eq!(second.read(artifact), first.read(artifact));
    }
    second.run(&[]).says("nothing to do: 2 steps are up to date");
    done(&second, &["cache", "verify"]).says("sound");
    done(&second, &["runs", "last"]).says("made elsewhere");
}

#[test]
fn an_edit_runs_what_nobody_made_and_fetches_the_rest() {
    let (_folder, url, _) = pushed();
    let second = project();
    second.write("pipelines/music.yaml", &PIPELINE.replace("wc -l", "wc -c"));
    assert_eq!(second.run(&["--cache-from", &url]).ran(), ["count"]);
    assert_eq!(second.read("artifacts/lines.txt").trim(), "4");
    let third = project();
    assert_eq!(third.run(&["--cache-from", &url, "--force"]).ran(), ["sort", "count"], "forced is forced");
}

#[test]
fn the_environment_and_dotenv_name_the_cache() {
    let (_folder, url, _) = pushed();
    let second = project();
    second.write(".env", &format!("RECSYS_CACHE_FROM={url}\n"));
    assert!(second.run(&[]).ran().is_empty());
    let third = project();
    let call = Call::of(third.command(&["status"]).env("RECSYS_CACHE_FROM", &url).output().unwrap());
    assert_eq!(call.stdout.matches("HIT").count(), 2, "{}", call.stdout);
}

#[test]
fn pulling_takes_what_is_there_and_names_what_is_not() {
    let (folder, url, _) = pushed();
    let second = project();
    done(&second, &["cache", "pull", "--cache-from", &url])
        .says("fetched the results of 2 steps, 0 were here");
    done(&second, &["cache", "pull", "--cache-from", &url])
        .says("fetched the results of 0 steps, 2 were here");
    assert!(!second.path("artifacts").exists(), "a pull releases nothing");
    assert!(second.run(&[]).ran().is_empty());
    let third = project();
    third.write("words.txt", "c\n");
    let call = done(&third, &["cache", "pull", "--cache-from", &url]);
    call.says("not there: sort").says("unknown, for they read what these make: count");
    drop(folder);
}

#[test]
fn what_cannot_be_trusted_there_is_told_and_made_here() {
    for (part, change, told) in [
        ("objects", "other", "does not have the bytes that its name says"),
        ("results", "cut", "is damaged"),
        ("objects", "", "lacks the bytes of its output"),
    ] {
        let (folder, url, _) = pushed();
        for file in files(folder.path(), part) {
            std::fs::remove_file(&file).unwrap();
            if !change.is_empty() {
                std::fs::write(&file, change).unwrap();
            }
        }
        let second = project();
        let call = second.run(&["--cache-from", &url]);
        assert_eq!(call.ran(), ["sort", "count"]);
        call.says(told);
        assert_eq!(second.read("artifacts/sorted.txt"), "a\nb\n");
        // Who has the right bytes puts them there.
        done(&second, &["cache", "push", &url]);
        done(&second, &["cache", "verify"]).says("sound");
    }
}

#[test]
fn a_cache_out_of_reach_is_told_once_and_the_run_goes_on() {
    let second = project();
    let mut command = second.command(&["run", "--cache-from", "s3://nowhere/cache"]);
    command.env("S3_ENDPOINT_URL", "http://127.0.0.1:9").env("AWS_ACCESS_KEY_ID", "x");
    command.env("AWS_SECRET_ACCESS_KEY", "a-secret-key").env("RECSYS_STORAGE_ATTEMPTS", "1");
    let call = Call::of(command.output().unwrap());
    assert_eq!((call.code, call.ran()), (0, vec!["sort", "count"]), "{}", call.stderr);
    assert_eq!(call.stderr.matches("cannot be read").count(), 1, "{}", call.stderr);
    assert!(!call.stderr.contains("a-secret-key"));
    let call = second.call(&["run", "--cache-from", "nonsense"]);
    assert_eq!(call.code, 2, "{}", call.stderr);
    let call = second.call(&["cache", "push", "https://example.org/cache"]);
    assert_ne!(call.code, 0);
}

#[test]
fn writers_at_once_do_not_harm_one_another() {
    let (folder, url, first) = pushed();
    let others: Vec<Project> = (0..3).map(|_| project()).collect();
    for other in &others {
        other.run(&[]);
    }
    let all = others.iter().chain([&first]);
    let children: Vec<_> = all.map(|one| one.command(&["cache", "push", &url]).spawn().unwrap()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let second = project();
    assert!(second.run(&["--cache-from", &url]).ran().is_empty());
    assert_eq!(files(folder.path(), "objects").len(), 2);
}

#[test]
fn collection_there_keeps_what_is_young_or_in_use() {
    let (folder, url, first) = pushed();
    let day = std::time::Duration::from_secs(24 * 3600);
    let age = |part: &str, days: u32| {
        for file in files(folder.path(), part) {
            let file = std::fs::File::options().write(true).open(file).unwrap();
            file.set_modified(std::time::SystemTime::now() - day * days).unwrap();
        }
    };
    let gc = |more: &[&str]| done(&first, &[&["cache", "gc", "--remote", &url], more].concat());
    gc(&["--older-than", "30d"]).says("removed: 0 objects (0 B), 0 results; 6 B stay");
    age("", 60);
    gc(&["--older-than", "30d", "--dry-run"]).says("would be removed: 2 objects (6 B), 2 results; 0 B stay");
    // What is pushed again is in use.
    done(&first, &["cache", "push", &url]);
    gc(&["--older-than", "30d"]).says("removed: 0 objects (0 B), 0 results; 6 B stay");
    age("", 60);
    gc(&["--older-than", "30d"]).says("removed: 2 objects (6 B), 2 results; 0 B stay");
    assert!(files(folder.path(), "").is_empty());
}

#[test]
fn a_second_machine_runs_nothing_of_the_demo() {
    let pipeline = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/demo.yaml");
    let pipeline = std::fs::read_to_string(pipeline).unwrap();
    for bucket in s3_servers::buckets() {
        let machine = || {
            let project = Project::new();
            project.write("pipelines/demo.yaml", &pipeline);
            project.write(
                ".env",
                &format!(
                    "S3_ENDPOINT_URL={}\nAWS_ACCESS_KEY_ID={}\nAWS_SECRET_ACCESS_KEY={}\nRECSYS_CACHE_FROM={}\n",
                    bucket.endpoint(),
                    s3_servers::KEY,
                    s3_servers::SECRET,
                    bucket.address("cache")
                ),
            );
            project
        };
        let run = ["pipelines/demo.yaml", "--var", "interactions=20000"];
        let first = machine();
        let steps = first.run(&run).ran().len();
        assert!(steps > 10, "{}: {steps} steps", bucket.server());
        done(&first, &["cache", "push", &bucket.address("cache")]).says(&format!("sent: {steps} results"));
        let second = machine();
        let call = second.run(&run);
        assert!(call.ran().is_empty(), "{}: {}", bucket.server(), call.stderr);
        let made =
            |project: &Project| std::fs::read(project.path("artifacts/rerank/recommendations.parquet"));
        assert_eq!(made(&first).unwrap(), made(&second).unwrap());
        let secret = |call: &Call| (call.stdout.clone() + &call.stderr).contains(s3_servers::SECRET);
        assert!(!secret(&call));
        let refused = machine();
        refused.write(
            ".env",
            &std::fs::read_to_string(refused.path(".env")).unwrap().replace(s3_servers::SECRET, "wrong"),
        );
        if bucket.server() == "SeaweedFS" {
            let call = refused.run(&run);
            assert_eq!(call.ran().len(), steps, "{}", call.stderr);
            call.says("cannot be read");
        }
    }
}
