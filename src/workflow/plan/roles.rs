//! Which period data comes from, followed along the edges: nothing learns from what it is judged by.

use std::collections::BTreeSet;

use super::{PlannedStep, Source};
use crate::workflow::fault::Fault;
use crate::workflow::kind::Role;
use crate::workflow::source::Span;
use crate::workflow::spec::Spec;

/// Every edge that brings data of a period to an input that refuses it.
pub fn leaks(spec: &Spec, steps: &[PlannedStep], order: &[usize]) -> Vec<Fault> {
    let mut inherited: Vec<BTreeSet<Role>> = vec![BTreeSet::new(); steps.len()];
    let mut faults = Vec::new();
    for &position in order {
        let step = &steps[position];
        let mut roles = BTreeSet::new();
        for input in &step.inputs {
            let Source::Step { step: writer, port } = &input.source else { continue };
            let found = roles_of(&steps[*writer], port, &inherited[*writer]);
            let refused = step.kind.input(&input.port).map_or(&[][..], |port| port.refuses);
            if let Some(role) = refused.iter().rev().find(|role| found.contains(role)) {
                let written = spec.steps[position]
                    .inputs
                    .iter()
                    .find(|written| written.port.value == input.port && written.name == input.name);
                let span = written.map_or_else(Span::default, |written| written.reference.span.clone());
                let message = format!(
                    "data of the {} period reaches `{}.{}`, which must not know it",
                    role.name(),
                    step.name,
                    input.label()
                );
                let help = match role {
                    Role::Test => {
                        "it would learn what it is evaluated on: take the train, target or history output of the split"
                    }
                    _ => {
                        "the ranker would learn from its own labels: take what was made from the train output of the split"
                    }
                };
                faults.push(Fault::new(span, message).help(help));
            }
            roles.extend(found);
        }
        inherited[position] = roles;
    }
    faults
}

fn roles_of(writer: &PlannedStep, port: &str, inherited: &BTreeSet<Role>) -> BTreeSet<Role> {
    match writer.kind.output(port).and_then(|port| port.role) {
        Some(role) => BTreeSet::from([role]),
        None => inherited.clone(),
    }
}
