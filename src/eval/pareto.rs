//! What accuracy costs and brings: models that no other beats in NDCG and in a second quality at once.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, Table, TableComponent, presets};
use serde::Serialize;

use super::compare::{Comparison, ModelReport};
use super::metric::Metric;
use super::table::shortened;

/// Qualities that are often bought with accuracy; more is better.
pub const TRADED: [Metric; 4] =
    [Metric::IntraListDiversity, Metric::Diversity, Metric::Novelty, Metric::CoverageItems];

/// The Pareto front of NDCG and one other metric.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Front {
    /// The other metric, by its name with the cut.
    pub metric: String,
    /// Models that no other beats in both, by falling NDCG.
    pub models: Vec<String>,
}

/// The front of NDCG@k and each of [`TRADED`].
///
/// # Panics
/// When the reports have no such cut.
pub fn fronts(models: &BTreeMap<String, ModelReport>, k: usize) -> Vec<Front> {
    let front = |metric: Metric| {
        let points: Vec<(&str, f64, f64)> = models
            .values()
            .map(|model| {
                (model.model.as_str(), model.value(Metric::Ndcg, k).value, model.value(metric, k).value)
            })
            .collect();
        let beats =
            |a: &(&str, f64, f64), b: &(&str, f64, f64)| a.1 >= b.1 && a.2 >= b.2 && (a.1 > b.1 || a.2 > b.2);
        let on_front = points.iter().filter(|point| !points.iter().any(|other| beats(other, point)));
        let mut on_front: Vec<_> = on_front.collect();
        on_front.sort_by(|a, b| b.1.total_cmp(&a.1));
        Front { metric: metric.at(k), models: on_front.iter().map(|point| point.0.to_owned()).collect() }
    };
    TRADED.map(front).into()
}

/// The fronts as a table, models by falling NDCG; nothing for a single model.
pub fn render(comparison: &Comparison) -> Option<String> {
    let k = comparison.compare_at;
    let ndcg = |model: &ModelReport| model.value(Metric::Ndcg, k).value;
    let mut models: Vec<&ModelReport> = comparison.models.values().collect();
    models.sort_by(|a, b| ndcg(b).total_cmp(&ndcg(a)));
    if models.len() < 2 {
        return None;
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_style(TableComponent::HeaderLines, '─');
    let titles = ["intra-list diversity", "diversity", "novelty", "coverage"].map(str::to_owned);
    table.set_header([vec!["  model".to_owned(), format!("NDCG@{k}")], titles.into()].concat());
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 2));
    });
    table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    for model in models {
        let mut cells = vec![format!("  {}", shortened(&model.model, 20)), format!("{:.4}", ndcg(model))];
        cells.extend(TRADED.iter().zip(&comparison.pareto).map(|(&metric, front)| {
            let mark = if front.models.contains(&model.model) { '◆' } else { ' ' };
            format!("{:.4} {mark}", model.value(metric, k).value)
        }));
        table.add_row(cells);
    }
    Some(format!(
        "{}\n\n◆ no other model has more of it at the same NDCG or more (Pareto front)",
        table.trim_fmt()
    ))
}

#[cfg(test)]
mod tests {
    use super::super::compare::tests::comparison;
    use super::*;

    #[test]
    fn a_front_holds_what_nothing_beats_in_both() {
        // good: NDCG 0.98, coverage 0.75; fair: 0.63, 0.5; poor: 0.02, 0.75; novelty is the same for all.
        let comparison = comparison(["fair", "good", "poor"], "poor");
        let front = |name: &str| {
            let front = comparison.pareto.iter().find(|front| front.metric == name).unwrap();
            front.models.iter().map(String::as_str).collect::<Vec<_>>()
        };
        assert_eq!(front("coverage_items@2"), ["good"]);
        assert_eq!(front("novelty@2")[0], "good");
        assert_eq!(comparison.pareto.len(), TRADED.len());
    }

    #[test]
    fn equal_models_are_both_on_the_front_and_the_table_marks_them() {
        let comparison = comparison(["a", "b", "c"], "a");
        let text = render(&comparison).unwrap();
        let marks: Vec<usize> = text.lines().skip(2).take(3).map(|line| line.matches('◆').count()).collect();
        assert!(marks[0] > marks[2], "{text}");
        for line in text.lines() {
            assert!(line.chars().count() <= 110, "{line}");
        }
    }
}
