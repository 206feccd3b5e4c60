//! Variants as a table: what differs, what was measured, how sure that is, and what it cost.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::fields::{self, Row};
use super::notes;
use super::view::View;
use crate::cli::sheet::{Audience, Cell, Column, Format, Sheet};
use crate::console::{bytes, seconds};
use crate::workflow::experiment::space::shown;
use crate::workflow::experiment::{Against, Constraint};

impl View<'_> {
    /// The table in a format.
    pub fn render(&self, format: Format) -> String {
        self.sheet().render(format, || self.json())
    }

    fn sheet(&self) -> Sheet {
        let mut sheet = Sheet { title: self.title.clone(), notes: notes::notes(self), ..Sheet::default() };
        let has_rungs = self.rows.iter().any(|row| row.record.n_rungs() > 1);
        let is_compared = self.rows.iter().any(|row| row.against.is_some());
        let pipelines = fields::pipelines(&self.rows);
        let mut columns: Columns<'_> = vec![(
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
        for (place, name) in self.metrics.iter().enumerate() {
            self.metric_columns(name, place == 0, &mut columns);
            if place == 0 && is_compared {
                difference_columns(&mut columns);
            }
        }
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
            Column::titled(
                "95 % interval",
                "",
                if draws { Audience::People } else { Audience::Nobody },
                true,
            ),
            Box::new(move |row| {
                let Some([low, high]) = interval(row) else { return Cell::default() };
                let drawn = value(row).map(|value| [low, value, high]);
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
        let one = self.one.map(|variant| {
            json!({ "variant": variant.name, "metric": self.metric, "correction": self.correction.name(),
                    "comparisons": self.compared })
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

/// Columns, and what stands in them.
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
