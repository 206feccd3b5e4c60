//! Three toy kinds, so that tests of files and plans need nothing of the registry: `make` a table,
//! `learn` a model from it, `compare` many models.

use recsys::workflow::kind::{Context, InputPort, Kind, OutputPort, ParameterFault, Role, Step, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The toys, and a command.
pub static KINDS: &[Kind] =
    &[Kind::of::<Make>(), Kind::of::<Learn>(), Kind::of::<Compare>(), Kind::of::<Shell>()];

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Plain,
    Fancy,
}

/// Parameters of `make`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Make {
    #[schemars(range(min = 1, max = 100))]
    rows: usize,
    #[schemars(range(min = 0, max = 1))]
    noise: f64,
    mode: Mode,
    columns: Vec<String>,
    limit: Option<u32>,
}

impl Default for Make {
    fn default() -> Self {
        Self { rows: 10, noise: 0.5, mode: Mode::Plain, columns: vec!["a".to_owned()], limit: None }
    }
}

/// Parameters of `learn`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Learn {
    low: u32,
    high: u32,
}

impl Default for Learn {
    fn default() -> Self {
        Self { low: 1, high: 2 }
    }
}

/// Parameters of `compare`.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Compare {}

/// Parameters of `shell`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Shell {
    command: String,
}

impl Step for Make {
    const KIND: &'static str = "make";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "Makes tables";
    const EXAMPLE: &'static str = "";
    const INPUTS: &'static [InputPort] = &[];
    const OUTPUTS: &'static [OutputPort] = &[
        OutputPort::new("table", "table", "csv", "Rows").role(Role::Train),
        OutputPort::new("truth", "table", "csv", "What to predict").role(Role::Test),
    ];

    fn run(&self, _: &Context<'_>) -> Result<(), StepError> {
        Ok(())
    }
}

impl Step for Learn {
    const KIND: &'static str = "learn";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "Learns a model";
    const EXAMPLE: &'static str = "";
    const INPUTS: &'static [InputPort] = &[
        InputPort::new("train", &["table"], "what to learn from").trains(),
        InputPort::new("start", &["model"], "where to start").optional(),
    ];
    const OUTPUTS: &'static [OutputPort] = &[OutputPort::new("model", "model", "bin", "The model")];

    fn check(&self) -> Result<(), ParameterFault> {
        if self.low <= self.high {
            return Ok(());
        }
        let message = format!("`low` must not be above `high`, found {} > {}", self.low, self.high);
        Err(ParameterFault { parameter: "low", message })
    }

    fn run(&self, _: &Context<'_>) -> Result<(), StepError> {
        Ok(())
    }
}

impl Step for Compare {
    const KIND: &'static str = "compare";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "Compares models";
    const EXAMPLE: &'static str = "";
    const INPUTS: &'static [InputPort] = &[
        InputPort::new("models", &["model"], "what to compare").many(),
        InputPort::new("truth", &["table"], "what happened"),
    ];
    const OUTPUTS: &'static [OutputPort] = &[OutputPort::new("report", "report", "json", "Numbers")];

    fn run(&self, _: &Context<'_>) -> Result<(), StepError> {
        Ok(())
    }
}

impl Step for Shell {
    const KIND: &'static str = "shell";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "Runs a command";
    const EXAMPLE: &'static str = "";
    const INPUTS: &'static [InputPort] = &[];
    const OUTPUTS: &'static [OutputPort] = &[];
    const OPEN_PORTS: bool = true;

    fn run(&self, _: &Context<'_>) -> Result<(), StepError> {
        Ok(())
    }
}
