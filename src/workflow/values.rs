//! Values of a pipeline file: variables, the environment, and templates rendered into the spec.
//!
//! Templates are rendered in scalar values after parsing, so that a value can never change the
//! structure of the file. A scalar that is one whole expression keeps the type of its value.

use std::collections::BTreeMap;
use std::path::Path;

use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde_json::{Map, Value as Json, json};

use super::fault::{Fault, did_you_mean};
use super::yaml::{Node, Value};

/// What templates can name: `vars`, `env`, and what is added for a place.
#[derive(Debug, Clone)]
pub struct Scope {
    names: Map<String, Json>,
}

impl Scope {
    /// The environment of the process, filled up from `.env` in the project folder when there is one.
    pub fn from_environment(root: &Path) -> Self {
        let mut env: BTreeMap<String, String> = dotenv(root);
        env.extend(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        );
        let mut names = Map::new();
        names.insert("env".to_owned(), json!(env));
        names.insert("vars".to_owned(), json!({}));
        Self { names }
    }

    /// The value of an environment variable.
    pub fn env(&self, name: &str) -> Option<&str> {
        self.names["env"].get(name).and_then(Json::as_str)
    }

    /// Takes the variables of a file, each of which may use the ones before it, and those of the command line.
    pub fn define_vars(&mut self, vars: Option<&Node>, overrides: &[(String, Json)]) -> Vec<Fault> {
        let mut faults = Vec::new();
        let entries: &[_] = match vars.map(|node| &node.value) {
            Some(Value::Map(entries)) => entries,
            _ => &[],
        };
        for entry in entries {
            let value = match overrides.iter().rev().find(|(name, _)| *name == entry.key) {
                Some((_, value)) => value.clone(),
                None => self.render(&entry.node, &mut faults).to_json(),
            };
            self.insert_var(&entry.key, value);
        }
        let span = vars.map_or(0..0, |node| node.span.clone());
        for (name, _) in overrides {
            if !entries.iter().any(|entry| entry.key == *name) {
                faults.push(
                    Fault::new(
                        span.clone(),
                        format!("the variable `{name}` is set, but `vars:` does not declare it"),
                    )
                    .help(did_you_mean(name, entries.iter().map(|entry| entry.key.as_str()))),
                );
            }
        }
        faults
    }

    /// This scope and one name more.
    pub fn with(&self, name: &str, value: Json) -> Self {
        let mut names = self.names.clone();
        names.insert(name.to_owned(), value);
        Self { names }
    }

    /// Every template in `node` rendered; what cannot be rendered is left as it is and reported.
    pub fn render(&self, node: &Node, faults: &mut Vec<Fault>) -> Node {
        let value = match &node.value {
            Value::Text(text) if text.contains("{{") || text.contains("{%") => {
                return match self.render_text(text) {
                    Ok(json) => Node::from_json(&json, &node.span),
                    Err((message, help)) => {
                        let mut fault = Fault::new(node.span.clone(), message);
                        fault.help = help;
                        faults.push(fault);
                        node.clone()
                    }
                };
            }
            Value::List(items) => Value::List(items.iter().map(|item| self.render(item, faults)).collect()),
            Value::Map(entries) => Value::Map(
                entries
                    .iter()
                    .map(|entry| {
                        let mut entry = entry.clone();
                        entry.node = self.render(&entry.node, faults);
                        entry
                    })
                    .collect(),
            ),
            scalar => scalar.clone(),
        };
        Node::new(value, node.span.clone())
    }

    fn render_text(&self, text: &str) -> Result<Json, (String, Option<String>)> {
        let mut engine = Environment::new();
        engine.set_undefined_behavior(UndefinedBehavior::Strict);
        let names = &self.names;
        let (result, used) = match whole_expression(text) {
            Some(expression) => {
                let compiled = engine.compile_expression(expression).map_err(explain)?;
                let used = compiled.undeclared_variables(true);
                let value = compiled.eval(Serde(names));
                let defined = value.and_then(|value| {
                    if value.is_undefined() {
                        Err(minijinja::ErrorKind::UndefinedError.into())
                    } else {
                        Ok(value)
                    }
                });
                (defined.map(|value| serde_json::to_value(value).unwrap_or(Json::Null)), used)
            }
            None => {
                let template = engine.template_from_str(text).map_err(explain)?;
                (template.render(Serde(names)).map(Json::String), template.undeclared_variables(true))
            }
        };
        result.map_err(|error| self.unknown_name(used).unwrap_or_else(|| explain(error)))
    }

    /// The first of the used names that does not exist, as a message and a hint.
    fn unknown_name(&self, used: impl IntoIterator<Item = String>) -> Option<(String, Option<String>)> {
        let mut used: Vec<String> = used.into_iter().collect();
        used.sort();
        for path in used {
            let mut here: Option<&Map<String, Json>> = Some(&self.names);
            let mut said = String::new();
            for part in path.split('.') {
                let Some(map) = here else { break };
                match map.get(part) {
                    Some(value) => {
                        here = value.as_object();
                        said = format!("{said}{part}.");
                    }
                    None if said == "env." => {
                        let help = format!(
                            "export {part}, put it into `.env`, or write {{{{ env.{part} | default('…') }}}}"
                        );
                        return Some((format!("the environment variable `{part}` is not set"), Some(help)));
                    }
                    None => {
                        let known = map.keys().map(String::as_str);
                        return Some((
                            format!("unknown name `{said}{part}`"),
                            Some(did_you_mean(part, known)),
                        ));
                    }
                }
            }
        }
        None
    }

    fn insert_var(&mut self, name: &str, value: Json) {
        if let Some(vars) = self.names.get_mut("vars").and_then(Json::as_object_mut) {
            vars.insert(name.to_owned(), value);
        }
    }
}

/// The value of a command-line override: YAML, so that `3`, `[1, 2]` and `null` keep their type.
pub fn parse_override(text: &str) -> Json {
    Node::parse(text).map_or_else(|_| Json::String(text.to_owned()), |node| node.to_json())
}

/// D
pub fn parse_duration(_text: &str) -> Result<std::time::Duration, String> {
    todo!()
}

/// S
pub fn parse_size(_text: &str) -> Result<u64, String> {
    todo!()
}

fn explain(error: minijinja::Error) -> (String, Option<String>) {
    let detail = error.detail().map(str::to_owned).unwrap_or_else(|| error.kind().to_string());
    (format!("the template cannot be rendered: {detail}"), None)
}

/// The expression of a text that is nothing but one `{{ expression }}`.
fn whole_expression(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    (!inner.contains("{{") && !inner.contains("}}")).then(|| inner.trim())
}

fn dotenv(root: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(root.join(".env")).unwrap_or_default();
    text.lines()
        .map(|line| line.trim().trim_start_matches("export "))
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| {
            let value = value.trim();
            let quoted = ['"', '\''].iter().find_map(|&q| value.strip_prefix(q)?.strip_suffix(q));
            (name.trim().to_owned(), quoted.unwrap_or(value).to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope {
        let mut scope =
            Scope { names: Map::new() }.with("env", json!({"HOME": "/home/me"})).with("vars", json!({}));
        let vars = Node::parse("raw: data\nk: 10\nfile: '{{ vars.raw }}/x-{{ vars.k }}.parquet'\n").unwrap();
        assert!(scope.define_vars(Some(&vars), &[("k".into(), json!(20))]).is_empty());
        scope
    }

    fn rendered(text: &str) -> Result<Json, String> {
        let mut faults = Vec::new();
        let node = scope().render(&Node::new(Value::Text(text.into()), 0..1), &mut faults);
        faults.first().map_or_else(|| Ok(node.to_json()), |fault| Err(fault.message.clone()))
    }

    #[test]
    fn a_whole_expression_keeps_its_type_and_a_mixed_text_is_text() {
        assert_eq!(rendered("{{ vars.k }}"), Ok(json!(20)));
        assert_eq!(rendered("{{ vars.k + 1 }}"), Ok(json!(21)));
        assert_eq!(rendered("{{ vars.file }}"), Ok(json!("data/x-20.parquet")));
        assert_eq!(rendered("{{ env.NOPE | default('x') }}"), Ok(json!("x")));
    }

    #[test]
    fn unknown_names_are_reported() {
        assert_eq!(rendered("{{ vars.rwa }}"), Err("unknown name `vars.rwa`".into()));
        assert_eq!(rendered("a {{ var.raw }}"), Err("unknown name `var`".into()));
        assert_eq!(rendered("{{ env.NOPE }}/x"), Err("the environment variable `NOPE` is not set".into()));
    }

    #[test]
    fn an_undeclared_override_is_refused() {
        let vars = Node::parse("raw: data\n").unwrap();
        let faults = scope().define_vars(Some(&vars), &[("rwa".into(), json!("x"))]);
        assert_eq!(faults[0].help.as_deref(), Some("did you mean `raw`?"));
    }
}
