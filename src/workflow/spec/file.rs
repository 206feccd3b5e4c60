//! What a pipeline file may say: the keys, their types and their meaning, from which the checks and
//! the JSON Schema for editors are both derived.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// A pipeline: steps with inputs, outputs and parameters.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PipelineFile {
    /// Name of the pipeline: 1 to 64 letters, digits, `_`, `-` and `.`; the name of the file when left out.
    #[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"))]
    name: Option<String>,
    /// Other pipeline files whose steps and variables belong to this one; paths are relative to this file. Variables
    /// of this file win over theirs.
    #[schemars(example = ["common.yaml"])]
    include: Option<Vec<String>>,
    /// Values for templates: `{{ vars.raw }}`; `--var raw=DIR` changes them. They may use each other.
    vars: Option<BTreeMap<String, Json>>,
    /// Where runs are logged. No part of any fingerprint.
    tracking: Option<Json>,
    /// Steps by name.
    #[schemars(example = serde_json::json!({ "hello": { "run": "echo hello" } }))]
    steps: Option<BTreeMap<String, StepFile>>,
}

/// One step of a pipeline.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "run": "echo hello" }))]
pub struct StepFile {
    /// The kind; `recsys kinds` lists them. With `run:` it is `shell`.
    #[schemars(example = &"als")]
    uses: Option<String>,
    /// Inputs by port: `step.port` or a path; a map of those for a port that takes many.
    inputs: Option<BTreeMap<String, Json>>,
    /// Paths of outputs; the default is `artifacts/<step>/<port>.<extension>`.
    outputs: Option<BTreeMap<String, String>>,
    /// Parameters of the kind.
    with: Option<BTreeMap<String, Json>>,
    /// Command of a `shell` step.
    #[schemars(example = "wc -l < {{ inputs.events }} > {{ outputs.lines }}")]
    run: Option<String>,
    /// Steps that must be done before this one, without data from them.
    #[schemars(example = ["prepare"])]
    needs: Option<Vec<String>>,
    /// Names of environment variables that the step may see; their values enter the fingerprint.
    #[schemars(example = ["AWS_REGION"])]
    env: Option<Vec<String>>,
    /// Commands whose output enters the fingerprint, such as the versions of tools.
    #[schemars(example = ["python3 --version"])]
    fingerprint: Option<Vec<String>>,
    /// What the step occupies while it runs.
    resources: Option<Resources>,
    /// The step is stopped after this time: `500ms`, `90s`, `15m`, `2h`, `1d`.
    #[schemars(example = "90s")]
    #[schemars(regex(pattern = r"^ *[0-9.]+ *(ms|s|m|h|d)$"))]
    timeout: Option<String>,
    /// How often a failed step is tried again, and how long to wait before: `2`, or `{ times: 2, wait: 5s }`.
    #[schemars(example = 2)]
    retries: Option<RetriesFile>,
    /// Whether the step takes part: true, false, or a template that gives one of them.
    when: Option<When>,
    /// One step for each of these values, which templates call `{{ item }}`; its name is `<step>-<value>`.
    #[schemars(example = [32, 64])]
    foreach: Option<Vec<Json>>,
    /// One step for each combination of these values, which templates call `{{ matrix.name }}`.
    matrix: Option<BTreeMap<String, Vec<Json>>>,
}

/// What a step occupies while it runs.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// Threads; other steps start only while enough of them are free.
    #[schemars(range(min = 1, max = 1024))]
    threads: Option<usize>,
    /// Memory: `4GiB`, `512MiB`, `1.5GB`; other steps start only while enough of it is free.
    #[schemars(example = "4GiB")]
    #[schemars(regex(pattern = r"^ *[0-9.]+ *([KMGT]iB|[kMGT]?B)$"))]
    memory: Option<String>,
}

/// How often a failed step is tried again.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RetriesFile {
    /// This many times, after 1 s, 2 s, 4 s and so on.
    Times(#[schemars(range(max = 100))] u32),
    /// With other times in between.
    Plan(RetryPlan),
}

/// How often a failed step is tried again, and when.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryPlan {
    /// How often.
    #[schemars(range(max = 100))]
    times: u32,
    /// Time before the first retry: `500ms`, `5s`; 1 s when left out.
    #[schemars(example = "5s")]
    #[schemars(regex(pattern = r"^ *[0-9.]+ *(ms|s|m|h|d)$"))]
    wait: Option<String>,
    /// Each wait is this many times the one before, up to 5 minutes; 2 when left out.
    #[schemars(range(min = 1, max = 100))]
    factor: Option<f64>,
}

/// Whether a step takes part.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum When {
    /// Always or never.
    Known(bool),
    /// A template that gives true or false.
    Template(#[schemars(regex(pattern = r"\{\{|\{%"))] String),
}

/// The schema of a pipeline file, computed once for a file.
pub struct Shape(Json);

/// The schema of a pipeline file.
pub fn shape() -> Shape {
    Shape(schemars::schema_for!(PipelineFile).to_value())
}

impl Shape {
    /// The whole schema.
    pub fn whole(&self) -> &Json {
        &self.0
    }

    /// The schema of a key of a step.
    pub fn of_step(&self, key: &str) -> Option<&Json> {
        self.0.pointer("/$defs/StepFile/properties")?.get(key)
    }
}
