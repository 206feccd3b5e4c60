//! Which steps there are: those of all files, one for each value of `foreach:` and each combination
//! of `matrix:`, without those whose `when:` is false.

use std::collections::HashMap;

use minijinja::Value as Dynamic;

use super::load::Loaded;
use super::{MOST_STEPS, OffStep, text};
use crate::workflow::fault::Fault;
use crate::workflow::source::{Sources, Span};
use crate::workflow::values::{Scope, Table};
use crate::workflow::yaml::{Entry, Node, Value, short};

/// Characters of a value that enter the name of an instance.
const LONGEST_SLUG: usize = 48;

/// The steps before their values are rendered.
pub struct Drafts<'a> {
    /// Those that take part.
    pub on: Vec<Draft<'a>>,
    /// Those that do not.
    pub off: Vec<OffStep>,
    /// The names in the files.
    written: Vec<&'a str>,
}

/// One step before its values are rendered.
pub struct Draft<'a> {
    /// Its name.
    pub name: String,
    /// The name in the file, when several steps come from it.
    pub group: Option<&'a str>,
    /// What the file says.
    pub entry: &'a Entry,
    /// What its templates can name.
    pub scope: Scope,
    /// Something about it is wrong and has been reported.
    pub incomplete: bool,
}

impl Drafts<'_> {
    /// Whether the files have this step, or `foreach:` or `matrix:` makes it.
    pub fn has(&self, name: &str) -> bool {
        self.written.contains(&name)
            || self.on.iter().any(|draft| draft.name == name)
            || self.off.iter().any(|step| step.name == name)
    }

    /// The names in the files.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.written.iter().copied()
    }
}

/// Every step of every file, expanded.
pub fn expand<'a>(
    files: &'a [Loaded],
    scope: &Scope,
    sources: &Sources,
    faults: &mut Vec<Fault>,
) -> Drafts<'a> {
    let mut work = Work {
        scope,
        sources,
        faults,
        drafts: Drafts { on: Vec::new(), off: Vec::new(), written: Vec::new() },
        places: HashMap::new(),
    };
    let mut known = true;
    for file in files {
        let Some(steps) = file.root.given("steps") else {
            known &= !file.root.is_incomplete();
            continue;
        };
        match &steps.value {
            Value::Map(entries) => entries.iter().for_each(|entry| work.take(entry)),
            Value::Unknown => known = false,
            Value::Null => {}
            _ => {
                let message = format!("`steps` must be a map, found {}", steps.found());
                work.faults
                    .push(Fault::new(steps.span.clone(), message).help("write the steps out, by name"));
                known = false;
            }
        }
    }
    if work.drafts.written.is_empty() && known {
        let main = files.last().map(|main| &main.root);
        let span = main
            .and_then(|root| root.given("steps"))
            .or(main)
            .map_or_else(Span::default, |node| node.span.clone());
        work.faults.push(
            Fault::new(span, "a pipeline needs at least one step")
                .help("`recsys kinds` lists what a step can use"),
        );
    }
    let count = work.drafts.on.len();
    if count > MOST_STEPS {
        let span = work.drafts.on[MOST_STEPS].entry.key_span.clone();
        let message = format!("a pipeline has at most {MOST_STEPS} steps, this one has {count}");
        work.faults.push(Fault::new(span, message).help("divide it into several pipelines"));
        // Whatever else is wrong with so many is not what has to be said first.
        work.drafts.on.clear();
    }
    work.drafts
}

struct Work<'a, 'b> {
    scope: &'b Scope,
    sources: &'b Sources,
    faults: &'b mut Vec<Fault>,
    drafts: Drafts<'a>,
    places: HashMap<String, Span>,
}

impl<'a> Work<'a, '_> {
    fn take(&mut self, entry: &'a Entry) {
        let before = self.faults.len();
        if !is_name(&entry.key) {
            let message = format!("`{}` is no name for a step", short(&entry.key));
            self.faults.push(
                Fault::new(entry.key_span.clone(), message)
                    .help("use letters, digits, `_` and `-`, 100 at most"),
            );
        }
        self.drafts.written.push(&entry.key);
        self.claim(&entry.key, &entry.key_span);
        if let Value::Text(_) | Value::Null = entry.node.value {
            let message = format!("a step must be a map, found {}", entry.node.found());
            self.faults
                .push(Fault::new(entry.node.span.clone(), message).help("for example `{ run: echo hello }`"));
        }
        let instances = match (entry.node.given("foreach"), entry.node.given("matrix")) {
            (Some(foreach), Some(_)) => {
                self.faults.push(
                    Fault::new(foreach.span.clone(), "a step has either `foreach` or `matrix`, not both")
                        .help("write the values of `foreach` as one more line of `matrix`"),
                );
                None
            }
            (Some(values), None) => self.foreach(&entry.key, values),
            (None, Some(values)) => self.matrix(&entry.key, values),
            (None, None) => {
                let incomplete = self.faults.len() > before;
                self.add(entry, entry.key.clone(), None, self.scope.clone(), incomplete);
                return;
            }
        };
        match instances {
            None => self.add(entry, entry.key.clone(), None, self.scope.clone(), true),
            Some(instances) if instances.is_empty() => {
                let key = if entry.node.given("foreach").is_some() { "foreach" } else { "matrix" };
                let outputs = super::step::written_outputs(entry, self.scope);
                let reason = format!("its `{key}:` is empty");
                self.drafts.off.push(OffStep { name: entry.key.clone(), group: None, reason, outputs });
            }
            Some(instances) => {
                for Instance { suffix, place, scope } in instances {
                    let name = format!("{}-{suffix}", entry.key);
                    self.claim(&name, &place);
                    self.add(entry, name, Some(&entry.key), scope, self.faults.len() > before);
                }
            }
        }
    }

    /// Notes where a name is used; twice is a mistake.
    fn claim(&mut self, name: &str, place: &Span) {
        if let Some(first) = self.places.get(name) {
            let message =
                format!("the name `{name}` is used twice: here and at {}", self.sources.describe(first));
            let help = "rename one of the steps; in a `foreach:` or `matrix:`, values that differ in more than signs make names that differ";
            self.faults.push(Fault::new(place.clone(), message).help(help));
        } else {
            self.places.insert(name.to_owned(), place.clone());
        }
    }

    fn add(
        &mut self,
        entry: &'a Entry,
        name: String,
        group: Option<&'a str>,
        scope: Scope,
        incomplete: bool,
    ) {
        let before = self.faults.len();
        let on = entry.node.given("when").is_none_or(|when| self.is_on(when, &scope));
        if on {
            let incomplete = incomplete || self.faults.len() > before;
            self.drafts.on.push(Draft { name, group, entry, scope, incomplete });
        } else {
            let outputs = super::step::written_outputs(entry, &scope);
            let (group, reason) = (group.map(str::to_owned), "its `when:` is false".to_owned());
            self.drafts.off.push(OffStep { name, group, reason, outputs });
        }
    }

    /// What is no answer is reported, and the step counts as on.
    fn is_on(&mut self, when: &Node, scope: &Scope) -> bool {
        let rendered = scope.render(when, self.faults);
        match &rendered.value {
            Value::Bool(on) => *on,
            Value::Unknown => true,
            _ => {
                let written = match &when.value {
                    Value::Text(text) => text.trim().trim_start_matches("{{").trim_end_matches("}}").trim(),
                    _ => "",
                };
                let help = match written.strip_prefix("env.") {
                    _ if matches!(&when.value, Value::Text(text) if ["yes", "no", "on", "off"].contains(&text.as_str())) => {
                        "write `when: true` or `when: false`".to_owned()
                    }
                    Some(name) if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') => {
                        format!("write `when: \"{{{{ env.{name} | default('') != '' }}}}\"`")
                    }
                    _ => {
                        "write a comparison, for example `when: \"{{ env.S3_BUCKET | default('') != '' }}\"`"
                            .to_owned()
                    }
                };
                let message = format!("`when` must be true or false, found {}", rendered.found());
                self.faults.push(Fault::new(when.span.clone(), message).help(help));
                true
            }
        }
    }

    fn foreach(&mut self, name: &str, values: &Node) -> Option<Vec<Instance>> {
        let items = self.list("foreach", values)?;
        self.room_for(name, values, items.len())?;
        let instances = items.iter().map(|item| {
            let scope = self.scope.with("item", Scope::value(item));
            Instance { suffix: slug(item), place: item.span.clone(), scope }
        });
        Some(instances.collect())
    }

    fn matrix(&mut self, name: &str, values: &Node) -> Option<Vec<Instance>> {
        let mut axes: Vec<(&str, Vec<Node>)> = Vec::new();
        if !matches!(values.value, Value::Map(_)) {
            return self.refuse("matrix", "a map of names to lists", values);
        }
        for entry in values.entries() {
            axes.push((&entry.key, self.list(&entry.key, &entry.node)?));
        }
        let count = axes.iter().try_fold(1_usize, |count, (_, items)| count.checked_mul(items.len()));
        let count = if axes.is_empty() { 0 } else { count.unwrap_or(usize::MAX) };
        self.room_for(name, values, count)?;
        let mut instances = Vec::with_capacity(count);
        for number in 0..count {
            // The last axis changes fastest, like nested loops in the order of the file.
            let mut rest = number;
            let mut chosen: Vec<(&str, &Node)> = Vec::new();
            for (axis, items) in axes.iter().rev() {
                chosen.push((axis, &items[rest % items.len()]));
                rest /= items.len();
            }
            chosen.reverse();
            let mut table = Table::default();
            chosen.iter().for_each(|(axis, item)| table.insert(*axis, Scope::value(item)));
            let suffix: Vec<String> = chosen.iter().map(|(_, item)| slug(item)).collect();
            let place = chosen.last().map_or_else(|| values.span.clone(), |(_, item)| item.span.clone());
            let scope = self.scope.with("matrix", Dynamic::from(table));
            instances.push(Instance { suffix: suffix.join("-"), place, scope });
        }
        Some(instances)
    }

    fn list(&mut self, key: &str, values: &Node) -> Option<Vec<Node>> {
        let rendered = self.scope.render(values, self.faults);
        match rendered.value {
            _ if rendered.is_incomplete() => None,
            Value::List(items) => Some(items),
            _ => self.refuse(key, "a list, or a template that gives one", &rendered),
        }
    }

    fn refuse<T>(&mut self, key: &str, expected: &str, found: &Node) -> Option<T> {
        if found.value != Value::Unknown {
            let message = format!("`{key}` must be {expected}, found {}", found.found());
            let help = "for example `foreach: [32, 64]` or `matrix: { factors: [32, 64], seed: [1, 2] }`";
            self.faults.push(Fault::new(found.span.clone(), message).help(help));
        }
        None
    }

    fn room_for(&mut self, name: &str, values: &Node, count: usize) -> Option<()> {
        let before = self.drafts.on.len();
        if count <= MOST_STEPS.saturating_sub(before) {
            return Some(());
        }
        let steps =
            if count == usize::MAX { "more than can be counted".to_owned() } else { count.to_string() };
        let message = format!("`{name}` expands to {steps} steps, and a pipeline has at most {MOST_STEPS}");
        let help = format!("shorten the lists; there are {before} steps before this one");
        self.faults.push(Fault::new(values.span.clone(), message).help(help));
        None
    }
}

/// One of the steps that `foreach:` or `matrix:` makes.
struct Instance {
    suffix: String,
    place: Span,
    scope: Scope,
}

/// A value as a part of a name: a map by its `name`, everything else by its text.
fn slug(node: &Node) -> String {
    let said = match &node.value {
        Value::List(items) => items.iter().map(slug).collect::<Vec<_>>().join("-"),
        Value::Map(entries) => match node.given("name") {
            Some(name) => text(name),
            None => entries.iter().map(|entry| slug(&entry.node)).collect::<Vec<_>>().join("-"),
        },
        _ => text(node),
    };
    let plain = said.chars().map(|c| if is_name_character(c) { c } else { '_' });
    let plain: String = plain.take(LONGEST_SLUG).collect();
    if plain.is_empty() { "_".to_owned() } else { plain }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= 100 && !text.starts_with('-') && text.chars().all(is_name_character)
}

fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}
