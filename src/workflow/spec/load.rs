//! From the disk to trees: the pipeline file, the files that it includes, and what all of them say
//! together.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::SpecError;
use super::file::Shape;
use super::overrides::VariableChange;
use crate::workflow::fault::{Fault, FileError, did_you_mean};
use crate::workflow::parameters;
use crate::workflow::source::{SourceId, Sources, Span};
use crate::workflow::values::{Scope, Variable};
use crate::workflow::yaml::{Node, Value, short};

/// Bytes that a file may have; more is not a pipeline but data.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// One file that was read.
pub struct Loaded {
    /// Where it lies.
    pub path: PathBuf,
    /// What it says; parts that are wrong are unknown.
    pub root: Node,
}

/// Why a file gives no text.
enum Unusable {
    /// The system refused.
    System(std::io::Error),
    /// It is no text: the part that is, and the fault in it.
    Content(String, Box<Fault>),
}

/// The text of the pipeline file.
pub fn read_main(path: &Path, sources: &mut Sources) -> Result<String, SpecError> {
    match read_text(path) {
        Ok(text) => Ok(text),
        Err(Unusable::System(error)) if error.kind() == ErrorKind::IsADirectory => {
            Err(SpecError::Folder { path: path.to_owned(), help: files_in(path) })
        }
        Err(Unusable::System(source)) => Err(SpecError::Unreadable { path: path.to_owned(), source }),
        Err(Unusable::Content(text, fault)) => {
            sources.add(path.display().to_string(), text);
            Err(FileError::new(sources, vec![*fault]).into())
        }
    }
}

/// The text of another file, such as a configuration.
pub fn read_other(path: &Path, sources: &mut Sources) -> Result<(String, SourceId), SpecError> {
    match read_text(path) {
        Ok(text) => Ok((text.clone(), sources.add(path.display().to_string(), text))),
        Err(Unusable::System(source)) => Err(SpecError::Unreadable { path: path.to_owned(), source }),
        Err(Unusable::Content(text, mut fault)) => {
            fault.span.source = sources.add(path.display().to_string(), text);
            Err(FileError::new(sources, vec![*fault]).into())
        }
    }
}

/// The pipeline file last, before it what it includes; nothing when one of them has no tree.
pub fn load(
    path: &Path,
    text: String,
    shape: &Shape,
    sources: &mut Sources,
    faults: &mut Vec<Fault>,
) -> Option<Vec<Loaded>> {
    let mut loader = Loader { shape, sources, faults, open: Vec::new(), done: Vec::new(), files: Vec::new() };
    loader.take(path, text).then_some(loader.files)
}

struct Loader<'a> {
    shape: &'a Shape,
    sources: &'a mut Sources,
    faults: &'a mut Vec<Fault>,
    /// The files that are being read, each included by the one before it.
    open: Vec<(PathBuf, PathBuf)>,
    /// Files that need not be read again.
    done: Vec<PathBuf>,
    files: Vec<Loaded>,
}

impl Loader<'_> {
    fn take(&mut self, path: &Path, text: String) -> bool {
        let source = self.sources.add(path.display().to_string(), text);
        let text = self.sources.text(source);
        let mut root = match Node::parse_in(text, source) {
            Ok(root) => root,
            Err(fault) => {
                self.faults.push(fault);
                return false;
            }
        };
        if !matches!(root.value, Value::Map(_)) {
            self.faults.push(no_map(&root, text, source));
            return false;
        }
        self.faults.extend(parameters::check_unrendered(&mut root, self.shape.whole(), "key"));
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        self.open.push((path.to_owned(), real.clone()));
        let mut complete = true;
        if let Some(Value::List(items)) = root.given("include").map(|include| &include.value) {
            for item in items {
                complete &= self.include(path, item);
            }
        }
        self.open.pop();
        self.done.push(real);
        self.files.push(Loaded { path: path.to_owned(), root });
        complete
    }

    fn include(&mut self, from: &Path, item: &Node) -> bool {
        let Value::Text(name) = &item.value else { return false };
        let path = from.parent().unwrap_or(Path::new("")).join(name);
        let real = path.canonicalize().unwrap_or_else(|_| path.clone());
        if let Some(start) = self.open.iter().position(|(_, open)| *open == real) {
            let names: Vec<String> =
                self.open[start..].iter().map(|(path, _)| path.display().to_string()).collect();
            let message = format!("the files include each other: {} → {}", names.join(" → "), names[0]);
            self.faults.push(
                Fault::new(item.span.clone(), message)
                    .help("move what both need into a file that includes neither"),
            );
            return true;
        }
        if self.done.contains(&real) {
            return true;
        }
        match read_text(&path) {
            Ok(text) => self.take(&path, text),
            Err(Unusable::System(error)) => {
                let message = match error.kind() {
                    ErrorKind::IsADirectory => format!("`{}` is a folder, not a file", path.display()),
                    _ => format!("cannot read `{}`: {error}", path.display()),
                };
                let help = "`include:` names files by their paths from the folder of this file";
                self.faults.push(Fault::new(item.span.clone(), message).help(help));
                false
            }
            Err(Unusable::Content(text, mut fault)) => {
                fault.span.source = self.sources.add(path.display().to_string(), text);
                self.faults.push(*fault);
                false
            }
        }
    }
}

fn read_text(path: &Path) -> Result<String, Unusable> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Unusable::System)?;
    if file.metadata().is_ok_and(|file| file.is_dir()) {
        return Err(Unusable::System(ErrorKind::IsADirectory.into()));
    }
    // A device or a pipe has no length to look at beforehand.
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(Unusable::System)?;
    let refuse = |text: &str, span: std::ops::Range<usize>, message: String, help: &str| {
        let fault = Fault::new(span, message).help(help);
        Err(Unusable::Content(text.to_owned(), Box::new(fault)))
    };
    if bytes.len() as u64 > MOST_BYTES {
        let message = format!("the file is larger than {} MiB", MOST_BYTES >> 20);
        return refuse("", 0..0, message, "this is no pipeline: name a pipeline file, not data");
    }
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let bytes = error.as_bytes();
            let line = bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
            let message = format!(
                "the file is not UTF-8 text: byte 0x{:02x} in line {line}, at offset {at}",
                bytes[at]
            );
            let wide = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
            let help = if wide { "it seems to be UTF-16: save it as UTF-8" } else { "save it as UTF-8" };
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(at + 4096)]).into_owned();
            return refuse(&shown, at..at + 1, message, help);
        }
    };
    if let Some(at) = text.find('\0') {
        let line = text[..at].matches('\n').count() + 1;
        let message = format!("the file has a NUL byte in line {line}, at offset {at}: it is no text");
        return refuse(&text.replace('\0', "␀"), at..at + 1, message, "write the file anew as plain text");
    }
    Ok(text)
}

fn no_map(root: &Node, text: &str, source: SourceId) -> Fault {
    let help = "it begins with `steps:`; `recsys run pipelines/demo.yaml` is one to look at";
    if root.value == Value::Null {
        let what = if text.trim().is_empty() { "the file is empty" } else { "the file says nothing" };
        return Fault::new(Span::new(source, 0..0), what).help(help);
    }
    let message = format!("a pipeline file is a map with `steps:`, found {}", root.found());
    Fault::new(root.span.clone(), message).help(help)
}

fn files_in(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let yaml = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
    let mut names: Vec<String> = entries.filter(yaml).map(|path| format!("`{}`", path.display())).collect();
    names.sort();
    names.truncate(10);
    match names.is_empty() {
        true => "name a pipeline file".to_owned(),
        false => format!("name a file in it: {}", names.join(", ")),
    }
}

/// `name:` of the pipeline file, or a name made from that of the file.
pub fn name_of(files: &[Loaded], path: &Path, faults: &mut Vec<Fault>) -> String {
    let given = files.last().and_then(|main| main.root.given("name"));
    if let Some(Node { value: Value::Text(name), span }) = given {
        let first = name.starts_with(|c: char| c.is_ascii_alphanumeric());
        let rest = name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
        if !first || !rest || name.len() > 64 {
            let message = format!("`{}` is no name for a pipeline", short(name));
            faults.push(
                Fault::new(span.clone(), message)
                    .help("use 1 to 64 letters, digits, `_`, `-` and `.`, and begin with a letter or digit"),
            );
        }
        return name.clone();
    }
    let stem = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let slug: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() || "_-.".contains(c) { c } else { '_' }).collect();
    let slug: String = slug.trim_start_matches(['_', '-', '.']).chars().take(64).collect();
    if slug.is_empty() { "pipeline".to_owned() } else { slug }
}

/// `tracking:` of all files, rendered: of each key what the including file says, or else the configuration
/// read last; a word such as `false` stands for everything before it.
pub fn tracking(files: &[Loaded], changes: &[Node], scope: &Scope, faults: &mut Vec<Fault>) -> Option<Node> {
    let given = files.iter().filter_map(|file| file.root.given("tracking")).chain(changes);
    let mut whole: Option<Node> = None;
    for node in given.map(|node| scope.render(node, faults)) {
        match (&mut whole, node.value) {
            (Some(Node { value: Value::Map(known), .. }), Value::Map(entries)) => {
                known.retain(|old| entries.iter().all(|entry| entry.key != old.key));
                known.extend(entries);
            }
            (_, value) => whole = Some(Node::new(value, node.span)),
        }
    }
    whole
}

/// The scope with the variables of all files; those of the including file and then of the command line win.
pub fn variables(
    files: &[Loaded],
    changes: &[VariableChange],
    scope: &Scope,
    faults: &mut Vec<Fault>,
) -> Scope {
    let mut variables: BTreeMap<String, Variable> = BTreeMap::new();
    for file in files {
        let Some(vars) = file.root.given("vars") else { continue };
        match &vars.value {
            Value::Map(entries) => variables.extend(entries.iter().map(|entry| {
                (entry.key.clone(), Variable { place: entry.key_span.clone(), value: entry.node.clone() })
            })),
            Value::Text(_) => faults.push(
                Fault::new(vars.span.clone(), format!("`vars` must be a map, found {}", vars.found()))
                    .help("templates can stand in the values of the map"),
            ),
            Value::Unknown => return scope.without_faults_about("vars"),
            _ => {}
        }
    }
    for change in changes {
        match variables.get_mut(&change.name) {
            Some(variable) => variable.value = change.value.clone(),
            None => {
                let message =
                    format!("the variable `{}` is set, but `vars:` does not declare it", change.name);
                let known: Vec<&str> = variables.keys().map(String::as_str).collect();
                faults
                    .push(Fault::new(change.place.clone(), message).help(did_you_mean(&change.name, known)));
            }
        }
    }
    scope.with_variables(&variables, faults)
}
