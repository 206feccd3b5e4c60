//! A plan as JSON: steps with kinds, parameters, inputs and outputs.

use serde_json::{Map, Value, json as object};

use crate::workflow::plan::{Plan, PlannedStep, Source};

/// The plan as JSON.
pub fn json(plan: &Plan) -> Value {
    let steps: Vec<Value> = plan.steps.iter().map(|step| about(plan, step)).collect();
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
