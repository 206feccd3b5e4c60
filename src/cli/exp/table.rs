//! Variants as a table: what differs, what was measured, how sure that is, and what it cost.

use std::collections::BTreeMap;
use std::time::Duration;

use miette::Diagnostic;
use serde_json::{Value as Json, json};
use thiserror::Error;

use super::against::{Side, against};
use super::choice::{self, Choice};
use super::fields::{self, Field, Row};
use super::notes;
use crate::cli::CommandError;
use crate::cli::sheet::{Audience, Cell, Column, Format, Sheet};
use crate::console::{bytes, seconds};
use crate::steps::evaluate::user_values::Correction;
use crate::workflow::experiment::space::shown;
use crate::workflow::experiment::{
    Against, Constraint, Direction, ExperimentRecord, MetricName, Objective, VariantRecord,
};
use crate::workflow::fault::did_you_mean;
use crate::workflow::store::Store;

/// Variants that are shown together.
pub struct View<'a> {
    /// What it is about.
    pub title: String,
    /// The variants, in the order in which they are shown.
    pub rows: Vec<Row<'a>>,
    /// What they are compared by.
    pub objective: Objective,
    /// The one that all are compared with, and whether it was named.
    pub one: Option<(&'a ExperimentRecord, &'a VariantRecord, Correction)>,
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
    /// How often p-values were corrected for.
    pub compared: usize,
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

/// The best of these, when they are all of one experiment or compared by its objective.
fn best_of<'a>(rows: &[Row<'a>], objective: &Objective) -> Option<Row<'a>> {
    let chosen = rows.iter().filter(|row| row.record.may_be_chosen(row.variant));
    let mut best: Option<(&Row<'a>, f64)> = None;
    for row in chosen {
        let Some(value) = objective.value(&row.variant.metrics) else { continue };
        if best.is_none_or(|(_, so_far)| objective.is_better(value, so_far)) {
            best = Some((row, value));
        }
    }
    best.map(|(row, _)| row.clone())
}

impl<'a> View<'a> {
    /// The variants of one experiment, the best first, as they were compared when it ran.
    pub fn of_one(record: &'a ExperimentRecord) -> Self {
        let rows = record.ranking().into_iter().map(|position| {
            let variant = &record.variants[position];
            Row { record, variant, against: variant.against_best, on_front: false }
        });
        let rows: Vec<Row<'a>> = rows.collect();
        let one = record.best().map(|best| (record, best, Correction::Picked));
        Self::new(format!("Experiment {}", record.name), rows, record.objective.clone(), one)
    }

    /// Variants of several experiments, the best first by the objective of the first one; compared afresh.
    pub fn of_several(
        title: String,
        variants: Vec<(&'a ExperimentRecord, &'a VariantRecord)>,
    ) -> Option<Self> {
        let objective = variants.first()?.0.objective.clone();
        let rows = variants.into_iter().map(|(record, variant)| Row {
            record,
            variant,
            against: None,
            on_front: false,
        });
        Some(Self::new(title, rows.collect(), objective, None))
    }

    fn new(
        title: String,
        rows: Vec<Row<'a>>,
        objective: Objective,
        one: Option<(&'a ExperimentRecord, &'a VariantRecord, Correction)>,
    ) -> Self {
        let settings = fields::differing(&rows);
        let metrics = fields::shown_metrics(&rows, &objective.metric);
        let several = rows.iter().any(|row| !std::ptr::eq(row.record, rows[0].record));
        let compared = rows.iter().filter(|row| row.against.is_some()).count();
        Self {
            title,
            rows,
            objective,
            one,
            settings,
            metrics,
            front: Vec::new(),
            hidden: 0,
            several,
            compared,
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
        self.narrowed(choice)
    }

    /// The same, compared afresh.
    ///
    /// # Errors
    /// As [`View::choose`].
    pub fn compared(mut self, choice: &Choice, store: &Store) -> Result<Self, CommandError> {
        if let Some(name) = &choice.by {
            self.compare_by(name)?;
        }
        self.compare(choice.baseline.as_deref(), store)?;
        self.narrowed(choice)
    }

    fn narrowed(mut self, choice: &Choice) -> Result<Self, CommandError> {
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

    /// Takes another metric for the objective.
    fn compare_by(&mut self, name: &str) -> Result<(), CommandError> {
        let field = Field::find(name, &self.rows, &self.metrics).map_err(CommandError::usage)?;
        let direction = field.direction(&self.rows);
        let metric: Option<MetricName> = match &field {
            Field::Metric(name) => name.parse().ok(),
            _ => None,
        };
        let Some(metric) = metric else {
            let help = "name a metric, for example `ndcg@10`".to_owned();
            return Err(CommandError::usage(fields::FieldError::Unknown { name: name.to_owned(), help }));
        };
        self.objective = Objective { metric, direction };
        self.metrics = fields::shown_metrics(&self.rows, &self.objective.metric);
        Ok(())
    }

    /// Compares all with one: the one that is named, or the best.
    fn compare(&mut self, named: Option<&str>, store: &Store) -> Result<(), CommandError> {
        let objective = self.objective.clone();
        // The best first; those that may not be chosen, or have no value, after them as they were.
        self.rows.sort_by(|a, b| {
            let key = |row: &Row<'_>| {
                let value = objective.value(&row.variant.metrics);
                (!row.record.may_be_chosen(row.variant), value.is_none())
            };
            key(a).cmp(&key(b)).then_with(|| {
                let values = (objective.value(&a.variant.metrics), objective.value(&b.variant.metrics));
                match values {
                    (Some(x), Some(y)) if objective.is_better(x, y) => std::cmp::Ordering::Less,
                    (Some(x), Some(y)) if objective.is_better(y, x) => std::cmp::Ordering::Greater,
                    _ => std::cmp::Ordering::Equal,
                }
            })
        });
        let (one, correction) = match named {
            Some(name) => (Some(self.named(name)?), Correction::Named),
            None => (best_of(&self.rows, &objective), Correction::Picked),
        };
        self.one = one.as_ref().map(|one| (one.record, one.variant, correction));
        let side = one.as_ref().and_then(|one| Side::of(one.variant, &objective.metric));
        let is_one = |row: &Row<'_>| one.as_ref().is_some_and(|one| std::ptr::eq(one.variant, row.variant));
        let sides: Vec<Option<Side<'_>>> = self
            .rows
            .iter()
            .map(|row| Side::of(row.variant, &objective.metric).filter(|_| !is_one(row)))
            .collect();
        let found =
            side.map_or_else(|| vec![None; sides.len()], |side| against(store, side, &sides, correction));
        for (row, found) in self.rows.iter_mut().zip(found) {
            row.against = found;
        }
        self.compared = self.rows.iter().filter(|row| row.against.is_some()).count();
        Ok(())
    }

    fn named(&self, name: &str) -> Result<Row<'a>, CommandError> {
        let whole = |row: &Row<'_>| format!("{}/{}", row.record.name, row.variant.name);
        let is_named = |row: &&Row<'a>| row.variant.name == name || whole(row) == name;
        let found: Vec<&Row<'a>> = self.rows.iter().filter(is_named).collect();
        match found.as_slice() {
            [one] => Ok((*one).clone()),
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

    /// Whether this is the one that is best by the objective.
    pub fn is_best(&self, row: &Row<'_>) -> bool {
        match (&self.one, self.several) {
            (Some((_, variant, Correction::Picked)), _) => std::ptr::eq(*variant, row.variant),
            (_, false) => row.record.best().is_some_and(|best| std::ptr::eq(best, row.variant)),
            _ => false,
        }
    }

    /// The table in a format.
    pub fn render(&self, format: Format) -> String {
        self.sheet().render(format, || self.json())
    }

    fn sheet(&self) -> Sheet {
        let mut sheet = Sheet { title: self.title.clone(), notes: notes::notes(self), ..Sheet::default() };
        let has_rungs = self.rows.iter().any(|row| row.record.n_rungs() > 1);
        let is_compared = self.rows.iter().any(|row| row.against.is_some());
        let pipelines = fields::pipelines(&self.rows);
        let mut columns: Vec<(Column, Box<dyn Fn(&Row<'_>) -> Cell + '_>)> = vec![(
            Column::titled("", "state", Audience::All, false),
            Box::new(|row| {
                let best = if self.is_best(row) { "★" } else { "" };
                let state = if row.state() == "done" { "" } else { row.state() };
                let front = if row.on_front { "◆" } else { "" };
                let text = [best, front, state].into_iter().filter(|part| !part.is_empty());
                Cell {
                    text: text.collect::<Vec<_>>().join(" "),
                    data: row.state().to_owned(),
                    interval: None,
                }
            }),
        )];
        if self.several {
            columns.push((Column::words("experiment"), Box::new(|row| Cell::same(&row.record.name))));
        }
        let is_named_by_settings = !self.settings.is_empty();
        columns.push((
            Column::titled(
                "variant",
                "variant",
                if is_named_by_settings { Audience::Programs } else { Audience::All },
                false,
            ),
            Box::new(|row| Cell::same(&row.variant.name)),
        ));
        if pipelines.is_some() {
            columns.push((
                Column::words("pipeline"),
                Box::new(|row| Cell::same(row.record.pipeline.display().to_string())),
            ));
        }
        for path in &self.settings {
            columns.push((
                Column::numbers(path),
                Box::new(move |row| {
                    row.setting(path).map_or_else(Cell::default, |value| Cell::same(shown(&value)))
                }),
            ));
        }
        if has_rungs {
            columns.push((
                Column::numbers("rung"),
                Box::new(|row| Cell {
                    text: format!("{}/{}", row.variant.rung + 1, row.record.n_rungs()),
                    data: (row.variant.rung + 1).to_string(),
                    interval: None,
                }),
            ));
        }
        let objective = self.objective.metric.to_string();
        for (place, name) in self.metrics.iter().enumerate() {
            self.metric_columns(name, place == 0, &mut columns);
            if place == 0 && is_compared {
                difference_columns(&mut columns);
            }
        }
        debug_assert_eq!(self.metrics.first(), Some(&objective));
        columns.push((
            Column::titled("time", "seconds", Audience::All, true),
            Box::new(|row| {
                let time = row.variant.seconds.max(0.0);
                Cell { text: seconds(Duration::from_secs_f64(time)), data: time.to_string(), interval: None }
            }),
        ));
        columns.push((
            Column::titled("memory", "peak_memory_bytes", Audience::All, true),
            Box::new(|row| {
                let memory = row.variant.peak_memory_bytes;
                memory.map_or_else(Cell::default, |size| Cell {
                    text: bytes(size),
                    data: size.to_string(),
                    interval: None,
                })
            }),
        ));
        sheet.rows =
            self.rows.iter().map(|row| columns.iter().map(|(_, cell)| cell(row)).collect()).collect();
        sheet.columns = columns.into_iter().map(|(column, _)| column).collect();
        sheet
    }

    fn metric_columns<'v>(&self, name: &'v str, draws: bool, columns: &mut Columns<'v>) {
        let value = move |row: &Row<'_>| row.variant.metrics.get(name).copied();
        let interval = move |row: &Row<'_>| row.variant.intervals.get(name).copied();
        columns.push((
            Column::numbers(name),
            Box::new(move |row| Cell::number(value(row), |value| format!("{value:.4}"))),
        ));
        if !self.rows.iter().any(|row| row.variant.intervals.contains_key(name)) {
            return;
        }
        columns.push((
            Column::titled("95 % interval", "", Audience::People, true),
            Box::new(move |row| {
                let Some([low, high]) = interval(row) else { return Cell::default() };
                let drawn = value(row).filter(|_| draws).map(|value| [low, value, high]);
                Cell { text: format!("{low:.4}–{high:.4}"), data: String::new(), interval: drawn }
            }),
        ));
        for (place, end) in ["low", "high"].into_iter().enumerate() {
            columns.push((
                Column::titled("", &format!("{name} {end}"), Audience::Programs, true),
                Box::new(move |row| {
                    Cell::number(interval(row).map(|ends| ends[place]), |end| end.to_string())
                }),
            ));
        }
    }

    fn json(&self) -> Json {
        let one = self.one.map(|(record, variant, correction)| {
            json!({ "experiment": record.name, "variant": variant.name, "correction": correction.name(),
                    "was_named": correction == Correction::Named, "comparisons": self.compared })
        });
        let mut records: BTreeMap<&str, Json> = BTreeMap::new();
        for row in &self.rows {
            let record = row.record;
            records.entry(&record.name).or_insert_with(|| {
                json!({ "name": record.name, "path": record.path, "pipeline": record.pipeline,
                        "finished": record.finished, "objective": record.objective, "rungs": record.rungs,
                        "constraints": record.constraints.iter().map(Constraint::to_string).collect::<Vec<_>>() })
            });
        }
        let variants = self.rows.iter().map(|row| {
            let mut whole = json!(row.variant);
            whole["experiment"] = row.record.name.as_str().into();
            whole["state"] = row.state().into();
            whole["is_best"] = self.is_best(row).into();
            if let Some(fields) = whole.as_object_mut() {
                fields.remove("against_best");
            }
            whole["against"] = json!(row.against);
            if !self.front.is_empty() {
                whole["on_front"] = row.on_front.into();
            }
            whole
        });
        let variants: Vec<Json> = variants.collect();
        json!({
            "objective": self.objective,
            "compared_with": one,
            "pareto": self.front.iter().map(|(field, direction)| json!({ "of": field.to_string(), "direction": direction })).collect::<Vec<_>>(),
            "experiments": records.into_values().collect::<Vec<_>>(),
            "variants": variants,
            "hidden": self.hidden,
        })
    }
}

type Columns<'v> = Vec<(Column, Box<dyn Fn(&Row<'_>) -> Cell + 'v>)>;

fn difference_columns(columns: &mut Columns<'_>) {
    let signed = |value: f64| format!("{value:+.4}");
    columns.push((
        Column::numbers("difference"),
        Box::new(move |row| Cell::number(row.against.map(|against| against.difference), signed)),
    ));
    columns.push((
        Column::titled("its 95 % interval", "", Audience::People, true),
        Box::new(|row| {
            let ends = row.against.and_then(|against| Some((against.low?, against.high?)));
            Cell::same(ends.map_or_else(String::new, |(low, high)| format!("{low:+.4} to {high:+.4}")))
        }),
    ));
    columns.push((
        Column::titled("", "difference low", Audience::Programs, true),
        Box::new(|row| Cell::number(row.against.and_then(|against| against.low), |end| end.to_string())),
    ));
    columns.push((
        Column::titled("", "difference high", Audience::Programs, true),
        Box::new(|row| Cell::number(row.against.and_then(|against| against.high), |end| end.to_string())),
    ));
    columns.push((
        Column::numbers("p"),
        Box::new(|row| {
            let mark = |against: Against| if against.same_data { "" } else { " †" };
            let mut cell = Cell::number(row.against.map(|against| against.p_value), notes::p_value);
            cell.text.push_str(row.against.map_or("", mark));
            cell
        }),
    ));
}
