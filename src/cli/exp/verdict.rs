//! Whether an experiment found anything: a best variant, or why there is none.

use std::collections::BTreeSet;

use miette::Diagnostic;
use thiserror::Error;

use crate::cli::CommandError;
use crate::workflow::experiment::{Constraint, Ended, ExperimentRecord, MetricName, VariantRecord};
use crate::workflow::fault::did_you_mean;
use crate::workflow::store::Store;

#[derive(Debug, Error, Diagnostic)]
enum NothingFound {
    #[error("no step of the experiment left the metric `{metric}`")]
    #[diagnostic(code(recsys::experiment::no_metric), help("{help}"))]
    NoMetric { metric: String, help: String },
    #[error("`{metric}` is no number in any variant")]
    #[diagnostic(
        code(recsys::experiment::no_number),
        help("the step says: {warning}\nmeasure on more data, or take another objective")
    )]
    NoNumber { metric: String, warning: String },
    #[error("no variant keeps the constraint `{constraint}`")]
    #[diagnostic(code(recsys::experiment::constraint), help("{help}"))]
    Constraint { constraint: String, help: String },
    #[error("no variant keeps all constraints at once")]
    #[diagnostic(
        code(recsys::experiment::constraints),
        help("each of them is kept by some variant: loosen one, or try other settings")
    )]
    Constraints,
}

/// Why nothing can be chosen although variants are done.
///
/// # Errors
/// When the objective or a constraint names a metric that no step leaves, or nobody keeps the constraints.
pub fn check(record: &ExperimentRecord, store: &Store) -> Result<(), CommandError> {
    let done: Vec<&VariantRecord> =
        record.variants.iter().filter(|variant| variant.ended == Ended::Done).collect();
    if done.is_empty() || record.variants.iter().any(|variant| record.is_candidate(variant)) {
        return Ok(());
    }
    let names = std::iter::once(&record.objective.metric);
    let names = names.chain(record.constraints.iter().map(|constraint| &constraint.metric));
    for metric in names {
        let name = metric.to_string();
        if done.iter().any(|variant| variant.metrics.contains_key(&name)) {
            continue;
        }
        let warned = done.iter().find_map(|variant| {
            let notes = store.recorded(variant.results.get(&metric.step)?)?.notes;
            notes.no_number(&metric.metric).map(str::to_owned)
        });
        if let Some(warning) = warned {
            return Err(CommandError::failed(NothingFound::NoNumber { metric: name, warning }));
        }
        return Err(CommandError::usage(no_metric(metric, &done)));
    }
    let nobody = record
        .constraints
        .iter()
        .find(|constraint| !done.iter().any(|variant| constraint.holds(&variant.metrics)));
    Err(CommandError::failed(match nobody {
        Some(constraint) => NothingFound::Constraint {
            constraint: constraint.to_string(),
            help: nearest_to(constraint, &done),
        },
        None => NothingFound::Constraints,
    }))
}

fn no_metric(metric: &MetricName, done: &[&VariantRecord]) -> NothingFound {
    let known: BTreeSet<&str> =
        done.iter().flat_map(|variant| variant.metrics.keys().map(String::as_str)).collect();
    let own = known.iter().copied().filter(|known| known.starts_with(&format!("{}.", metric.step)));
    let name = metric.to_string();
    let help = match own.clone().next() {
        Some(_) => did_you_mean(&name, own),
        None => format!("the step `{}` leaves no metrics: name one that does", metric.step),
    };
    NothingFound::NoMetric { metric: name, help }
}

fn nearest_to(constraint: &Constraint, done: &[&VariantRecord]) -> String {
    let name = constraint.metric.to_string();
    let values = done.iter().filter_map(|variant| Some((variant, *variant.metrics.get(&name)?)));
    let nearest = values.max_by(|a, b| {
        let (a, b) = if constraint.at_least { (a.1, b.1) } else { (b.1, a.1) };
        a.total_cmp(&b)
    });
    match nearest {
        Some((variant, value)) => {
            format!("{} comes nearest with {value:.6}: loosen the bound, or try other settings", variant.name)
        }
        None => "loosen the bound, or try other settings".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_to_a_bound_lies_on_its_side() {
        let variant = |name: &str, value: f64| VariantRecord {
            name: name.to_owned(),
            metrics: [("a.b".to_owned(), value)].into(),
            ..VariantRecord::default()
        };
        let variants = [variant("low", 0.1), variant("high", 0.3)];
        let done: Vec<&VariantRecord> = variants.iter().collect();
        assert!(nearest_to(&"a.b >= 1".parse().unwrap(), &done).starts_with("high comes nearest with 0.3"));
        assert!(nearest_to(&"a.b <= 0".parse().unwrap(), &done).starts_with("low comes nearest with 0.1"));
    }
}
