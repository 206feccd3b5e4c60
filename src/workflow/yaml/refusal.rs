//! What a text that is no YAML is told, in words for the person who wrote it: the parser's own name
//! options of its programming interface.

use std::ops::Range;

use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{Error, Location};

use super::read::MOST_VALUES;
use crate::workflow::fault::Fault;
use crate::workflow::source::{SourceId, Span};

/// The fault behind an error of the parser.
pub fn refuse(error: &Error, text: &str, source: SourceId) -> Fault {
    let error = error.without_snippet();
    let bytes = error.location().map_or(0..0, |location| span_of(location, text));
    let start = bytes.start;
    let (message, help) = words(error, text, start);
    Fault::new(Span::new(source, bytes), message).help(help)
}

/// The bytes of a place; errors of syntax have only a line and a column.
fn span_of(location: Location, text: &str) -> Range<usize> {
    let start = location.span().byte_offset().and_then(|offset| usize::try_from(offset).ok());
    let length = location.span().byte_len().map_or(1, |length| length as usize);
    within_line(start.unwrap_or_else(|| offset_of(location, text)), length, text)
}

/// Bytes of the text, at least one where there is one; what spans several lines is shown by its first.
pub fn within_line(start: usize, length: usize, text: &str) -> Range<usize> {
    let mut start = start.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let length = length.max(1).min(text.len() - start);
    let line = text.as_bytes()[start..start + length].iter().position(|&byte| byte == b'\n');
    start..start + line.map_or(length, |line| line.max(1))
}

/// The byte at a line and column.
fn offset_of(location: Location, text: &str) -> usize {
    let line = usize::try_from(location.line()).unwrap_or(1).max(1);
    let column = usize::try_from(location.column()).unwrap_or(1).max(1);
    let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
    let Some(start) = starts.take(line).last() else { return 0 };
    let rest = text[start..].lines().next().unwrap_or_default();
    start + rest.char_indices().nth(column - 1).map_or(rest.len(), |(at, _)| at)
}

fn words(error: &Error, text: &str, start: usize) -> (String, String) {
    let say = |message: &str, help: &str| (message.to_owned(), help.to_owned());
    match error {
        Error::DuplicateMappingKey { key: Some(key), .. } => (
            format!("the key `{key}` stands here for the second time"),
            "give it another name, or take one of the two away".to_owned(),
        ),
        Error::DuplicateMappingKey { .. } => {
            say("the same key stands here twice", "take one of the two away")
        }
        Error::MultipleDocuments { .. } => say(
            "a second YAML document begins in this file",
            "take the line `---` or `...` away: a file is one document",
        ),
        Error::UnknownAnchor { .. } => say(
            "this alias names an anchor that does not stand before it",
            "`&name` in front of a value makes an anchor, `*name` repeats it; text that begins with `*` needs quotes",
        ),
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            say("this alias stands inside of its own anchor", "an anchored value cannot contain itself")
        }
        Error::MergeValueNotMapOrSeqOfMaps { .. } => say(
            "`<<:` takes a map or a list of maps",
            "for example `<<: *defaults`, with `&defaults` at a map",
        ),
        Error::NonFiniteFloat { value, .. } => {
            (format!("`{value}` is no finite number"), "write a number, or quotes when it is text".to_owned())
        }
        Error::InvalidScalar { .. } | Error::InvalidBinaryBase64 { .. } | Error::BinaryNotUtf8 { .. } => {
            say("the value does not fit its tag", "take the tag (`!!…`) away")
        }
        Error::Unexpected { .. } | Error::NullIntoString { .. } if is_open_template(text, start) => {
            say("a template needs quotes, because `{` begins a map in YAML", "write `\"{{ … }}\"`")
        }
        Error::Unexpected { .. }
        | Error::NullIntoString { .. }
        | Error::TaggedScalarCannotDeserializeIntoString { .. }
        | Error::UnexpectedContainerEndWhileReadingKeyNode { .. } => {
            say("a key must be text", "write `key: value`; a key that is empty or has brackets needs quotes")
        }
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. } => too_many_aliases(),
        Error::AliasError { error, .. } => words(error, text, start),
        Error::Budget { breach, .. } => over(breach),
        other => syntax(&other.to_string(), text, start),
    }
}

fn too_many_aliases() -> (String, String) {
    (
        "the aliases of this file repeat more than can be read".to_owned(),
        "an alias of an alias of an alias multiplies: write the values out".to_owned(),
    )
}

fn over(breach: &BudgetBreach) -> (String, String) {
    match breach {
        BudgetBreach::Depth { .. } => (
            "the file is nested more than 64 levels deep".to_owned(),
            "a pipeline needs four; look for a bracket or an indentation that is never closed".to_owned(),
        ),
        BudgetBreach::Events { .. } | BudgetBreach::Nodes { .. } => (
            format!(
                "the file has more than {MOST_VALUES} keys and values, aliases counted as often as they are used"
            ),
            "divide it into several pipelines, or write `foreach:` instead of repeating steps".to_owned(),
        ),
        BudgetBreach::Aliases { .. } | BudgetBreach::Anchors { .. } | BudgetBreach::MergeKeys { .. } => (
            "the file has more anchors, aliases or merge keys than can be read".to_owned(),
            "use `vars:` or `foreach:` instead".to_owned(),
        ),
        BudgetBreach::Documents { .. } => (
            "the file has more than one YAML document".to_owned(),
            "take the lines `---` away: a file is one document".to_owned(),
        ),
        _ => too_many_aliases(),
    }
}

/// What the parser says about syntax is kept where it is plain English; what it means is added.
fn syntax(message: &str, text: &str, start: usize) -> (String, String) {
    let message = message.split(" at line ").next().unwrap_or(message);
    let has = |part: &str| message.contains(part);
    let line = &text[text[..start].rfind('\n').map_or(0, |at| at + 1)..];
    let line = line.lines().next().unwrap_or_default();
    let (said, help) = if has("tab") {
        ("a tab stands where YAML wants spaces", "indent with spaces")
    } else if has("mapping values are not allowed") || has("simple key") {
        (
            "a `:` or a key stands where none can be",
            "text with `: ` in it needs quotes; keys of one map start in one column",
        )
    } else if has("unclosed quote") || has("multiline quoted scalar") {
        ("a quotation mark is never closed", "close it, or indent the lines of a text that goes on")
    } else if has("unclosed bracket") {
        ("a bracket is never closed", "close it: `[` with `]`, `{` with `}`")
    } else if has("flow mapping") || has("flow sequence") || has("illegal placement of ':'") {
        (
            "in brackets a `,` or the closing bracket is missing before this place",
            "write `{ a: 1, b: 2 }` or `[1, 2]`",
        )
    } else if has("misplaced bracket") {
        ("a bracket is closed that was never opened", "take it away, or put quotes around the text")
    } else if has("block mapping") || has("block collection") || has("document start") {
        (
            "this line is indented unlike the lines that it belongs to",
            "keys of one map, and the items of one list, start in one column",
        )
    } else if has("unknown escape") {
        ("this escape is unknown in double quotes", "write `\\\\` for a backslash, or use single quotes")
    } else if has("surrogate") {
        ("half of a surrogate pair is no character", "write the character itself")
    } else if has("unexpected character") && line.contains(['@', '`', '%']) {
        ("a text cannot begin with this character", "put quotes around it")
    } else if has("unexpected character") {
        ("this character cannot stand here", "put quotes around the text, or take the character away")
    } else if has("trailing content") {
        (
            "something follows the closing quotation mark",
            "put quotes around the whole text; inside of single quotes `''` is one quote",
        )
    } else if has("recursion limit") {
        ("the file is nested too deeply", "look for a bracket that is never closed")
    } else if has("anchor or alias") {
        (
            "`&` and `*` begin an anchor and an alias, and a name must follow",
            "put quotes around text that begins with them",
        )
    } else if has("block scalar") {
        (
            "after `|` or `>` the text begins on the next line",
            "write only `|`, `|-`, `>` or `>-` on this line",
        )
    } else if has("tag") {
        ("`!` begins a tag, which cannot be read", "put quotes around text that begins with `!`")
    } else if has("BOM") {
        ("a byte order mark stands inside of the file", "delete this invisible character")
    } else if has("YAML major version") || has("directive") {
        ("this `%` line cannot be read", "take it away: a pipeline file needs none")
    } else if has("end of input") || has("end of stream") {
        ("the file ends too early", "look for something that is not closed")
    } else {
        ("this is no YAML", "look at the indentation, quotes and brackets around this place")
    };
    (said.to_owned(), help.to_owned())
}

/// Whether `{{` stands here without quotes.
fn is_open_template(text: &str, start: usize) -> bool {
    let before = text[..start].chars().next_back();
    text[start..].starts_with("{{") || (before == Some('{') && text[start..].starts_with('{'))
}
