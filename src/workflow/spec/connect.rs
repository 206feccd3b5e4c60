//! References between steps of which some are groups and some are off.
//!
//! `als.model` means every instance of a step with `foreach:` or `matrix:`; an input that reads a
//! step that is off is marked, and the plan decides by the port whether it can do without.

use std::collections::{BTreeMap, HashMap};

use minijinja::Value as Dynamic;

use super::expand::Drafts;
use super::step::placeholder;
use super::{InputSpec, OffStep, Placed};
use crate::workflow::fault::Fault;
use crate::workflow::source::Span;
use crate::workflow::values::Table;
use crate::workflow::yaml::{Entry, Node, Value};

/// What names of steps mean.
pub struct Known<'a> {
    /// Groups with their instances that are on.
    groups: HashMap<&'a str, Vec<String>>,
    off: HashMap<&'a str, &'a OffStep>,
    /// Steps that are off by the paths that they would write.
    off_paths: HashMap<&'a str, &'a OffStep>,
    on: std::collections::HashSet<&'a str>,
}

impl<'a> Known<'a> {
    /// From the expanded steps.
    pub fn new(drafts: &'a Drafts<'_>) -> Self {
        let mut groups: HashMap<&str, Vec<String>> = HashMap::new();
        for draft in &drafts.on {
            if let Some(group) = draft.group {
                groups.entry(group).or_default().push(draft.name.clone());
            }
        }
        let mut off: HashMap<&str, &OffStep> = HashMap::new();
        for step in &drafts.off {
            off.insert(&step.name, step);
            // A group is off when none of its instances is on.
            if let Some(group) = step.group.as_deref().filter(|group| !groups.contains_key(group)) {
                off.entry(group).or_insert(step);
            }
        }
        let on: std::collections::HashSet<&str> = drafts.on.iter().map(|draft| draft.name.as_str()).collect();
        off.retain(|name, _| !on.contains(name));
        let paths =
            drafts.off.iter().flat_map(|step| step.outputs.iter().map(move |path| (path.as_str(), step)));
        Self { groups, off, off_paths: paths.collect(), on }
    }

    /// `needs:` with groups as all of their instances and without steps that are off.
    pub fn needs(&self, needs: Vec<Placed<String>>) -> Vec<Placed<String>> {
        let mut found = Vec::with_capacity(needs.len());
        for need in needs {
            match self.groups.get(need.value.as_str()) {
                Some(instances) => found.extend(
                    instances.iter().map(|name| Placed { value: name.clone(), span: need.span.clone() }),
                ),
                None if self.off.contains_key(need.value.as_str()) => {}
                None => found.push(need),
            }
        }
        found
    }

    /// `inputs:` with groups as maps of their instances.
    pub fn inputs(&self, inputs: Option<&Node>, faults: &mut Vec<Fault>) -> Vec<InputSpec> {
        let mut specs = Vec::new();
        for entry in inputs.map_or(&[][..], Node::entries) {
            let port = Placed { value: entry.key.clone(), span: entry.key_span.clone() };
            match &entry.node.value {
                Value::Unknown => {}
                Value::Map(many) => {
                    many.iter()
                        .for_each(|each| self.input(&port, Some(each), &each.node, &mut specs, faults));
                }
                _ => self.input(&port, None, &entry.node, &mut specs, faults),
            }
        }
        specs
    }

    fn input(
        &self,
        port: &Placed<String>,
        name: Option<&Entry>,
        node: &Node,
        specs: &mut Vec<InputSpec>,
        faults: &mut Vec<Fault>,
    ) {
        let reference = match &node.value {
            Value::Unknown => return,
            Value::Text(reference) if !reference.trim().is_empty() => reference,
            _ => {
                faults.push(
                    Fault::new(
                        node.span.clone(),
                        format!("an input is `step.port` or a path, found {}", node.found()),
                    )
                    .help("a port that takes many wants a map of names to `step.port`"),
                );
                return;
            }
        };
        let mut add = |name: Option<String>, value: String, group: Option<String>, off: Option<&OffStep>| {
            let reference = Placed { value, span: node.span.clone() };
            specs.push(InputSpec { port: port.clone(), name, reference, group, off: off.cloned() });
        };
        let step_and_port = reference.split_once('.');
        if let Some((step, output)) = step_and_port
            && let Some(instances) = self.groups.get(step)
        {
            for instance in instances {
                // In a map, `x: als.model` stands for `x-64`, `x-128` and so on.
                let label = match name {
                    Some(entry) => format!("{}{}", entry.key, &instance[step.len()..]),
                    None => instance.clone(),
                };
                add(Some(label), format!("{instance}.{output}"), Some(reference.clone()), None);
            }
            return;
        }
        let off = self.off_behind(reference);
        add(name.map(|entry| entry.key.clone()), reference.clone(), None, off);
    }

    fn off_behind(&self, reference: &str) -> Option<&OffStep> {
        if let Some((step, _)) = reference.split_once('.')
            && let Some(off) = self.off.get(step)
        {
            return Some(off);
        }
        if self.off.is_empty() {
            return None;
        }
        let path = reference.trim_start_matches("./");
        if let Some(off) = self.off_paths.get(path) {
            return Some(off);
        }
        let step = path.strip_prefix("artifacts/")?.split('/').next()?;
        (!self.on.contains(step)).then(|| self.off.get(step).copied()).flatten()
    }
}

/// What `{{ inputs.port }}` is in a command: it stands for a path that is known only when the step runs.
pub fn input_names(inputs: &[InputSpec]) -> Dynamic {
    let mut many: BTreeMap<&str, Table> = BTreeMap::new();
    let mut table = Table::default();
    for input in inputs {
        let port = input.port.value.as_str();
        match &input.name {
            Some(name) => many
                .entry(port)
                .or_insert_with(Table::joined)
                .insert(name.as_str(), placeholder("inputs", port, Some(name))),
            None => table.insert(port, placeholder("inputs", port, None)),
        }
    }
    many.into_iter().for_each(|(port, paths)| table.insert(port, paths));
    table.into()
}

/// What `{{ outputs.port }}` is in a command.
pub fn output_names(outputs: &[(Placed<String>, Placed<String>)]) -> Dynamic {
    let mut table = Table::default();
    for (port, _) in outputs {
        table.insert(port.value.as_str(), placeholder("outputs", &port.value, None));
    }
    table.into()
}

/// Names that stand twice in one port, after groups have become maps.
pub fn repeated(inputs: &[InputSpec]) -> impl Iterator<Item = (Span, &str)> {
    let mut seen: HashMap<(&str, &str), ()> = HashMap::new();
    inputs.iter().filter_map(move |input| {
        let name = input.name.as_deref()?;
        let again = seen.insert((input.port.value.as_str(), name), ()).is_some();
        again.then(|| (input.reference.span.clone(), name))
    })
}
