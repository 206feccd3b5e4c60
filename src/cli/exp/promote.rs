//! `recsys exp promote`: what an experiment found becomes what the pipeline runs with.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use miette::Diagnostic;
use thiserror::Error;

use super::show;
use crate::cli::{CommandError, run};
use crate::console::remark;
use crate::workflow::experiment::file::as_yaml;
use crate::workflow::experiment::{ExperimentRecord, VariantRecord};
use crate::workflow::fault::did_you_mean;
use crate::workflow::files;

/// Write the values of the best variant into a configuration file, and release its artifacts.
///
/// The pipeline is run with these values; its results are in the store, so that little or nothing has to
/// run.
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
    #[diagnostic(help("the file is written; mend the environment variable, then `recsys run`"))]
    Environment(clap::Error),
}

/// Writes the file, and runs the pipeline with it.
///
/// # Errors
/// When there is no such variant, the file is somebody else's, or the run fails.
pub fn promote(args: &PromoteArgs, root: &Path) -> Result<(), CommandError> {
    let record = show::find(&args.experiment, root)?;
    let variant = chosen(&record, args.variant.as_deref()).map_err(CommandError::usage)?;
    let path = args.output.clone().unwrap_or_else(|| format!("configs/{}_best.yaml", record.name).into());
    let full = root.join(&path);
    let is_ours = std::fs::read_to_string(&full).is_ok_and(|text| text.starts_with(MARK));
    if full.exists() && !is_ours && !args.force {
        return Err(CommandError::usage(PromoteError::Foreign { path }));
    }
    if let Some(folder) = full.parent() {
        let made = std::fs::create_dir_all(folder);
        made.map_err(files::FilesError::new("create", folder)).map_err(CommandError::failed)?;
    }
    files::write_durably(&full, configuration(&record, variant).as_bytes()).map_err(CommandError::failed)?;
    let mut configs = record.configs.clone();
    configs.push(path.clone());
    let flags: String = configs.iter().map(|config| format!(" --config {}", config.display())).collect();
    remark(&format!(
        "`{}` has the values of {}: recsys run {}{flags}",
        path.display(),
        variant.name,
        record.pipeline.display()
    ));
    if args.no_run {
        return Ok(());
    }
    let args = run::RunArgs::with_configs(&record.pipeline, &configs);
    run::run(&args.map_err(|error| CommandError::usage(PromoteError::Environment(error)))?, root)
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

/// The values of a variant as a configuration file, and what speaks for it.
fn configuration(record: &ExperimentRecord, variant: &VariantRecord) -> String {
    let mut text = format!("{MARK} from the variant {} of `{}`", variant.name, record.path.display());
    if let Some(value) = record.objective.value(&variant.metrics) {
        let _ = write!(text, ":\n# {} {value:.4}", record.objective.metric);
    }
    text.push('\n');
    let mut variables = Vec::new();
    let mut steps: BTreeMap<&str, Vec<(&str, String)>> = BTreeMap::new();
    for (path, value) in record.set.iter().chain(&variant.values) {
        let value = as_yaml(value);
        match path.split_once('.') {
            Some(("vars", name)) => variables.push((name, value)),
            Some((step, parameter)) => steps.entry(step).or_default().push((parameter, value)),
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
