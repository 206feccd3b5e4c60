//! Values of a pipeline file: variables, the environment, and templates rendered into the spec.
//!
//! Templates are rendered in scalar values after parsing, so that a value can never change the
//! structure of the file. A scalar that is one whole expression keeps the type of its value.

mod environment;
mod table;
mod template;
mod variables;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use minijinja::Value as Dynamic;
use minijinja::value::Serde;

use super::fault::Fault;
use super::yaml::{Node, Value};
use environment::Environment;
use template::Engine;

pub use environment::{EVERY_NAME, of_process as environment_of_process};
pub use table::Table;
pub use variables::Variable;

/// What templates can name: `vars`, `env`, and what is added for a place.
#[derive(Debug, Clone)]
pub struct Scope {
    engine: Arc<Engine>,
    environment: Arc<Environment>,
    names: Arc<Vec<(&'static str, Dynamic)>>,
    /// Names whose own fault has been reported, such as `vars.raw`: what uses them is not wrong itself.
    broken: Arc<BTreeSet<String>>,
}

impl Scope {
    /// The environment of the process, filled up from `.env` in the project folder when there is one.
    pub fn from_environment(root: &Path) -> Self {
        Self::new(Environment::of_process(root))
    }

    /// A scope with these environment variables alone.
    pub fn with_environment(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self::new(Environment::new(variables.into_iter().collect()))
    }

    fn new(environment: Environment) -> Self {
        let environment = Arc::new(environment);
        let env = Dynamic::from_dyn_object(Arc::clone(&environment));
        Self {
            engine: Arc::new(Engine::new()),
            environment,
            names: Arc::new(vec![("env", env), ("vars", Table::default().into())]),
            broken: Arc::default(),
        }
    }

    /// The value of an environment variable; that it was looked at is remembered.
    pub fn env(&self, name: &str) -> Option<String> {
        self.environment.read(name)
    }

    /// Every environment variable that was looked at, and what it was.
    pub fn environment_read(&self) -> BTreeMap<String, Option<String>> {
        self.environment.all_read()
    }

    /// This scope and one name more, which hides one that is there.
    pub fn with(&self, name: &'static str, value: impl Into<Dynamic>) -> Self {
        let mut names: Vec<_> = self.names.iter().filter(|(known, _)| *known != name).cloned().collect();
        names.push((name, value.into()));
        Self { names: Arc::new(names), ..self.clone() }
    }

    /// This scope when what stands behind a name is not known, because that is wrong itself.
    pub fn without_faults_about(&self, name: &str) -> Self {
        let mut broken = BTreeSet::clone(&self.broken);
        broken.insert(name.to_owned());
        Self { broken: Arc::new(broken), ..self.clone() }
    }

    /// A value of the file as templates see it.
    pub fn value(node: &Node) -> Dynamic {
        Dynamic::from(Serde(node.to_json()))
    }

    /// Every template in `node` rendered; what cannot be rendered is unknown and reported.
    pub fn render(&self, node: &Node, faults: &mut Vec<Fault>) -> Node {
        let value = match &node.value {
            Value::Text(text) if is_template(text) => match self.evaluate(text) {
                Ok(value) => return Node::from_json(&to_json(&value), &node.span),
                Err(None) => Value::Unknown,
                Err(Some(fault)) => {
                    faults.push(fault.at(&node.span));
                    Value::Unknown
                }
            },
            Value::List(items) => Value::List(items.iter().map(|item| self.render(item, faults)).collect()),
            Value::Map(entries) => Value::Map(
                entries
                    .iter()
                    .map(|entry| super::yaml::Entry {
                        key: entry.key.clone(),
                        key_span: entry.key_span.clone(),
                        node: self.render(&entry.node, faults),
                    })
                    .collect(),
            ),
            scalar => scalar.clone(),
        };
        Node::new(value, node.span.clone())
    }
}

/// Whether a text is rendered before it is used.
pub fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

fn to_json(value: &Dynamic) -> serde_json::Value {
    match value.as_str() {
        Some(text) => text.into(),
        // An object with a text of its own, such as the paths of a port that takes many, is that text.
        None if value.downcast_object_ref::<Table>().is_some_and(Table::is_joined) => {
            value.to_string().into()
        }
        None => serde_json::to_value(value).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
