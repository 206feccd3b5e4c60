//! What came out of each variant, put together from what was heard of the run and what is in the store.

use std::collections::{BTreeMap, BTreeSet};

use super::against;
use super::collect::StepFacts;
use super::ladder::Ladder;
use crate::steps::evaluate::kept;
use crate::workflow::experiment::{Ended, Experiment, ExperimentRecord, VariantRecord};
use crate::workflow::fingerprint::RunKey;
use crate::workflow::plan::Plan;
use crate::workflow::spec::Overrides;
use crate::workflow::store::Store;

/// What is known of steps, by name.
pub type Facts = BTreeMap<String, StepFacts>;

/// The record of an experiment as far as it got.
pub fn record(
    experiment: &Experiment,
    changes: &Overrides,
    ladder: &Ladder<'_>,
    facts: &Facts,
    store: &Store,
) -> ExperimentRecord {
    let mut record = ExperimentRecord::new(experiment, changes.clone());
    let mut kept = Kept { store, results: BTreeMap::new() };
    for (position, variant) in experiment.variants.iter().enumerate() {
        let rung = ladder.rungs.iter().rposition(|rung| rung.contains(&position)).unwrap_or(0);
        let mut whole = VariantRecord {
            name: variant.name.clone(),
            values: experiment.on_rung(position, rung).values,
            rung,
            ..of_variant(ladder, position, rung, facts, &mut kept)
        };
        let mut results: BTreeSet<RunKey> = whole.results.values().copied().collect();
        for rung in 0..=rung {
            let below = of_variant(ladder, position, rung, facts, &mut kept);
            if !experiment.rungs.is_empty() && below.ended == Ended::Done {
                whole.climbed.push(experiment.objective.value(&below.metrics));
            }
            results.extend(below.results.into_values());
        }
        // What it took to come so far, on all of its rungs.
        whole.seconds = results.iter().filter_map(|key| kept.of(key).map(|result| result.seconds)).sum();
        record.variants.push(whole);
    }
    against::fill_in(&mut record, store);
    record
}

/// What the store knows of results; those that a hundred variants share are read once.
struct Kept<'a> {
    store: &'a Store,
    results: BTreeMap<RunKey, Option<Brief>>,
}

/// The part of a result that is recorded.
struct Brief {
    seconds: f64,
    peak: Option<u64>,
    intervals: BTreeMap<String, [f64; 2]>,
}

impl Kept<'_> {
    fn of(&mut self, key: &RunKey) -> Option<&Brief> {
        let read = || {
            let result = self.store.recorded(key)?;
            Some(Brief {
                seconds: result.seconds,
                peak: result.notes.usage.map(|usage| usage.peak_memory_bytes).filter(|peak| *peak > 0),
                intervals: kept::details(self.store, &result).unwrap_or_default().intervals,
            })
        };
        self.results.entry(*key).or_insert_with(read).as_ref()
    }
}

/// What came out of a variant on a rung.
fn of_variant(
    ladder: &Ladder<'_>,
    variant: usize,
    rung: usize,
    facts: &Facts,
    kept: &mut Kept<'_>,
) -> VariantRecord {
    let mut record = VariantRecord { ended: Ended::Done, ..VariantRecord::default() };
    let Plan { steps, .. } = &ladder.merged.plan;
    let nothing = StepFacts::default();
    for (name, &position) in ladder.steps(variant, rung).into_iter().flatten() {
        let step = &steps[position];
        let facts = facts.get(&step.name).unwrap_or(&nothing);
        record.steps.insert(name.clone(), step.name.clone());
        let named = |metric: &String| format!("{name}.{metric}");
        // JSON has no word for what is no finite number.
        let metrics = facts.metrics.iter().filter(|(_, value)| value.is_finite());
        record.metrics.extend(metrics.map(|(metric, value)| (named(metric), *value)));
        if let Some(error) = &facts.error
            && !facts.is_done
        {
            record.ended = Ended::Failed;
            record.error = Some(format!("`{name}`: {error}"));
        } else if !facts.is_done && record.ended == Ended::Done {
            record.ended = Ended::NotRun;
        }
        let Some(key) = facts.key.map(|whole| RunKey { definition: step.definition, whole }) else {
            continue;
        };
        record.results.insert(name.clone(), key);
        let Some(result) = kept.of(&key) else { continue };
        record.seconds += result.seconds;
        record.peak_memory_bytes = record.peak_memory_bytes.max(result.peak);
        let intervals = result.intervals.iter();
        record.intervals.extend(intervals.map(|(metric, interval)| (named(metric), *interval)));
    }
    record
}
