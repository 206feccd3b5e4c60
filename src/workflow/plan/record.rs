//! A plan as it is kept between runs, so that a large pipeline is read and checked once: what a plan
//! holds, without the code behind the kinds and without the values of environment variables.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Plan, PlannedInput, PlannedOutput, PlannedStep, graph_of};
use crate::workflow::digest::Digest;
use crate::workflow::kind::Kind;
use crate::workflow::spec::Retries;

/// What is kept of a plan.
#[derive(Serialize, Deserialize)]
pub struct PlanRecord {
    name: String,
    path: PathBuf,
    tracking: Option<String>,
    steps: Vec<StepRecord>,
}

#[derive(Serialize, Deserialize)]
struct StepRecord {
    name: String,
    group: Option<String>,
    kind: String,
    kind_version: u32,
    parameters: String,
    definition: Digest,
    inputs: Vec<PlannedInput>,
    outputs: Vec<PlannedOutput>,
    dependencies: Vec<usize>,
    environment: Vec<String>,
    probes: Vec<String>,
    threads: Option<usize>,
    memory: Option<u64>,
    timeout: Option<Duration>,
    retries: Retries,
}

impl PlanRecord {
    /// What is to be kept of a plan.
    pub fn of(plan: &Plan) -> Self {
        let steps = plan.steps.iter().map(|step| StepRecord {
            name: step.name.clone(),
            group: step.group.clone(),
            kind: step.kind.name.to_owned(),
            kind_version: step.kind.version,
            parameters: step.parameters.clone(),
            definition: step.definition,
            inputs: step.inputs.clone(),
            outputs: step.outputs.clone(),
            dependencies: step.dependencies.clone(),
            environment: step.environment.keys().cloned().collect(),
            probes: step.probes.clone(),
            threads: step.threads,
            memory: step.memory,
            timeout: step.timeout,
            retries: step.retries,
        });
        Self {
            name: plan.name.clone(),
            path: plan.path.clone(),
            tracking: plan.tracking.clone(),
            steps: steps.collect(),
        }
    }

    /// The plan, when its kinds and environment variables are still there.
    pub fn restore(
        self,
        kinds: &'static [Kind],
        environment: impl Fn(&str) -> Option<String>,
    ) -> Option<Plan> {
        let kinds: HashMap<&str, &'static Kind> = kinds.iter().map(|kind| (kind.name, kind)).collect();
        let steps = self.steps.into_iter().map(|step| {
            let kind = kinds.get(step.kind.as_str()).filter(|kind| kind.version == step.kind_version)?;
            let values = step.environment.into_iter().map(|name| {
                let value = environment(&name)?;
                Some((name, value))
            });
            Some(PlannedStep {
                name: step.name,
                group: step.group,
                kind,
                parameters: step.parameters,
                definition: step.definition,
                inputs: step.inputs,
                outputs: step.outputs,
                dependencies: step.dependencies,
                environment: values.collect::<Option<BTreeMap<_, _>>>()?,
                probes: step.probes,
                threads: step.threads,
                memory: step.memory,
                timeout: step.timeout,
                retries: step.retries,
            })
        });
        let steps = steps.collect::<Option<Vec<_>>>()?;
        let graph = graph_of(&steps);
        Some(Plan { name: self.name, path: self.path, tracking: self.tracking, steps, graph })
    }
}
