//! The plan: a pipeline resolved, type-checked and ordered. The only place that knows `petgraph`.
//!
//! Everything that can be known before anything runs is checked here, all of it at once: kinds,
//! ports, parameters, edges, data types, periods (nothing of the test period reaches an input that
//! trains), two steps writing one path, cycles. What comes out can be run.

mod bridge;
pub mod kept;
pub mod merge;
mod record;
mod resolve;
mod roles;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use miette::Diagnostic;
use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::{Dfs, Reversed};
use thiserror::Error;

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::fault::{Fault, FileError, did_you_mean};
use super::fingerprint::Definition;
use super::kind::{Bridge, Kind, Role, Runnable};
use super::source::Span;
use super::spec::{Retries, Spec};

pub use record::PlanRecord;

/// A pipeline that can be run: steps in an order in which every input comes before its reader.
pub struct Plan {
    /// Name of the pipeline.
    pub name: String,
    /// Where it was read from.
    pub path: PathBuf,
    /// `tracking:` of the pipeline as JSON text, for whoever logs runs.
    pub tracking: Option<String>,
    /// The steps, each after everything it depends on; ties in the order of the file.
    pub steps: Vec<PlannedStep>,
    graph: DiGraph<(), ()>,
}

/// One step of a plan.
#[derive(Clone)]
pub struct PlannedStep {
    /// Its name.
    pub name: String,
    /// The step of the file that it is one instance of (`foreach:`, `matrix:`).
    pub group: Option<String>,
    /// Its kind.
    pub kind: &'static Kind,
    /// Its parameters after defaults, as JSON text.
    pub parameters: String,
    /// Digest of its [`Definition`].
    pub definition: Digest,
    /// What it reads, sorted by port and name.
    pub inputs: Vec<PlannedInput>,
    /// What it writes and where that is released, sorted by port.
    pub outputs: Vec<PlannedOutput>,
    /// Positions of the steps that it depends on.
    pub dependencies: Vec<usize>,
    /// Declared environment.
    pub environment: BTreeMap<String, String>,
    /// Commands whose output enters the fingerprint.
    pub probes: Vec<String>,
    /// Threads that it occupies, when it says so.
    pub threads: Option<usize>,
    /// Memory that it occupies in bytes, when it says so.
    pub memory: Option<u64>,
    /// It is stopped after this time.
    pub timeout: Option<Duration>,
    /// How often it is tried again, and when.
    pub retries: Retries,
}

/// One artifact that a step reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedInput {
    /// The input port.
    pub port: String,
    /// The name within a port that takes many.
    pub name: Option<String>,
    /// Where it comes from.
    pub source: Source,
}

/// Where an input comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// An output of the step at this position.
    Step {
        /// Position in [`Plan::steps`].
        step: usize,
        /// Output port.
        port: String,
    },
    /// A file that no step writes.
    File(PathBuf),
}

/// One artifact that a step writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedOutput {
    /// The output port.
    pub port: String,
    /// Where it is released, relative to the project folder.
    pub path: PathBuf,
}

impl PlannedInput {
    /// The port, and the name after a dot where there is one.
    pub fn label(&self) -> String {
        match &self.name {
            Some(name) => format!("{}.{name}", self.port),
            None => self.port.clone(),
        }
    }
}

impl PlannedStep {
    /// Its parameters after defaults.
    pub fn parameters(&self) -> serde_json::Value {
        serde_json::from_str(&self.parameters).unwrap_or_default()
    }

    /// Its parameters, ready to run.
    ///
    /// # Errors
    /// When they do not fit the kind, which a checked plan rules out.
    pub fn runnable(&self) -> Result<Box<dyn Runnable>, serde_json::Error> {
        self.kind.decode(serde_json::from_str(&self.parameters)?)
    }

    /// What its outputs depend on besides its inputs; `extensions` are those of its files.
    fn define(&self, extensions: BTreeMap<String, String>) -> Definition {
        Definition::new(
            self.kind.name,
            self.kind.version,
            self.parameters(),
            &self.environment,
            self.outputs.iter().map(|output| output.port.clone()).collect(),
            extensions,
        )
    }
}

impl Plan {
    /// Resolves, checks and orders a pipeline.
    ///
    /// # Errors
    /// Everything that is wrong with it, each mistake at its place.
    pub fn new(spec: &Spec, kinds: &'static [Kind], root: &Path) -> Result<Self, FileError> {
        let spec = &*bridge::with_bridges(spec, kinds);
        let mut faults = spec.faults.clone();
        let resolve::Resolved { steps, dependencies } = resolve::resolve(spec, kinds, root, &mut faults);
        let graph = graph_between(&dependencies);
        let cycles = cycles(&graph);
        for cycle in &cycles {
            let names: Vec<&str> = cycle.iter().map(|&step| spec.steps[step].name.as_str()).collect();
            let message = format!("the steps wait for each other: {} → {}", names.join(" → "), names[0]);
            faults.push(
                Fault::new(spec.steps[cycle[0]].span.clone(), message)
                    .help("take one of these inputs from somewhere else"),
            );
        }
        let order = order(&graph);
        if cycles.is_empty() && steps.len() == spec.steps.len() {
            faults.extend(roles::leaks(spec, &steps, &order));
        }
        if !faults.is_empty() {
            return Err(spec.error(faults));
        }
        let steps = reorder(steps, &order);
        let graph = graph_of(&steps);
        let tracking = spec.tracking.as_ref().map(|node| node.to_json().to_string());
        let mut plan = Self { name: spec.name.clone(), path: spec.path.clone(), tracking, steps, graph };
        for position in 0..plan.steps.len() {
            plan.steps[position].definition = plan.definition(position).digest();
        }
        Ok(plan)
    }

    /// What the outputs of a step depend on besides its inputs.
    pub fn definition(&self, position: usize) -> Definition {
        let step = &self.steps[position];
        let mut definition =
            step.define(extensions(step, |writer, port| output_path(&self.steps[writer], port)));
        if step.kind.lineage {
            let before = self.before(position).into_iter().filter(|&before| before != position);
            let before = before.map(|before| &self.steps[before]);
            definition.lineage = before.map(|step| (step.name.clone(), step.definition)).collect();
        }
        definition
    }

    /// The position of a step.
    ///
    /// # Errors
    /// [`UnknownStep`] with the nearest name.
    pub fn position(&self, name: &str) -> Result<usize, UnknownStep> {
        self.steps.iter().position(|step| step.name == name).ok_or_else(|| UnknownStep {
            name: name.to_owned(),
            pipeline: self.path.clone(),
            hint: did_you_mean(name, self.steps.iter().map(|step| step.name.as_str())),
        })
    }

    /// The position of a step, or those of all instances of a step with `foreach:` or `matrix:`.
    ///
    /// # Errors
    /// [`UnknownStep`] with the nearest name.
    pub fn positions(&self, name: &str) -> Result<Vec<usize>, UnknownStep> {
        let instances = self.steps.iter().enumerate().filter(|(_, step)| step.group.as_deref() == Some(name));
        let instances: Vec<usize> = instances.map(|(position, _)| position).collect();
        if instances.is_empty() { Ok(vec![self.position(name)?]) } else { Ok(instances) }
    }

    /// The positions that a selection covers.
    ///
    /// # Errors
    /// [`UnknownStep`] when it names a step that the pipeline does not have.
    pub fn select(&self, selection: &Selection) -> Result<BTreeSet<usize>, UnknownStep> {
        let mut selected: BTreeSet<usize> = (0..self.steps.len()).collect();
        for (names, direction) in [
            (&selection.from, Some(Direction::Outgoing)),
            (&selection.until, Some(Direction::Incoming)),
            (&selection.only, None),
        ] {
            if names.is_empty() {
                continue;
            }
            let mut covered = BTreeSet::new();
            for name in names {
                for step in self.positions(name)? {
                    covered.insert(step);
                    covered
                        .extend(direction.into_iter().flat_map(|direction| self.reachable(step, direction)));
                }
            }
            selected.retain(|step| covered.contains(step));
        }
        Ok(selected)
    }

    /// Takes the files that steps of kinds with [`Bridge::In`] have left, or that somebody has put there, as they
    /// are: those steps leave the selection.
    pub fn take_local_copies(&mut self, selected: &mut BTreeSet<usize>, root: &Path) {
        let brings: Vec<bool> = self.steps.iter().map(|step| step.kind.bridge == Some(Bridge::In)).collect();
        selected.retain(|&position| !brings[position]);
        let is_there = |step: usize, port: &str| {
            let path = output_path(&self.steps[step], port).filter(|_| brings[step])?;
            root.join(path).is_file().then(|| path.to_owned())
        };
        let copies: Vec<(usize, usize, PathBuf)> = (0..self.steps.len())
            .flat_map(|reader| {
                self.steps[reader].inputs.iter().enumerate().filter_map(move |(index, input)| {
                    let Source::Step { step, port } = &input.source else { return None };
                    Some((reader, index, *step, port))
                })
            })
            .filter_map(|(reader, index, step, port)| Some((reader, index, is_there(step, port)?)))
            .collect();
        for (reader, index, path) in copies {
            self.steps[reader].inputs[index].source = Source::File(path);
        }
    }

    /// Checks that the files exist which the selected steps read and no step writes.
    ///
    /// # Errors
    /// Each file that is missing, at its place in the pipeline.
    pub fn check_files(&self, spec: &Spec, selected: &BTreeSet<usize>, root: &Path) -> Result<(), FileError> {
        let mut faults = Vec::new();
        for &position in selected {
            let step = &self.steps[position];
            let written = spec.steps.iter().find(|written| written.name == step.name);
            for input in &step.inputs {
                let Source::File(path) = &input.source else { continue };
                let full = root.join(path);
                let missing = match std::fs::metadata(&full) {
                    Ok(found) if found.is_dir() => Some("it is a folder".to_owned()),
                    Ok(found) if !found.is_file() => Some("it is no plain file".to_owned()),
                    Ok(_) => std::fs::File::open(&full).err().map(|error| error.to_string()),
                    Err(error) => Some(error.to_string()),
                };
                let Some(why) = missing else { continue };
                let written = written.and_then(|step| {
                    step.inputs.iter().find(|i| i.port.value == input.port && i.name == input.name)
                });
                let span = written.map_or_else(Span::default, |input| input.reference.span.clone());
                let message = format!(
                    "`{}.{}` cannot be read from `{}`: {why}",
                    step.name,
                    input.label(),
                    path.display()
                );
                faults.push(
                    Fault::new(span, message)
                        .help("put the file there, or point elsewhere: change the path, or `--var` when it comes from `vars:`"),
                );
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(spec.error(faults)) }
    }

    /// Everything that can be reached from a step, itself included.
    fn reachable(&self, step: usize, direction: Direction) -> Vec<usize> {
        let start = NodeIndex::new(step);
        let mut reached = Vec::new();
        match direction {
            Direction::Outgoing => {
                let mut walk = Dfs::new(&self.graph, start);
                while let Some(node) = walk.next(&self.graph) {
                    reached.push(node.index());
                }
            }
            Direction::Incoming => {
                let reversed = Reversed(&self.graph);
                let mut walk = Dfs::new(reversed, start);
                while let Some(node) = walk.next(reversed) {
                    reached.push(node.index());
                }
            }
        }
        reached
    }

    /// Whether data of the test period reaches a step.
    pub fn sees_test(&self, step: usize) -> bool {
        roles::reaching(&self.steps, 0..self.steps.len())[step].contains(&Role::Test)
    }

    /// Positions of a step and of everything that it depends on.
    pub fn before(&self, step: usize) -> BTreeSet<usize> {
        self.reachable(step, Direction::Incoming).into_iter().collect()
    }
}

/// Which part of a plan to run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// These steps and everything that depends on them.
    pub from: Vec<String>,
    /// These steps and everything that they depend on.
    pub until: Vec<String>,
    /// These steps alone.
    pub only: Vec<String>,
}

/// The command line names a step that the pipeline does not have.
#[derive(Debug, Error, Diagnostic)]
#[error("the pipeline `{}` has no step `{name}`", pipeline.display())]
#[diagnostic(code(recsys::plan::unknown_step), help("{hint}"))]
pub struct UnknownStep {
    name: String,
    pipeline: PathBuf,
    hint: String,
}

/// The extensions by which a command may go: of its inputs, of its outputs.
fn extensions<'a>(
    step: &'a PlannedStep,
    path_of: impl Fn(usize, &str) -> Option<&'a Path>,
) -> BTreeMap<String, String> {
    if !step.kind.open_ports {
        return BTreeMap::new();
    }
    let inputs = step.inputs.iter().filter_map(|input| {
        let path = match &input.source {
            Source::Step { step, port } => path_of(*step, port)?,
            Source::File(path) => path,
        };
        Some((format!("inputs.{}", input.label()), path))
    });
    let outputs =
        step.outputs.iter().map(|output| (format!("outputs.{}", output.port), output.path.as_path()));
    let extension =
        |(name, path): (String, &Path)| Some((name, path.extension()?.to_string_lossy().into_owned()));
    inputs.chain(outputs).filter_map(extension).collect()
}

fn output_path<'a>(step: &'a PlannedStep, port: &str) -> Option<&'a Path> {
    step.outputs.iter().find(|output| output.port == port).map(|output| output.path.as_path())
}

fn graph_of(steps: &[PlannedStep]) -> DiGraph<(), ()> {
    graph_between(steps.iter().map(|step| &step.dependencies))
}

/// The graph of steps that depend on these positions.
fn graph_between<'a>(steps: impl IntoIterator<Item = &'a Vec<usize>, IntoIter: Clone>) -> DiGraph<(), ()> {
    let steps = steps.into_iter();
    let mut graph = DiGraph::new();
    for _ in steps.clone() {
        graph.add_node(());
    }
    for (reader, dependencies) in steps.enumerate() {
        for &dependency in dependencies {
            graph.add_edge(NodeIndex::new(dependency), NodeIndex::new(reader), ());
        }
    }
    graph
}

/// The steps of each cycle, in the order of the edges.
fn cycles(graph: &DiGraph<(), ()>) -> Vec<Vec<usize>> {
    let mut cycles = Vec::new();
    for component in petgraph::algo::tarjan_scc(graph) {
        let first = component.iter().copied().min().expect("a component has at least one node");
        if component.len() == 1 && !graph.contains_edge(first, first) {
            continue;
        }
        let members: BTreeSet<NodeIndex> = component.into_iter().collect();
        let mut path = vec![first];
        loop {
            let last = *path.last().expect("the path starts with one node");
            let next = graph.neighbors(last).filter(|node| members.contains(node));
            let Some(next) = next.min_by_key(|node| {
                (path.contains(node) && *node != first, *node == first && path.len() < 2, node.index())
            }) else {
                break;
            };
            if let Some(start) = path.iter().position(|&node| node == next) {
                path.drain(..start);
                break;
            }
            path.push(next);
        }
        cycles.push(path.into_iter().map(NodeIndex::index).collect());
    }
    cycles
}

/// A topological order; where several steps could come next, the first of the file does.
fn order(graph: &DiGraph<(), ()>) -> Vec<usize> {
    let mut missing: Vec<usize> = graph
        .node_indices()
        .map(|node| graph.neighbors_directed(node, Direction::Incoming).count())
        .collect();
    let mut ready: BTreeSet<usize> = (0..missing.len()).filter(|&step| missing[step] == 0).collect();
    let mut order = Vec::with_capacity(missing.len());
    while let Some(step) = ready.pop_first() {
        order.push(step);
        for reader in graph.neighbors(NodeIndex::new(step)) {
            missing[reader.index()] -= 1;
            if missing[reader.index()] == 0 {
                ready.insert(reader.index());
            }
        }
    }
    order
}

fn reorder(steps: Vec<PlannedStep>, order: &[usize]) -> Vec<PlannedStep> {
    let mut position = vec![0; steps.len()];
    for (new, &old) in order.iter().enumerate() {
        position[old] = new;
    }
    let mut steps: Vec<Option<PlannedStep>> = steps.into_iter().map(Some).collect();
    order
        .iter()
        .map(|&old| {
            let mut step = steps[old].take().expect("an order names every step once");
            for dependency in &mut step.dependencies {
                *dependency = position[*dependency];
            }
            step.dependencies.sort_unstable();
            for input in &mut step.inputs {
                if let Source::Step { step, .. } = &mut input.source {
                    *step = position[*step];
                }
            }
            step
        })
        .collect()
}
