//! `recsys exp run --dry-run`: what would run, as far as that can be known.
//!
//! Which variants go on to a rung is known when the one before it is in the store; of the rungs after that only
//! the most that they can take is told.

use serde_json::{Value as Json, json};

use super::ladder::Ladder;
use super::recorded;
use super::run::{Scene, known, survivors};
use crate::cli::{CommandError, forecasts};
use crate::console::{LogFormat, say};
use crate::workflow::decide::{Force, Ground};
use crate::workflow::executor;
use crate::workflow::experiment::Experiment;
use crate::workflow::experiment::space::shown;
use crate::workflow::forecast::{Forecast, forecast};
use crate::workflow::release::Release;
use crate::workflow::spec::Overrides;

/// Tells what a run of the experiment would do.
///
/// # Errors
/// When the run could not start, or a variant cannot be planned.
pub fn tell(
    experiment: &Experiment,
    ladder: &mut Ladder<'_>,
    scene: &Scene<'_>,
    format: LogFormat,
) -> Result<(), CommandError> {
    let Scene { store, root, remote } = *scene;
    let last = experiment.n_rungs() - 1;
    let mut nobody = false;
    while ladder.rungs.len() <= last {
        let Some(facts) = known(ladder, &ladder.positions(), store, root)? else { break };
        let rung = ladder.rungs.len() - 1;
        let record = recorded::record(experiment, &Overrides::default(), ladder, &facts, store);
        let next = survivors(experiment, &record, ladder.rungs[rung].len(), rung);
        if next.is_empty() {
            nobody = true;
            break;
        }
        ladder.climb(next)?;
    }
    let plan = &ladder.merged.plan;
    let selected = ladder.positions();
    executor::check(plan, &selected, store, root).map_err(CommandError::failed)?;
    let ground = Ground { plan, store, root, force: &Force::Nothing, remote };
    let release = Release::open(root, store, &plan.name);
    let forecasts = forecast(&ground, &selected, &release).map_err(CommandError::failed)?;
    let rungs = rungs(experiment, ladder);
    if format == LogFormat::Json {
        let mut whole: Json = serde_json::from_str(&forecasts::json(plan, &forecasts)).unwrap_or_default();
        if !experiment.rungs.is_empty() {
            whole["rungs"] = rungs.iter().map(Rung::json).collect();
        }
        say(&format!("{whole:#}\n"));
        return Ok(());
    }
    let places = ladder.rungs.iter().enumerate();
    let places = places.flat_map(|(rung, variants)| variants.iter().map(move |&variant| (variant, rung)));
    let of_variants: usize =
        places.filter_map(|(variant, rung)| ladder.steps(variant, rung)).map(|steps| steps.len()).sum();
    let count = |wanted: fn(&Forecast) -> bool| forecasts.iter().flatten().filter(|f| wanted(f)).count();
    let mut text = format!(
        "{}{} variants of {of_variants} steps in all, {} of them different: {} would run, {} may, {} are in the store",
        forecasts::text(plan, &forecasts),
        experiment.variants.len(),
        selected.len(),
        count(|f| matches!(f, Forecast::Run { .. })),
        count(|f| matches!(f, Forecast::Maybe { .. } | Forecast::Unknown { .. })),
        count(|f| matches!(f, Forecast::Hit { .. })),
    );
    for rung in rungs.iter().filter(|_| !experiment.rungs.is_empty()) {
        text.push_str(&format!("\n{}", rung.line(rungs.len())));
    }
    if nobody {
        text.push_str("\nno variant of the last rung that ran may go on: the experiment ends there");
    } else if rungs.iter().any(|rung| rung.at_most.is_some()) {
        text.push_str(&format!("\nwhich variants go on is known when rung {} has run", ladder.rungs.len()));
    }
    say(&text);
    Ok(())
}

/// One rung, as far as it is known.
struct Rung {
    number: usize,
    resource: String,
    value: Json,
    variants: usize,
    /// The most steps that it adds, when its variants are not known.
    at_most: Option<usize>,
}

fn rungs(experiment: &Experiment, ladder: &Ladder<'_>) -> Vec<Rung> {
    let Some(halving) = &experiment.halving else { return Vec::new() };
    let entered = ladder.rungs.last().map_or(0, Vec::len);
    let later = halving.sizes(entered, experiment.n_rungs() - ladder.rungs.len() + 1);
    let sizes = ladder.rungs.iter().map(|rung| (rung.len(), true));
    let sizes = sizes.chain(later.into_iter().skip(1).map(|size| (size, false)));
    let rungs = sizes.zip(&experiment.rungs).enumerate().map(|(rung, ((variants, is_known), value))| Rung {
        number: rung + 1,
        resource: halving.resource.clone(),
        value: value.clone(),
        variants,
        at_most: (!is_known).then(|| variants * ladder.own_steps(rung)),
    });
    rungs.collect()
}

impl Rung {
    fn line(&self, of: usize) -> String {
        let Self { number, resource, value, variants, at_most } = self;
        let more = match at_most {
            Some(steps) => format!("the best {variants} of these; at most {steps} steps more"),
            None if *variants == 1 => "1 variant".to_owned(),
            None => format!("{variants} variants"),
        };
        format!("rung {number} of {of}, {resource}={}: {more}", shown(value))
    }

    fn json(&self) -> Json {
        let Self { number, resource, value, variants, at_most } = self;
        json!({ "rung": number, "resource": resource, "value": value, "variants": variants,
                "is_known": at_most.is_none(), "steps_at_most": at_most })
    }
}
