//! A new project:
//! 1. everything in it is written once, and what was there is kept;
//! 2. its pipeline is right as it stands, with its configuration too;
//! 3. completions know the commands of the product.

use crate::project::Project;

const FILES: [&str; 7] = [
    "pipelines/music.yaml",
    "configs/small.yaml",
    "services/default.yaml",
    "README.md",
    ".gitignore",
    "cache/.gitkeep",
    "artifacts/.gitkeep",
];

#[test]
fn a_new_project_is_written_and_nothing_is_overwritten() {
    let project = Project::new();
    project.write("new/README.md", "mine\n");
    let call = project.call(&["init", "new"]);
    assert_eq!(call.code, 0, "{}", call.stderr);
    call.says("wrote pipelines/music.yaml").says("kept README.md").says("Next: cd new recsys run");
    for name in FILES {
        assert!(project.path("new").join(name).is_file(), "{name}");
    }
    assert_eq!(project.read("new/README.md"), "mine\n");
    project.write("new/pipelines/music.yaml", "steps: {}\n");
    let again = project.call(&["-C", "new", "init"]);
    assert!(!again.stdout.contains("wrote"), "{}", again.stdout);
    assert_eq!(project.read("new/pipelines/music.yaml"), "steps: {}\n");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let project = Project::new();
    project.write("file", "");
    let call = project.call(&["init", "file"]);
    assert_eq!(call.code, 1);
    call.says("cannot write").says("name a folder in which you may write");
}

#[test]
fn a_new_project_is_right_as_it_stands() {
    let project = Project::new();
    project.call(&["init"]);
    project.call(&["check"]).says("`pipelines/music.yaml` is right");
    let call = project.call(&["check", "--config", "configs/small.yaml", "--set", "als.iterations=20"]);
    assert_eq!(call.code, 0, "{}", call.stderr);
}

#[test]
fn completions_know_the_commands() {
    let project = Project::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = project.call(&["completions", shell]).stdout;
        assert!(script.contains("--keep-going") || script.contains("keep-going"), "{shell}");
        assert!(script.contains("completions"), "{shell}");
    }
    assert_eq!(project.call(&["completions", "cmd"]).code, 2);
}
