//! What the command line means: experiments by name or file, variants by name.

use std::path::Path;

use miette::Diagnostic;
use thiserror::Error;

use crate::cli::CommandError;
use crate::cli::workspace::store;
use crate::console::remark;
use crate::workflow::experiment::{ExperimentRecord, UnreadableRecord, VariantRecord};
use crate::workflow::fault::did_you_mean;

#[derive(Debug, Error, Diagnostic)]
enum FindError {
    #[error("no results of an experiment `{name}`")]
    #[diagnostic(help("{help}"))]
    NoResults { name: String, help: String },
    #[error("neither an experiment nor a variant is called `{name}`")]
    #[diagnostic(help("{help}"))]
    Nothing { name: String, help: String },
    #[error("variants of several experiments are called `{name}`")]
    #[diagnostic(help("write the experiment before it: {}", of.join(" or ")))]
    Several { name: String, of: Vec<String> },
}

/// Every record, the newest first; those that cannot be read are told.
pub fn all(root: &Path) -> Vec<ExperimentRecord> {
    let (records, unreadable) = read(root);
    for error in unreadable {
        remark(&format!("{error}: `recsys exp run FILE` writes them anew"));
    }
    records
}

fn read(root: &Path) -> (Vec<ExperimentRecord>, Vec<UnreadableRecord>) {
    ExperimentRecord::all(&ExperimentRecord::folder(store(root).folder()))
}

/// The last results of an experiment, by its name or its file.
///
/// # Errors
/// When there are none, or they cannot be read.
pub fn experiment(name: &str, root: &Path) -> Result<ExperimentRecord, CommandError> {
    let (mut records, unreadable) = read(root);
    if let Some(position) = records.iter().position(|record| is_called(record, name)) {
        return Ok(records.swap_remove(position));
    }
    let stem = Path::new(name).file_stem();
    if let Some(error) = unreadable.into_iter().find(|error| error.path.file_stem() == stem) {
        return Err(CommandError::usage(error));
    }
    let help = match records.len() {
        0 => "run it first: `recsys exp run FILE`".to_owned(),
        _ => did_you_mean(name, records.iter().map(|record| record.name.as_str())),
    };
    Err(CommandError::usage(FindError::NoResults { name: name.to_owned(), help }))
}

fn is_called(record: &ExperimentRecord, name: &str) -> bool {
    let path = Path::new(name);
    record.name == name
        || record.path == path
        || path.strip_prefix("./").is_ok_and(|path| record.path == path)
}

/// The variants that names mean: all of an experiment, one as `EXPERIMENT/VARIANT`, or one by its name alone.
///
/// # Errors
/// When nothing is called so, or variants of several experiments are.
pub fn variants<'a>(
    names: &[String],
    records: &'a [ExperimentRecord],
) -> Result<Vec<(&'a ExperimentRecord, &'a VariantRecord)>, CommandError> {
    let mut found: Vec<(&ExperimentRecord, &VariantRecord)> = Vec::new();
    for name in names {
        for (record, variant) in meant(name, records)? {
            if !found.iter().any(|(_, known)| std::ptr::eq(*known, variant)) {
                found.push((record, variant));
            }
        }
    }
    Ok(found)
}

fn meant<'a>(
    name: &str,
    records: &'a [ExperimentRecord],
) -> Result<Vec<(&'a ExperimentRecord, &'a VariantRecord)>, CommandError> {
    if let Some(record) = records.iter().find(|record| is_called(record, name)) {
        return Ok(record.variants.iter().map(|variant| (record, variant)).collect());
    }
    let pairs =
        || records.iter().flat_map(|record| record.variants.iter().map(move |variant| (record, variant)));
    let whole =
        |record: &ExperimentRecord, variant: &VariantRecord| format!("{}/{}", record.name, variant.name);
    let found: Vec<_> =
        pairs().filter(|(record, variant)| variant.name == name || whole(record, variant) == name).collect();
    match found.len() {
        1 => Ok(found),
        0 => {
            let variants = pairs().map(|(_, variant)| variant.name.as_str());
            let experiments = records.iter().map(|record| record.name.as_str());
            let help = did_you_mean(name, experiments.chain(variants));
            Err(CommandError::usage(FindError::Nothing { name: name.to_owned(), help }))
        }
        _ => {
            let of = found.iter().take(4).map(|(record, variant)| format!("`{}`", whole(record, variant)));
            Err(CommandError::usage(FindError::Several { name: name.to_owned(), of: of.collect() }))
        }
    }
}
