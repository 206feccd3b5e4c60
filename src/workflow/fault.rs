//! What is wrong with a file, and where: one fault per mistake, all of them at once.

use std::ops::Range;
use std::path::Path;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};
use thiserror::Error;

/// One mistake at one place of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where, in bytes of the text.
    pub span: Range<usize>,
    /// What was expected and what was found.
    pub message: String,
    /// The next action.
    pub help: Option<String>,
}

impl Fault {
    /// A mistake at `span`.
    pub fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), help: None }
    }

    /// Says the next action.
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// Everything that is wrong with one file, in the order of the file.
#[derive(Debug, Error)]
#[error("{} {} in `{name}`", faults.len(), if faults.len() == 1 { "mistake" } else { "mistakes" })]
pub struct FileError {
    name: String,
    faults: Vec<PlacedFault>,
}

#[derive(Debug, Error)]
#[error("{}", fault.message)]
struct PlacedFault {
    fault: Fault,
    source_code: NamedSource<String>,
}

impl FileError {
    /// Faults of the file at `path` whose text is `text`.
    pub fn new(path: &Path, text: &str, mut faults: Vec<Fault>) -> Self {
        faults.sort_by_key(|fault| fault.span.start);
        faults.dedup();
        let name = path.display().to_string();
        let faults = faults
            .into_iter()
            .map(|fault| PlacedFault { fault, source_code: NamedSource::new(&name, text.to_owned()) })
            .collect();
        Self { name, faults }
    }

    /// The messages alone, for tests and logs.
    pub fn messages(&self) -> impl Iterator<Item = &str> {
        self.faults.iter().map(|placed| placed.fault.message.as_str())
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
        Some(&self.source_code)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = LabeledSpan::new(None, self.fault.span.start, self.fault.span.len());
        Some(Box::new(std::iter::once(label)))
    }
}

/// A hint with the nearest of the known names, or all of them when none is near.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let nearest = known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), *candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().max(name.len()) / 3);
    match nearest {
        Some((_, candidate)) => format!("did you mean `{candidate}`?"),
        None if known.is_empty() => "there is none to choose from".to_owned(),
        None => format!("known: {}", known.join(", ")),
    }
}
