//! The environment as templates see it: what was looked at is remembered, because a plan depends on
//! it. Values may be secrets: whoever stores what was read stores digests.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::Value as Dynamic;
use minijinja::value::{Enumerator, Object};

/// Looked at by whoever walks over the environment: its value is the names of all variables. No variable
/// can be called so.
pub const EVERY_NAME: &str = "=";

/// Environment variables, and which of them were looked at.
pub struct Environment {
    values: BTreeMap<String, String>,
    read: Mutex<BTreeMap<String, Option<String>>>,
}

impl Environment {
    /// These variables.
    pub fn new(values: BTreeMap<String, String>) -> Self {
        Self { values, read: Mutex::default() }
    }

    /// The variables of the process, filled up from `.env`.
    pub fn of_process(root: &Path) -> Self {
        Self::new(of_process(root))
    }

    /// One value.
    pub fn read(&self, name: &str) -> Option<String> {
        let value = match name {
            EVERY_NAME => Some(self.names().collect::<Vec<_>>().join("=")),
            name => self.values.get(name).cloned(),
        };
        self.note(name, value.clone());
        value
    }

    /// The names, without noting that they were read: for hints.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// What was looked at so far.
    pub fn all_read(&self) -> BTreeMap<String, Option<String>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, name: &str, value: Option<String>) {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), value);
    }
}

/// A value of the environment must not reach a log by way of a debug print.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment").field("variables", &self.values.len()).finish_non_exhaustive()
    }
}

impl Object for Environment {
    fn get_value(self: &Arc<Self>, key: &Dynamic) -> Option<Dynamic> {
        self.read(key.as_str().filter(|name| *name != EVERY_NAME)?).map(Dynamic::from)
    }

    /// Whoever walks over the environment depends on all of it.
    fn enumerate(self: &Arc<Self>) -> Enumerator {
        for (name, value) in &self.values {
            self.note(name, Some(value.clone()));
        }
        self.read(EVERY_NAME);
        Enumerator::Values(self.values.keys().map(Dynamic::from).collect())
    }
}

/// The variables of the process, filled up from `.env` in the project folder.
pub fn of_process(root: &Path) -> BTreeMap<String, String> {
    let mut values = dotenv(root);
    values.extend(
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
    );
    values
}

fn dotenv(root: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(root.join(".env")).unwrap_or_default();
    text.lines()
        .map(|line| line.trim().trim_start_matches("export "))
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| {
            let value = value.trim();
            let quoted = ['"', '\''].iter().find_map(|&q| value.strip_prefix(q)?.strip_suffix(q));
            (name.trim().to_owned(), quoted.unwrap_or(value).to_owned())
        })
        .collect()
}
