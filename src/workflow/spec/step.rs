//! One step: its values rendered, its references followed.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::connect::{Known, input_names, output_names, repeated};
use super::expand::Draft;
use super::file::Shape;
use super::overrides::{Changes, ParameterChange};
use super::{Placed, Retries, StepSpec, text, units};
use crate::workflow::fault::Fault;
use crate::workflow::parameters;
use crate::workflow::values::{Scope, is_template};
use crate::workflow::yaml::{Entry, Node, Value};

/// Makes steps of drafts.
pub struct Builder<'a> {
    shape: &'a Shape,
    known: &'a Known<'a>,
    changes: HashMap<&'a str, Vec<&'a ParameterChange>>,
    faults: &'a mut Vec<Fault>,
}

impl<'a> Builder<'a> {
    /// With what names mean and what is changed from outside.
    pub fn new(
        shape: &'a Shape,
        known: &'a Known<'a>,
        changes: &'a Changes,
        faults: &'a mut Vec<Fault>,
    ) -> Self {
        let mut by_step: HashMap<&str, Vec<&ParameterChange>> = HashMap::new();
        for change in &changes.parameters {
            by_step.entry(&change.step).or_default().push(change);
        }
        Self { shape, known, changes: by_step, faults }
    }

    /// The step behind a draft.
    pub fn build(&mut self, draft: &Draft<'_>) -> StepSpec {
        let before = self.faults.len();
        let node = &draft.entry.node;
        let place = &draft.entry.key_span;
        let mut incomplete = draft.incomplete || node.is_incomplete();
        let mut part = |key: &str| {
            let rendered = self.rendered(draft, key);
            incomplete |= rendered.as_ref().is_some_and(Node::is_incomplete);
            rendered
        };
        let [uses, inputs, outputs, with, needs] =
            ["uses", "inputs", "outputs", "with", "needs"].map(&mut part);
        let [env, fingerprint, resources, timeout, retries] =
            ["env", "fingerprint", "resources", "timeout", "retries"].map(&mut part);

        let kind = match (&uses, node.given("run")) {
            (Some(uses), _) if uses.value != Value::Unknown => {
                Placed { value: text(uses), span: uses.span.clone() }
            }
            (None, Some(run)) => Placed { value: "shell".to_owned(), span: run.span.clone() },
            _ => {
                if !incomplete {
                    let message = format!("the step `{}` says neither `uses:` nor `run:`", draft.name);
                    self.faults.push(
                        Fault::new(place.clone(), message).help("`recsys kinds` lists what a step can use"),
                    );
                }
                Placed { value: String::new(), span: place.clone() }
            }
        };
        let inputs = self.known.inputs(inputs.as_ref(), self.faults);
        for (span, name) in repeated(&inputs) {
            self.faults.push(
                Fault::new(span, format!("the name `{name}` stands twice in this input"))
                    .help("give one of them another name"),
            );
        }
        let outputs: Vec<(Placed<String>, Placed<String>)> = entries(outputs.as_ref())
            .iter()
            .filter(|output| output.node.value != Value::Unknown)
            .map(|output| (key(output), Placed { value: text(&output.node), span: output.node.span.clone() }))
            .collect();
        let command = || {
            let scope =
                draft.scope.with("inputs", input_names(&inputs)).with("outputs", output_names(&outputs));
            // A misspelt `inputs:` makes every `{{ inputs.port }}` unknown, which is not a mistake of its own.
            let wrong = draft.incomplete || node.is_incomplete();
            if wrong { scope.without_faults_about("inputs").without_faults_about("outputs") } else { scope }
        };
        let mut parameters = with.unwrap_or_else(|| Node::new(Value::Map(Vec::new()), place.clone()));
        if parameters.value == Value::Null {
            parameters.value = Value::Map(Vec::new());
        }
        let is_shell = kind.value == "shell";
        if let Some(run) = node.given("run").filter(|_| !is_shell) {
            let message = format!(
                "`run:` is the command of a `shell` step, but `{}` uses `{}`",
                draft.name, kind.value
            );
            let fault = Fault::new(run.span.clone(), message).help("take `run:` away, or `uses:`");
            self.faults.extend((!kind.value.is_empty()).then_some(fault));
        } else if let Some(run) = node.given("run") {
            let command = trimmed(command().render(run, self.faults));
            incomplete |= command.is_incomplete();
            set(&mut parameters, "command", run.span.clone(), command);
        }
        for change in self.changes_of(draft) {
            let value = match change.parameter.as_str() {
                "command" => trimmed(command().render(&change.value, self.faults)),
                _ => draft.scope.render(&change.value, self.faults),
            };
            set(&mut parameters, &change.parameter, change.place.clone(), value);
        }
        let needs = self.known.needs(items(needs.as_ref()));
        let environment = self.environment(env.as_ref(), &draft.scope);
        let (threads, memory) = self.resources(resources.as_ref());
        let timeout = timeout.as_ref().and_then(|node| units::duration(node, self.faults));
        let retries = self.retries(retries.as_ref());
        StepSpec {
            name: draft.name.clone(),
            span: place.clone(),
            group: draft.group.map(str::to_owned),
            kind,
            inputs,
            outputs,
            parameters,
            needs,
            environment,
            probes: items(fingerprint.as_ref()).into_iter().map(|command| command.value).collect(),
            threads,
            memory,
            timeout,
            retries,
            incomplete: incomplete || self.faults.len() > before,
        }
    }

    /// A key with its templates rendered; what they gave is checked like what is written.
    fn rendered(&mut self, draft: &Draft<'_>, key: &str) -> Option<Node> {
        let raw = draft.entry.node.given(key)?;
        let mut rendered = draft.scope.render(raw, self.faults);
        if has_template(raw)
            && key != "with"
            && let Some(part) = self.shape.of_step(key)
        {
            let found = parameters::check_part(&rendered, self.shape.whole(), part, key);
            if !found.is_empty() {
                self.faults.extend(found);
                rendered.value = Value::Unknown;
            }
        }
        Some(rendered)
    }

    /// What is changed in the step and in the group that it belongs to, in the order in which it was asked for.
    fn changes_of(&self, draft: &Draft<'_>) -> Vec<&'a ParameterChange> {
        if self.changes.is_empty() {
            return Vec::new();
        }
        let group = draft.group.and_then(|group| self.changes.get(group));
        let own = self.changes.get(draft.name.as_str());
        group.into_iter().chain(own).flatten().copied().collect()
    }

    fn environment(&mut self, env: Option<&Node>, scope: &Scope) -> BTreeMap<String, String> {
        let mut environment = BTreeMap::new();
        for name in items(env) {
            match scope.env(&name.value) {
                Some(value) => {
                    environment.insert(name.value, value);
                }
                None => self.faults.push(
                    Fault::new(name.span, format!("the environment variable `{}` is not set", name.value))
                        .help(format!("export {} or put it into `.env`", name.value)),
                ),
            }
        }
        environment
    }

    fn resources(&mut self, resources: Option<&Node>) -> (Option<usize>, Option<u64>) {
        let part = |key| resources.and_then(|resources| resources.get(key));
        let memory = part("memory").filter(|node| node.value != Value::Null);
        (part("threads").and_then(integer), memory.and_then(|node| units::memory(node, self.faults)))
    }

    fn retries(&mut self, retries: Option<&Node>) -> Retries {
        let standard = Retries::default();
        let Some(node) = retries else { return standard };
        if let Some(times) = integer(node) {
            return Retries { times, ..standard };
        }
        let wait = node.given("wait").filter(|node| node.value != Value::Null);
        let wait: Option<Duration> = wait.and_then(|node| units::duration(node, self.faults));
        let factor = node.given("factor").and_then(|node| match node.value {
            Value::Integer(value) => Some(value as f64),
            Value::Real(value) => Some(value),
            _ => None,
        });
        Retries {
            times: node.given("times").and_then(integer).unwrap_or(standard.times),
            wait: wait.unwrap_or(standard.wait),
            factor: factor.unwrap_or(standard.factor),
        }
    }
}

/// Stands for a path that is known only when the step runs: the fingerprint must not depend on it.
pub fn placeholder(side: &str, port: &str, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("\u{27e6}{side}.{port}.{name}\u{27e7}"),
        None => format!("\u{27e6}{side}.{port}\u{27e7}"),
    }
}

/// The paths that a step which is off would write, as far as they are written down and known.
pub fn written_outputs(entry: &Entry, scope: &Scope) -> Vec<String> {
    let Some(outputs) = entry.node.given("outputs") else { return Vec::new() };
    let outputs = scope.render(outputs, &mut Vec::new());
    let paths = outputs.entries().iter().filter(|output| matches!(output.node.value, Value::Text(_)));
    paths.map(|output| text(&output.node).trim_start_matches("./").to_owned()).collect()
}

/// A command without the line break at its end, which `run: |` has and `run: …` has not.
fn trimmed(mut command: Node) -> Node {
    if let Value::Text(text) = &mut command.value {
        text.truncate(text.trim_end_matches('\n').len());
    }
    command
}

fn set(parameters: &mut Node, name: &str, place: crate::workflow::source::Span, node: Node) {
    if let Value::Map(entries) = &mut parameters.value {
        entries.retain(|entry| entry.key != name);
        entries.push(Entry { key: name.to_owned(), key_span: place, node });
    }
}

fn has_template(node: &Node) -> bool {
    match &node.value {
        Value::Text(text) => is_template(text),
        Value::List(items) => items.iter().any(has_template),
        Value::Map(entries) => entries.iter().any(|entry| has_template(&entry.node)),
        _ => false,
    }
}

fn entries(node: Option<&Node>) -> &[Entry] {
    node.map_or(&[], Node::entries)
}

fn items(node: Option<&Node>) -> Vec<Placed<String>> {
    match node.map(|node| &node.value) {
        Some(Value::List(items)) => items
            .iter()
            .filter(|item| item.value != Value::Unknown)
            .map(|item| Placed { value: text(item), span: item.span.clone() })
            .collect(),
        _ => Vec::new(),
    }
}

fn key(entry: &Entry) -> Placed<String> {
    Placed { value: entry.key.clone(), span: entry.key_span.clone() }
}

fn integer<T: TryFrom<i64>>(node: &Node) -> Option<T> {
    match node.value {
        Value::Integer(value) => T::try_from(value).ok(),
        _ => None,
    }
}
