//! The pipeline file as written: names, references and values with their places; nothing resolved.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use miette::Diagnostic;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use thiserror::Error;

use super::fault::{Fault, FileError, did_you_mean};
use super::parameters;
use super::values::Scope;
use super::yaml::{Entry, Node, Value};

/// A pipeline file with its templates rendered.
#[derive(Debug, Clone)]
pub struct Spec {
    /// `name:`, or the name of the file.
    pub name: String,
    /// The steps in the order of the file.
    pub steps: Vec<StepSpec>,
    /// Where it was read from.
    pub path: PathBuf,
    /// The text, for underlining.
    pub text: String,
}

/// One step as written.
#[derive(Debug, Clone)]
pub struct StepSpec {
    /// Its name in the pipeline.
    pub name: String,
    /// Where the name stands.
    pub span: Range<usize>,
    /// The kind it uses.
    pub kind: Placed<String>,
    /// Its inputs.
    pub inputs: Vec<InputSpec>,
    /// Paths given for outputs.
    pub outputs: Vec<(Placed<String>, Placed<String>)>,
    /// `with:`, and `run:` as the parameter `command`.
    pub parameters: Node,
    /// Steps that must be done before, without data.
    pub needs: Vec<Placed<String>>,
    /// Declared environment variables and their values.
    pub environment: BTreeMap<String, String>,
    /// Threads that it occupies.
    pub threads: Option<usize>,
    /// It is stopped after this time.
    pub timeout: Option<Duration>,
    /// How often it is tried again after a failure.
    pub retries: Retries,
    /// Memory
    pub memory: Option<u64>,
    /// Group
    pub group: Option<String>,
}

/// R
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Retries {
    /// T
    pub times: u32,
    /// W
    pub wait: Duration,
    /// F
    pub factor: f64,
}

/// One artifact that a step reads.
#[derive(Debug, Clone)]
pub struct InputSpec {
    /// The input port.
    pub port: Placed<String>,
    /// The name within a port that takes many.
    pub name: Option<String>,
    /// `step.port` or a path.
    pub reference: Placed<String>,
}

/// A value and its place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Its place, in bytes.
    pub span: Range<usize>,
}

/// What configuration files and the command line change in a pipeline; what comes later wins.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Values of variables.
    pub vars: Vec<(String, Json)>,
    /// Values of parameters.
    pub parameters: Vec<Override>,
}

/// A value for one parameter of one step.
#[derive(Debug, Clone)]
pub struct Override {
    /// The step.
    pub step: String,
    /// Its parameter.
    pub parameter: String,
    /// The value.
    pub value: Json,
    /// Who says so: `--set` or a file.
    pub origin: String,
}

/// Why a pipeline file cannot be used.
#[derive(Debug, Error, Diagnostic)]
pub enum SpecError {
    /// The file cannot be read.
    #[error("cannot read `{}`", path.display())]
    #[diagnostic(
        code(recsys::pipeline::unreadable),
        help(
            "check the path; a pipeline is named after the command, as in `recsys run pipelines/demo.yaml`, or by RECSYS_PIPELINE"
        )
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Mistakes in the file.
    #[error(transparent)]
    #[diagnostic(transparent)]
    File(#[from] FileError),
}

/// A pipeline: steps with inputs, outputs and parameters.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PipelineFile {
    /// Name of the pipeline; the name of the file when left out.
    name: Option<String>,
    /// Values for templates: `{{ vars.raw }}`; `--var raw=DIR` changes them.
    vars: Option<BTreeMap<String, Json>>,
    /// Steps by name.
    steps: BTreeMap<String, StepFile>,
}

/// One step of a pipeline.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepFile {
    /// The kind; `recsys kinds` lists them. With `run:` it is `shell`.
    uses: Option<String>,
    /// Inputs by port: `step.port` or a path; a map of those for a port that takes many.
    inputs: Option<BTreeMap<String, Json>>,
    /// Paths of outputs; the default is `artifacts/<step>/<port>.<extension>`.
    outputs: Option<BTreeMap<String, String>>,
    /// Parameters of the kind.
    with: Option<BTreeMap<String, Json>>,
    /// Command of a `shell` step.
    run: Option<String>,
    /// Steps that must be done before this one, without data from them.
    needs: Option<Vec<String>>,
    /// Names of environment variables that the step may see; their values enter the fingerprint.
    env: Option<Vec<String>>,
    /// What the step occupies while it runs.
    resources: Option<Resources>,
    /// The step is stopped after this time: `90s`, `15m`, `2h`.
    timeout: Option<String>,
    /// How often a failed step is tried again.
    #[schemars(range(max = 100))]
    retries: Option<u32>,
}

/// What a step occupies while it runs.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// Threads; other steps start only while enough of them are free.
    #[schemars(range(min = 1))]
    threads: Option<usize>,
}

impl Spec {
    /// Reads a pipeline file and renders its templates.
    ///
    /// # Errors
    /// When the file cannot be read, or with everything that is wrong in it.
    pub fn read(path: &Path, scope: Scope, overrides: &Overrides) -> Result<Self, SpecError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| SpecError::Unreadable { path: path.to_owned(), source })?;
        Ok(Self::parse(path, &text, scope, overrides)?)
    }

    /// Takes a pipeline from its text.
    ///
    /// # Errors
    /// With everything that is wrong in it.
    pub fn parse(
        path: &Path,
        text: &str,
        mut scope: Scope,
        overrides: &Overrides,
    ) -> Result<Self, FileError> {
        let fail = |faults| Err(FileError::new(path, text, faults));
        let root = match Node::parse(text) {
            Ok(root) => root,
            Err(fault) => return fail(vec![fault]),
        };
        let mut faults = parameters::check(&root, &schemars::schema_for!(PipelineFile).to_value(), "key");
        if !faults.is_empty() {
            return fail(faults);
        }
        faults.extend(scope.define_vars(root.get("vars"), &overrides.vars));
        let name = match root.get("name").map(|node| &node.value) {
            Some(Value::Text(name)) => name.clone(),
            _ => path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned()),
        };
        let entries = entries(root.get("steps"));
        if entries.is_empty() {
            let span = root.get("steps").map_or(0..0, |node| node.span.clone());
            faults.push(
                Fault::new(span, "a pipeline needs at least one step")
                    .help("`recsys kinds` lists what a step can use"),
            );
        }
        let mut steps: Vec<StepSpec> = entries.iter().map(|entry| step(entry, &scope, &mut faults)).collect();
        for change in &overrides.parameters {
            let Override { step, parameter, value, origin } = change;
            match steps.iter_mut().find(|spec| spec.name == *step) {
                Some(spec) => set_parameter(spec, parameter, value),
                None => faults.push(
                    Fault::new(
                        0..0,
                        format!("{origin} sets `{step}.{parameter}`, but the pipeline has no step `{step}`"),
                    )
                    .help(did_you_mean(step, entries.iter().map(|entry| entry.key.as_str()))),
                ),
            }
        }
        if faults.is_empty() {
            Ok(Self { name, steps, path: path.to_owned(), text: text.to_owned() })
        } else {
            fail(faults)
        }
    }
}

fn step(entry: &Entry, scope: &Scope, faults: &mut Vec<Fault>) -> StepSpec {
    let node = &entry.node;
    if !is_name(&entry.key) {
        let message = format!("`{}` is no name for a step", entry.key);
        faults.push(Fault::new(entry.key_span.clone(), message).help("use letters, digits, `_` and `-`"));
    }
    let mut rendered = |key: &str| node.get(key).map(|part| scope.render(part, faults));
    let uses = rendered("uses");
    let inputs = rendered("inputs");
    let outputs = rendered("outputs");
    let with = rendered("with");
    let needs = rendered("needs");
    let env = rendered("env");
    let timeout = rendered("timeout");

    let kind = match (&uses, node.get("run")) {
        (Some(uses), _) => Placed { value: text(uses), span: uses.span.clone() },
        (None, Some(run)) => Placed { value: "shell".to_owned(), span: run.span.clone() },
        (None, None) => {
            faults.push(
                Fault::new(
                    entry.key_span.clone(),
                    format!("the step `{}` says neither `uses:` nor `run:`", entry.key),
                )
                .help("`recsys kinds` lists what a step can use"),
            );
            Placed { value: String::new(), span: entry.key_span.clone() }
        }
    };
    let inputs = input_specs(inputs.as_ref(), faults);
    let outputs: Vec<(Placed<String>, Placed<String>)> = entries(outputs.as_ref())
        .iter()
        .map(|output| (key(output), Placed { value: text(&output.node), span: output.node.span.clone() }))
        .collect();
    let mut parameters = with.unwrap_or_else(|| Node::new(Value::Map(Vec::new()), entry.key_span.clone()));
    if let Some(run) = node.get("run") {
        let scope = scope
            .with(
                "inputs",
                placeholders("inputs", inputs.iter().map(|input| (&input.port.value, input.name.as_ref()))),
            )
            .with("outputs", placeholders("outputs", outputs.iter().map(|(port, _)| (&port.value, None))));
        let command = scope.render(run, faults);
        if let Value::Map(entries) = &mut parameters.value {
            entries.push(Entry { key: "command".to_owned(), key_span: run.span.clone(), node: command });
        }
    }
    StepSpec {
        name: entry.key.clone(),
        span: entry.key_span.clone(),
        kind,
        inputs,
        outputs,
        parameters,
        needs: items(needs.as_ref()),
        environment: environment(env.as_ref(), scope, faults),
        threads: node.get("resources").and_then(|resources| integer(resources.get("threads")?)),
        timeout: timeout.as_ref().and_then(|node| duration(node, faults)),
        retries: Retries {
            times: node.get("retries").and_then(integer).unwrap_or(0),
            wait: Duration::from_secs(1),
            factor: 2.0,
        },
        memory: None,
        group: None,
    }
}

fn input_specs(inputs: Option<&Node>, faults: &mut Vec<Fault>) -> Vec<InputSpec> {
    let mut specs = Vec::new();
    for entry in entries(inputs) {
        let port = key(entry);
        let mut one = |name: Option<String>, node: &Node| match &node.value {
            Value::Text(reference) => specs.push(InputSpec {
                port: port.clone(),
                name,
                reference: Placed { value: reference.clone(), span: node.span.clone() },
            }),
            _ => faults.push(
                Fault::new(
                    node.span.clone(),
                    format!("an input is `step.port` or a path, found {}", node.found()),
                )
                .help("a port that takes many wants a map of names to `step.port`"),
            ),
        };
        match &entry.node.value {
            Value::Map(many) => many.iter().for_each(|each| one(Some(each.key.clone()), &each.node)),
            _ => one(None, &entry.node),
        }
    }
    specs
}

fn set_parameter(spec: &mut StepSpec, parameter: &str, value: &Json) {
    let span = spec.parameters.span.clone();
    if let Value::Map(entries) = &mut spec.parameters.value {
        entries.retain(|entry| entry.key != parameter);
        entries.push(Entry {
            key: parameter.to_owned(),
            key_span: span.clone(),
            node: Node::from_json(value, &span),
        });
    }
}

fn environment(env: Option<&Node>, scope: &Scope, faults: &mut Vec<Fault>) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::new();
    for name in items(env) {
        match scope.env(&name.value) {
            Some(value) => {
                environment.insert(name.value, value.to_owned());
            }
            None => faults.push(
                Fault::new(name.span, format!("the environment variable `{}` is not set", name.value))
                    .help(format!("export {} or put it into `.env`", name.value)),
            ),
        }
    }
    environment
}

/// Stands for a path that is known only when the step runs: the fingerprint must not depend on it.
pub fn placeholder(side: &str, port: &str, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("\u{27e6}{side}.{port}.{name}\u{27e7}"),
        None => format!("\u{27e6}{side}.{port}\u{27e7}"),
    }
}

fn placeholders<'a>(side: &str, ports: impl Iterator<Item = (&'a String, Option<&'a String>)>) -> Json {
    let mut map = json!({});
    for (port, name) in ports {
        match name {
            Some(name) => {
                if !map[port].is_object() {
                    map[port] = json!({});
                }
                map[port][name] = json!(placeholder(side, port, Some(name)));
            }
            None => map[port] = json!(placeholder(side, port, None)),
        }
    }
    map
}

fn duration(node: &Node, faults: &mut Vec<Fault>) -> Option<Duration> {
    let text = text(node);
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let seconds = match &text[digits.len()..] {
        "s" => Some(1.0),
        "m" => Some(60.0),
        "h" => Some(3600.0),
        _ => None,
    };
    let value = seconds.zip(digits.parse::<f64>().ok()).map(|(unit, number)| unit * number);
    match value.map(Duration::try_from_secs_f64) {
        Some(Ok(duration)) if !duration.is_zero() => Some(duration),
        _ => {
            let message = format!("a time is a number with `s`, `m` or `h`, found `{text}`");
            faults.push(Fault::new(node.span.clone(), message).help("for example `90s`, `15m`, `2h`"));
            None
        }
    }
}

fn entries(node: Option<&Node>) -> &[Entry] {
    match node.map(|node| &node.value) {
        Some(Value::Map(entries)) => entries,
        _ => &[],
    }
}

fn items(node: Option<&Node>) -> Vec<Placed<String>> {
    match node.map(|node| &node.value) {
        Some(Value::List(items)) => {
            items.iter().map(|item| Placed { value: text(item), span: item.span.clone() }).collect()
        }
        _ => Vec::new(),
    }
}

fn key(entry: &Entry) -> Placed<String> {
    Placed { value: entry.key.clone(), span: entry.key_span.clone() }
}

fn text(node: &Node) -> String {
    match node.to_json() {
        Json::String(text) => text,
        other => other.to_string(),
    }
}

fn integer<T: TryFrom<i64>>(node: &Node) -> Option<T> {
    match node.value {
        Value::Integer(value) => T::try_from(value).ok(),
        _ => None,
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}
