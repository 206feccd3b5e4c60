//! `vars:` of all files and of the command line, worked out in the order in which they use each
//! other, whatever the order in which they are written.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::Value as Dynamic;

use super::{Scope, Table, is_template};
use crate::workflow::fault::Fault;
use crate::workflow::source::Span;
use crate::workflow::yaml::{Node, Value};

/// A variable and the value that won.
#[derive(Debug, Clone)]
pub struct Variable {
    /// Where its name stands.
    pub place: Span,
    /// Its value, which may have templates that use other variables.
    pub value: Node,
}

impl Scope {
    /// This scope with the variables worked out; what is wrong with them goes to `faults`.
    pub fn with_variables(&self, variables: &BTreeMap<String, Variable>, faults: &mut Vec<Fault>) -> Self {
        let mut work =
            Work { variables, scope: self.clone(), done: BTreeMap::new(), path: Vec::new(), faults };
        for name in variables.keys() {
            work.define(name);
        }
        work.publish();
        work.scope
    }
}

struct Work<'a> {
    variables: &'a BTreeMap<String, Variable>,
    scope: Scope,
    done: BTreeMap<String, Dynamic>,
    /// The variables that are being worked out, each used by the one before it.
    path: Vec<String>,
    faults: &'a mut Vec<Fault>,
}

impl Work<'_> {
    fn define(&mut self, name: &str) {
        if self.done.contains_key(name) || self.is_broken(name) {
            return;
        }
        let Some(variable) = self.variables.get(name) else { return };
        if let Some(start) = self.path.iter().position(|busy| busy == name) {
            let path = self.path[start..].join(" → ");
            let message = format!("the variables use each other: {path} → {name}");
            self.faults.push(
                Fault::new(variable.place.clone(), message).help("give one of them a value of its own"),
            );
            self.break_off(name);
            return;
        }
        self.path.push(name.to_owned());
        let mut used = BTreeSet::new();
        uses(&self.scope, &variable.value, &mut used);
        for other in &used {
            if other == "*" {
                let others: Vec<&String> =
                    self.variables.keys().filter(|key| !self.path.contains(key)).collect();
                others.into_iter().for_each(|other| self.define(other));
            } else {
                self.define(other);
            }
        }
        self.path.pop();
        if self.is_broken(name) {
            return;
        }
        // Names without templates need no new table in between.
        if !used.is_empty() {
            self.publish();
        }
        let rendered = self.scope.render(&variable.value, self.faults);
        if rendered.is_incomplete() {
            self.break_off(name);
        } else {
            self.done.insert(name.to_owned(), Scope::value(&rendered));
        }
    }

    fn is_broken(&self, name: &str) -> bool {
        self.scope.broken.contains(&format!("vars.{name}"))
    }

    fn break_off(&mut self, name: &str) {
        self.scope = self.scope.without_faults_about(&format!("vars.{name}"));
    }

    fn publish(&mut self) {
        let mut table = Table::default();
        self.done.iter().for_each(|(name, value)| table.insert(name, value.clone()));
        self.scope = self.scope.with("vars", table);
    }
}

fn uses(scope: &Scope, node: &Node, used: &mut BTreeSet<String>) {
    match &node.value {
        Value::Text(text) if is_template(text) => used.extend(scope.variables_of(text)),
        Value::List(items) => items.iter().for_each(|item| uses(scope, item, used)),
        Value::Map(entries) => entries.iter().for_each(|entry| uses(scope, &entry.node, used)),
        _ => {}
    }
}
