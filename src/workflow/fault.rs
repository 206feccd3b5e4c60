//! What is wrong with a file, and where: one fault per mistake, all of them at once.

use std::collections::HashSet;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, SourceCode};
use thiserror::Error;

use super::source::{Source, Sources, Span, masked};

/// Mistakes that are shown; a generated file may have thousands that are all the same.
const SHOWN: usize = 100;

/// Characters of a message or a hint.
const LONGEST: usize = 2000;

/// One mistake at one place of a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fault {
    /// Where.
    pub span: Span,
    /// What was expected and what was found.
    pub message: String,
    /// The next action.
    pub help: Option<String>,
    /// The words at the place that are meant, when they stand there as they are.
    pub words: Option<String>,
}

impl Fault {
    /// A mistake at `span`.
    pub fn new(span: impl Into<Span>, message: impl Into<String>) -> Self {
        Self { span: span.into(), message: cut(message.into()), help: None, words: None }
    }

    /// Says the next action.
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(cut(help.into())), ..self }
    }

    /// Underlines these words instead of the whole place, when they are found there.
    pub fn words(self, words: impl Into<String>) -> Self {
        Self { words: Some(words.into()), ..self }
    }
}

/// A name in a message may be as long as the file, and an address may have a secret in it.
fn cut(text: String) -> String {
    let text = masked(&text).into_owned();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Everything that is wrong with a pipeline, in the order of its files.
#[derive(Debug, Error)]
#[error("{}", self.title())]
pub struct FileError {
    names: Vec<String>,
    count: usize,
    faults: Vec<PlacedFault>,
}

#[derive(Debug, Error)]
#[error("{}", fault.message)]
struct PlacedFault {
    fault: Fault,
    source_code: Option<Arc<Source>>,
}

impl FileError {
    /// Faults in these sources; one that was found twice is told once.
    pub fn new(sources: &Sources, mut faults: Vec<Fault>) -> Self {
        for fault in &mut faults {
            narrow(fault, sources);
        }
        faults.sort_by(|a, b| a.span.cmp(&b.span));
        let mut seen = HashSet::new();
        faults.retain(|fault| seen.insert(fault.clone()));
        let mut names: Vec<String> = Vec::new();
        for fault in &faults {
            let name = sources.source(fault.span.source).map_or("", |source| source.name());
            if !name.is_empty() && !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        let count = faults.len();
        let faults = faults
            .into_iter()
            .take(SHOWN)
            .map(|fault| PlacedFault { source_code: sources.source(fault.span.source).cloned(), fault })
            .collect();
        Self { names, count, faults }
    }

    /// The messages alone, for tests and logs.
    pub fn messages(&self) -> impl Iterator<Item = &str> {
        self.faults.iter().map(|placed| placed.fault.message.as_str())
    }

    fn title(&self) -> String {
        let noun = if self.count == 1 { "mistake" } else { "mistakes" };
        let names: Vec<String> = self.names.iter().take(3).map(|name| format!("`{name}`")).collect();
        let more = if self.names.len() > 3 { " and others" } else { "" };
        let shown = if self.count > SHOWN { format!("; the first {SHOWN} are") } else { String::new() };
        format!("{} {noun} in {}{more}{shown}", self.count, names.join(", "))
    }
}

/// Moves the place of a fault to the words that are meant.
fn narrow(fault: &mut Fault, sources: &Sources) {
    let Some(words) = fault.words.take().filter(|words| !words.is_empty()) else { return };
    let text = sources.text(fault.span.source);
    let Some(rest) = text.get(fault.span.start..) else { return };
    // An alias (`*name`) has its text elsewhere.
    if rest.starts_with('*') {
        return;
    }
    // A text of several lines is underlined in its first; its words may stand further down, before a line that is
    // indented less: as little as the key when the text begins beside it, less than the text when it has lines of
    // its own.
    let line = &text[text[..fault.span.start].rfind('\n').map_or(0, |at| at + 1)..];
    let before = &line[..line.len() - rest.len()];
    let indent = before.len() - before.trim_start_matches([' ', '-']).len();
    let least = if before.trim().is_empty() { indent } else { indent + 1 };
    let belongs =
        |line: &&str| line.len() - line.trim_start_matches(' ').len() >= least || line.trim().is_empty();
    let mut lines = rest.split_inclusive('\n');
    let first = lines.next().map_or(0, str::len);
    let end = first + lines.take_while(belongs).map(str::len).sum::<usize>();
    if let Some(at) = rest[..end].find(&words) {
        fault.span.start += at;
        fault.span.end = fault.span.start + words.len();
    }
}

impl Diagnostic for FileError {
    fn code<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        Some(Box::new("recsys::file"))
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.faults.iter().map(|fault| fault as &dyn Diagnostic)))
    }
}

impl Diagnostic for PlacedFault {
    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        self.fault.help.as_ref().map(|help| Box::new(help) as Box<dyn std::fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source_code.as_deref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = LabeledSpan::new(None, self.fault.span.start, self.fault.span.len());
        Some(Box::new(std::iter::once(label)))
    }
}

/// A hint with the nearest of the known names, or all of them when none is near.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(name, known.iter().copied()) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None if known.is_empty() => "there is none to choose from".to_owned(),
        None if known.len() > 30 => format!("known: {}, … ({} in all)", known[..30].join(", "), known.len()),
        None => format!("known: {}", known.join(", ")),
    }
}

/// The known name that is most like this one, if any is.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = name.chars().count();
    known
        .into_iter()
        .filter(|candidate| {
            candidate.chars().count().abs_diff(length) <= 1 + candidate.len().max(name.len()) / 3
        })
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| *distance < length.max(candidate.chars().count()))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().max(name.len()) / 3)
        .map(|(_, candidate)| candidate)
}
