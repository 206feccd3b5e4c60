//! `recsys why`: one step explained, back to the edit that caused it.

use std::path::Path;

use clap::Args;
use serde_json::{Value, json};

use super::format::Format;
use super::project::PipelineArgs;
use super::workspace::Workspace;
use super::{CommandError, forecasts};
use crate::console::{self, seconds};
use crate::workflow::decide::Force;
use crate::workflow::event::Event;
use crate::workflow::forecast::{Forecast, Link, explain};
use crate::workflow::history::read::{self, Recorded, RecordedRun};

/// Explain one step: why it would run or not, and why it last ran, each back to the edit that caused it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  recsys why rank
  recsys why rank pipelines/demo.yaml
  recsys why rank --set als.factors=128 --format json")]
pub struct WhyArgs {
    /// The step
    #[arg(value_name = "STEP")]
    step: String,

    #[command(flatten)]
    pipeline: PipelineArgs,

    /// How to say it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// When a step last ran, and why.
struct LastRun {
    run: String,
    finished: Option<(String, f64)>,
    links: Vec<Link>,
}

/// Prints the explanation.
///
/// # Errors
/// When the pipeline is wrong, has no such step, or an input cannot be read.
pub fn why(args: &WhyArgs, root: &Path) -> Result<(), CommandError> {
    let workspace = args.pipeline.open(root)?;
    let positions = workspace.plan.positions(&args.step).map_err(CommandError::usage)?;
    let mut selected = workspace.everything();
    selected.extend(positions.iter().copied());
    workspace.check_files(&selected)?;
    let forecasts = workspace.forecast(&selected, &Force::Nothing)?;
    let force = Force::Nothing;
    let mut text = String::new();
    let mut values = Vec::new();
    for position in positions {
        let links = explain(&workspace.ground(&force), &forecasts, position);
        let last = last_run(&workspace, position);
        match args.format {
            Format::Text => text.push_str(&told(&workspace, position, &links, last.as_ref())),
            Format::Json => values.push(json!({
                "step": workspace.plan.steps[position].name,
                "present": with_texts(&links),
                "last_run": last.map(|last| json!({
                    "run": last.run,
                    "finished": last.finished.as_ref().map(|(time, _)| time),
                    "seconds": last.finished.as_ref().map(|(_, seconds)| seconds),
                    "because": with_texts(&last.links),
                })),
            })),
        }
    }
    console::say(&match args.format {
        Format::Text => text,
        Format::Json => format!("{:#}\n", Value::Array(values)),
    });
    Ok(())
}

fn told(workspace: &Workspace, position: usize, links: &[Link], last: Option<&LastRun>) -> String {
    let step = &workspace.plan.steps[position];
    let word = match links.first().map(|link| &link.forecast) {
        Some(Forecast::Run { .. }) => "would run",
        Some(Forecast::Hit { .. }) => "would not run",
        _ => "may run",
    };
    let mut text = format!("`{}` {word}:\n{}", step.name, chain(links));
    if let Some(Link { forecast: Forecast::Hit { .. }, .. }) = links.first() {
        let inputs: Vec<String> = step.inputs.iter().map(|input| format!("`{}`", input.label())).collect();
        let inputs = if inputs.is_empty() { "no inputs".to_owned() } else { inputs.join(", ") };
        text.push_str(&format!("  compared: its kind, parameters, environment and {inputs}\n"));
        let released = workspace.release().state.steps.remove(&step.name);
        if let Some(result) = released.and_then(|released| workspace.store.recorded(&released.key)) {
            text.push_str(&format!("  made at {}\n", result.finished));
            for warning in result.notes.warnings {
                text.push_str(&format!("  warning: {warning}\n"));
            }
        }
    }
    match last {
        Some(LastRun { run, finished, links }) => {
            let when = match finished {
                Some((time, took)) => {
                    let took = seconds(std::time::Duration::try_from_secs_f64(*took).unwrap_or_default());
                    format!("it was done at {time} and took {took}")
                }
                None => "it did not end well".to_owned(),
            };
            text.push_str(&format!("last started in run {run}; {when}:\n{}", chain(links)));
        }
        None => text.push_str("no recorded run has started it\n"),
    }
    text
}

/// A line a step, each after what it caused.
fn chain(links: &[Link]) -> String {
    let width = links.iter().map(|link| link.step.len()).max().unwrap_or(0);
    let lines = links.iter().enumerate().map(|(n, link)| {
        let arrow = if n == 0 { " " } else { "←" };
        let word = forecasts::word(&link.forecast);
        format!("  {arrow} {:width$}  {word:5}  {}\n", link.step, forecasts::reason(&link.forecast))
    });
    lines.collect()
}

fn with_texts(links: &[Link]) -> Vec<Value> {
    let value = |link: &Link| {
        let mut value = serde_json::to_value(link).unwrap_or_default();
        value["text"] = forecasts::reason(&link.forecast).into();
        value
    };
    links.iter().map(value).collect()
}

/// The newest recorded run that started the step, with the reasons of that time.
fn last_run(workspace: &Workspace, position: usize) -> Option<LastRun> {
    let name = &workspace.plan.steps[position].name;
    let started = |event: &Event| matches!(event, Event::StepStarted { step, .. } if step == name);
    let of_this_pipeline = |event: &Event| matches!(event, Event::RunStarted { pipeline, .. } if *pipeline == workspace.plan.name);
    let (run, events): (RecordedRun, Vec<Recorded>) = read::runs(&workspace.store.runs())
        .into_iter()
        .map(|run| {
            let events = run.events();
            (run, events)
        })
        .find(|(_, events)| {
            events.iter().any(|line| started(&line.event))
                && events.iter().any(|line| of_this_pipeline(&line.event))
        })?;
    let mut finished = None;
    let mut then: Vec<Option<Forecast>> = vec![None; workspace.plan.steps.len()];
    for Recorded { time, event } in events {
        let (step, forecast) = match event {
            Event::StepStarted { step, reason, attempt: 1 } => (step, Forecast::Run { reason }),
            Event::StepReused { step, reason, .. } => (step, Forecast::Hit { reason, restores: false }),
            Event::StepFinished { step, elapsed, .. } if step == *name => {
                finished = Some((time.format("%Y-%m-%d %H:%M:%S UTC").to_string(), elapsed.as_secs_f64()));
                continue;
            }
            _ => continue,
        };
        if let Ok(position) = workspace.plan.position(&step) {
            then[position] = Some(forecast);
        }
    }
    let force = Force::Nothing;
    let links = explain(&workspace.ground(&force), &then, position);
    Some(LastRun { run: run.id, finished, links })
}
