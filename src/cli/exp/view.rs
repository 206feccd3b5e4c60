//! Variants that are shown together: which they are, what they are compared with, and in what order they stand.

use std::cmp::Ordering;

use miette::Diagnostic;
use thiserror::Error;

use super::against::{Side, Untold, against};
use super::choice::{self, Choice};
use super::fields::{self, Field, Row};
use crate::cli::CommandError;
use crate::steps::evaluate::user_values::Correction;
use crate::workflow::experiment::{Direction, Ended, ExperimentRecord, MetricName, Objective, VariantRecord};
use crate::workflow::fault::did_you_mean;
use crate::workflow::store::Store;

/// Variants that are shown together.
pub struct View<'a> {
    /// What it is about.
    pub title: String,
    /// The variants, in the order in which they are shown.
    pub rows: Vec<Row<'a>>,
    /// What the best is chosen by.
    pub objective: Objective,
    /// The best one.
    pub best: Option<(&'a ExperimentRecord, &'a VariantRecord)>,
    /// What variants are compared by: the objective, or what was asked for.
    pub metric: MetricName,
    /// The one that all are compared with: the best, or what was asked for.
    pub one: Option<&'a VariantRecord>,
    /// How p-values were corrected.
    pub correction: Correction,
    /// How many comparisons they were corrected for.
    pub compared: usize,
    /// Of these, variants that may be as good, by name, in the order of their ranks; measured on the same data.
    pub alike: Vec<&'a str>,
    /// Why there are no comparisons.
    pub untold: Option<Untold>,
    /// The settings in which they differ.
    pub settings: Vec<String>,
    /// The metrics that are shown, what they are compared by first.
    pub metrics: Vec<String>,
    /// What no other beats those that are marked in.
    pub front: Vec<(Field, Direction)>,
    /// How many are not shown because of `--top`.
    pub hidden: usize,
    /// Whether they are of several experiments.
    pub several: bool,
}

#[derive(Debug, Error, Diagnostic)]
enum ViewError {
    #[error("no variant is called `{name}`")]
    #[diagnostic(help("{help}"))]
    NoBaseline { name: String, help: String },
    #[error("{} variants are called `{name}`", of.len())]
    #[diagnostic(help("write the experiment before it: {}", of.join(" or ")))]
    SeveralBaselines { name: String, of: Vec<String> },
}

impl<'a> View<'a> {
    /// The variants of one experiment, the best first, as they were compared when it ran.
    pub fn of_one(record: &'a ExperimentRecord) -> Self {
        let variants = record.variants.iter().map(|variant| (record, variant)).collect();
        let mut view = Self::new(format!("Experiment {}", record.name), variants, record.objective.clone());
        for row in &mut view.rows {
            row.against = row.variant.against_best;
        }
        view.count();
        view
    }

    /// Variants of several experiments, the best first by the objective of the first one; not compared yet.
    pub fn of_several(
        title: String,
        variants: Vec<(&'a ExperimentRecord, &'a VariantRecord)>,
    ) -> Option<Self> {
        let objective = variants.first()?.0.objective.clone();
        Some(Self::new(title, variants, objective))
    }

    fn new(
        title: String,
        variants: Vec<(&'a ExperimentRecord, &'a VariantRecord)>,
        objective: Objective,
    ) -> Self {
        let rows = variants.into_iter().map(|(record, variant)| Row {
            record,
            variant,
            against: None,
            on_front: false,
        });
        let mut rows: Vec<Row<'a>> = rows.collect();
        rank(&mut rows, &objective);
        let first = rows.first().filter(|row| {
            row.record.may_be_chosen(row.variant) && objective.value(&row.variant.metrics).is_some()
        });
        let best = first.map(|row| (row.record, row.variant));
        Self {
            title,
            settings: fields::differing(&rows),
            metrics: fields::shown_metrics(&rows, &objective.metric),
            several: rows.iter().any(|row| !std::ptr::eq(row.record, rows[0].record)),
            one: best.map(|(_, variant)| variant),
            best,
            metric: objective.metric.clone(),
            objective,
            correction: Correction::Picked,
            compared: 0,
            alike: Vec::new(),
            untold: None,
            front: Vec::new(),
            hidden: 0,
            rows,
        }
    }

    /// What was asked for of it.
    ///
    /// # Errors
    /// When a name is unknown, or a condition makes no sense.
    pub fn choose(self, choice: &Choice, store: &Store) -> Result<Self, CommandError> {
        if choice.baseline.is_some() || choice.by.is_some() {
            return self.compared(choice, store);
        }
        self.narrowed(choice, store)
    }

    /// The same, compared afresh.
    ///
    /// # Errors
    /// As [`View::choose`].
    pub fn compared(mut self, choice: &Choice, store: &Store) -> Result<Self, CommandError> {
        if let Some(name) = &choice.by {
            self.compare_by(name)?;
        }
        if let Some(name) = &choice.baseline {
            self.one = Some(self.named(name)?);
        }
        // What chose the best is the objective: by another metric it stands as if it had been named.
        let is_picked = self.metric == self.objective.metric
            && self.best.zip(self.one).is_some_and(|((_, best), one)| std::ptr::eq(best, one));
        self.correction = if is_picked { Correction::Picked } else { Correction::Named };
        let side = self.one.and_then(|one| Side::of(one, &self.metric));
        let is_one = |row: &Row<'_>| self.one.is_some_and(|one| std::ptr::eq(one, row.variant));
        let sides = self.rows.iter().map(|row| Side::of(row.variant, &self.metric).filter(|_| !is_one(row)));
        let sides: Vec<Option<Side<'_>>> = sides.collect();
        let found = match side {
            Some(side) => against(store, side, &sides, self.correction),
            None => vec![None; sides.len()],
        };
        self.rows.iter_mut().zip(found).for_each(|(row, found)| row.against = found);
        self.count();
        self.narrowed(choice, store)
    }

    /// Takes note of what was compared before rows are left out.
    fn count(&mut self) {
        self.compared = self.rows.iter().filter(|row| row.against.is_some()).count();
        // What was measured on other data may be anything.
        let alike = self
            .rows
            .iter()
            .filter(|row| row.against.is_some_and(|against| against.p_value >= 0.05 && against.same_data));
        self.alike = alike.map(|row| row.variant.name.as_str()).collect();
    }

    fn narrowed(mut self, choice: &Choice, store: &Store) -> Result<Self, CommandError> {
        let done = self.rows.iter().filter(|row| row.variant.ended == Ended::Done).count();
        if self.compared == 0 && done > 1 {
            self.untold = self.one.and_then(|one| Untold::of(store, one, &self.metric));
        }
        choice::filter(&mut self.rows, &choice.filters, &self.metrics)?;
        self.front = choice::mark_front(&mut self.rows, &choice.pareto, &self.metrics)?;
        for (field, _) in &self.front {
            if let Field::Metric(name) = field
                && !self.metrics.contains(name)
            {
                self.metrics.push(name.clone());
            }
        }
        if let Some(by) = &choice.sort {
            choice::sort(&mut self.rows, by, &self.metrics)?;
        }
        let top = choice.top.unwrap_or(usize::MAX);
        self.hidden = self.rows.len().saturating_sub(top);
        self.rows.truncate(top);
        Ok(self)
    }

    /// Takes another metric to compare by.
    fn compare_by(&mut self, name: &str) -> Result<(), CommandError> {
        let field = Field::find(name, &self.rows, &self.metrics).map_err(CommandError::usage)?;
        let metric: Option<MetricName> = match &field {
            Field::Metric(name) => name.parse().ok(),
            _ => None,
        };
        let Some(metric) = metric else {
            let help = "name a metric, for example `ndcg@10`".to_owned();
            return Err(CommandError::usage(fields::FieldError::Unknown { name: name.to_owned(), help }));
        };
        self.metrics = fields::shown_metrics(&self.rows, &metric);
        self.metric = metric;
        Ok(())
    }

    fn named(&self, name: &str) -> Result<&'a VariantRecord, CommandError> {
        let whole = |row: &Row<'_>| format!("{}/{}", row.record.name, row.variant.name);
        let is_named = |row: &&Row<'a>| row.variant.name == name || whole(row) == name;
        let found: Vec<&Row<'a>> = self.rows.iter().filter(is_named).collect();
        match found.as_slice() {
            [one] => Ok(one.variant),
            [] => {
                let names = self.rows.iter().map(|row| row.variant.name.as_str());
                let help = did_you_mean(name, names);
                Err(CommandError::usage(ViewError::NoBaseline { name: name.to_owned(), help }))
            }
            several => {
                let of = several.iter().take(4).map(|row| format!("`{}`", whole(row))).collect();
                Err(CommandError::usage(ViewError::SeveralBaselines { name: name.to_owned(), of }))
            }
        }
    }

    /// Whether this is the best one.
    pub fn is_best(&self, row: &Row<'_>) -> bool {
        self.best.is_some_and(|(_, best)| std::ptr::eq(best, row.variant))
    }
}

/// The best first: those that may be chosen by the objective, then those of the last rung and of each one before
/// it, candidates first; ties as they were.
fn rank(rows: &mut [Row<'_>], objective: &Objective) {
    let class = |row: &Row<'_>| {
        let (record, variant) = (row.record, row.variant);
        let to_go = record.n_rungs() - (variant.rung + 1).min(record.n_rungs());
        let value = objective.value(&variant.metrics);
        (!record.may_be_chosen(variant), to_go, !record.is_candidate(variant), value.is_none())
    };
    rows.sort_by(|a, b| {
        class(a).cmp(&class(b)).then_with(|| {
            match (objective.value(&a.variant.metrics), objective.value(&b.variant.metrics)) {
                (Some(x), Some(y)) if objective.is_better(x, y) => Ordering::Less,
                (Some(x), Some(y)) if objective.is_better(y, x) => Ordering::Greater,
                _ => Ordering::Equal,
            }
        })
    });
}
