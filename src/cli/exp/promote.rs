//! `recsys exp promote`: what an experiment found becomes what the pipeline runs with.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use miette::Diagnostic;
use serde_json::Value as Json;
use thiserror::Error;

use super::find;
use crate::cli::workspace::store;
use crate::cli::{CommandError, run};
use crate::console::remark;
use crate::workflow::experiment::file::{as_yaml, from_yaml};
use crate::workflow::experiment::{Ended, ExperimentRecord, VariantRecord};
use crate::workflow::fault::did_you_mean;
use crate::workflow::files;
use crate::workflow::release::Release;
use crate::workflow::spec::{Overrides, Spec};
use crate::workflow::values::Scope;

/// Write the values of the best variant into a configuration file, and release its artifacts.
///
/// The pipeline is run with these values, and those that `exp run` was given by `--config`, `--var` and `--set`; its
/// results are in the store, so that little or nothing has to run. The file is written when that has gone well.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  recsys exp promote als                                    the best variant, into configs/als_best.yaml
  recsys exp promote als factors=64,regularization=1.0      this one
  recsys exp promote als --output configs/music.yaml")]
pub struct PromoteArgs {
    /// The experiment: its name, or its file
    experiment: String,

    /// The variant [default: the best one]
    variant: Option<String>,

    /// The configuration file to write [default: configs/<experiment>_best.yaml]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Write over a file that this command did not write
    #[arg(long)]
    force: bool,

    /// Only write the file
    #[arg(long)]
    no_run: bool,
}

/// The first line of every file that is written here.
const MARK: &str = "# Written by `recsys exp promote`";

#[derive(Debug, Error, Diagnostic)]
enum PromoteError {
    #[error("the experiment `{experiment}` has no variant `{variant}`")]
    #[diagnostic(help("{help}"))]
    NoVariant { experiment: String, variant: String, help: String },
    #[error("no variant of `{experiment}` can be chosen")]
    #[diagnostic(help("`recsys exp show {experiment}` says why; name a variant to promote it all the same"))]
    NoBest { experiment: String },
    #[error("`{}` was written by somebody else", path.display())]
    #[diagnostic(help("name another file after `--output`, or say `--force`"))]
    Foreign { path: PathBuf },
    #[error("the pipeline cannot be run: {0}")]
    #[diagnostic(help("nothing was written; mend the environment variable"))]
    Environment(clap::Error),
}

/// Runs the pipeline with the values of the variant, then writes the file: when it is there, what it says is
/// released.
///
/// # Errors
/// When there is no such variant, the file is somebody else's, or the run fails.
pub fn promote(args: &PromoteArgs, root: &Path) -> Result<(), CommandError> {
    let record = find::experiment(&args.experiment, root)?;
    let variant = chosen(&record, args.variant.as_deref()).map_err(CommandError::usage)?;
    let path = args.output.clone().unwrap_or_else(|| format!("configs/{}_best.yaml", record.name).into());
    let full = root.join(&path);
    let is_ours = std::fs::read_to_string(&full).is_ok_and(|text| text.starts_with(MARK));
    if full.exists() && !is_ours && !args.force {
        return Err(CommandError::usage(PromoteError::Foreign { path }));
    }
    let waiting = record.variants.iter().filter(|variant| variant.ended == Ended::NotRun).count();
    if waiting > 0 {
        remark(&format!(
            "{waiting} variants of `{}` did not get their turn: this is the best so far",
            record.name
        ));
    }
    let configs: Vec<PathBuf> = record.configs.iter().chain(&record.changes.configs).cloned().collect();
    if !args.no_run {
        let changes = overrides(&record, variant, configs.clone());
        let run = run::RunArgs::with_overrides(&record.pipeline, &changes)
            .map_err(|error| CommandError::usage(PromoteError::Environment(error)))?;
        if let Err(error) = run::run(&run, root) {
            remark(&format!("not promoted: `{}` is as it was", path.display()));
            return Err(error);
        }
        warn_of_changes(&record, variant, &changes, root);
    }
    files::write_durably(&full, configuration(&record, variant).as_bytes()).map_err(CommandError::failed)?;
    let flags: String =
        configs.iter().chain([&path]).map(|config| format!(" --config {}", config.display())).collect();
    let value = record.objective.value(&variant.metrics);
    let value = value.map_or_else(String::new, |value| format!(" ({} {value:.4})", record.objective.metric));
    let released = if args.no_run { "nothing was released" } else { "its artifacts are released" };
    remark(&format!(
        "promoted {} of `{}`{value}: its values are in `{}`, {released}\nagain: recsys run {}{flags}",
        variant.name,
        record.name,
        path.display(),
        record.pipeline.display()
    ));
    Ok(())
}

/// What makes the pipeline that of a variant.
fn overrides(record: &ExperimentRecord, variant: &VariantRecord, configs: Vec<PathBuf>) -> Overrides {
    let mut overrides = Overrides { configs, ..Overrides::default() };
    for (path, value) in record.set.iter().chain(&variant.values) {
        match path.strip_prefix("vars.") {
            Some(name) => overrides.vars.push(format!("{name}={}", as_yaml(value))),
            None => overrides.set.push(format!("{path}={}", as_yaml(value))),
        }
    }
    overrides.vars.extend(record.changes.vars.iter().cloned());
    overrides.set.extend(record.changes.set.iter().cloned());
    overrides
}

/// Says when what was released now is not what the experiment measured.
fn warn_of_changes(record: &ExperimentRecord, variant: &VariantRecord, changes: &Overrides, root: &Path) {
    let Ok(spec) = Spec::read(&record.pipeline, Scope::from_environment(root), changes) else { return };
    let released = Release::open(root, &store(root), &spec.name).state.steps;
    let changed = variant
        .results
        .iter()
        .filter(|(step, key)| released.get(step.as_str()).is_some_and(|released| released.key != **key));
    let changed: Vec<String> = changed.take(4).map(|(step, _)| format!("`{step}`")).collect();
    if !changed.is_empty() {
        remark(&format!(
            "warning: {} made something else than in the experiment: the pipeline or its data changed since; \
             `recsys exp run {}` says whether the same variant is still the best",
            changed.join(", "),
            record.path.display()
        ));
    }
}

fn chosen<'a>(record: &'a ExperimentRecord, name: Option<&str>) -> Result<&'a VariantRecord, PromoteError> {
    let Some(name) = name else {
        return record.best().ok_or_else(|| PromoteError::NoBest { experiment: record.name.clone() });
    };
    record.variants.iter().find(|variant| variant.name == name).ok_or_else(|| PromoteError::NoVariant {
        experiment: record.name.clone(),
        variant: name.to_owned(),
        help: did_you_mean(name, record.variants.iter().map(|variant| variant.name.as_str())),
    })
}

/// Every value that makes the pipeline that of a variant; what comes later wins, the command line last.
fn values(record: &ExperimentRecord, variant: &VariantRecord) -> BTreeMap<String, Json> {
    let own = record.set.iter().chain(&variant.values).map(|(path, value)| (path.clone(), value.clone()));
    let of_line = |texts: &[String], prefix: &str| -> Vec<(String, Json)> {
        let pairs = texts.iter().filter_map(|text| text.split_once('='));
        pairs.map(|(name, value)| (format!("{prefix}{name}"), from_yaml(value))).collect()
    };
    let changes = &record.changes;
    own.chain(of_line(&changes.vars, "vars.")).chain(of_line(&changes.set, "")).collect()
}

/// The values of a variant as a configuration file, and what speaks for it.
fn configuration(record: &ExperimentRecord, variant: &VariantRecord) -> String {
    let mut text = format!("{MARK} from the variant {} of `{}`", variant.name, record.path.display());
    if let Some(value) = record.objective.value(&variant.metrics) {
        let _ = write!(text, ":\n# {} {value:.4}", record.objective.metric);
    }
    text.push('\n');
    let mut variables = Vec::new();
    let mut steps: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for (path, value) in &values(record, variant) {
        let value = as_yaml(value);
        match path.split_once('.') {
            Some(("vars", name)) => variables.push((name.to_owned(), value)),
            Some((step, parameter)) => {
                steps.entry(step.to_owned()).or_default().push((parameter.to_owned(), value));
            }
            None => {}
        }
    }
    if !variables.is_empty() {
        text.push_str("vars:\n");
        variables.iter().for_each(|(name, value)| text.push_str(&format!("  {name}: {value}\n")));
    }
    if !steps.is_empty() {
        text.push_str("steps:\n");
    }
    for (step, parameters) in steps {
        let _ = writeln!(text, "  {step}:");
        parameters.iter().for_each(|(name, value)| text.push_str(&format!("    {name}: {value}\n")));
    }
    text
}
