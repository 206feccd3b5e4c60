//! A plan as JSON: steps with kinds, parameters, inputs and outputs.

use serde_json::{Map, Value, json as object};

use super::StepState;
use crate::workflow::plan::{Plan, PlannedStep, Source};

/// The plan as JSON; with the state of each step, by position, when they are given.
pub fn json(plan: &Plan, states: Option<&[StepState]>) -> Value {
    let steps = plan.steps.iter().enumerate().map(|(position, step)| {
        let mut about = about(plan, step);
        if let Some(StepState { state, reason, seconds }) = states.and_then(|states| states.get(position)) {
            about["state"] = state.as_str().into();
            about["reason"] = reason.as_str().into();
            about["seconds"] = (*seconds).into();
        }
        about
    });
    let steps: Vec<Value> = steps.collect();
    object!({ "name": plan.name, "steps": steps })
}

fn about(plan: &Plan, step: &PlannedStep) -> Value {
    let inputs = step.inputs.iter().map(|input| {
        let source = match &input.source {
            Source::Step { step, port } => format!("{}.{port}", plan.steps[*step].name),
            Source::File(path) => path.display().to_string(),
        };
        (input.label(), Value::from(source))
    });
    let outputs =
        step.outputs.iter().map(|output| (output.port.clone(), output.path.display().to_string().into()));
    let after: Vec<&str> = step.dependencies.iter().map(|&before| plan.steps[before].name.as_str()).collect();
    object!({
        "name": step.name, "kind": step.kind.name, "parameters": as_written(step.parameters()),
        "inputs": inputs.collect::<Map<_, _>>(), "outputs": outputs.collect::<Map<_, _>>(), "after": after,
    })
}

/// Parameters with the paths of inputs and outputs as a file names them, not as fingerprints do.
fn as_written(value: Value) -> Value {
    match value {
        Value::String(text) => text.replace('\u{27e6}', "{{ ").replace('\u{27e7}', " }}").into(),
        Value::Array(values) => values.into_iter().map(as_written).collect(),
        Value::Object(map) => {
            map.into_iter().map(|(name, value)| (name, as_written(value))).collect::<Map<_, _>>().into()
        }
        other => other,
    }
}
