//! A project in a temporary folder, driven through the real binary, told as a story.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A project folder that is removed in the end.
pub struct Project {
    folder: tempfile::TempDir,
}

/// What one call of the binary did.
#[derive(Debug)]
pub struct Call {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Project {
    /// An empty project.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A project whose default pipeline is `yaml`.
    pub fn with(yaml: &str) -> Self {
        let project = Self::new();
        project.write("pipelines/music.yaml", yaml);
        project
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> &Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        // A released file is read-only and shares its bytes with the store: replace it, as editors do.
        let _ = std::fs::remove_file(&path);
        std::fs::write(path, text).unwrap();
        self
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Calls `recsys` in the project.
    pub fn call(&self, args: &[&str]) -> Call {
        Call::of(self.command(args).output().unwrap())
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_recsys"));
        command.args(args).current_dir(self.folder.path()).env_remove("RECSYS_PIPELINE");
        command
    }

    /// Calls `recsys run` and expects it to work.
    pub fn run(&self, args: &[&str]) -> Call {
        let call = self.call(&[&["run"], args].concat());
        assert_eq!(call.code, 0, "{}{}", call.stdout, call.stderr);
        call
    }
}

impl Call {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The steps that were executed, in the order in which they started.
    pub fn ran(&self) -> Vec<&str> {
        // Lines of a run that this one waits for are set in.
        let own = self.stderr.lines().filter(|line| line.starts_with('['));
        own.filter_map(|line| line.split_once("] started"))
            .map(|(step, _)| step.trim_start_matches('['))
            .collect()
    }

    pub fn says(&self, text: &str) -> &Self {
        let all = format!("{}{}", self.stdout, self.stderr);
        // Terminal wrapping must not hide a sentence.
        let flat =
            |text: &str| text.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
        assert!(flat(&all).contains(&flat(text)), "expected {text:?} in:\n{all}");
        self
    }
}

/// The folder beside the project with data that is not part of it, or nothing with a word about it.
pub fn shared(part: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(part);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: `../shared/{part}` is not here");
    None
}

/// A Python that has this package, or nothing, saying so. `RECSYS_PYTHON` names the interpreter, and then it
/// must have the package.
pub fn python_with(package: &str) -> Option<PathBuf> {
    let named = std::env::var_os("RECSYS_PYTHON");
    let python = PathBuf::from(named.clone().unwrap_or_else(|| "python3".into()));
    let has = Command::new(&python).args(["-c", &format!("import {package}")]).output();
    if has.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    assert!(named.is_none(), "{} does not have the package `{package}`", python.display());
    eprintln!(
        "skipped: the Python package `{package}` is not here; RECSYS_PYTHON names an interpreter that has it"
    );
    None
}
