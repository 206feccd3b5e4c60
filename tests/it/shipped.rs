//! What is shipped in `pipelines/` and `configs/`:
//! 1. every pipeline and configuration is planned, every experiment as well, and each says what it is for;
//! 2. the tour of the file format runs on a fresh clone, once, and its secret stays one;
//! 3. MovieLens runs by both protocols, and the models beat popularity.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::project::{Call, Project, shared};

/// The files of a folder of the repository, by their paths from there.
fn files(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<PathBuf> = entries
        .filter(|entry| entry.path().is_file())
        .map(|entry| Path::new(folder).join(entry.file_name()))
        .collect();
    files.sort();
    files
}

/// A fresh clone, with three files that could be raw data by their names.
fn project() -> Project {
    let project = Project::new();
    for file in ["pipelines", "configs", "configs/experiments"].into_iter().flat_map(files) {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&file)).unwrap();
        project.write(&file.display().to_string(), &text);
    }
    for name in ["tracks", "catalog_names", "interactions"] {
        project.write(&format!("raw/{name}.parquet"), "");
    }
    project
}

fn metric(project: &Project, report: &str, model: &str) -> f64 {
    let report: Value = serde_json::from_str(&project.read(report)).unwrap();
    report["models"][model]["metrics"]["ndcg@10"]["value"].as_f64().unwrap_or_else(|| panic!("no {model}"))
}

#[test]
fn every_file_is_planned_and_says_what_it_is_for() {
    let project = project();
    let (mut planned, mut unread) = (0, Vec::new());
    for file in files("pipelines") {
        let name = file.display().to_string();
        let reads_raw = project.read(&name).contains("\n  raw: ");
        let raw: &[&str] = if reads_raw { &["--var", "raw=raw"] } else { &[] };
        let call = project.call(&[&["check", &name][..], raw].concat());
        assert_eq!(call.code, 0, "{name}: {}", call.stderr);
        call.says(&format!("`{name}` is right"));
        planned += 1;
    }
    for file in files("configs") {
        let name = file.display().to_string();
        let call = project.call(&["check", "pipelines/music.yaml", "--var", "raw=raw", "--config", &name]);
        assert_eq!(call.code, 0, "{name}: {}", call.stderr);
        planned += 1;
    }
    for file in files("configs/experiments") {
        let name = file.display().to_string();
        project.call(&["exp", "run", &name, "--dry-run"]).says("variants of");
        planned += 1;
    }
    for folder in ["pipelines", "configs", "configs/experiments"] {
        for name in files(folder).iter().map(|file| file.display().to_string()) {
            let text = project.read(&name);
            let comment = text.lines().take_while(|line| line.starts_with('#'));
            let words = comment.flat_map(str::split_whitespace).count();
            if words < 15 {
                unread.push(name);
            }
        }
    }
    assert!(planned >= 11, "{planned} files");
    assert!(unread.is_empty(), "these do not begin with a paragraph on what they are for: {unread:?}");
}

#[test]
fn the_tour_runs_on_a_fresh_clone() {
    let project = project();
    let tour = |words: &[&str]| {
        let mut command = project.command(&[&["run", "pipelines/tour.yaml"], words].concat());
        for name in ["TOUR_TOKEN", "TOUR_MOOD", "MLFLOW_TRACKING_URI"] {
            command.env_remove(name);
        }
        command
    };
    let first = Call::of(tour(&[]).output().unwrap());
    assert_eq!(first.code, 0, "{}{}", first.stdout, first.stderr);
    for step in ["als-4", "als_heavy-8", "knn-cosine-10", "knn-tf_idf-50", "popularity", "notes", "farewell"]
    {
        assert!(first.ran().contains(&step), "{step}: {:?}", first.ran());
    }
    assert!(!first.ran().contains(&"publish") && !first.ran().contains(&"serve"));
    assert!(project.read("artifacts/tour/notes.txt").starts_with("mood: calm\nlines of the pipeline: "));
    Call::of(tour(&[]).output().unwrap()).says("nothing to do");

    let with_secret = Call::of(tour(&[]).env("TOUR_TOKEN", "a-secret-word").output().unwrap());
    assert_eq!((with_secret.code, with_secret.ran()), (0, vec!["publish"]), "{}", with_secret.stderr);
    assert_eq!(project.read("artifacts/tour/receipt.txt").trim(), "13");
    assert!(!holds(&project.path("cache"), "a-secret-word"));

    let daring = Call::of(tour(&["--dry-run"]).env("TOUR_MOOD", "daring").output().unwrap());
    assert_eq!(daring.code, 0, "{}", daring.stderr);
    let has = |step| daring.stdout.lines().any(|line| line.split_whitespace().nth(1) == Some(step));
    assert!(has("evaluate") && !has("popularity"), "{}", daring.stdout);
}

/// Whether a file below a folder has these words in it.
pub fn holds(folder: &Path, words: &str) -> bool {
    fs::read_dir(folder).unwrap().flatten().any(|entry| match entry.path() {
        path if path.is_dir() => holds(&path, words),
        path => String::from_utf8_lossy(&fs::read(path).unwrap()).contains(words),
    })
}

#[test]
fn movielens_is_measured_by_both_protocols() {
    let Some(raw) = shared("data/movielens_100k") else { return };
    let project = project();
    let raw = format!("raw={}", raw.display());
    project.run(&["pipelines/movielens.yaml", "--var", &raw]);
    for protocol in ["time", "leave_last_n"] {
        let report = format!("artifacts/evaluate-{protocol}/report.json");
        let popularity = metric(&project, &report, "popularity");
        for model in ["als", "item_knn", "ease", "blend"] {
            let found = metric(&project, &report, model);
            assert!(found > 1.2 * popularity, "{protocol}: {model} {found}, popularity {popularity}");
        }
    }
}
