//! The experiment file: which pipeline, which settings, what is best.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::halving::Halving;
use super::objective::{Constraint, Direction, MetricName, Objective};
use super::space::{Space, Variant};
use crate::workflow::fault::{Fault, FileError};
use crate::workflow::parameters;
use crate::workflow::source::{Sources, Span};
use crate::workflow::spec::{self, Overrides, SpecError};
use crate::workflow::yaml::{Node, Value};

/// Why an experiment cannot be read: its file cannot, or there are mistakes in it.
pub type ExperimentError = SpecError;

/// The file as it is written.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExperimentFile {
    /// What it is called; the name of the file when it says nothing.
    #[serde(default)]
    name: Option<String>,
    /// The pipeline that is varied.
    pipeline: PathBuf,
    /// Configuration files that hold for every variant, as after `--config`.
    #[serde(default)]
    configs: Vec<PathBuf>,
    /// Values that hold for every variant: `als.iterations: 10`, or `vars.raw: data/raw` for a variable.
    #[serde(default)]
    set: BTreeMap<String, Json>,
    /// The settings to try.
    space: Space,
    /// What the best variant has most or least of.
    objective: ObjectiveEntry,
    /// What a variant must keep to be chosen: `validate.als.coverage_items@10 >= 0.02`.
    #[serde(default)]
    constraints: Vec<String>,
    /// Metrics that are shown beside the objective and decide nothing.
    #[serde(default)]
    report: Vec<String>,
    /// Let data of the test period decide. What is chosen by the test period looks better on it than it is.
    #[serde(default)]
    select_on_test: bool,
}

/// One of these.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ObjectiveEntry {
    /// A metric of which more is better: `validate.als.ndcg@10` is `als.ndcg@10` of the step `validate`.
    maximize: Option<String>,
    /// A metric of which less is better.
    minimize: Option<String>,
}

/// An experiment that can be planned.
#[derive(Debug)]
pub struct Experiment {
    /// What it is called.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// The pipeline that is varied.
    pub pipeline: PathBuf,
    /// Configuration files that hold for every variant.
    pub configs: Vec<PathBuf>,
    /// Values that hold for every variant.
    pub set: BTreeMap<String, Json>,
    /// What is tried.
    pub variants: Vec<Variant>,
    /// Settings of the file that are equal to an earlier one; they are tried once.
    pub equal: usize,
    /// How what is tried gets more, if not everything gets all at once.
    pub halving: Option<Halving>,
    /// What each rung has of the resource; empty without `halving`.
    pub rungs: Vec<Json>,
    /// What is best.
    pub objective: Objective,
    /// What must be kept.
    pub constraints: Vec<Constraint>,
    /// What is shown beside the objective.
    pub report: Vec<MetricName>,
    /// Whether data of the test period may decide.
    pub select_on_test: bool,
    sources: Sources,
    root: Node,
}

impl Experiment {
    /// Reads an experiment file.
    ///
    /// # Errors
    /// When it cannot be read, or everything that is wrong with it, each mistake at its place.
    pub fn read(path: &Path) -> Result<Self, ExperimentError> {
        let mut sources = Sources::default();
        let (text, source) = spec::read_file(path, &mut sources)?;
        let failed = |sources: &Sources, faults| Err(FileError::new(sources, faults).into());
        let mut root = match Node::parse_in(&text, source) {
            Ok(root) => root,
            Err(fault) => return failed(&sources, vec![fault]),
        };
        let schema = schemars::schema_for!(ExperimentFile).to_value();
        let mut faults = parameters::check(&root, &schema, "key");
        if !faults.is_empty() {
            return failed(&sources, faults);
        }
        if root.value == Value::Null {
            root.value = Value::Map(Vec::new());
        }
        let file: ExperimentFile = match serde_json::from_value(root.to_json()) {
            Ok(file) => file,
            Err(error) => {
                return failed(&sources, vec![Fault::new(root.span.clone(), error.to_string())]);
            }
        };
        let place = |key: &str| root.get(key).map_or_else(Span::default, |node| node.span.clone());
        for (path, key) in file.paths() {
            if !is_parameter(path) {
                let message = format!("`{path}` names neither a parameter nor a variable");
                let help = "write STEP.PARAMETER, for example `als.factors`, or `vars.NAME`";
                faults.push(Fault::new(place(key), message).words(path).help(help));
            }
        }
        let (variants, equal) = file.space.variants().unwrap_or_else(|message| {
            faults.push(Fault::new(place("space"), message));
            Default::default()
        });
        let halving = file.space.successive_halving.clone();
        let rungs = halving.as_ref().map_or(Ok(Vec::new()), Halving::rungs).unwrap_or_else(|message| {
            let span = root.get("space").and_then(|space| space.get("successive_halving"));
            let span = span.map_or_else(Span::default, |node| node.span.clone());
            faults.push(Fault::new(span, format!("`successive_halving`: {message}")));
            Vec::new()
        });
        if let Some(Halving { resource, .. }) = &halving
            && variants.iter().any(|variant| variant.values.contains_key(resource))
        {
            let message =
                format!("`{resource}` is the resource of `successive_halving` and a setting to try");
            let help = "take it out of `grid`, `list` and `random`: its value is that of the rung";
            faults.push(Fault::new(place("space"), message).words(resource).help(help));
        }
        for variant in &variants {
            let mut paths = variant.values.keys().chain(halving.as_ref().map(|halving| &halving.resource));
            if let Some(path) = paths.find(|path| file.set.contains_key(*path)) {
                faults.push(
                    Fault::new(place("set"), format!("`{path}` is given in `set` and in `space`"))
                        .words(path),
                );
                break;
            }
        }
        let objective = match (&file.objective.maximize, &file.objective.minimize) {
            (Some(metric), None) => read_at(metric, place("objective"), &mut faults)
                .map(|metric| Objective { metric, direction: Direction::Maximize }),
            (None, Some(metric)) => read_at(metric, place("objective"), &mut faults)
                .map(|metric| Objective { metric, direction: Direction::Minimize }),
            _ => {
                let help = "for example `objective: { maximize: validate.als.ndcg@10 }`";
                faults
                    .push(Fault::new(place("objective"), "give one of `maximize` and `minimize`").help(help));
                None
            }
        };
        let constraints: Vec<Option<Constraint>> =
            file.constraints.iter().map(|text| read_at(text, place("constraints"), &mut faults)).collect();
        let report: Vec<Option<MetricName>> =
            file.report.iter().map(|text| read_at(text, place("report"), &mut faults)).collect();
        let name = file.name.unwrap_or_else(|| {
            path.file_stem()
                .map_or_else(|| "experiment".to_owned(), |stem| stem.to_string_lossy().into_owned())
        });
        let is_plain = |c: char| c.is_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(is_plain) {
            let message = format!("`name` must be made of letters, digits, `-`, `_` and `.`, found `{name}`");
            faults.push(Fault::new(place("name"), message));
        }
        let (Some(objective), true) = (objective, faults.is_empty()) else {
            return failed(&sources, faults);
        };
        Ok(Self {
            name,
            path: path.to_owned(),
            pipeline: file.pipeline,
            configs: file.configs,
            set: file.set,
            variants,
            equal,
            halving,
            rungs,
            objective,
            constraints: constraints.into_iter().flatten().collect(),
            report: report.into_iter().flatten().collect(),
            select_on_test: file.select_on_test,
            sources,
            root,
        })
    }

    /// What a variant changes in the pipeline; `more` is what the command line changes in all of them.
    pub fn overrides(&self, variant: &Variant, more: &Overrides) -> Overrides {
        let mut overrides = Overrides { configs: self.configs.clone(), ..Overrides::default() };
        overrides.configs.extend(more.configs.iter().cloned());
        for (path, value) in self.set.iter().chain(&variant.values) {
            match path.strip_prefix("vars.") {
                Some(name) => overrides.vars.push(format!("{name}={}", as_yaml(value))),
                None => overrides.set.push(format!("{path}={}", as_yaml(value))),
            }
        }
        overrides.vars.extend(more.vars.iter().cloned());
        overrides.set.extend(more.set.iter().cloned());
        overrides
    }

    /// A mistake that only shows with the pipeline, at the place of a key; `words` are underlined.
    pub fn fault(&self, key: &str, words: &str, message: String, help: String) -> ExperimentError {
        let span = self.root.get(key).map_or_else(Span::default, |node| node.span.clone());
        FileError::new(&self.sources, vec![Fault::new(span, message).words(words).help(help)]).into()
    }

    /// A variant as it is tried on a rung; as it is without rungs.
    pub fn on_rung(&self, variant: usize, rung: usize) -> Variant {
        match (&self.halving, self.rungs.get(rung)) {
            (Some(halving), Some(value)) => self.variants[variant].with(&halving.resource, value),
            _ => self.variants[variant].clone(),
        }
    }

    /// How many rungs there are; one without successive halving.
    pub fn n_rungs(&self) -> usize {
        self.rungs.len().max(1)
    }

    /// Every parameter or variable that is varied or set, and the key under which it stands.
    pub fn paths(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let varied: BTreeSet<&str> =
            self.variants.iter().flat_map(|variant| variant.values.keys().map(String::as_str)).collect();
        let resource = self.halving.iter().map(|halving| halving.resource.as_str());
        let varied = varied.into_iter().chain(resource).map(|path| (path, "space"));
        varied.chain(self.set.keys().map(|path| (path.as_str(), "set")))
    }

    /// Every metric that is named, and the key that names it.
    pub fn metrics(&self) -> impl Iterator<Item = (&'static str, &MetricName)> {
        std::iter::once(("objective", &self.objective.metric))
            .chain(self.constraints.iter().map(|constraint| ("constraints", &constraint.metric)))
            .chain(self.report.iter().map(|metric| ("report", metric)))
    }
}

impl ExperimentFile {
    /// Every path to a parameter, and the key under which it stands.
    fn paths(&self) -> impl Iterator<Item = (&String, &'static str)> {
        let space = self.space.grid.keys().chain(self.space.list.iter().flat_map(BTreeMap::keys));
        let random = self.space.random.iter().flat_map(|random| random.parameters.keys());
        let resource = self.space.successive_halving.iter().map(|halving| &halving.resource);
        space
            .chain(random)
            .chain(resource)
            .map(|path| (path, "space"))
            .chain(self.set.keys().map(|path| (path, "set")))
    }
}

fn is_parameter(path: &str) -> bool {
    path.split_once('.').is_some_and(|(step, parameter)| !step.is_empty() && !parameter.is_empty())
}

fn read_at<T: FromStr<Err = String>>(text: &str, span: Span, faults: &mut Vec<Fault>) -> Option<T> {
    text.parse().map_err(|message: String| faults.push(Fault::new(span, message).words(text))).ok()
}

/// A value as YAML in one line; JSON is YAML.
pub fn as_yaml(value: &Json) -> String {
    match value {
        // Text stands as it is unless it would read as something else.
        Json::String(text) => match Node::parse(text) {
            Ok(Node { value: Value::Text(read), .. }) if read == *text => text.clone(),
            _ => value.to_string(),
        },
        other => other.to_string(),
    }
}

/// A value as `--var` and `--set` read it: YAML, or text where it is none.
pub fn from_yaml(text: &str) -> Json {
    let is_flow = text.trim_start().starts_with(['{', '[']) && !text.starts_with("{{");
    match Node::parse(text) {
        Ok(node) if is_flow || !matches!(node.value, Value::Map(_) | Value::List(_)) => node.to_json(),
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Experiment, ExperimentError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("als.yaml");
        std::fs::write(&path, text).unwrap();
        Experiment::read(&path)
    }

    const GOOD: &str = "\
pipeline: pipelines/demo.yaml
set: { vars.interactions: 5000, split.strategy: random }
space: { grid: { als.factors: [8, 16], vars.raw: ['1', x] } }
objective: { maximize: validate.als.ndcg@10 }
constraints: ['validate.als.coverage_items@10 >= 0.02']
";

    #[test]
    fn it_is_named_after_its_file_and_variants_change_the_pipeline() {
        let experiment = read(GOOD).unwrap();
        assert_eq!((experiment.name.as_str(), experiment.variants.len()), ("als", 4));
        let more = Overrides { vars: vec!["factors=3".to_owned()], ..Overrides::default() };
        let overrides = experiment.overrides(&experiment.variants[0], &more);
        assert_eq!(overrides.set, ["split.strategy=random", "als.factors=8"]);
        assert_eq!(overrides.vars, ["interactions=5000", "raw=\"1\"", "factors=3"]);
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        for (from, to, words) in [
            ("objective", "objectiv", "unknown key `objectiv`"),
            ("maximize", "most", "unknown key `most`"),
            ("validate.als.ndcg@10", "validate", "expected STEP.METRIC"),
            (">= 0.02", "> 0.02", "expected a metric, `>=` or `<=`"),
            ("als.factors", "factors", "`factors` names neither a parameter nor a variable"),
            ("split.strategy", "als.factors", "`als.factors` is given in `set` and in `space`"),
            ("[8, 16]", "[]", "no value for `als.factors`"),
            ("pipeline: pipelines/demo.yaml", "name: a/b\npipeline: a", "`name` must be made of letters"),
        ] {
            let error = match read(&GOOD.replace(from, to)).unwrap_err() {
                SpecError::File(error) => error.messages().collect::<Vec<_>>().join("; "),
                other => other.to_string(),
            };
            assert!(error.contains(words), "{to}: {error}");
        }
        let halving = |resource: &str, min: u32| {
            let line = format!("successive_halving: {{ resource: {resource}, min: {min}, max: 9 }}");
            read(&GOOD.replace("space: { ", &format!("space: {{ {line}, ")))
        };
        let experiment = halving("vars.iterations", 1).unwrap();
        assert_eq!(experiment.rungs, [1, 3, 9]);
        assert_eq!(experiment.on_rung(0, 1).name, "factors=8,raw=1,iterations=3");
        assert_eq!(experiment.on_rung(0, 1).values["vars.iterations"], 3);
        for (resource, min, words) in [
            ("als.factors", 1, "is the resource of `successive_halving` and a setting to try"),
            ("split.strategy", 1, "`split.strategy` is given in `set` and in `space`"),
            ("iterations", 1, "`iterations` names neither a parameter nor a variable"),
            ("vars.iterations", 8, "`successive_halving`: `max` must be at least"),
        ] {
            let error = match halving(resource, min).unwrap_err() {
                SpecError::File(error) => error.messages().collect::<Vec<_>>().join("; "),
                other => other.to_string(),
            };
            assert!(error.contains(words), "{error}");
        }
        let twice = read(&GOOD.replace("maximize", "minimise").replace("[8, 16]", "[]")).unwrap_err();
        assert!(twice.to_string().contains("mistake"));
    }
}
