//! Tracking, through the real binary, against a small server that misbehaves on demand ([`fake`]) and against MLflow
//! itself ([`real`]):
//! 1. a run is logged with its steps, parameters, numbers, curves, files and what it reads;
//! 2. whatever the server does, the run does and says what it does without tracking, and what the server has not
//!    taken is sent later, once;
//! 3. what is restored is logged as that, a run with nothing to do is not logged, and no fingerprint knows of it;
//! 4. secrets stay secret, and what is wrong with `tracking:` is told at its place.

mod fake;
mod real;
mod variants;

use std::fs;

use crate::project::{Call, Project};
use crate::shipped::holds;
use fake::{Fake, Mood, Run};

/// Data made on the spot, two models, an evaluation; a step that fails when told to.
const PIPELINE: &str = "\
name: small
vars: { iterations: 3 }
steps:
  synthetic: { uses: synthetic, with: { interactions: 4000, users: 200, tracks: 300 } }
  preprocess:
    uses: preprocess
    inputs:
      tracks: synthetic.tracks
      catalog: synthetic.catalog_names
      interactions: synthetic.interactions
  split: { uses: split, inputs: { events: preprocess.events } }
  als:
    uses: als
    inputs: { train: split.history_matrix }
    with: { factors: 4, iterations: '{{ vars.iterations }}' }
  evaluate:
    uses: evaluate
    inputs:
      test: split.test_matrix
      history: split.history_matrix
      items: preprocess.items
      users: preprocess.users
      lists: { als: als.candidates }
";

/// One quick step that reads a file from outside.
const COUNT: &str = "\
name: count
steps:
  lines:
    inputs: { events: events.csv }
    outputs: { report: artifacts/lines.txt }
    run: 'wc -l < {{ inputs.events }} > {{ outputs.report }}'
";

/// A project that tracks to this address, and does not wait long.
fn project(pipeline: &str, url: &str) -> Project {
    let project =
        Project::with(&format!("{pipeline}tracking: {{ mlflow: '{url}', experiment: tried, wait: 200s }}\n"));
    project.write("events.csv", "a\nb\n");
    project
}

fn run(project: &Project, words: &[&str]) -> Call {
    let call = project.call(&[&["run"], words].concat());
    assert_eq!(call.code, 0, "{}{}", call.stdout, call.stderr);
    call
}

fn sync(project: &Project) {
    let call = project.call(&["track", "sync"]);
    assert_eq!(call.code, 0, "{}{}", call.stdout, call.stderr);
    project.call(&["track", "status"]).says("nothing waits");
}

fn whole(fake: &Fake, pipeline: &str) -> Run {
    fake.run("recsys.pipeline", pipeline)
}

#[test]
fn a_run_is_logged_with_all_that_belongs_to_it() {
    let fake = Fake::start(Mood::Good);
    let project = project(PIPELINE, &fake.url);
    let call = run(&project, &[]);
    call.says(&format!("tracked: {}/#/experiments/0/runs/r0", fake.url));
    assert_eq!(fake.known().experiments, ["tried"]);
    let whole = whole(&fake, "small");
    assert_eq!(whole.status, "FINISHED");
    assert_eq!(whole.params["als.factors"], "4");
    assert_eq!(whole.tags["mlflow.source.name"], "pipelines/music.yaml");
    assert!(whole.tags["mlflow.note.content"].contains("NDCG@10"), "the table of the run stands on its page");
    assert_eq!(whole.curve("evaluate.als.ndcg_at_10").len(), 1);
    assert_eq!(whole.curve("steps.ran"), [(0, 5.0)]);
    assert_eq!(whole.artifacts["pipeline/music.yaml"], project.read("pipelines/music.yaml").into_bytes());

    let als = fake.run("recsys.step", "als");
    assert_eq!((als.name.as_str(), als.status.as_str()), ("als", "FINISHED"));
    assert_eq!(als.tags["mlflow.parentRunId"], whole.id);
    assert_eq!((als.tags["recsys.kind"].as_str(), als.tags["recsys.result"].as_str()), ("als", "ran"));
    assert_eq!(als.tags["recsys.fingerprint"].len(), 64);
    assert_eq!(als.params["iterations"], "3");
    let steps: Vec<u64> = als.curve("loss").into_iter().map(|(step, _)| step).collect();
    assert_eq!(steps, [1, 2, 3], "a point an iteration");
    let model = fs::read(project.path("artifacts/als/model.npz")).unwrap();
    assert!(als.artifacts["model.npz"] == model, "the model arrives as it is");
    assert!(!als.artifacts.contains_key("candidates.parquet"), "tables are no artifacts");
    let evaluate = fake.run("recsys.step", "evaluate");
    assert_eq!(
        evaluate.artifacts["report.json"],
        fs::read(project.path("artifacts/evaluate/report.json")).unwrap()
    );
    assert_eq!(fake.live_runs().len(), 6);
    assert!(
        !project
            .path("cache/tracking")
            .read_dir()
            .unwrap()
            .flatten()
            .any(|entry| entry.file_name() != "known")
    );
}

#[test]
fn a_file_from_outside_is_a_dataset_and_a_failure_is_told() {
    let fake = Fake::start(Mood::Good);
    let project = project(COUNT, &fake.url);
    run(&project, &[]);
    assert_eq!(whole(&fake, "count").datasets, ["events.csv"]);
    project.write("events.csv", "a\n");
    project.write(
        "pipelines/music.yaml",
        &project.read("pipelines/music.yaml").replace("wc -l", "exit 3; wc -l"),
    );
    let failed = project.call(&["run"]);
    assert_eq!(failed.code, 1);
    let failed: Vec<Run> = fake.live_runs().into_iter().filter(|run| run.status == "FAILED").collect();
    assert_eq!(failed.len(), 2, "the step and the run");
    let step = failed.iter().find(|run| run.tags.contains_key("recsys.step")).unwrap();
    assert!(step.tags["recsys.error"].contains('3'), "{:?}", step.tags);
}

#[test]
fn whatever_the_server_does_the_run_is_the_same_and_sends_later() {
    let plain = Project::with(COUNT);
    plain.write("events.csv", "a\nb\n");
    run(&plain, &[]);
    let expected = plain.read("artifacts/lines.txt");
    let page = "<html>please sign in</html>";
    for (mood, words) in [
        (Mood::Answers(500, "", ""), "it answers 500"),
        (Mood::Answers(503, "{\"error_code\": \"TEMPORARILY_UNAVAILABLE\"}", ""), "TEMPORARILY_UNAVAILABLE"),
        (
            Mood::Answers(200, page, "content-type: text/html; charset=utf-8\r\n"),
            "it answers with `text/html`",
        ),
        (Mood::Answers(200, "{}", "content-type: application/json\r\n"), "its answer has no"),
        (
            Mood::Answers(302, "", "location: https://login.example/?secret\r\n"),
            "sends on to `https://login.example/`",
        ),
        (Mood::Answers(401, "", ""), "it refuses who asks (401)"),
        (Mood::Answers(404, page, ""), "no MLflow server at this address"),
        (Mood::Answers(429, "", "retry-after: 3600\r\n"), "it answers 429"),
        (Mood::Silent, "it has not taken everything within 0.3 s"),
        (Mood::Resets, ""),
    ] {
        let fake = Fake::start(mood.clone());
        let project = project(COUNT, &fake.url);
        project.write("pipelines/music.yaml", &project.read("pipelines/music.yaml").replace("200s", "300ms"));
        let call = run(&project, &[]);
        assert_eq!(project.read("artifacts/lines.txt"), expected, "{mood:?}");
        call.says("not all is tracked").says(words).says("`recsys track sync` sends it later");
        assert_eq!(call.stderr.matches("track").count(), 2, "one line: {}", call.stderr);
        project.call(&["track", "status"]).says("tried").says("over");
        fake.turns(Mood::Good);
        sync(&project);
        let whole = whole(&fake, "count");
        assert_eq!((whole.status.as_str(), fake.live_runs().len()), ("FINISHED", 2), "{mood:?}");
        assert_eq!(fake.run("recsys.step", "lines").artifacts["lines.txt"], expected.as_bytes());
    }
}

#[test]
fn nobody_at_the_address_is_no_trouble_either() {
    let fake = Fake::start(Mood::Good);
    let project = project(COUNT, "http://127.0.0.1:9");
    run(&project, &[]).says("not all is tracked").says("track sync");
    let failed = project.call(&["track", "sync"]);
    assert_eq!(failed.code, 1);
    failed.says("1 of 1 runs still wait");
    // A later run with another server is a spool of its own.
    project.write("events.csv", "a\n");
    project.write(
        "pipelines/music.yaml",
        &project.read("pipelines/music.yaml").replace("http://127.0.0.1:9", &fake.url),
    );
    run(&project, &[]).says("tracked: http://");
    project.call(&["track", "status"]).says("http://127.0.0.1:9/");
    let run = fs::read_dir(project.path("cache/tracking")).unwrap().flatten().map(|entry| entry.file_name());
    let run = run.map(|name| name.into_string().unwrap()).find(|name| name != "known").unwrap();
    assert_eq!(project.call(&["track", "drop", "nothing"]).code, 2);
    assert_eq!(project.call(&["track", "drop", &run]).code, 0);
    project.call(&["track", "status"]).says("nothing waits");
}

#[test]
fn an_answer_that_is_lost_doubles_nothing() {
    for part in ["runs/create", "log-batch", "runs/update", "artifacts", "experiments/create"] {
        let fake = Fake::start(Mood::LosesFirstAnswer(part));
        let project = project(COUNT, &fake.url);
        run(&project, &[]).says("tracked: ");
        let runs = fake.live_runs();
        assert_eq!(runs.len(), 2, "{part}");
        for run in runs {
            assert_eq!(run.status, "FINISHED", "{part}");
            let mut names: Vec<&str> = run.metrics.iter().map(|(name, ..)| name.as_str()).collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all, "{part}: {names:?}");
        }
    }
}

#[test]
fn who_makes_the_experiment_first_does_not_matter() {
    let fake = Fake::start(Mood::Races);
    let project = project(COUNT, &fake.url);
    run(&project, &[]).says("tracked: ");
    assert_eq!(fake.known().experiments, ["tried"]);
}

#[test]
fn one_value_that_is_refused_keeps_no_other_back() {
    let fake = Fake::start(Mood::RefusesParameter("als.alpha"));
    let project = project(PIPELINE, &fake.url);
    run(&project, &[]).says("tracked: ").says("the server refused one thing: as MLflow says it");
    let whole = whole(&fake, "small");
    assert!(whole.params.len() > 20 && !whole.params.contains_key("als.alpha"));
    assert_eq!(fake.run("recsys.step", "als").params["alpha"], "1.0");
}

#[test]
fn what_is_restored_is_logged_as_that_with_its_numbers_and_curves() {
    let fake = Fake::start(Mood::Good);
    let project = project(PIPELINE, &fake.url);
    run(&project, &[]);
    let first = fake.run("recsys.step", "als");
    run(&project, &["--var", "iterations=2"]);
    fake.known().runs.clear();
    run(&project, &[]);
    let again = fake.run("recsys.step", "als");
    assert_eq!(again.tags["recsys.result"], "reused");
    assert!(
        again.tags["recsys.reason"].starts_with("an earlier result fits"),
        "{}",
        again.tags["recsys.reason"]
    );
    assert_eq!(again.tags["recsys.fingerprint"], first.tags["recsys.fingerprint"]);
    let values = |run: &Run| {
        run.curve("loss").into_iter().map(|(step, value)| (step, value.to_bits())).collect::<Vec<_>>()
    };
    assert_eq!(values(&again), values(&first));
    assert_eq!(whole(&fake, "small").curve("steps.reused"), [(0, 5.0)]);
}

#[test]
fn a_run_with_nothing_to_do_says_nothing_to_the_server() {
    let fake = Fake::start(Mood::Good);
    let project = project(COUNT, &fake.url);
    run(&project, &[]);
    let told = fake.known().requests.len();
    run(&project, &[]).says("nothing to do");
    run(&project, &[]).says("nothing to do");
    run(&project, &["--log-format", "json"]);
    assert_eq!(fake.known().requests.len(), told);
    // What is up to date when tracking begins is logged once: the server knows nothing of it yet.
    let other = Fake::start(Mood::Good);
    project
        .write("pipelines/music.yaml", &project.read("pipelines/music.yaml").replace(&fake.url, &other.url));
    let call = run(&project, &[]);
    call.says("nothing to do").says("tracked: ");
    assert!(call.ran().is_empty(), "no fingerprint knows of tracking");
    assert_eq!(other.run("recsys.step", "lines").artifacts.len(), 1);
    // So it is when the environment asks for it, on the shortest way to say that nothing is to be done.
    let plain = Project::with(COUNT);
    plain.write("events.csv", "a\nb\n");
    let begun = |url: &str| {
        let words: &[(&str, &str)] = if url.is_empty() { &[] } else { &[("RECSYS_TRACKING", url)] };
        Call::of(plain.command(&["run"]).envs(words.iter().copied()).output().unwrap())
    };
    (0..3).for_each(|_| assert_eq!(begun("").code, 0));
    begun(&other.url).says("nothing to do").says("tracked: ");
    let told = other.known().requests.len();
    begun(&other.url).says("nothing to do");
    assert_eq!(other.known().requests.len(), told);
}

#[test]
fn the_environment_switches_it_and_keeps_the_secrets() {
    let fake = Fake::start(Mood::Good);
    let project = Project::with(COUNT);
    project.write("events.csv", "a\n");
    project.write(".env", "MLFLOW_TRACKING_TOKEN=a-secret-word\n");
    let call = |value: &str, words: &[&str]| {
        let mut command = project.command(&[&["run"], words].concat());
        command.env("RECSYS_TRACKING", value);
        Call::of(command.output().unwrap())
    };
    let tracked = call(&fake.url, &[]);
    assert_eq!(tracked.code, 0, "{}", tracked.stderr);
    assert_eq!(whole(&fake, "count").status, "FINISHED");
    assert_eq!(fake.known().experiments, ["count"], "named after the pipeline");
    assert!(fake.known().authorizations.iter().all(|is| is == "Bearer a-secret-word"));
    let told = fake.known().requests.len();
    assert_eq!(call("off", &["--force"]).code, 0);
    assert_eq!(fake.known().requests.len(), told);
    assert_eq!(call("perhaps", &["--force"]).code, 2);
    call("on", &["--force"]).says("no server is named").says("MLFLOW_TRACKING_URI");

    // Nothing that waits has the secret in it.
    let waiting = call("http://127.0.0.1:9", &["--force"]);
    waiting.says("not all is tracked");
    assert!(!format!("{}{}", waiting.stdout, waiting.stderr).contains("a-secret-word"));
    assert!(!holds(&project.path("cache"), "a-secret-word"));
}

#[test]
fn a_run_that_is_killed_is_sent_as_killed() {
    let fake = Fake::start(Mood::Answers(503, "", ""));
    let project = project(&COUNT.replace("run: '", "run: 'touch begun; sleep 60; "), &fake.url);
    let mut child = project.command(&["run"]).stderr(std::process::Stdio::null()).spawn().unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !project.path("begun").exists() {
        assert!(std::time::Instant::now() < deadline, "the step does not begin");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    project.call(&["track", "sync"]).says("the run is at work and sends for itself");
    child.kill().unwrap();
    child.wait().unwrap();
    fake.turns(Mood::Good);
    sync(&project);
    let statuses: Vec<String> = fake.live_runs().into_iter().map(|run| run.status).collect();
    assert_eq!(statuses, ["KILLED", "KILLED"]);
}

#[test]
fn what_is_wrong_with_the_section_is_told_at_its_place() {
    for (wrong, words) in [
        ("tracking: { mlfow: http://h }", "did you mean `mlflow`?"),
        ("tracking: { mlflow: 'http://me:word@h' }", "has no place for a user name or a password"),
        ("tracking: { mlflow: mlruns }", "is a URL"),
        ("tracking: 7", "`tracking` must be a map, found `7`"),
    ] {
        let project = Project::with(&format!("{COUNT}{wrong}\n"));
        project.write("events.csv", "");
        let call = project.call(&["check"]);
        assert_eq!(call.code, 2, "{wrong}: {}", call.stderr);
        call.says(words).says("pipelines/music.yaml");
        assert!(!call.stderr.contains("does not keep to"), "{}", call.stderr);
    }
    // A configuration file says it as well, key by key.
    let fake = Fake::start(Mood::Good);
    let project = project(COUNT, "http://127.0.0.1:9");
    project.write("configs/here.yaml", &format!("tracking: {{ mlflow: '{}' }}\n", fake.url));
    run(&project, &["--config", "configs/here.yaml"]).says("tracked: ");
    assert_eq!(fake.known().experiments, ["tried"]);
    assert!(whole(&fake, "count").artifacts.contains_key("pipeline/here.yaml"));
    run(&project, &["--config", "configs/here.yaml", "--force"]);
    project.write("configs/off.yaml", "tracking: false\n");
    let call = run(&project, &["--config", "configs/off.yaml", "--force"]);
    assert!(!call.stderr.contains("track"), "{}", call.stderr);
}
