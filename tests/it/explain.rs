//! Every run and every skip has a reason that a person can read, back to the root edit:
//! 1. `status`, `why` and `run --dry-run` say the same, and write nothing;
//! 2. each kind of change is told with its old and new value;
//! 3. what `fingerprint:` commands say, versions of tools, is such a change;
//! 4. `accept` takes outputs as they are and says so ever after.

use serde_json::Value;

use crate::project::Project;

const PIPELINE: &str = "
vars: { lines: 2 }
steps:
  sort:
    inputs: { words: words.txt }
    outputs: { sorted: artifacts/sorted.txt }
    run: sort {{ inputs.words }} > {{ outputs.sorted }}
  head:
    inputs: { sorted: sort.sorted }
    outputs: { top: artifacts/top.txt }
    run: head -{{ vars.lines }} {{ inputs.sorted }} > {{ outputs.top }}
    env: [LANG]
  count:
    inputs: { top: head.top }
    outputs: { n: artifacts/n.txt }
    run: wc -l < {{ inputs.top }} > {{ outputs.n }}
";

fn project() -> Project {
    let project = Project::with(PIPELINE);
    project.write("words.txt", "b\na\nc\n");
    assert_eq!(with_lang(&project, "C", &["run"]).ran().len(), 3);
    project
}

fn with_lang(project: &Project, lang: &str, words: &[&str]) -> crate::project::Call {
    let call = crate::project::Call::of(project.command(words).env("LANG", lang).output().unwrap());
    assert_eq!(call.code, 0, "{}{}", call.stdout, call.stderr);
    call
}

/// The words of a forecast, by step.
fn words(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines.map(|words| (words[1].to_owned(), words[0].to_owned())).collect()
}

#[test]
fn status_and_a_dry_run_say_the_same_and_why_tells_the_chain() {
    let project = project();
    project.write("words.txt", "b\na\nd\n");
    let status = with_lang(&project, "C", &["status"]).stdout;
    assert_eq!(status, with_lang(&project, "C", &["run", "--dry-run"]).stdout);
    let expected = [("sort", "RUN"), ("head", "MAYBE"), ("count", "MAYBE")];
    assert_eq!(words(&status), expected.map(|(step, word)| (step.to_owned(), word.to_owned())));
    let why = with_lang(&project, "C", &["why", "count"]);
    why.says("`count` may run").says("← head").says("← sort RUN input `words` changed");
    why.says("never run before");
    with_lang(&project, "C", &["run"]);
    // The third word was cut off, so the steps after `head` did not run; they say why not.
    with_lang(&project, "C", &["why", "head"])
        .says("last started in run")
        .says("input `sorted` changed ← sort");
    with_lang(&project, "C", &["why", "count"]).says("would not run").says("compared: its kind");
}

#[test]
fn every_kind_of_change_is_told_with_its_values() {
    let project = project();
    let says = |lang: &str, words: &[&str], text: &str| {
        with_lang(&project, lang, &[&["status"], words].concat()).says(text);
    };
    says("C", &["--var", "lines=1"], "RUN head command: head -2 {{ inputs.sorted }}");
    says("C", &["--var", "lines=1"], "→ head -1 {{ inputs.sorted }}");
    says("C.UTF-8", &[], "RUN head environment variable LANG changed");
    std::fs::remove_file(project.path("artifacts/top.txt")).unwrap();
    says("C", &[], "HIT head unchanged, but an output is missing or modified: it is restored from the store");
    with_lang(&project, "C", &["run", "--force", "head", "--dry-run"]).says("RUN head forced");
    let json = with_lang(&project, "C", &["status", "--var", "lines=1", "--format", "json"]).stdout;
    let value: Value = serde_json::from_str(&json).unwrap();
    let head = &value["steps"][1];
    assert_eq!((head["step"].as_str(), head["forecast"].as_str()), (Some("head"), Some("run")));
    assert!(head["reason"]["changed"][0]["parameter"]["new"].as_str().unwrap().contains("head -1"), "{json}");
    let json = with_lang(&project, "C", &["why", "count", "--format", "json"]).stdout;
    let value: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value[0]["present"][0]["step"], "count");
    assert_eq!(value[0]["last_run"]["because"][0]["text"], "never run before");
}

#[test]
fn what_a_tool_says_of_itself_belongs_to_the_fingerprint() {
    let project = Project::with(
        "steps: { a: { outputs: { o: artifacts/a.txt }, fingerprint: ['cat version'], run: 'cat version > {{ outputs.o }}' } }",
    );
    project.write("version", "1\n").run(&[]);
    assert!(project.run(&[]).ran().is_empty());
    project.write("version", "2\n");
    project.run(&[]).says("input `$ cat version` changed");
    assert_eq!(project.read("artifacts/a.txt"), "2\n");
    std::fs::remove_file(project.path("version")).unwrap();
    let call = project.call(&["run"]);
    assert_eq!(call.code, 1);
    call.says("the command `cat version` under `fingerprint:` ended with exit code 1");
}

#[test]
fn accepted_outputs_count_and_say_that_they_were_accepted() {
    let project = project();
    project.write("artifacts/top.txt", "by hand\n");
    let call = with_lang(&project, "C", &["accept", "head"]);
    call.says("`artifacts/top.txt` is accepted");
    assert_eq!(with_lang(&project, "C", &["run"]).ran(), ["count"]);
    assert_eq!(project.read("artifacts/n.txt").trim(), "1");
    assert_eq!(project.read("artifacts/top.txt"), "by hand\n");
    with_lang(&project, "C", &["why", "head"]).says("accepted by hand, not made by the step");
    project.write("words.txt", "x\n");
    let call = project.call(&["accept", "count"]);
    assert_eq!(call.code, 1);
    call.says("is not up to date").says("recsys run pipelines/music.yaml --until");
}

#[test]
fn retries_wait_and_a_failure_shows_its_last_lines_and_its_log() {
    let project = Project::with(
        "
steps:
  flaky:
    outputs: { o: artifacts/o.txt }
    retries: { times: 3, wait: 10ms, factor: 1 }
    run: 'echo try >> tries; [ $(wc -l < tries) -ge 3 ]; echo ok > {{ outputs.o }}'
  hopeless: { outputs: { o: artifacts/h.txt }, run: 'echo the last words; exit 7' }
",
    );
    let call = project.call(&["run", "--keep-going"]);
    assert_eq!(call.code, 1);
    assert_eq!(project.read("tries").lines().count(), 3);
    assert_eq!(project.read("artifacts/o.txt"), "ok\n");
    call.says("failed; it will be tried again")
        .says("exit code 7")
        .says("the last words")
        .says("hopeless.jsonl");
}

#[test]
fn memory_and_threads_are_not_promised_twice() {
    // Each holds more than half of the machine; together they would never fit.
    let step = |name: &str| {
        format!(
            "  {name}:\n    resources: {{ memory: 900TiB }}\n    outputs: {{ o: artifacts/{name} }}\n    run: ': {name}; [ ! -e busy ]; touch busy; sleep 0.3; rm busy; touch {{{{ outputs.o }}}}'\n"
        )
    };
    let project = Project::with(&format!("steps:\n{}{}{}", step("a"), step("b"), step("c")));
    assert_eq!(project.run(&["-j", "3"]).ran().len(), 3);
}

#[test]
fn a_secret_that_is_declared_is_nowhere_in_what_is_kept() {
    let project = Project::with(
        "steps: { a: { env: [TOKEN], outputs: { o: artifacts/a.txt }, run: 'printf \"$TOKEN\" | wc -c > {{ outputs.o }}' } }",
    );
    let run = || project.command(&["run"]).env("TOKEN", "hunter2-very-secret").output().unwrap();
    assert!(run().status.success());
    assert!(run().status.success());
    let found =
        std::process::Command::new("grep").args(["-r", "hunter2"]).arg(project.path("")).output().unwrap();
    assert!(found.stdout.is_empty(), "{}", String::from_utf8_lossy(&found.stdout));
}
