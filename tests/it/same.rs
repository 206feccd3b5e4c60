//! Files that differ only in how they are written mean the same: the order of keys, comments, quotes,
//! flow and block style, defaults written out, variables instead of values. And a parameter that
//! differs is a difference.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use recsys::workflow::plan::{Plan, Source};
use recsys::workflow::spec::{Overrides, Spec};
use recsys::workflow::values::Scope;
use serde_json::{Value, json};

use crate::toy::KINDS;

/// What a pipeline is about: tables with rows and columns, models made of them, commands.
#[derive(Debug, Clone, PartialEq)]
struct Model {
    makes: Vec<(u32, Vec<String>, bool)>,
    learns: Vec<(usize, u32)>,
    commands: Vec<(usize, String)>,
}

fn model() -> impl Strategy<Value = Model> {
    let word = "[a-z]{1,6}";
    (
        prop::collection::vec((1..100_u32, prop::collection::vec(word, 0..4), any::<bool>()), 1..4),
        prop::collection::vec((0..10_usize, 0..9_u32), 0..4),
        prop::collection::vec((0..10_usize, "[a-z]{1,6}( [a-z]{1,6}){0,3}"), 0..4),
    )
        .prop_map(|(makes, learns, commands)| Model { makes, learns, commands })
}

/// Choices of how to write, one after the other, again from the start when they are used up.
struct Style {
    choices: Vec<u8>,
    next: usize,
    /// Everything as plain as it can be.
    plain: bool,
}

impl Style {
    fn choose(&mut self, of: usize) -> usize {
        if self.plain {
            return 0;
        }
        self.next += 1;
        usize::from(self.choices[self.next % self.choices.len()]) % of
    }

    fn scalar(&mut self, text: &str) -> String {
        match self.choose(3) {
            0 => text.to_owned(),
            1 => format!("'{text}'"),
            _ => format!("\"{text}\""),
        }
    }

    /// A map whose values are written already, in any order, in braces or on lines.
    fn map(&mut self, mut entries: Vec<(String, String)>, depth: usize) -> String {
        for last in (1..entries.len()).rev() {
            let other = last - self.choose(last + 1);
            entries.swap(last, other);
        }
        let flow = self.choose(2) == 1 || entries.is_empty();
        if flow && entries.iter().all(|(_, value)| !value.contains('\n')) {
            let entries: Vec<String> = entries.iter().map(|(key, value)| format!("{key}: {value}")).collect();
            return format!("{{ {} }}", entries.join(", "));
        }
        let indent = "  ".repeat(depth);
        let mut text = String::new();
        for (key, value) in entries {
            let comment = ["", " # a: comment", "\n# - [another"][self.choose(3)];
            let comment = if value.contains('\n') { "" } else { comment };
            text.push_str(&format!("\n{indent}{key}: {value}{comment}"));
        }
        text
    }
}

fn write(model: &Model, style: &mut Style) -> String {
    let mut steps = Vec::new();
    let entry = |key: &str, value: String| (key.to_owned(), value);
    for (n, (rows, columns, fancy)) in model.makes.iter().enumerate() {
        let columns: Vec<String> = columns.iter().map(|column| style.scalar(column)).collect();
        let mut with = vec![
            entry(
                "rows",
                if style.choose(2) == 1 { format!("'{{{{ vars.rows{n} }}}}'") } else { rows.to_string() },
            ),
            entry("columns", format!("[{}]", columns.join(", "))),
        ];
        if *fancy || style.choose(2) == 1 {
            with.push(entry("mode", style.scalar(if *fancy { "fancy" } else { "plain" })));
        }
        if style.choose(2) == 1 {
            with.extend([entry("noise", "0.5".to_owned()), entry("limit", "null".to_owned())]);
        }
        let with = style.map(with, 3);
        let step = vec![entry("uses", style.scalar("make")), entry("with", with)];
        steps.push(entry(&format!("make{n}"), style.map(step, 2)));
    }
    for (n, (from, high)) in model.learns.iter().enumerate() {
        let from = from % model.makes.len();
        let inputs = vec![entry("train", style.scalar(&format!("make{from}.table")))];
        let mut with = vec![entry("high", (high + 1).to_string())];
        if style.choose(2) == 1 {
            with.push(entry("low", "1".to_owned()));
        }
        let (inputs, with) = (style.map(inputs, 3), style.map(with, 3));
        let step = vec![entry("uses", "learn".to_owned()), entry("inputs", inputs), entry("with", with)];
        steps.push(entry(&format!("learn{n}"), style.map(step, 2)));
    }
    for (n, (from, command)) in model.commands.iter().enumerate() {
        let from = from % model.makes.len();
        let input = if style.choose(2) == 1 {
            format!("artifacts/make{from}/table.csv")
        } else {
            format!("make{from}.table")
        };
        let input = style.scalar(&input);
        let inputs = style.map(vec![entry("data", input)], 3);
        let outputs = style.map(vec![entry("out", format!("artifacts/{n}.txt"))], 3);
        let command = format!("{command} {{{{ inputs.data }}}}");
        let run = match style.choose(3) {
            0 => format!("\"{command}\""),
            1 => format!("|\n      {command}"),
            _ => format!(">\n      {}", command.replacen(' ', "\n      ", 1)),
        };
        let step = vec![entry("inputs", inputs), entry("outputs", outputs), entry("run", run)];
        steps.push(entry(&format!("shell{n}"), style.map(step, 2)));
    }
    let vars =
        model.makes.iter().enumerate().map(|(n, (rows, ..))| entry(&format!("rows{n}"), rows.to_string()));
    let vars = style.map(vars.collect(), 1);
    let steps = style.map(steps, 1);
    style.map(vec![entry("name", "p".to_owned()), entry("vars", vars), entry("steps", steps)], 0)
}

/// What the result of every step depends on, by the name of the step.
fn meaning(yaml: &str) -> BTreeMap<String, Value> {
    let scope = Scope::with_environment([]);
    let spec = Spec::parse(Path::new("p.yaml"), yaml, scope, &Overrides::default());
    let spec = spec.unwrap_or_else(|error| panic!("{error:?}\n{yaml}"));
    let plan =
        Plan::new(&spec, KINDS, Path::new("/nowhere")).unwrap_or_else(|error| panic!("{error:?}\n{yaml}"));
    let steps = plan.steps.iter().map(|step| {
        let inputs: Vec<Value> = step
            .inputs
            .iter()
            .map(|input| match &input.source {
                Source::Step { step, port } => json!([input.label(), plan.steps[*step].name, port]),
                Source::File(path) => json!([input.label(), path]),
            })
            .collect();
        let outputs: Vec<&str> = step.outputs.iter().map(|output| output.port.as_str()).collect();
        let value = json!([step.definition, step.kind.name, step.parameters(), inputs, outputs]);
        (step.name.clone(), value)
    });
    steps.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn how_a_file_is_written_changes_nothing(model in model(), choices in prop::collection::vec(any::<u8>(), 1..60)) {
        let plain = write(&model, &mut Style { choices: vec![0], next: 0, plain: true });
        let styled = write(&model, &mut Style { choices, next: 0, plain: false });
        prop_assert_eq!(meaning(&plain), meaning(&styled), "{}\n---\n{}", plain, styled);
    }

    #[test]
    fn what_a_file_says_changes_something(one in model(), other in model()) {
        let write = |model| write(model, &mut Style { choices: vec![0], next: 0, plain: true });
        let reduced = |model: &Model| {
            let mut model = model.clone();
            let makes = model.makes.len();
            model.learns.iter_mut().for_each(|(from, _)| *from %= makes);
            model.commands.iter_mut().for_each(|(from, _)| *from %= makes);
            model
        };
        prop_assert_eq!(reduced(&one) == reduced(&other), meaning(&write(&one)) == meaning(&write(&other)));
    }
}
