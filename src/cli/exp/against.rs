//! Variants against one of them, user by user, where the step of a metric left a table of it by user.

use crate::steps::evaluate::kept;
use crate::steps::evaluate::user_values::{Correction, Paired};
use crate::workflow::experiment::{Against, Ended, ExperimentRecord, MetricName, VariantRecord};
use crate::workflow::fingerprint::RunKey;
use crate::workflow::store::Store;

/// One that is compared: the result of the step that leaves the metric, and the metric as that step names it.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// The result in the store.
    pub key: RunKey,
    /// The metric.
    pub metric: &'a str,
}

impl<'a> Side<'a> {
    /// What a variant has of a metric; nothing when it is not done, or an earlier version of the program wrote it down.
    pub fn of(variant: &VariantRecord, metric: &'a MetricName) -> Option<Self> {
        let key = variant.results.get(&metric.step).filter(|_| variant.ended == Ended::Done)?;
        Some(Self { key: *key, metric: &metric.metric })
    }
}

/// Why variants cannot be compared user by user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Untold {
    /// Their step writes no values by user.
    NoTable,
    /// It does, but not of this metric.
    NoColumn,
    /// What it wrote is no longer in the store.
    Gone,
}

impl Untold {
    /// Why a variant cannot be compared by a metric; nothing when it can.
    pub fn of(store: &Store, variant: &VariantRecord, metric: &MetricName) -> Option<Self> {
        let Some(result) = Side::of(variant, metric).and_then(|side| store.recorded(&side.key)) else {
            return Some(Self::Gone);
        };
        match result.outputs.get("user_metrics") {
            None => Some(Self::NoTable),
            Some(object) if !store.object_path(object.digest).is_file() => Some(Self::Gone),
            Some(_) => match kept::by_user(store, &result, &metric.metric) {
                Ok(Some(_)) => None,
                _ => Some(Self::NoColumn),
            },
        }
    }
}

/// Each of `others` against `one`, p-values corrected for their number; nothing where values by user are missing.
pub fn against(
    store: &Store,
    one: Side<'_>,
    others: &[Option<Side<'_>>],
    correction: Correction,
) -> Vec<Option<Against>> {
    let read = |side: Side<'_>| {
        let result = store.recorded(&side.key)?;
        let values = kept::by_user(store, &result, side.metric).unwrap_or_else(|error| {
            tracing::warn!("variants are not compared user by user: {error}");
            None
        });
        Some((kept::measured_on(&result), values?))
    };
    let Some((measured, values)) = read(one) else { return vec![None; others.len()] };
    let compare = |side: &Option<Side<'_>>| {
        let (other_measured, other) = read((*side)?)?;
        Some((other.against(&values), other_measured == measured))
    };
    let found: Vec<Option<(Paired, bool)>> = others.iter().map(compare).collect();
    let p_values: Vec<f64> = found.iter().flatten().map(|(paired, _)| paired.p_value).collect();
    let mut corrected = correction.apply(&p_values).into_iter();
    let told = found.into_iter().map(|found| {
        let (Paired { users, difference, interval, .. }, same_data) = found?;
        let (low, high) = interval.unzip();
        let p_value = corrected.next().expect("there is one corrected p-value for each that was found");
        Some(Against { users, difference, low, high, p_value, same_data })
    });
    told.collect()
}

/// Fills in how each variant of the last rung does against the best one.
pub fn fill_in(record: &mut ExperimentRecord, store: &Store) {
    let metric = record.objective.metric.clone();
    let Some(best) = record.best() else { return };
    let (name, Some(side)) = (best.name.clone(), Side::of(best, &metric)) else { return };
    let last = record.n_rungs() - 1;
    let others: Vec<Option<Side<'_>>> = record
        .variants
        .iter()
        .map(|variant| Side::of(variant, &metric).filter(|_| variant.rung == last && variant.name != name))
        .collect();
    let found = against(store, side, &others, Correction::Picked);
    for (variant, found) in record.variants.iter_mut().zip(found) {
        variant.against_best = found;
    }
}
