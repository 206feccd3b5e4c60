//! Addresses in the place of paths: `tracks: https://host/tracks.parquet` stands for a step that brings the
//! file, `model: s3://bucket/model.npz` under `outputs:` for one that sends it.
//!
//! Such steps are made before anything is resolved, from what the kinds say of themselves ([`Bridge`]), and are
//! like any other from then on: they have names, logs, progress, retries, a place in the graph and in the cache. The
//! runner itself knows no addresses beyond what they look like.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use crate::workflow::kind::{Bridge, Kind};
use crate::workflow::source::Span;
use crate::workflow::spec::{InputSpec, Placed, Retries, Spec, StepSpec};
use crate::workflow::yaml::{Entry, Node, Value};

/// Characters of a file's name that enter the name of a step.
const LONGEST: usize = 60;

/// The pipeline with a step for each address; the pipeline itself when there is none.
pub fn with_bridges<'a>(spec: &'a Spec, kinds: &[Kind]) -> Cow<'a, Spec> {
    let is_far = |text: &str| is_address(text) || text.starts_with("file:");
    let has_any = spec.steps.iter().any(|step| {
        step.inputs.iter().any(|input| is_far(&input.reference.value))
            || step.outputs.iter().any(|(_, path)| is_far(&path.value))
    });
    if !has_any {
        return Cow::Borrowed(spec);
    }
    let kind = |bridge| kinds.iter().find(|kind| kind.bridge == Some(bridge)).map(|kind| kind.name);
    let mut whole = spec.clone();
    let mut names = Names(whole.steps.iter().map(|step| step.name.clone()).collect());
    let mut before: Vec<StepSpec> = Vec::new();
    let mut after: Vec<StepSpec> = Vec::new();
    let mut brought: BTreeMap<String, String> = BTreeMap::new();
    for step in &mut whole.steps {
        for input in &mut step.inputs {
            let address = &mut input.reference.value;
            if let Some(path) = local_path(address) {
                *address = path;
            } else if let Some(kind) = kind(Bridge::In).filter(|_| is_address(address)) {
                let name = brought.entry(address.clone()).or_insert_with(|| {
                    let name = names.claim(kind, address);
                    before.push(bring(kind, &name, address, &input.reference.span));
                    name
                });
                *address = format!("{name}.file");
            }
        }
        for (port, path) in &mut step.outputs {
            if let Some(local) = local_path(&path.value).filter(|path| !path.starts_with('/')) {
                path.value = local;
            } else if let Some(kind) = kind(Bridge::Out).filter(|_| is_far(&path.value)) {
                let name = names.claim(kind, &path.value);
                after.push(send(kind, &name, &path.value, &step.name, &port.value, &path.span));
                let extension =
                    file_name(&path.value).rsplit_once('.').map(|(_, extension)| extension.to_owned());
                let extension = extension.map(|extension| format!(".{extension}")).unwrap_or_default();
                path.value = format!("artifacts/{}/{}{extension}", step.name, port.value);
            }
        }
    }
    before.append(&mut whole.steps);
    before.append(&mut after);
    whole.steps = before;
    Cow::Owned(whole)
}

/// `scheme://…`: no path of a project looks like that.
fn is_address(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
            && !scheme.eq_ignore_ascii_case("file")
    })
}

/// The path behind `file:path` and `file:///path`.
fn local_path(text: &str) -> Option<String> {
    let path = text.strip_prefix("file:")?;
    let path = path.strip_prefix("//localhost").or_else(|| path.strip_prefix("//")).unwrap_or(path);
    Some(path.to_owned())
}

/// The part of an address before its query and fragment.
fn without_query(address: &str) -> &str {
    address.split(['?', '#']).next().unwrap_or(address)
}

/// The last part of the path of an address, with signs that every file system and every shell takes.
fn file_name(address: &str) -> String {
    let path = without_query(address);
    let path = path.split_once("://").map_or(path, |(_, path)| path);
    let name = path.split_once('/').map_or("", |(_, path)| path).rsplit('/').next().unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let name: String = name.chars().map(plain).collect();
    if name.trim_matches('.').is_empty() { "file".to_owned() } else { name }
}

/// Names of steps that are taken.
struct Names(HashSet<String>);

impl Names {
    /// A free name: the kind and the name of the file.
    fn claim(&mut self, kind: &str, address: &str) -> String {
        let file = file_name(address);
        let stem = file.split('.').find(|part| !part.is_empty()).unwrap_or("file");
        let name: String = format!("{kind}_{stem}").chars().take(LONGEST).collect();
        let mut free = name.clone();
        let mut count = 1;
        while !self.0.insert(free.clone()) {
            count += 1;
            free = format!("{name}_{count}");
        }
        free
    }
}

fn placed(value: impl Into<String>, span: &Span) -> Placed<String> {
    Placed { value: value.into(), span: span.clone() }
}

fn step(kind: &str, name: &str, parameter: &str, value: String, span: &Span) -> StepSpec {
    let node = Node::new(Value::Text(value), span.clone());
    let entry = Entry { key: parameter.to_owned(), key_span: span.clone(), node };
    StepSpec {
        name: name.to_owned(),
        span: span.clone(),
        group: None,
        kind: placed(kind, span),
        inputs: Vec::new(),
        outputs: Vec::new(),
        parameters: Node::new(Value::Map(vec![entry]), span.clone()),
        needs: Vec::new(),
        environment: BTreeMap::new(),
        probes: Vec::new(),
        threads: None,
        memory: None,
        timeout: None,
        retries: Retries::default(),
        incomplete: false,
    }
}

fn bring(kind: &str, name: &str, address: &str, span: &Span) -> StepSpec {
    let path = format!("artifacts/{name}/{}", file_name(address));
    StepSpec {
        outputs: vec![(placed("file", span), placed(path, span))],
        ..step(kind, name, "url", address.to_owned(), span)
    }
}

fn send(kind: &str, name: &str, address: &str, from: &str, port: &str, span: &Span) -> StepSpec {
    let path = without_query(address);
    let (folder, file) = path.rsplit_once('/').unwrap_or((path, ""));
    let to = format!("{folder}/{}", &address[path.len()..]);
    let input = InputSpec {
        port: placed("files", span),
        name: Some(file.to_owned()),
        reference: placed(format!("{from}.{port}"), span),
        group: None,
        off: None,
    };
    StepSpec { inputs: vec![input], ..step(kind, name, "to", to, span) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_paths_and_steps() {
        for address in ["https://host/a", "s3://bucket/a b", "ftp://x/y"] {
            assert!(is_address(address), "{address}");
        }
        for path in ["a/b.parquet", "step.port", "file:///a", "./a://b", "C:/x", "://"] {
            assert!(!is_address(path), "{path}");
        }
        assert_eq!(local_path("file:///data/a").as_deref(), Some("/data/a"));
        assert_eq!(local_path("file:data/a").as_deref(), Some("data/a"));
    }

    #[test]
    fn a_step_is_named_after_the_file() {
        let mut names = Names(HashSet::from(["download_a".to_owned()]));
        assert_eq!(names.claim("download", "https://h/x/tracks.parquet?sig=1"), "download_tracks");
        assert_eq!(names.claim("download", "s3://b/x/tracks.csv"), "download_tracks_2");
        assert_eq!(names.claim("download", "s3://b/a"), "download_a_2");
        assert_eq!(file_name("https://host"), "file");
        assert_eq!(file_name("https://host/a/..?x"), "file");
        assert_eq!(file_name("https://host/a/b c.png"), "b_c.png");
    }

    #[test]
    fn what_is_sent_keeps_its_query_with_the_folder() {
        let sent = send("upload", "n", "https://h/d/x.png?sig=1", "plot", "png", &Span::default());
        assert_eq!(sent.parameters.to_json(), serde_json::json!({ "to": "https://h/d/?sig=1" }));
        assert_eq!(sent.inputs[0].name.as_deref(), Some("x.png"));
    }
}
