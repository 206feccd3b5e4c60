//! What the driver asked for, and the matrix it is asked of.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use recsys::codec::npz;
use recsys::interactions::Interactions;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// `TASK DATA.npz [--option value]…`
pub struct Options {
    /// What to race.
    pub task: String,
    data: PathBuf,
    named: BTreeMap<String, String>,
}

impl Options {
    /// From the command line.
    pub fn from_arguments() -> Self {
        let mut arguments = std::env::args().skip(1);
        let task = arguments.next().unwrap_or_default();
        let data = arguments.next().unwrap_or_default().into();
        let mut named = BTreeMap::new();
        while let Some(name) = arguments.next() {
            named.insert(name.trim_start_matches("--").to_owned(), arguments.next().unwrap_or_default());
        }
        if let Some(threads) = named.get("threads").and_then(|threads| threads.parse().ok()) {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().unwrap();
        }
        Self { task, data, named }
    }

    /// The matrix users × items.
    pub fn interactions(&self) -> Interactions {
        npz::read_matrix(Path::new(&self.data)).unwrap()
    }

    /// The file or folder of the data.
    pub fn path(&self) -> &Path {
        &self.data
    }

    /// The value of `--name`, or else `default`.
    pub fn get<T: FromStr>(&self, name: &str, default: T) -> T {
        match self.named.get(name) {
            Some(value) => value.parse().unwrap_or_else(|_| panic!("--{name} {value} is not understood")),
            None => default,
        }
    }

    /// `default`, with the fields changed that are named among the options.
    pub fn parameters<P: Serialize + DeserializeOwned>(&self, default: &P) -> P {
        let mut fields = serde_json::to_value(default).unwrap();
        for (name, value) in fields.as_object_mut().unwrap() {
            if let Some(text) = self.named.get(&name.replace('_', "-")).or_else(|| self.named.get(name)) {
                *value = serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into());
            }
        }
        serde_json::from_value(fields).unwrap_or_else(|error| panic!("{error}"))
    }
}
