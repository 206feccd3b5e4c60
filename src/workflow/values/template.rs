//! Templates: minijinja for what people can write, and a short way for what they mostly write,
//! `{{ vars.raw }}/x.csv`: a pipeline of ten thousand commands has tens of thousands of those.

use std::collections::BTreeSet;
use std::sync::Arc;

use minijinja::value::Object;
use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value as Dynamic};

use super::{Environment as ProcessEnvironment, Scope};
use crate::workflow::fault::{Fault, did_you_mean};
use crate::workflow::source::Span;

/// Instructions that one template may cost: enough for any list of steps, and no endless loop.
const FUEL: u64 = 10_000_000;

/// The template engine, set up once.
#[derive(Debug)]
pub struct Engine(Environment<'static>);

/// What is wrong with a template.
#[derive(Debug)]
pub struct TemplateFault {
    message: String,
    help: Option<String>,
    words: Option<String>,
}

impl TemplateFault {
    /// The fault at the place of the template.
    pub fn at(self, span: &Span) -> Fault {
        let mut fault = Fault::new(span.clone(), self.message);
        fault = self.help.into_iter().fold(fault, Fault::help);
        self.words.into_iter().fold(fault, Fault::words)
    }
}

impl Engine {
    /// Strict about names that are not there.
    pub fn new() -> Self {
        let mut engine = Environment::new();
        engine.set_undefined_behavior(UndefinedBehavior::Strict);
        engine.set_fuel(Some(FUEL));
        Self(engine)
    }
}

/// The names of a scope as the root of a template.
#[derive(Debug)]
struct Root(Arc<Vec<(&'static str, Dynamic)>>);

impl Object for Root {
    fn get_value(self: &Arc<Self>, key: &Dynamic) -> Option<Dynamic> {
        let name = key.as_str()?;
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    }
}

impl Scope {
    /// The value of a template; an error without a fault has been reported at a variable already.
    pub(super) fn evaluate(&self, text: &str) -> Result<Dynamic, Option<TemplateFault>> {
        if let Some(value) = self.substitute(text) {
            return Ok(value);
        }
        let engine = &self.engine.0;
        let root = || Dynamic::from_object(Root(Arc::clone(&self.names)));
        let explained = |error| Some(explain(&error, text));
        let (result, used) = match whole_expression(text) {
            Some(expression) => {
                let compiled = engine.compile_expression(expression).map_err(explained)?;
                let defined = compiled.eval(root()).and_then(|value| match value.is_undefined() {
                    true => Err(ErrorKind::UndefinedError.into()),
                    false => Ok(value),
                });
                (defined, compiled.undeclared_variables(true))
            }
            None => {
                let template = engine.template_from_str(text).map_err(explained)?;
                // The engine drops a line break at the end, which the short way and plain text keep.
                let end = if text.ends_with('\n') { "\n" } else { "" };
                let rendered = template.render(root()).map(|rendered| Dynamic::from(rendered + end));
                (rendered, template.undeclared_variables(true))
            }
        };
        result.map_err(|error| {
            let used: BTreeSet<String> = used.into_iter().collect();
            if used.iter().any(|path| self.is_broken(path)) {
                return None;
            }
            let name = match error.kind() {
                ErrorKind::OutOfFuel | ErrorKind::UnknownFilter | ErrorKind::UnknownTest => None,
                _ => self.unknown_name(&used),
            };
            Some(name.unwrap_or_else(|| explain(&error, text)))
        })
    }

    fn is_broken(&self, path: &str) -> bool {
        let ends = path.match_indices('.').map(|(at, _)| at).chain([path.len()]);
        ends.into_iter().any(|end| self.broken.contains(&path[..end]))
    }

    /// The names under `vars.` that the templates of a text mention; `*` when it takes all of them.
    pub(super) fn variables_of(&self, text: &str) -> BTreeSet<String> {
        let Ok(template) = self.engine.0.template_from_str(text) else { return BTreeSet::new() };
        let names = template.undeclared_variables(true);
        names
            .iter()
            .filter_map(|path| match path.split_once('.') {
                Some(("vars", rest)) => rest.split('.').next().map(str::to_owned),
                None if path == "vars" => Some("*".to_owned()),
                _ => None,
            })
            .collect()
    }

    /// A text whose templates are all plain paths to texts and whole numbers; nothing when there is more to it.
    fn substitute(&self, text: &str) -> Option<Dynamic> {
        if text.contains("{%") || text.contains("{#") {
            return None;
        }
        let mut result = String::with_capacity(text.len() + 32);
        let mut rest = text;
        while let Some(open) = rest.find("{{") {
            let close = open + rest[open..].find("}}")?;
            let value = self.look_up(rest[open + 2..close].trim())?;
            result.push_str(&rest[..open]);
            if open == 0 && rest.len() == text.len() && text[close + 2..].is_empty() {
                return Some(value);
            }
            match value.as_str() {
                Some(text) => result.push_str(text),
                None if value.is_integer() => result.push_str(&value.to_string()),
                None => return None,
            }
            rest = &rest[close + 2..];
        }
        result.push_str(rest);
        Some(result.into())
    }

    fn look_up(&self, path: &str) -> Option<Dynamic> {
        let is_word = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        let mut parts = path.split('.');
        let first = parts.next()?;
        let mut value = self.names.iter().find(|(name, _)| *name == first)?.1.clone();
        for part in parts {
            if !is_word(part) {
                return None;
            }
            value = value.get_attr(part).ok().filter(|value| !value.is_undefined())?;
        }
        Some(value)
    }

    /// The first of the used names that does not exist, as a fault with a hint.
    fn unknown_name(&self, used: &BTreeSet<String>) -> Option<TemplateFault> {
        for path in used {
            let mut parts = path.split('.');
            let first = parts.next().unwrap_or_default();
            if self.engine.0.globals().any(|(name, _)| name == first) {
                continue;
            }
            let Some((_, value)) = self.names.iter().find(|(name, _)| *name == first) else {
                let known = self.names.iter().map(|(name, _)| *name);
                return Some(unknown(first.to_owned(), did_you_mean(first, known)));
            };
            let (mut here, mut said) = (value.clone(), first.to_owned());
            for part in parts {
                let next = here.get_attr(part).ok().filter(|value| !value.is_undefined());
                let Some(next) = next else {
                    if said == "env" {
                        return Some(self.unset(part));
                    }
                    let known = keys(&here);
                    if known.is_empty() && here.downcast_object_ref::<super::Table>().is_none() {
                        break;
                    }
                    let help = match (said.as_str(), known.is_empty()) {
                        ("vars", true) => format!("declare it: `vars: {{ {part}: … }}`"),
                        (_, _) => did_you_mean(part, known.iter().map(String::as_str)),
                    };
                    return Some(unknown(format!("{said}.{part}"), help));
                };
                said = format!("{said}.{part}");
                here = next;
            }
        }
        None
    }

    fn unset(&self, name: &str) -> TemplateFault {
        let near = crate::workflow::fault::nearest(name, ProcessEnvironment::names(&self.environment));
        let near = near.map_or_else(String::new, |near| format!("did you mean `{near}`? otherwise "));
        TemplateFault {
            message: format!("the environment variable `{name}` is not set"),
            help: Some(format!(
                "{near}export {name}, put it into `.env`, or write `{{{{ env.{name} | default('…') }}}}`"
            )),
            words: Some(format!("env.{name}")),
        }
    }
}

fn unknown(path: String, help: String) -> TemplateFault {
    TemplateFault { message: format!("unknown name `{path}`"), help: Some(help), words: Some(path) }
}

fn keys(value: &Dynamic) -> Vec<String> {
    let is_map = value.kind() == minijinja::value::ValueKind::Map;
    let keys = is_map.then(|| value.try_iter().ok()).flatten();
    keys.into_iter().flatten().filter_map(|key| key.as_str().map(str::to_owned)).collect()
}

fn explain(error: &minijinja::Error, text: &str) -> TemplateFault {
    let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    let words = error.range().and_then(|range| text.get(range)).map(str::to_owned);
    let (message, help) = match error.kind() {
        ErrorKind::SyntaxError => (
            format!("this template cannot be read: {detail}"),
            "`{{ … }}` holds an expression, `{% … %}` a statement; braces that mean themselves stand between `{% raw %}` and `{% endraw %}`",
        ),
        ErrorKind::UnknownFilter
        | ErrorKind::UnknownTest
        | ErrorKind::UnknownFunction
        | ErrorKind::UnknownMethod => (
            format!("this template cannot be rendered: {detail}"),
            "filters are those of Jinja, such as `default('x')`, `join(',')`, `replace('a', 'b')`, `lower`, `int`",
        ),
        ErrorKind::OutOfFuel => (
            "this template does not come to an end".to_owned(),
            "a template makes one short value: shorten its loops",
        ),
        ErrorKind::UndefinedError => (
            "this template uses a value that does not exist".to_owned(),
            "check the names after the dots, or give a value for the case that there is none: `| default('…')`",
        ),
        _ => (
            format!("this template cannot be rendered: {detail}"),
            "templates can name `vars`, `env` and, in `run:`, `inputs` and `outputs`",
        ),
    };
    TemplateFault { message, help: Some(help.to_owned()), words }
}

/// The expression of a text that is nothing but one `{{ expression }}`.
fn whole_expression(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    (!inner.contains("{{") && !inner.contains("}}") && !inner.starts_with('-') && !inner.ends_with('-'))
        .then(|| inner.trim())
}
