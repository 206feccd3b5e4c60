//! The texts that a plan is made from, and places in them: pipeline files, configuration files and
//! arguments of the command line, so that each mistake is shown where it was made.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

use super::digest::Digest;

/// Bytes of a long line that are shown on either side of a mistake.
const WINDOW: usize = 160;

/// A place: bytes of one source. The default place is the start of the pipeline file.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Which text.
    pub source: SourceId,
    /// The first byte.
    pub start: usize,
    /// The byte after the last one.
    pub end: usize,
}

/// Which text; the default is the pipeline file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(u32);

/// Every text that was read for one pipeline; the first is the pipeline file.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    sources: Vec<Arc<Source>>,
}

/// One text and what it is called.
#[derive(Debug)]
pub struct Source {
    name: String,
    text: String,
    /// The text as it is shown, where that is another one.
    shown: OnceLock<Option<String>>,
    lines: OnceLock<Vec<usize>>,
}

impl Span {
    /// Bytes of a source.
    pub fn new(source: SourceId, bytes: Range<usize>) -> Self {
        Self { source, start: bytes.start, end: bytes.end }
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// Whether it covers nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Bytes of the pipeline file.
impl From<Range<usize>> for Span {
    fn from(bytes: Range<usize>) -> Self {
        Self::new(SourceId::default(), bytes)
    }
}

impl Sources {
    /// Adds a text; the first one is the pipeline file.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> SourceId {
        let id = u32::try_from(self.sources.len()).unwrap_or(u32::MAX);
        let (name, text) = (name.into(), text.into());
        let source = Source { name, text, shown: OnceLock::new(), lines: OnceLock::new() };
        self.sources.push(Arc::new(source));
        SourceId(id)
    }

    /// Whether one of the texts has this digest.
    pub fn has(&self, digest: Digest) -> bool {
        self.sources.iter().any(|source| Digest::of(source.text.as_bytes()) == digest)
    }

    /// One of them.
    pub fn source(&self, id: SourceId) -> Option<&Arc<Source>> {
        self.sources.get(id.0 as usize)
    }

    /// The text of a source; nothing when there is none.
    pub fn text(&self, id: SourceId) -> &str {
        self.source(id).map_or("", |source| &source.text)
    }

    /// Where a place is, for messages: `pipelines/music.yaml:7`.
    pub fn describe(&self, span: &Span) -> String {
        match self.source(span.source) {
            Some(source) => format!("{}:{}", source.name, source.line_of(span.start) + 1),
            None => "nowhere".to_owned(),
        }
    }
}

impl Source {
    /// What it is called: the path of a file, or the argument of the command line.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text without what may be secret in it, every byte in its place.
    fn shown(&self) -> &str {
        let masked = || match masked(&self.text) {
            Cow::Borrowed(_) => None,
            Cow::Owned(text) => Some(text),
        };
        self.shown.get_or_init(masked).as_deref().unwrap_or(&self.text)
    }

    fn lines(&self) -> &[usize] {
        self.lines.get_or_init(|| {
            let breaks = self.text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n');
            std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect()
        })
    }

    /// The line of a byte, counted from 0.
    fn line_of(&self, byte: usize) -> usize {
        self.lines().partition_point(|&start| start <= byte).saturating_sub(1)
    }

    /// The bytes of a line without its break.
    fn line(&self, line: usize) -> Range<usize> {
        let lines = self.lines();
        let start = lines.get(line).copied().unwrap_or(self.text.len());
        let end = lines.get(line + 1).map_or(self.text.len(), |next| next - 1);
        start..end.max(start)
    }

    fn boundary(&self, mut byte: usize) -> usize {
        while !self.text.is_char_boundary(byte) {
            byte -= 1;
        }
        byte
    }
}

/// A text in which the query and the login of every URL are stars, for they may be secret: presigned URLs carry a
/// signature there. Every byte keeps its place.
pub fn masked(text: &str) -> Cow<'_, str> {
    let mut stars: Vec<Range<usize>> = Vec::new();
    for (at, _) in text.match_indices("://") {
        let start = at + 3;
        let ends = |c: char| c.is_whitespace() || "\"'`<>".contains(c);
        let end = text[start..].find(ends).map_or(text.len(), |end| start + end);
        let url = &text[start..end];
        let path = url.split('?').next().unwrap_or(url);
        let host = path.split('/').next().unwrap_or(path);
        stars.extend(host.rfind('@').map(|login| start..start + login));
        if path.len() < url.len() {
            stars.push(start + path.len() + 1..end);
        }
    }
    if stars.iter().all(Range::is_empty) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut from = 0;
    for star in stars.into_iter().filter(|star| !star.is_empty()) {
        // A URL in the query of another one has its stars already.
        let start = star.start.max(from);
        shown.push_str(&text[from..start]);
        shown.extend(std::iter::repeat_n('*', star.end.saturating_sub(start)));
        from = star.end.max(from);
    }
    shown.push_str(&text[from..]);
    Cow::Owned(shown)
}

/// Lines are found by an index and cut when they are long: a file of megabytes in one line must not
/// be printed whole, nor searched again for every mistake.
impl SourceCode for Source {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let start = self.boundary(span.offset().min(self.text.len()));
        let end = self.boundary((start + span.len()).min(self.text.len()));
        let (first, last) = (self.line_of(start), self.line_of(end.saturating_sub(1).max(start)));
        let mut from = self.line(first.saturating_sub(before)).start;
        let mut to = self.line(last + after).end.max(end);
        let mut line = first.saturating_sub(before);
        if before == 0 {
            from = start;
        }
        if start - from > 2 * WINDOW {
            from = self.boundary(start - WINDOW).max(self.line(first).start);
            line = first;
        }
        if to - start > 4 * WINDOW {
            to = self.boundary((start + 4 * WINDOW).min(to));
        }
        let column = self.text[self.line(line).start..from].chars().count();
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            &self.shown().as_bytes()[from..to.max(from)],
            (from, to.max(from) - from).into(),
            line,
            column,
            self.lines().len(),
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_by_line() {
        let mut sources = Sources::default();
        let id = sources.add("a.yaml", "x: 1\ny: 2\n");
        assert_eq!(sources.describe(&Span::new(id, 5..6)), "a.yaml:2");
        assert_eq!(sources.describe(&Span::new(id, 4..4)), "a.yaml:1");
    }

    #[test]
    fn what_may_be_secret_in_a_url_is_not_shown() {
        for (text, shown) in [
            ("x: https://h/a?k=v # c", "x: https://h/a?*** # c"),
            ("'https://u:p@h/a'", "'https://***@h/a'"),
            ("a?b=c: s3://b/k", "a?b=c: s3://b/k"),
            ("https://h?u=https://i?v=1 https://j?é", "https://h?*************** https://j?**"),
        ] {
            assert_eq!(masked(text), shown);
            assert_eq!(masked(text).len(), text.len());
        }
    }

    #[test]
    fn a_long_line_is_cut_and_a_place_past_the_end_is_no_error() {
        let mut sources = Sources::default();
        let id = sources.add("a.yaml", "é".repeat(1_000_000));
        let source = sources.source(id).unwrap();
        for start in [0, 1, 500_001, 1_999_999, 5_000_000] {
            let contents = source.read_span(&(start, 3).into(), 1, 1).unwrap();
            assert!(contents.data().len() <= 6 * WINDOW, "{start}");
            assert!(std::str::from_utf8(contents.data()).is_ok());
        }
    }
}
