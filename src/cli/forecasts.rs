//! Forecasts in words and as JSON, the same for `status`, `why` and `run --dry-run`.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::workflow::event::Reused;
use crate::workflow::forecast::Forecast;
use crate::workflow::plan::Plan;

/// One line a step: what would happen, and why.
pub fn text(plan: &Plan, forecasts: &[Option<Forecast>]) -> String {
    let told =
        || plan.steps.iter().zip(forecasts).filter_map(|(step, forecast)| Some((step, forecast.as_ref()?)));
    let width = told().map(|(step, _)| step.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (step, forecast) in told() {
        line(&mut text, word(forecast), &step.name, width, &reason(forecast));
    }
    text
}

/// The same when no step would run.
pub fn unchanged(steps: &[&str]) -> String {
    let forecast = Forecast::Hit { reason: Reused::Unchanged, restores: false };
    let (word, reason) = (word(&forecast), reason(&forecast));
    let width = steps.iter().map(|step| step.len()).max().unwrap_or(0);
    let mut text = String::with_capacity(steps.len() * (width + reason.len() + 10));
    steps.iter().for_each(|step| line(&mut text, word, step, width, &reason));
    text
}

fn line(text: &mut String, word: &str, step: &str, width: usize, reason: &str) {
    let _ = writeln!(text, "{word:5}  {step:width$}  {reason}");
}

/// The same for programs.
pub fn json(plan: &Plan, forecasts: &[Option<Forecast>]) -> String {
    let steps = plan.steps.iter().zip(forecasts).filter_map(|(step, forecast)| {
        let forecast = forecast.as_ref()?;
        let mut value = json!({ "step": step.name, "text": reason(forecast) });
        if let (Some(value), Ok(Value::Object(fields))) =
            (value.as_object_mut(), serde_json::to_value(forecast))
        {
            value.extend(fields);
        }
        Some(value)
    });
    let value = json!({ "pipeline": plan.name, "steps": steps.collect::<Vec<_>>() });
    format!("{value:#}\n")
}

/// `RUN`, `HIT` or `MAYBE`.
pub fn word(forecast: &Forecast) -> &'static str {
    match forecast {
        Forecast::Run { .. } => "RUN",
        Forecast::Hit { .. } => "HIT",
        Forecast::Maybe { .. } | Forecast::Unknown { .. } => "MAYBE",
    }
}

/// Why.
pub fn reason(forecast: &Forecast) -> String {
    match forecast {
        Forecast::Run { reason } => reason.to_string(),
        Forecast::Hit { reason: Reused::Unchanged, restores: true } => {
            "unchanged, but an output is missing or modified: it is restored from the store".to_owned()
        }
        Forecast::Hit { reason, .. } => reason.to_string(),
        Forecast::Maybe { after } => {
            let make = if after.len() == 1 { "makes" } else { "make" };
            format!("not if {} {make} the same bytes again", after.join(" and "))
        }
        Forecast::Unknown { why } => why.clone(),
    }
}
