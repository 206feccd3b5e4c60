//! The quick answer that nothing has changed is never given when something has. Each change is made to a
//! project where nothing was left to do; the quick answer must then be the one of the full check, which
//! `status --format text` gives because the quick way does not understand that option:
//! 1. files: inputs, outputs, folders, links, pipeline, includes, configuration, `.env`, records of the store;
//! 2. environment variables: declared, looked at by a template, walked over, standing for options;
//! 3. words on the command line; other runs, before and at the same time; kills; `cache gc` and `verify`;
//! 4. a witness that is damaged, cut, moved to another project or of another program.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::project::{Call, Project};

const PIPELINE: &str = "
include: [common.yaml]
vars: { word: b }
steps:
  sort:
    inputs: { words: words.txt }
    outputs: { sorted: artifacts/sorted.txt }
    env: [DECLARED]
    run: 'sort {{ inputs.words }} > {{ outputs.sorted }}'
  count:
    inputs: { sorted: sort.sorted }
    outputs: { number: artifacts/count.txt }
    run: 'grep -c {{ vars.word }}{{ env.LOOKED_AT }} {{ inputs.sorted }} > {{ outputs.number }} || true'
  each:
    foreach: [x, y]
    inputs: { word: \"parts/{{ item }}.txt\" }
    outputs: { o: \"artifacts/{{ item }}.txt\" }
    run: 'cat {{ inputs.word }} > {{ outputs.o }}; echo {{ vars.shared }} >> {{ outputs.o }}'
";

/// A project with a witness: the run before has done everything.
fn project() -> Project {
    let project = Project::with(PIPELINE);
    project.write("pipelines/common.yaml", "vars: { shared: one }\n").write("words.txt", "b\na\n");
    project
        .write("parts/x.txt", "x\n")
        .write("parts/y.txt", "y\n")
        .write("config.yaml", "vars: { word: b }\n");
    project.write(".env", "LOOKED_AT=''\nDECLARED=1\nOTHER=1\n");
    settle();
    run(&project);
    assert_eq!(witnesses(&project).len(), 1, "a run leaves a witness");
    project
}

/// Nothing that changed a moment ago is witnessed.
fn settle() {
    std::thread::sleep(Duration::from_millis(50));
}

fn call(project: &Project, words: &[&str], variables: &[(&str, &str)]) -> Call {
    let mut command = project.command(words);
    for name in ["DECLARED", "LOOKED_AT", "RECSYS_LOG_FORMAT", "RECSYS_CACHE_SIZE"] {
        command.env_remove(name);
    }
    Call::of(command.envs(variables.iter().copied()).output().unwrap())
}

fn run(project: &Project) -> Call {
    let run = call(project, &["run"], &[]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    run
}

fn witnesses(project: &Project) -> Vec<PathBuf> {
    let found = fs::read_dir(project.path("cache/v2/plans")).unwrap();
    let found = found.map(|entry| entry.unwrap().path());
    found.filter(|path| path.extension().is_some_and(|ending| ending == "unchanged")).collect()
}

/// The quick answers are those of the full check, and say whether all is as it was.
fn answers_agree(project: &Project, what: &str, variables: &[(&str, &str)]) -> bool {
    let call = |words: &[&str]| call(project, words, variables);
    let mut said = Vec::new();
    for (words, option) in [(&["run", "--dry-run"][..], "--log-format"), (&["status"], "--format")] {
        let (quick, full) = (call(words), call(&[words, &[option, "text"]].concat()));
        assert_eq!((&quick.stdout, quick.code), (&full.stdout, full.code), "{what}: {words:?}");
        said.push(full);
    }
    said.iter().all(|full| full.code == 0 && full.stdout.lines().all(|line| line.ends_with(" unchanged")))
}

fn edit(project: &Project, name: &str, text: &str) {
    project.write(name, text);
}

fn rewrite(project: &Project, name: &str, change: impl Fn(&str) -> String) {
    let text = change(&project.read(name));
    project.write(name, &text);
}

#[test]
fn a_run_leaves_a_witness_and_those_after_it_write_nothing() {
    let project = project();
    let path = &witnesses(&project)[0];
    let before = (fs::read(path).unwrap(), fs::metadata(path).unwrap().ino());
    for words in [&["run"][..], &["run", "-j", "1"], &["run", "--log-format", "json"], &["status"]] {
        call(&project, words, &[]);
        assert_eq!((fs::read(path).unwrap(), fs::metadata(path).unwrap().ino()), before, "{words:?}");
    }
    run(&project).says("nothing to do: 4 steps are up to date");
    assert!(answers_agree(&project, "nothing", &[]));
    // What is touched is looked at once more, and then witnessed anew.
    project.write("words.txt", "b\na\n");
    settle();
    run(&project).says("nothing to do: 4 steps are up to date");
    assert_ne!(fs::read(&witnesses(&project)[0]).unwrap(), before.0);
}

/// Something that is done to a project.
type Deed = (&'static str, fn(&Project));

#[test]
fn a_change_of_any_file_is_noticed() {
    let changes: &[Deed] = &[
        ("an input edited", |p| edit(p, "words.txt", "c\n")),
        ("an input edited under its size and time", |p| {
            let path = p.path("words.txt");
            let time = fs::metadata(&path).unwrap().modified().unwrap();
            fs::write(&path, "a\nc\n").unwrap();
            fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        }),
        ("an input exchanged by a rename", |p| {
            p.write("other.txt", "a\nc\n");
            let time = fs::metadata(p.path("words.txt")).unwrap().modified().unwrap();
            fs::File::options().write(true).open(p.path("other.txt")).unwrap().set_modified(time).unwrap();
            fs::rename(p.path("other.txt"), p.path("words.txt")).unwrap();
        }),
        ("an input deleted", |p| fs::remove_file(p.path("words.txt")).unwrap()),
        ("an input of one instance edited", |p| edit(p, "parts/y.txt", "z\n")),
        ("an input that becomes a folder", |p| {
            fs::remove_file(p.path("words.txt")).unwrap();
            fs::create_dir(p.path("words.txt")).unwrap();
        }),
        ("a folder of inputs exchanged", |p| {
            fs::rename(p.path("parts"), p.path("old")).unwrap();
            p.write("parts/x.txt", "1\n").write("parts/y.txt", "y\n");
        }),
        ("a folder of inputs that becomes a link", |p| {
            p.write("new/x.txt", "1\n").write("new/y.txt", "2\n");
            fs::rename(p.path("parts"), p.path("old")).unwrap();
            symlink("new", p.path("parts")).unwrap();
        }),
        ("an output deleted", |p| fs::remove_file(p.path("artifacts/count.txt")).unwrap()),
        ("an output replaced", |p| edit(p, "artifacts/count.txt", "9\n")),
        ("an output written into", |p| {
            let path = p.path("artifacts/count.txt");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            fs::write(path, "9\n").unwrap();
        }),
        ("an output that becomes a link to the same bytes", |p| {
            fs::copy(p.path("artifacts/count.txt"), p.path("copy.txt")).unwrap();
            fs::remove_file(p.path("artifacts/count.txt")).unwrap();
            symlink("../copy.txt", p.path("artifacts/count.txt")).unwrap();
        }),
        ("an output of one instance deleted", |p| fs::remove_file(p.path("artifacts/y.txt")).unwrap()),
        ("all artifacts deleted", |p| fs::remove_dir_all(p.path("artifacts")).unwrap()),
        ("a command edited", |p| {
            rewrite(p, "pipelines/music.yaml", |text| text.replace("sort {{", "sort -r {{"))
        }),
        ("a variable edited", |p| {
            rewrite(p, "pipelines/music.yaml", |text| text.replace("word: b", "word: a"))
        }),
        ("a step added", |p| {
            rewrite(p, "pipelines/music.yaml", |text| {
                format!(
                    "{text}\n  more: {{ outputs: {{ o: artifacts/more.txt }}, run: 'echo > {{{{ outputs.o }}}}' }}\n"
                )
            })
        }),
        ("an instance added", |p| {
            p.write("parts/z.txt", "z\n");
            rewrite(p, "pipelines/music.yaml", |text| text.replace("[x, y]", "[x, y, z]"));
        }),
        ("an output moved", |p| {
            rewrite(p, "pipelines/music.yaml", |text| text.replace("count.txt", "number.txt"))
        }),
        ("the pipeline broken", |p| edit(p, "pipelines/music.yaml", "steps: [")),
        ("the pipeline deleted", |p| fs::remove_file(p.path("pipelines/music.yaml")).unwrap()),
        ("an included file edited", |p| edit(p, "pipelines/common.yaml", "vars: { shared: three }\n")),
        ("an included file deleted", |p| fs::remove_file(p.path("pipelines/common.yaml")).unwrap()),
        ("`.env` edited", |p| edit(p, ".env", "LOOKED_AT='x'\nDECLARED=1\n")),
        ("`.env` deleted", |p| fs::remove_file(p.path(".env")).unwrap()),
        ("the release forgotten", |p| fs::remove_file(p.path("cache/v2/releases/music")).unwrap()),
        ("the release cut short", |p| {
            let path = p.path("cache/v2/releases/music");
            let bytes = fs::read(&path).unwrap();
            fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("the cache deleted", |p| fs::remove_dir_all(p.path("cache")).unwrap()),
    ];
    for (what, change) in changes {
        let project = project();
        change(&project);
        assert!(!answers_agree(&project, what, &[]), "{what} is not noticed");
        // Then what the full check says is done: restored, run, or refused.
        let quick = call(&project, &["run"], &[]);
        if quick.code == 0 {
            assert!(answers_agree(&project, what, &[]), "{what}: a run leaves nothing to do");
        }
    }
}

#[test]
fn a_change_that_changes_nothing_gives_the_same_answer() {
    let changes: &[Deed] = &[
        ("an input touched", |p| edit(p, "words.txt", "b\na\n")),
        ("an output exchanged for the same bytes", |p| {
            fs::copy(p.path("artifacts/count.txt"), p.path("copy.txt")).unwrap();
            fs::rename(p.path("copy.txt"), p.path("artifacts/count.txt")).unwrap();
        }),
        ("the manifest deleted", |p| fs::remove_file(p.path("artifacts/manifest.music.json")).unwrap()),
        ("the memo deleted", |p| fs::remove_file(p.path("cache/v2/digests")).unwrap()),
        ("the plans deleted", |p| fs::remove_dir_all(p.path("cache/v2/plans")).unwrap()),
        ("the locks deleted", |p| fs::remove_dir_all(p.path("cache/v2/locks")).unwrap()),
        ("a file beside the others", |p| edit(p, "parts/more.txt", "x\n")),
        ("a comment", |p| rewrite(p, "pipelines/music.yaml", |text| format!("# why\n{text}"))),
        ("a folder moved and linked", |p| {
            fs::rename(p.path("parts"), p.path("old")).unwrap();
            symlink("old", p.path("parts")).unwrap();
        }),
    ];
    for (what, change) in changes {
        let project = project();
        change(&project);
        assert!(answers_agree(&project, what, &[]), "{what}");
        run(&project).says("nothing to do: 4 steps are up to date");
        assert!(project.path("artifacts/manifest.music.json").exists(), "{what}");
        assert!(answers_agree(&project, what, &[]), "{what}");
    }
}

#[test]
fn a_pipeline_file_that_moves_behind_a_link_is_told_from_the_one_that_was_run() {
    let project = project();
    fs::rename(project.path("pipelines"), project.path("moved")).unwrap();
    symlink("moved", project.path("pipelines")).unwrap();
    answers_agree(&project, "the folder of pipelines moved", &[]);
}

#[test]
fn a_change_of_a_variable_that_was_looked_at_is_noticed() {
    let project = project();
    for (name, value) in [("DECLARED", "2"), ("DECLARED", ""), ("LOOKED_AT", "x")] {
        assert!(!answers_agree(&project, name, &[(name, value)]), "{name}={value:?}");
        assert!(!call(&project, &["run", "--dry-run"], &[(name, value)]).stdout.is_empty());
    }
    // The value that `.env` gives, given otherwise; one that nobody looked at.
    assert!(answers_agree(&project, "the same value", &[("DECLARED", "1")]));
    assert!(answers_agree(&project, "another variable", &[("OTHER", "2")]));
    assert_eq!(call(&project, &["run"], &[("LOOKED_AT", "x")]).code, 0);
    assert!(!answers_agree(&project, "back again", &[]));
}

#[test]
fn who_walks_over_the_environment_sees_a_new_variable() {
    let project = Project::with(
        "steps: { a: { outputs: { o: artifacts/a.txt }, run: 'echo {{ env | length }} > {{ outputs.o }}' } }",
    );
    run(&project);
    let before = project.read("artifacts/a.txt");
    assert!(witnesses(&project).is_empty());
    assert_eq!(call(&project, &["run"], &[("ONE_MORE_THAN_BEFORE", "1")]).code, 0);
    assert_ne!(project.read("artifacts/a.txt"), before);
}

#[test]
fn a_variable_that_stands_for_an_option_counts_as_the_option() {
    let project = project();
    for (name, value) in [("RECSYS_LOG_FORMAT", "yaml"), ("RECSYS_CACHE_SIZE", "much")] {
        assert_eq!(call(&project, &["run"], &[(name, value)]).code, 2, "{name}");
    }
    let json = call(&project, &["run"], &[("RECSYS_LOG_FORMAT", "json")]);
    assert!(json.stderr.contains("run_finished") && json.stdout.is_empty(), "{}", json.stderr);
    assert_eq!(call(&project, &["run"], &[("RECSYS_PIPELINE", "pipelines/none.yaml")]).code, 2);
    call(&project, &["run"], &[("RECSYS_CACHE_SIZE", "1GiB")]).says("nothing to do");
}

#[test]
fn other_words_ask_something_else() {
    let project = project();
    let ran = |words: &[&str]| call(&project, words, &[]).ran().len();
    assert_eq!(ran(&["run", "--force"]), 4);
    assert_eq!(ran(&["run", "--force", "count"]), 1);
    assert_eq!(ran(&["run", "--only", "count", "--force"]), 1);
    assert_eq!(ran(&["run"]), 0);
    assert_eq!(ran(&["run", "--var", "word=a"]), 1);
    assert_eq!(ran(&["run", "--var", "word=a"]), 0);
    call(&project, &["run"], &[]).says("nothing to do").says("with an earlier result from the store");
    // The witness of the changed run does not hold any more: what it saw is released no longer.
    let again = call(&project, &["run", "--var", "word=a", "--dry-run"], &[]);
    assert!(!again.stdout.lines().all(|line| line.ends_with(" unchanged")), "{}", again.stdout);
    assert_eq!(ran(&["run", "--set", "count.command=true", "--dry-run"]), 0);
    let config = || call(&project, &["run", "--config", "config.yaml"], &[]);
    config().says("nothing to do");
    project.write("config.yaml", "vars: { word: q }\n");
    assert_eq!(config().ran(), ["count"]);
}

#[test]
fn a_run_that_failed_or_was_killed_leaves_no_false_witness() {
    let project = project();
    let good = project.read("pipelines/music.yaml");
    project.write("pipelines/music.yaml", &good.replace("sort {{", "sleep 5; sort {{"));
    let mut slow = project.command(&["run"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    slow.kill().unwrap();
    slow.wait().unwrap();
    assert!(!answers_agree(&project, "killed", &[]));
    project.write("pipelines/music.yaml", &good.replace("sort {{", "exit 1; sort {{"));
    assert_eq!(call(&project, &["run"], &[]).code, 1);
    assert!(!answers_agree(&project, "failed", &[]));
    assert_eq!(call(&project, &["run"], &[]).code, 1);
    project.write("pipelines/music.yaml", &good);
    answers_agree(&project, "back again", &[]);
    run(&project);
    assert!(answers_agree(&project, "back again", &[]));
}

#[test]
fn a_run_at_work_is_waited_for() {
    let project = project();
    let slow = project.read("pipelines/music.yaml").replace("sort {{", "touch begun; sleep 1; sort {{");
    project.write("pipelines/music.yaml", &slow);
    run(&project);
    assert!(answers_agree(&project, "done", &[]));
    fs::remove_file(project.path("begun")).ok();
    let mut forced =
        project.command(&["run", "--force"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !project.path("begun").exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    let second = run(&project);
    second.says("of this pipeline is at work; waiting for it").says("nothing to do: 4 steps are up to date");
    assert!(forced.wait().unwrap().success());
}

#[test]
fn two_pipelines_of_one_folder_do_not_speak_for_each_other() {
    let project = project();
    let other = "name: other\nsteps: { o: { inputs: { x: words.txt }, outputs: { o: artifacts/count.txt }, run: 'cp {{ inputs.x }} {{ outputs.o }}' } }";
    project.write("pipelines/other.yaml", other);
    let first = || answers_agree(&project, "the first", &[]);
    let second = || call(&project, &["run", "pipelines/other.yaml"], &[]);
    assert!(first());
    assert_eq!(second().ran(), ["o"]);
    assert!(!first(), "its output is that of the other one");
    run(&project).says("held what another pipeline of the project makes there");
    assert!(first());
    second().says("held what another pipeline of the project makes there");
    assert!(!first());
}

#[test]
fn what_is_not_known_from_files_alone_leaves_no_witness() {
    let project = Project::with(
        "steps: { a: { outputs: { o: artifacts/a.txt }, fingerprint: ['cat version'], run: 'cat version > {{ outputs.o }}' } }",
    );
    project.write("version", "1\n");
    for version in ["1\n", "2\n"] {
        project.write("version", version);
        run(&project);
        assert_eq!(project.read("artifacts/a.txt"), version);
        run(&project).says("nothing to do");
        assert!(witnesses(&project).is_empty());
    }
}

#[test]
fn collection_and_verification_leave_the_truth() {
    let project = project();
    for words in [&["cache", "verify"][..], &["cache", "gc"], &["cache", "gc", "--older-than", "0d"]] {
        call(&project, words, &[]);
        assert!(answers_agree(&project, &words.join(" "), &[]));
    }
    // A damaged object is a damaged artifact where both are one file.
    let artifact = project.path("artifacts/count.txt");
    fs::set_permissions(&artifact, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&artifact, "9\n").unwrap();
    call(&project, &["cache", "verify"], &[]);
    assert!(!answers_agree(&project, "damaged and verified", &[]));
    run(&project);
    assert_eq!(project.read("artifacts/count.txt"), "1\n");
}

#[test]
fn a_witness_that_is_damaged_or_foreign_is_as_good_as_none() {
    let project = project();
    let path = witnesses(&project).remove(0);
    let good = fs::read(&path).unwrap();
    project.write("words.txt", "c\n");
    for position in (0..good.len()).step_by(97) {
        let mut bad = good.clone();
        bad[position] ^= 1;
        for bytes in [&bad, &good[..position]] {
            fs::write(&path, bytes).unwrap();
            assert!(call(&project, &["status"], &[]).stdout.contains("RUN"), "{position}");
        }
    }
    // Another project, where the same files have other inodes.
    let elsewhere = self::project();
    fs::copy(&path, &witnesses(&elsewhere)[0]).unwrap();
    elsewhere.write("words.txt", "c\n");
    assert!(!answers_agree(&elsewhere, "the witness of another project", &[]));
}

#[test]
fn another_program_does_not_believe_it() {
    let project = project();
    let program = project.path("recsys");
    fs::copy(env!("CARGO_BIN_EXE_recsys"), &program).unwrap();
    let call = |words: &[&str]| {
        let mut command = std::process::Command::new(&program);
        let command = command.args(words).current_dir(project.path("")).env_remove("RECSYS_PIPELINE");
        Call::of(command.env_remove("DECLARED").env_remove("LOOKED_AT").output().unwrap())
    };
    settle();
    call(&["run"]).says("nothing to do");
    assert_eq!(witnesses(&project).len(), 2, "each program has its own");
}
