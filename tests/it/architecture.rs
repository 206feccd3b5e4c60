//! The rooms and who may know whom, read from the `use crate::` lines:
//! 1. `workflow` and the domain do not know each other; they meet in `steps` and `codec`;
//! 2. `models`, `eval` and `interactions` name neither Polars nor files nor clocks;
//! 3. only `cli`, `console` and `main` print;
//! 4. every file says what it is, none is long, nothing is unfinished.

use std::path::{Path, PathBuf};

/// Each room, and the rooms that its files may use beside itself.
const MAY_USE: &[(&str, &[&str])] = &[
    ("workflow", &[]),
    ("console", &["workflow"]),
    ("interactions", &[]),
    ("models", &["interactions"]),
    ("eval", &["interactions"]),
    ("data", &["interactions"]),
    ("ranking", &["interactions", "models", "eval", "data"]),
    ("charts", &["data", "eval"]),
    ("codec", &["interactions", "models", "ranking", "eval", "data"]),
    ("tracking", &["workflow"]),
    ("serve", &["codec", "models", "interactions"]),
    ("storage", &[]),
    (
        "steps",
        &[
            "workflow",
            "codec",
            "interactions",
            "models",
            "eval",
            "data",
            "ranking",
            "charts",
            "serve",
            "storage",
        ],
    ),
    ("cli", &["workflow", "console", "tracking", "steps", "serve", "storage"]),
];

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push((path.clone(), std::fs::read_to_string(path).unwrap()));
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 30);
    found
}

fn room(path: &Path) -> String {
    let inside = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    inside.components().next().unwrap().as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// The part of a file before its unit tests.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or(text)
}

#[test]
fn rooms_use_only_the_rooms_they_may() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == room(&path)) else { continue };
        if path.ends_with("tests.rs") {
            continue;
        }
        for line in code(&text).lines() {
            let Some(rest) = line.split("crate::").nth(1) else { continue };
            if line.trim_start().starts_with("//") {
                continue;
            }
            let used: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let known = MAY_USE.iter().any(|(name, _)| *name == used);
            if known && used != room(&path) && !allowed.contains(&used.as_str()) {
                wrong.push(format!("{}: {}", path.display(), line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn models_and_metrics_know_neither_tables_nor_files_nor_clocks() {
    for (path, text) in sources() {
        if ["models", "eval", "interactions"].contains(&room(&path).as_str()) {
            for word in ["polars", "std::fs", "std::time", "chrono::", "std::path"] {
                assert!(!code(&text).contains(word), "{} names {word}", path.display());
            }
        }
        if room(&path) == "workflow" {
            for word in ["polars::", "axum::", "faer::", "sprs::", "reqwest", "aws_", "tokio", "mlflow"] {
                assert!(!code(&text).contains(word), "{} names {word}", path.display());
            }
        }
        if !path.ends_with("workflow/plan.rs") {
            assert!(!code(&text).contains("petgraph::"), "{} names petgraph", path.display());
        }
    }
}

#[test]
fn only_the_edge_prints() {
    for (path, text) in sources() {
        // A build script speaks to Cargo by printing.
        if !["cli", "console", "main", "build"].contains(&room(&path).as_str()) {
            for word in ["println!", "eprintln!", " print!(", "eprint!("] {
                assert!(!code(&text).contains(word), "{} prints", path.display());
            }
        }
    }
}

#[test]
fn every_file_says_what_it_is_and_none_is_long_or_unfinished() {
    for (path, text) in sources() {
        assert!(text.starts_with("//!"), "{} does not open with `//!`", path.display());
        assert!(text.lines().count() <= 600, "{} is over 600 lines", path.display());
        for word in ["todo!(", "unimplemented!(", "dbg!(", concat!("TO", "DO"), concat!("FIX", "ME")] {
            assert!(!text.contains(word), "{} has {word}", path.display());
        }
    }
}
