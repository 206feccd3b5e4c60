//! A table in the formats that people and programs want: what one column says may be worded differently for the two.

use clap::ValueEnum;
use comfy_table::CellAlignment;
use serde_json::Value as Json;

use super::page;
use crate::console::plain_table;

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// For documents
    Markdown,
    /// For spreadsheets
    Csv,
    /// For programs
    Json,
    /// A page of its own, for browsers
    Html,
}

/// Whom a column is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Everybody.
    All,
    /// Readers of tables, documents and pages.
    People,
    /// Spreadsheets.
    Programs,
    /// Nobody: what would make a table too wide.
    Nobody,
}

/// A column.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its title for people.
    pub title: String,
    /// Its title for programs.
    pub name: String,
    /// Whom it is for.
    pub audience: Audience,
    /// Whether its cells are numbers.
    pub is_number: bool,
}

/// What stands in one place.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    /// For people.
    pub text: String,
    /// For programs.
    pub data: String,
    /// A value between two ends, which a page draws.
    pub interval: Option<[f64; 3]>,
}

/// A table.
#[derive(Debug, Clone, Default)]
pub struct Sheet {
    /// What it is about.
    pub title: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows, a cell for each column.
    pub rows: Vec<Vec<Cell>>,
    /// What is to be said below it, a line each.
    pub notes: Vec<String>,
}

impl Column {
    /// A column of words.
    pub fn words(title: &str) -> Self {
        Self::titled(title, title, Audience::All, false)
    }

    /// A column of numbers.
    pub fn numbers(title: &str) -> Self {
        Self::titled(title, title, Audience::All, true)
    }

    /// A column with everything said.
    pub fn titled(title: &str, name: &str, audience: Audience, is_number: bool) -> Self {
        Self { title: title.to_owned(), name: name.to_owned(), audience, is_number }
    }
}

impl Cell {
    /// The same for everybody.
    pub fn same(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { data: text.clone(), text, interval: None }
    }

    /// A number: rounded for people, exact for programs; empty when there is none.
    pub fn number(value: Option<f64>, text: impl Fn(f64) -> String) -> Self {
        value.map_or_else(Self::default, |value| Self {
            text: text(value),
            data: value.to_string(),
            interval: None,
        })
    }
}

impl Sheet {
    /// The table in a format; `whole` is what programs get that read JSON.
    pub fn render(&self, format: Format, whole: impl FnOnce() -> Json) -> String {
        match format {
            Format::Json => format!("{:#}\n", whole()),
            Format::Csv => {
                let columns = self.columns_for(Audience::Programs);
                let mut text = csv_line(columns.iter().map(|&column| self.columns[column].name.as_str()));
                for row in &self.rows {
                    text.push_str(&csv_line(columns.iter().map(|&column| row[column].data.as_str())));
                }
                text
            }
            Format::Markdown => self.markdown(),
            Format::Table => self.plain(),
            Format::Html => page::page(self, &self.columns_for(Audience::People)),
        }
    }

    fn columns_for(&self, audience: Audience) -> Vec<usize> {
        let fits = |column: &Column| [Audience::All, audience].contains(&column.audience);
        (0..self.columns.len()).filter(|&column| fits(&self.columns[column])).collect()
    }

    fn markdown(&self) -> String {
        let columns = self.columns_for(Audience::People);
        let line = |cells: Vec<String>| {
            let cells: Vec<String> =
                cells.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let mut text = line(columns.iter().map(|&column| self.columns[column].title.clone()).collect());
        let rule = |&column: &usize| if self.columns[column].is_number { "--:|" } else { "---|" };
        text.push_str(&format!("|{}\n", columns.iter().map(rule).collect::<String>()));
        for row in &self.rows {
            text.push_str(&line(columns.iter().map(|&column| row[column].text.clone()).collect()));
        }
        for note in &self.notes {
            text.push_str(&format!("\n{note}\n"));
        }
        text
    }

    fn plain(&self) -> String {
        let columns = self.columns_for(Audience::People);
        let titles: Vec<&str> = columns.iter().map(|&column| self.columns[column].title.as_str()).collect();
        let mut table = plain_table(&titles);
        for row in &self.rows {
            table.add_row(columns.iter().map(|&column| row[column].text.as_str()));
        }
        for (place, &column) in columns.iter().enumerate() {
            if self.columns[column].is_number
                && let Some(column) = table.column_mut(place)
            {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let lines: String = table.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
        let notes: String = self.notes.iter().map(|note| format!("{note}\n")).collect();
        if notes.is_empty() { lines } else { format!("{lines}\n{notes}") }
    }
}

/// A line as RFC 4180 has it.
fn csv_line<'a>(cells: impl Iterator<Item = &'a str>) -> String {
    let quoted = cells.map(|cell| {
        if cell.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            cell.to_owned()
        }
    });
    quoted.collect::<Vec<_>>().join(",") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet() -> Sheet {
        let columns = vec![
            Column::words("model"),
            Column::titled("95 % interval", "low", Audience::Programs, true),
            Column::titled("95 % interval", "interval", Audience::People, true),
        ];
        let cell =
            |text: &str, data: &str| Cell { text: text.to_owned(), data: data.to_owned(), interval: None };
        let rows = vec![vec![Cell::same("a,|\"b\""), cell("", "0.5"), cell("0.5–0.7", "")]];
        Sheet { title: "t <1>".to_owned(), columns, rows, notes: vec!["a note".to_owned()] }
    }

    #[test]
    fn each_reader_gets_its_own_columns() {
        let csv = sheet().render(Format::Csv, Json::default);
        assert_eq!(csv, "model,low\n\"a,|\"\"b\"\"\",0.5\n");
        let markdown = sheet().render(Format::Markdown, Json::default);
        assert_eq!(markdown, "| model | 95 % interval |\n|---|--:|\n| a,\\|\"b\" | 0.5–0.7 |\n\na note\n");
        let table = sheet().render(Format::Table, Json::default);
        assert!(table.contains("0.5–0.7\n\na note\n"), "{table}");
        let html = sheet().render(Format::Html, Json::default);
        assert!(html.contains("<h1>t &lt;1&gt;</h1>") && html.contains("a,|&quot;b&quot;"), "{html}");
    }
}
