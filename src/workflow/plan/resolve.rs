//! From names to things: kinds, parameters, output paths and the edges between steps.

use std::collections::{BTreeMap, HashMap};
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::{PlannedInput, PlannedOutput, PlannedStep, Source};
use crate::workflow::digest::Digest;
use crate::workflow::fault::{Fault, did_you_mean, nearest};
use crate::workflow::kind::{ANY, Arity, Kind};
use crate::workflow::parameters;
use crate::workflow::source::Span;
use crate::workflow::spec::{InputSpec, OffStep, Spec, StepSpec};

/// Folders of the project that hold what people wrote, or what the runner keeps for itself.
const RESERVED: [&str; 6] = ["cache", "pipelines", "configs", "services", "src", "tests"];

/// Whether a path is where people write, or the runner does.
fn is_reserved(path: &Path) -> bool {
    let is_manifest = path.parent() == Some(Path::new("artifacts"))
        && path.file_name().is_some_and(|name| {
            let name = name.to_string_lossy();
            name.starts_with("manifest.") && name.ends_with(".json")
        });
    is_manifest || path == Path::new("artifacts") || RESERVED.iter().any(|folder| path.starts_with(folder))
}

/// What the names of a pipeline stand for.
pub struct Resolved {
    /// The steps in the order of the file; none when one of them cannot be made.
    pub steps: Vec<PlannedStep>,
    /// The positions that each step of the file depends on, as far as they are known.
    pub dependencies: Vec<Vec<usize>>,
}

/// Every step resolved; what is wrong goes to `faults`.
pub fn resolve(spec: &Spec, kinds: &'static [Kind], root: &Path, faults: &mut Vec<Fault>) -> Resolved {
    let kinds_of: Vec<Option<&'static Kind>> =
        spec.steps.iter().map(|step| find_kind(step, kinds, faults)).collect();
    let mut schemas: HashMap<&str, Value> = HashMap::new();
    let parameters: Vec<Option<Given>> = spec
        .steps
        .iter()
        .zip(&kinds_of)
        .map(|(step, kind)| {
            let kind = (*kind)?;
            let schema = schemas.entry(kind.name).or_insert_with(|| kind.schema());
            check_parameters(step, kind, schema, faults)
        })
        .collect();
    let outputs: Vec<Vec<PlannedOutput>> =
        spec.steps.iter().zip(&kinds_of).map(|(step, kind)| plan_outputs(step, *kind, faults)).collect();
    let mut writers: BTreeMap<&Path, (usize, &str)> = BTreeMap::new();
    for (position, outputs) in outputs.iter().enumerate() {
        for output in outputs {
            if let Some((other, port)) = writers.insert(&output.path, (position, &output.port)) {
                let message = format!(
                    "`{}` and `{}.{port}` both write `{}`",
                    format_args!("{}.{}", spec.steps[position].name, output.port),
                    spec.steps[other].name,
                    output.path.display()
                );
                faults.push(
                    Fault::new(spec.steps[position].span.clone(), message)
                        .help("give one of them another path under `outputs:`"),
                );
            }
        }
    }
    for (path, &(position, port)) in &writers {
        let inside =
            path.ancestors().skip(1).find_map(|folder| writers.get(folder).map(|other| (folder, other)));
        if let Some((folder, &(other, other_port))) = inside {
            let message = format!(
                "`{}.{port}` writes `{}`, but `{}.{other_port}` writes `{}` as a file",
                spec.steps[position].name,
                path.display(),
                spec.steps[other].name,
                folder.display()
            );
            faults.push(
                Fault::new(spec.steps[position].span.clone(), message)
                    .help("give one of them another path under `outputs:`"),
            );
        }
    }
    let positions: HashMap<&str, usize> =
        spec.steps.iter().enumerate().map(|(position, step)| (step.name.as_str(), position)).collect();
    let edges =
        Edges { spec, kinds: &kinds_of, outputs: &outputs, writers: &writers, positions: &positions, root };
    let inputs: Vec<Vec<PlannedInput>> =
        (0..spec.steps.len()).map(|step| edges.plan_inputs(step, faults)).collect();
    let needs: Vec<Vec<usize>> = spec.steps.iter().map(|step| edges.find_needs(step, faults)).collect();

    let dependencies: Vec<Vec<usize>> =
        inputs.iter().zip(&needs).map(|(inputs, needs)| dependencies_of(inputs, needs)).collect();
    let complete = kinds_of.iter().all(Option::is_some) && parameters.iter().all(Option::is_some);
    if !complete {
        return Resolved { steps: Vec::new(), dependencies };
    }
    let mut steps = Vec::with_capacity(spec.steps.len());
    let parts =
        spec.steps.iter().zip(kinds_of).zip(parameters).zip(inputs).zip(outputs.clone()).zip(&dependencies);
    for (((((step, kind), parameters), inputs), outputs), dependencies) in parts {
        let (Some(kind), Some(Given { parameters, secrets })) = (kind, parameters) else { continue };
        let mut environment = step.environment.clone();
        environment.extend(secrets);
        let planned = PlannedStep {
            name: step.name.clone(),
            group: step.group.clone(),
            kind,
            parameters,
            // It takes the whole plan to tell.
            definition: Digest::of(b""),
            inputs,
            outputs,
            dependencies: dependencies.clone(),
            environment,
            probes: step.probes.clone(),
            threads: step.threads,
            memory: step.memory,
            timeout: step.timeout,
            retries: step.retries,
        };
        steps.push(planned);
    }
    Resolved { steps, dependencies }
}

/// The steps that come before one that reads these inputs and needs these steps.
fn dependencies_of(inputs: &[PlannedInput], needs: &[usize]) -> Vec<usize> {
    let read = inputs.iter().filter_map(|input| match input.source {
        Source::Step { step, .. } => Some(step),
        Source::File(_) => None,
    });
    let mut dependencies: Vec<usize> = read.chain(needs.iter().copied()).collect();
    dependencies.sort_unstable();
    dependencies.dedup();
    dependencies
}

fn find_kind(step: &StepSpec, kinds: &'static [Kind], faults: &mut Vec<Fault>) -> Option<&'static Kind> {
    let found = kinds.iter().find(|kind| kind.name == step.kind.value);
    if found.is_none() && !step.kind.value.is_empty() {
        faults.push(
            Fault::new(step.kind.span.clone(), format!("unknown kind `{}`", step.kind.value))
                .help(did_you_mean(&step.kind.value, kinds.iter().map(|kind| kind.name))),
        );
    }
    found
}

/// What a step was given.
struct Given {
    /// The parameters after defaults, as JSON text.
    parameters: String,
    /// What that text leaves out.
    secrets: BTreeMap<String, String>,
}

fn check_parameters(step: &StepSpec, kind: &Kind, schema: &Value, faults: &mut Vec<Fault>) -> Option<Given> {
    let found = parameters::check(&step.parameters, schema, "parameter");
    if !found.is_empty() {
        let reference = format!("`recsys kinds {}` lists its parameters", kind.name);
        faults.extend(
            found.into_iter().map(|fault| Fault { help: fault.help.or(Some(reference.clone())), ..fault }),
        );
        return None;
    }
    if step.incomplete && step.parameters.is_incomplete() {
        return None;
    }
    let runnable = match kind.decode(step.parameters.to_json()) {
        Ok(runnable) => runnable,
        Err(error) => {
            faults.push(Fault::new(
                step.parameters.span.clone(),
                format!("the parameters of `{}`: {error}", step.name),
            ));
            return None;
        }
    };
    if let Err(fault) = runnable.check() {
        let place = step.parameters.get(fault.parameter).map_or(&step.parameters.span, |node| &node.span);
        faults.push(Fault::new(place.clone(), fault.message));
        return None;
    }
    Some(Given { parameters: runnable.parameters().to_string(), secrets: runnable.secrets() })
}

fn plan_outputs(step: &StepSpec, kind: Option<&Kind>, faults: &mut Vec<Fault>) -> Vec<PlannedOutput> {
    let Some(kind) = kind else { return Vec::new() };
    let mut outputs: BTreeMap<String, PathBuf> = kind
        .outputs
        .iter()
        .filter(|port| !port.on_request)
        .map(|port| {
            (
                port.name.to_owned(),
                PathBuf::from(format!("artifacts/{}/{}.{}", step.name, port.name, port.extension)),
            )
        })
        .collect();
    for (port, path) in &step.outputs {
        if !kind.open_ports && kind.output(&port.value).is_none() {
            faults.push(
                Fault::new(port.span.clone(), format!("`{}` has no output `{}`", kind.name, port.value))
                    .help(did_you_mean(&port.value, kind.outputs.iter().map(|port| port.name))),
            );
            continue;
        }
        match normal(Path::new(&path.value)) {
            Some(normal) if is_reserved(&normal) => faults.push(
                Fault::new(
                    path.span.clone(),
                    format!("`{}` lies in a folder that no step may write into", path.value),
                )
                .help("write under `artifacts/`"),
            ),
            Some(normal) => {
                outputs.insert(port.value.clone(), normal);
            }
            None => faults.push(
                Fault::new(
                    path.span.clone(),
                    format!("an output is a path inside the project folder, found `{}`", path.value),
                )
                .help("write it as a relative path without `..`, for example `artifacts/model.npz`"),
            ),
        }
    }
    outputs.into_iter().map(|(port, path)| PlannedOutput { port, path }).collect()
}

/// A relative path without `.` and `..`, or nothing when it leaves the project folder.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => normal.push(part),
            Component::CurDir => {}
            Component::ParentDir if normal.pop() => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (!normal.as_os_str().is_empty()).then_some(normal)
}

/// What is needed to turn a reference into a source.
struct Edges<'a> {
    spec: &'a Spec,
    kinds: &'a [Option<&'static Kind>],
    outputs: &'a [Vec<PlannedOutput>],
    writers: &'a BTreeMap<&'a Path, (usize, &'a str)>,
    positions: &'a HashMap<&'a str, usize>,
    root: &'a Path,
}

impl Edges<'_> {
    fn plan_inputs(&self, position: usize, faults: &mut Vec<Fault>) -> Vec<PlannedInput> {
        let step = &self.spec.steps[position];
        let Some(kind) = self.kinds[position] else { return Vec::new() };
        let mut inputs = Vec::new();
        for input in &step.inputs {
            let port = kind.input(&input.port.value);
            if port.is_none() && !kind.open_ports {
                faults.push(
                    Fault::new(
                        input.port.span.clone(),
                        format!("`{}` has no input `{}`", kind.name, input.port.value),
                    )
                    .help(did_you_mean(&input.port.value, kind.inputs.iter().map(|port| port.name))),
                );
                continue;
            }
            if let Some(off) = &input.off {
                if port.is_none_or(|port| port.arity == Arity::One) {
                    faults.push(off_fault(&step.name, input, off));
                }
                continue;
            }
            if let Some(port) = port {
                let many = port.arity == Arity::Many;
                if let (false, Some(reference)) = (many, &input.group) {
                    faults.push(group_fault(step, port.name, reference, &input.reference.span));
                    continue;
                }
                if many != input.name.is_some() {
                    let (expected, example) = if many {
                        (
                            "takes a map of names to artifacts",
                            format!("{}: {{ {}: {} }}", port.name, "name", input.reference.value),
                        )
                    } else {
                        ("takes one artifact", format!("{}: {}", port.name, input.reference.value))
                    };
                    faults.push(
                        Fault::new(
                            input.reference.span.clone(),
                            format!("the input `{}` {expected}", port.name),
                        )
                        .help(format!("for example `{example}`")),
                    );
                    continue;
                }
            }
            if let Some(source) = self.source(input, port.map(|port| port.accepts), faults) {
                inputs.push(PlannedInput {
                    port: input.port.value.clone(),
                    name: input.name.clone(),
                    source,
                });
            }
        }
        for port in kind.inputs {
            let given = || step.inputs.iter().filter(|input| input.port.value == port.name);
            if let (Arity::Many, Some(first)) = (port.arity, given().next())
                && let Some(off) = &first.off
                && given().all(|input| input.off.is_some())
            {
                faults.push(off_fault(&step.name, first, off));
            }
            // An input whose name is misspelt is not missing as well.
            let misspelt = || {
                let unknown = step.inputs.iter().map(|input| input.port.value.as_str());
                let unknown = unknown.filter(|name| !kind.open_ports && kind.input(name).is_none());
                let ports = || kind.inputs.iter().map(|port| port.name);
                unknown.map(|name| nearest(name, ports())).any(|meant| meant == Some(port.name))
            };
            if given().next().is_none() && port.arity != Arity::Optional && !step.incomplete && !misspelt() {
                faults.push(
                    Fault::new(
                        step.span.clone(),
                        format!("`{}` needs the input `{}`: {}", step.name, port.name, port.about),
                    )
                    .help(format!("add it under `inputs:`; `recsys kinds {}` shows an example", kind.name)),
                );
            }
        }
        inputs.sort_by(|a, b| (&a.port, &a.name).cmp(&(&b.port, &b.name)));
        inputs
    }

    fn source(&self, input: &InputSpec, accepts: Option<&[&str]>, faults: &mut Vec<Fault>) -> Option<Source> {
        let reference = &input.reference;
        if let Some((name, port)) = reference.value.split_once('.')
            && let Some(&writer) = self.positions.get(name)
        {
            if let Some(output) = self.outputs[writer].iter().find(|output| output.port == port) {
                return self.typed(writer, &output.port, input, accepts, faults);
            }
            if let Some(kind) = self.kinds[writer].filter(|_| !self.spec.steps[writer].incomplete) {
                let help = if kind.output(port).is_some() {
                    format!("it is made on request: give it a path under `outputs:` of `{name}`")
                } else {
                    did_you_mean(port, self.outputs[writer].iter().map(|output| output.port.as_str()))
                };
                faults.push(
                    Fault::new(reference.span.clone(), format!("the step `{name}` has no output `{port}`"))
                        .help(help),
                );
            }
            return None;
        }
        let path = Path::new(&reference.value);
        // A path of the project is the same edge however it is written.
        let path = path.strip_prefix(self.root).unwrap_or(path);
        if let Some((writer, port)) = normal(path).and_then(|path| self.writers.get(path.as_path()).copied())
        {
            return self.typed(writer, port, input, accepts, faults);
        }
        let looks_like_a_step = !reference.value.contains('/') && reference.value.split('.').count() == 2;
        if looks_like_a_step && !self.root.join(path).exists() {
            let name = reference.value.split('.').next().unwrap_or_default();
            faults.push(
                Fault::new(
                    reference.span.clone(),
                    format!("there is neither a step `{name}` nor a file `{}`", reference.value),
                )
                .help(did_you_mean(name, self.spec.steps.iter().map(|step| step.name.as_str()))),
            );
            return None;
        }
        Some(Source::File(path.to_owned()))
    }

    fn typed(
        &self,
        writer: usize,
        port: &str,
        input: &InputSpec,
        accepts: Option<&[&str]>,
        faults: &mut Vec<Fault>,
    ) -> Option<Source> {
        let made = self.kinds[writer].and_then(|kind| kind.output(port)).map(|port| port.data);
        if let (Some(made), Some(accepts)) = (made, accepts)
            && !accepts.contains(&made)
            && made != ANY
            && !accepts.contains(&ANY)
        {
            let message = format!(
                "the input `{}` wants {}, but `{}.{port}` is {made}",
                input.port.value,
                accepts.join(" or "),
                self.spec.steps[writer].name
            );
            let fitting = self.kinds[writer]
                .into_iter()
                .flat_map(|kind| kind.outputs)
                .filter(|port| accepts.contains(&port.data));
            let fitting: Vec<String> =
                fitting.map(|port| format!("`{}.{}`", self.spec.steps[writer].name, port.name)).collect();
            let fault = Fault::new(input.reference.span.clone(), message);
            faults.push(if fitting.is_empty() {
                fault
            } else {
                fault.help(format!("this would fit: {}", fitting.join(", ")))
            });
            return None;
        }
        Some(Source::Step { step: writer, port: port.to_owned() })
    }

    fn find_needs(&self, step: &StepSpec, faults: &mut Vec<Fault>) -> Vec<usize> {
        let mut found = Vec::new();
        for need in &step.needs {
            match self.positions.get(need.value.as_str()) {
                Some(&position) => found.push(position),
                None => faults.push(
                    Fault::new(need.span.clone(), format!("there is no step `{}`", need.value)).help(
                        did_you_mean(&need.value, self.spec.steps.iter().map(|step| step.name.as_str())),
                    ),
                ),
            }
        }
        found
    }
}

fn off_fault(reader: &str, input: &InputSpec, off: &OffStep) -> Fault {
    let message =
        format!("`{reader}` reads `{}`, but `{}` is off: {}", input.reference.value, off.name, off.reason);
    Fault::new(input.reference.span.clone(), message)
        .help(format!("give `{reader}` the same `when:`, or take another input"))
}

fn group_fault(step: &StepSpec, port: &str, reference: &str, place: &Span) -> Fault {
    let of_group = step.inputs.iter().filter(|input| input.group.as_deref() == Some(reference));
    let names: Vec<String> = of_group.map(|input| format!("`{}`", input.reference.value)).collect();
    let shown = names[..names.len().min(8)].join(", ");
    let more = if names.len() > 8 { ", …" } else { "" };
    Fault::new(
        place.clone(),
        format!("the input `{port}` takes one artifact, but `{reference}` is {} of them", names.len()),
    )
    .help(format!("take one of {shown}{more}"))
}

#[cfg(test)]
mod tests {
    use super::normal;
    use std::path::Path;

    #[test]
    fn an_output_stays_inside_the_project() {
        assert_eq!(normal(Path::new("./a/b")).as_deref(), Some(Path::new("a/b")));
        assert_eq!(normal(Path::new("a/../b/c")).as_deref(), Some(Path::new("b/c")));
        assert_eq!(normal(Path::new("../a")), None);
        assert_eq!(normal(Path::new("a/../../b")), None);
        assert_eq!(normal(Path::new("/a")), None);
        assert_eq!(normal(Path::new(".")), None);
    }
}
