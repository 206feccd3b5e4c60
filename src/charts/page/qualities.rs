//! What lists are worth beyond hits: how much of the catalogue is shown, and how popular what is shown is.

use super::Section;
use super::facts::Facts;
use super::models::{below, color, metrics, ranked};
use crate::charts::markup::Table;
use crate::charts::numbers::{count, percent, value};
use crate::charts::plot::{Mark, Plot};
use crate::charts::scale::{Axis, Scale};

/// Metrics beyond accuracy, and what they are called.
const QUALITIES: [(&str, &str); 7] = [
    ("coverage_users", "users with a full list"),
    ("novelty", "novelty, bits"),
    ("unseen", "unseen"),
    ("diversity", "distinct songs"),
    ("category_diversity", "distinct genres"),
    ("intra_list_diversity", "intra-list diversity"),
    ("serendipity", "serendipity"),
];

pub fn section(facts: &Facts) -> Option<Section> {
    let evaluation = facts.evaluation.as_ref()?;
    let k = evaluation.compare_at;
    let models = ranked(evaluation);
    let of = |name: &str, metric: &str| {
        evaluation.models.get(name)?.metrics.get(&format!("{metric}@{k}")).copied()
    };
    let points: Vec<_> = models
        .iter()
        .filter_map(|&(name, _)| Some((name, of(name, "coverage_items")?, of(name, "ndcg")?)))
        .collect();
    if points.is_empty() {
        return None;
    }
    let highest = |values: Vec<Option<f64>>| values.into_iter().flatten().fold(0.0, f64::max);
    let coverage = highest(points.iter().flat_map(|point| [Some(point.1.value), point.1.high]).collect());
    let ndcg = highest(points.iter().flat_map(|point| [Some(point.2.value), point.2.high]).collect());
    let plot = Plot {
        about: format!(
            "NDCG@{k} against the share of the catalogue that is recommended to anybody: {}",
            points
                .iter()
                .map(|(name, coverage, ndcg)| format!(
                    "{name} {} at {}",
                    value(ndcg.value),
                    percent(coverage.value)
                ))
                .collect::<Vec<_>>()
                .join(", ")
        ),
        x: Axis::from_zero("share of all tracks that are in any list", Scale::Share, coverage),
        y: Axis::from_zero(format!("NDCG@{k}"), Scale::Linear, ndcg),
        marks: (points.iter())
            .map(|(name, coverage, ndcg)| Mark::Dot {
                name: (*name).to_owned(),
                color: color(Some(evaluation), name),
                at: (coverage.value, ndcg.value),
                x_interval: coverage.interval(),
                y_interval: ndcg.interval(),
            })
            .collect(),
        rules: Vec::new(),
    };
    let mut body = format!(
        "<p>A model that shows everybody the same few hits can be accurate and still leave most of the catalogue unseen: \
         the upper right corner has both.</p>\n<figure><figcaption>Accuracy and coverage</figcaption>\n{}</figure>\n",
        plot.svg()
    );
    let users = facts.overview.n_users().max(1) as f64;
    let mut table = Table::new(format!("Coverage and popularity bias, lists of {k}"))
        .text("model")
        .number("tracks in any list")
        .number("of the catalogue")
        .number("mean users of a recommended track")
        .number("of all users");
    for (name, model) in &models {
        let (Some(coverage), Some(bias)) = (of(name, "coverage_items"), of(name, "popularity_bias")) else {
            continue;
        };
        table.row([
            crate::charts::markup::name(name),
            count((coverage.value * model.counts.catalogue as f64).round() as u64),
            percent(coverage.value),
            format!("{}{}", value(bias.value), below(&bias)),
            percent(bias.value / users),
        ]);
    }
    let mean = facts.popularity.mean();
    body.push_str(&table.html());
    body.push_str(&format!(
        "<p class=\"quiet\">To compare with: over all periods a track has {} users on average, and half of the tracks have \
         at most {}.</p>\n",
        value(mean),
        count(facts.popularity.quantile(0.5).into())
    ));
    body.push_str(&metrics(evaluation, k, &QUALITIES, &format!("Other qualities, lists of {k}")));
    Some(Section { id: "qualities", title: "Coverage and popularity bias", body })
}
