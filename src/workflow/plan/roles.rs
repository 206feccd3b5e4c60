//! Which period data comes from, followed along the edges: nothing learns from the test period.

use std::collections::BTreeSet;

use super::{PlannedStep, Source};
use crate::workflow::fault::Fault;
use crate::workflow::kind::Role;
use crate::workflow::spec::Spec;

/// Every edge that brings data of the test period to an input that trains.
pub fn leaks(spec: &Spec, steps: &[PlannedStep], order: &[usize]) -> Vec<Fault> {
    let mut inherited: Vec<BTreeSet<Role>> = vec![BTreeSet::new(); steps.len()];
    let mut faults = Vec::new();
    for &position in order {
        let step = &steps[position];
        let mut roles = BTreeSet::new();
        for input in &step.inputs {
            let Source::Step { step: writer, port } = &input.source else { continue };
            let found = roles_of(&steps[*writer], port, &inherited[*writer]);
            let trains = step.kind.input(&input.port).is_some_and(|port| port.trains);
            if trains && found.contains(&Role::Test) {
                let written = spec.steps[position]
                    .inputs
                    .iter()
                    .find(|written| written.port.value == input.port && written.name == input.name);
                let span = written.map_or(0..0, |written| written.reference.span.clone());
                let message = format!(
                    "data of the test period reaches `{}.{}`, which trains: the evaluation would be worthless",
                    step.name,
                    input.label()
                );
                faults.push(Fault::new(span, message).help("take the train or target output of the split"));
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
