//! Which period data comes from, followed along the edges: nothing learns from what it is judged by.

use std::collections::BTreeSet;

use super::{PlannedStep, Source};
use crate::workflow::fault::Fault;
use crate::workflow::kind::Role;
use crate::workflow::source::Span;
use crate::workflow::spec::Spec;

/// The periods whose data reaches each step; `order` has every step after those that it reads from.
pub fn reaching(steps: &[PlannedStep], order: impl IntoIterator<Item = usize>) -> Vec<BTreeSet<Role>> {
    let mut inherited: Vec<BTreeSet<Role>> = vec![BTreeSet::new(); steps.len()];
    for position in order {
        let mut roles = BTreeSet::new();
        for input in &steps[position].inputs {
            let Source::Step { step: writer, port } = &input.source else { continue };
            roles.extend(roles_of(&steps[*writer], port, &inherited[*writer]));
        }
        inherited[position] = roles;
    }
    inherited
}

/// Every edge that brings data of a period to an input that refuses it.
pub fn leaks(spec: &Spec, steps: &[PlannedStep], order: &[usize]) -> Vec<Fault> {
    let inherited = reaching(steps, order.iter().copied());
    let mut faults = Vec::new();
    for &position in order {
        let step = &steps[position];
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
        }
    }
    faults
}

fn roles_of(writer: &PlannedStep, port: &str, inherited: &BTreeSet<Role>) -> BTreeSet<Role> {
    match writer.kind.output(port).and_then(|port| port.role) {
        Some(role) => BTreeSet::from([role]),
        None => inherited.clone(),
    }
}
