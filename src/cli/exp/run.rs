//! `recsys exp run`: every variant of an experiment, as one plan.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use miette::Diagnostic;
use thiserror::Error;

use super::collect::{Collector, StepFacts, WithoutTexts};
use super::show::{self, Format};
use crate::cli::session::{self, Stop};
use crate::cli::workspace::store;
use crate::cli::{CommandError, forecasts};
use crate::console::{self, LogFormat, say};
use crate::steps::KINDS;
use crate::steps::evaluate::user_values::{self, Paired};
use crate::workflow::decide::{Force, Ground};
use crate::workflow::event::Listener;
use crate::workflow::executor::{self, Options, World};
use crate::workflow::experiment::{
    AgainstBest, Ended, Experiment, ExperimentRecord, MetricName, VariantRecord,
};
use crate::workflow::fault::did_you_mean;
use crate::workflow::fingerprint::RunKey;
use crate::workflow::forecast::{Forecast, forecast};
use crate::workflow::history::{RunRecord, now};
use crate::workflow::plan::Plan;
use crate::workflow::plan::merge::Merged;
use crate::workflow::release::Release;
use crate::workflow::spec::{Overrides, Spec, SpecError};
use crate::workflow::store::Store;
use crate::workflow::values::Scope;

/// Run the variants of an experiment as one plan.
///
/// Steps that would make the same are one step: preprocessing and split happen once for a hundred variants,
/// and what any run has made before is taken from the store. A variant that fails does not stop the others; an
/// experiment that was interrupted continues where it stopped.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  recsys exp run configs/experiments/als.yaml
  recsys exp run configs/experiments/als.yaml --dry-run     how many steps, how many of them are shared
  recsys exp run configs/experiments/als.yaml --var raw=data/raw")]
pub struct RunArgs {
    /// The experiment file
    experiment: PathBuf,

    /// Change a variable of the pipeline in every variant
    #[arg(long = "var", value_name = "NAME=VALUE")]
    vars: Vec<String>,

    /// Change a parameter of a step in every variant
    #[arg(long = "set", value_name = "STEP.PARAMETER=VALUE")]
    set: Vec<String>,

    /// Say what would run; do nothing
    #[arg(long)]
    dry_run: bool,

    /// Threads for steps that run at the same time [default: one per core]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,

    /// Show no more than the N best variants at the end
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,

    /// Results that no release needs go when the store grows beyond this
    #[arg(long, env = "RECSYS_CACHE_SIZE", value_name = "SIZE", default_value = crate::cli::cache::DEFAULT_SIZE, value_parser = crate::cli::cache::size)]
    cache_size: u64,

    /// How to tell of the run
    #[arg(long, env = "RECSYS_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Debug, Error, Diagnostic)]
#[error("the variant `{variant}` cannot be planned")]
struct BadVariant {
    variant: String,
    #[related]
    causes: Vec<SpecError>,
}

#[derive(Debug, Error, Diagnostic)]
#[error("no step of the experiment left the metric `{metric}`")]
#[diagnostic(help("{help}"))]
struct NoSuchMetric {
    metric: String,
    help: String,
}

/// Runs the experiment, keeps what came out and shows it.
///
/// # Errors
/// When the file or a variant is wrong, a step fails, or the run is stopped.
pub fn run(args: &RunArgs, root: &Path) -> Result<(), CommandError> {
    let wrong = |error: SpecError| CommandError::usage(error);
    let experiment = Experiment::read(&args.experiment).map_err(wrong)?;
    let more = Overrides { configs: Vec::new(), vars: args.vars.clone(), set: args.set.clone() };
    let merged = merged(&experiment, &more, root)?;
    let store = store(root);
    let selected: BTreeSet<usize> = (0..merged.plan.steps.len()).collect();
    if args.dry_run {
        return forecast_all(&experiment, &merged, &selected, &store, root, args.log_format);
    }
    let stop = Stop::on_signals();
    store.stop_on(stop.flag());
    let record = RunRecord::new(&store.runs());
    let (name, logs) = (record.name(), record.logs());
    let collector = Arc::new(Collector::default());
    let listeners: Vec<Box<dyn Listener>> = vec![
        Box::new(record),
        Box::new(WithoutTexts(console::listener(args.log_format))),
        Box::new(Arc::clone(&collector)),
    ];
    let options = Options {
        selected,
        force: Force::Nothing,
        jobs: session::jobs(args.jobs),
        keep_going: true,
        witness: None,
    };
    let flag = stop.flag();
    let world = World {
        root,
        store: &store,
        run: &name,
        logs: &logs,
        listener: &listeners,
        stop: &flag,
        remote: None,
    };
    let tally = executor::run(&merged.plan, &options, &world).map_err(CommandError::failed)?;
    let mut record = recorded(&experiment, &merged, collector.take(), &store);
    compare_with_best(&mut record, &merged.plan, root);
    record.keep(&ExperimentRecord::folder(store.folder())).map_err(CommandError::failed)?;
    if tally.finished > 0 {
        session::trim(&store, args.cache_size);
    }
    if args.log_format == LogFormat::Text {
        say(&show::render(&record, Format::Table, args.top));
    }
    stop.verdict(&tally)?;
    check_objective(&record)
}

/// Every variant planned and checked, then all of them as one plan.
fn merged(experiment: &Experiment, more: &Overrides, root: &Path) -> Result<Merged, CommandError> {
    let mut plans = Vec::with_capacity(experiment.variants.len());
    for variant in &experiment.variants {
        let plan = planned(experiment, &experiment.overrides(variant, more), root).map_err(|cause| {
            CommandError::usage(BadVariant { variant: variant.name.clone(), causes: vec![cause] })
        })?;
        let mut wanted = BTreeSet::new();
        for (key, metric) in experiment.metrics() {
            let position = plan.position(&metric.step).map_err(|_| {
                let names = plan.steps.iter().map(|step| step.name.as_str());
                let message = format!("the pipeline has no step `{}`", metric.step);
                CommandError::usage(experiment.fault(
                    key,
                    &metric.step,
                    message,
                    did_you_mean(&metric.step, names),
                ))
            })?;
            let decides = key != "report";
            if decides && !experiment.select_on_test && plan.sees_test(position) {
                let message = format!("`{metric}` is measured on the test period, which must not decide");
                let help = "take a step that evaluates on the target period, and put this one under `report:`; or say \
                            `select_on_test: true` and know that the winner looks better on the test than it is";
                return Err(CommandError::usage(experiment.fault(
                    key,
                    &metric.step,
                    message,
                    help.to_owned(),
                )));
            }
            wanted.extend(plan.before(position));
        }
        plans.push((variant.name.clone(), plan, wanted));
    }
    let folder = Path::new("artifacts/experiments").join(&experiment.name);
    Ok(Plan::merge(format!("experiment-{}", experiment.name), &experiment.path, &folder, plans))
}

fn planned(experiment: &Experiment, overrides: &Overrides, root: &Path) -> Result<Plan, SpecError> {
    let spec = Spec::read(&experiment.pipeline, Scope::from_environment(root), overrides)?;
    let plan = Plan::new(&spec, KINDS, root)?;
    let services = plan.steps.iter().enumerate().filter(|(_, step)| !step.kind.service);
    plan.check_files(&spec, &services.map(|(position, _)| position).collect(), root)?;
    Ok(plan)
}

fn forecast_all(
    experiment: &Experiment,
    merged: &Merged,
    selected: &BTreeSet<usize>,
    store: &Store,
    root: &Path,
    format: LogFormat,
) -> Result<(), CommandError> {
    let plan = &merged.plan;
    executor::check(plan, selected, store, root).map_err(CommandError::failed)?;
    let ground = Ground { plan, store, root, force: &Force::Nothing, remote: None };
    let release = Release::open(root, store, &plan.name);
    let forecasts = forecast(&ground, selected, &release).map_err(CommandError::failed)?;
    if format == LogFormat::Json {
        say(&forecasts::json(plan, &forecasts));
        return Ok(());
    }
    let of_variants: usize = merged.positions.iter().map(BTreeMap::len).sum();
    let count = |wanted: fn(&Forecast) -> bool| forecasts.iter().flatten().filter(|f| wanted(f)).count();
    say(&format!(
        "{}{} variants of {of_variants} steps in all, {} of them different: {} would run, {} may, {} are in the store",
        forecasts::text(plan, &forecasts),
        experiment.variants.len(),
        plan.steps.len(),
        count(|f| matches!(f, Forecast::Run { .. })),
        count(|f| matches!(f, Forecast::Maybe { .. })),
        count(|f| matches!(f, Forecast::Hit { .. })),
    ));
    Ok(())
}

fn recorded(
    experiment: &Experiment,
    merged: &Merged,
    facts: BTreeMap<String, StepFacts>,
    store: &Store,
) -> ExperimentRecord {
    let nothing = StepFacts::default();
    let variants = experiment.variants.iter().zip(&merged.positions).map(|(variant, positions)| {
        let mut record = VariantRecord {
            name: variant.name.clone(),
            values: variant.values.clone(),
            ended: Ended::Done,
            error: None,
            metrics: BTreeMap::new(),
            seconds: 0.0,
            peak_memory_bytes: None,
            against_best: None,
            steps: BTreeMap::new(),
        };
        for (name, &position) in positions {
            let step = &merged.plan.steps[position];
            let facts = facts.get(&step.name).unwrap_or(&nothing);
            record.steps.insert(name.clone(), step.name.clone());
            record
                .metrics
                .extend(facts.metrics.iter().map(|(metric, value)| (format!("{name}.{metric}"), *value)));
            if let Some(error) = &facts.error
                && !facts.is_done
            {
                record.ended = Ended::Failed;
                record.error = Some(format!("`{name}`: {error}"));
            } else if !facts.is_done && record.ended == Ended::Done {
                record.ended = Ended::NotRun;
            }
            let key = facts.key.map(|whole| RunKey { definition: step.definition, whole });
            if let Some(result) = key.and_then(|key| store.recorded(&key)) {
                record.seconds += result.seconds;
                let peak = result.notes.usage.map(|usage| usage.peak_memory_bytes);
                record.peak_memory_bytes = record.peak_memory_bytes.max(peak);
            }
        }
        // JSON has no word for what is no finite number.
        record.metrics.retain(|_, value| value.is_finite());
        record
    });
    ExperimentRecord {
        name: experiment.name.clone(),
        path: experiment.path.clone(),
        pipeline: experiment.pipeline.clone(),
        configs: experiment.configs.clone(),
        set: experiment.set.clone(),
        finished: now(),
        objective: experiment.objective.clone(),
        constraints: experiment.constraints.clone(),
        report: experiment.report.clone(),
        variants: variants.collect(),
    }
}

/// Fills in how each variant does against the best one, where the step of the objective leaves a table of its
/// metric by user.
fn compare_with_best(record: &mut ExperimentRecord, plan: &Plan, root: &Path) {
    let MetricName { step, metric } = &record.objective.metric;
    let table = |variant: &VariantRecord| {
        let name = variant.steps.get(step).filter(|_| variant.ended == Ended::Done)?;
        let step = plan.steps.iter().find(|planned| planned.name == *name)?;
        let output = step.outputs.iter().find(|output| output.port == "user_metrics")?;
        Some(root.join(&output.path))
    };
    let Some(best) = record.best() else { return };
    let (best_name, Some(best_table)) = (best.name.clone(), table(best)) else { return };
    let is_other = |variant: &&VariantRecord| variant.name != best_name;
    let others: Vec<(String, PathBuf)> = record
        .variants
        .iter()
        .filter(is_other)
        .filter_map(|variant| Some((variant.name.clone(), table(variant)?)))
        .collect();
    let paths: Vec<&Path> = others.iter().map(|(_, path)| path.as_path()).collect();
    let found = match user_values::compare(&best_table, &paths, metric) {
        Ok(Some(found)) => found,
        Ok(None) => return,
        Err(error) => return tracing::warn!("variants are not compared user by user: {error}"),
    };
    let found: BTreeMap<String, Paired> = others.into_iter().map(|(name, _)| name).zip(found).collect();
    for variant in &mut record.variants {
        variant.against_best = found.get(&variant.name).map(|paired| AgainstBest {
            users: paired.users,
            difference: paired.difference,
            p_value: paired.p_value,
        });
    }
}

/// A name that no variant has a number for is a slip of the pen.
fn check_objective(record: &ExperimentRecord) -> Result<(), CommandError> {
    let metric = &record.objective.metric;
    let done: Vec<&VariantRecord> = record.variants.iter().filter(|v| v.ended == Ended::Done).collect();
    if done.is_empty() || done.iter().any(|variant| record.objective.value(&variant.metrics).is_some()) {
        return Ok(());
    }
    let name = metric.to_string();
    let known: BTreeSet<&str> =
        done.iter().flat_map(|variant| variant.metrics.keys().map(String::as_str)).collect();
    let own = known.iter().copied().filter(|known| known.starts_with(&format!("{}.", metric.step)));
    let help = match own.clone().next() {
        Some(_) => did_you_mean(&name, own),
        None => format!("the step `{}` leaves no metrics: name one that does", metric.step),
    };
    Err(CommandError::usage(NoSuchMetric { metric: name, help }))
}
