//! Who is served how well: NDCG by the size of a user's history.

use super::Section;
use super::facts::{Facts, Segments};
use crate::charts::markup::Table;
use crate::charts::numbers::{count, value};
use crate::charts::plot::{Mark, Plot};
use crate::charts::scale::{Axis, Scale};
use crate::eval::segments::Segment;

pub fn section(facts: &Facts) -> Option<Section> {
    let segments = facts.segments.as_ref().filter(|segments| !segments.segments.is_empty())?;
    let Segments { k, models, segments } = segments;
    let mut table = Table::new(format!("NDCG@{k} by the size of the history, 95 % intervals below"))
        .text("tracks in the history")
        .number("users");
    for model in models {
        table = table.number(model.clone());
    }
    for segment in segments {
        let best = segment.means.iter().map(|mean| mean.value).fold(f64::MIN, f64::max);
        let mut cells =
            vec![format!("<span class=\"one\">{}</span>", range(segment)), count(segment.users as u64)];
        for mean in &segment.means {
            let class = if mean.value == best { " class=\"best\"" } else { "" };
            cells.push(format!(
                "<span{class}>{}</span><br><span class=\"more one\">{} – {}</span>",
                value(mean.value),
                value(mean.low),
                value(mean.high)
            ));
        }
        table.row(cells);
    }
    let mut body = String::from(
        "<p>Users in groups of about one size, by how many tracks they had before the test period. An average hides whom \
         a model serves.</p>\n",
    );
    if segments.len() > 1 {
        body.push_str(&format!(
            "<figure><figcaption>NDCG@{k} by activity</figcaption>\n{}</figure>\n",
            plot(facts, *k, models, segments).svg()
        ));
    }
    body.push_str(&table.html());
    Some(Section { id: "segments", title: "By user activity", body })
}

/// `20 – 41`.
fn range(segment: &Segment) -> String {
    if segment.from == segment.to {
        count(segment.from.into())
    } else {
        format!("{} – {}", count(segment.from.into()), count(segment.to.into()))
    }
}

/// A line for each model over the middles of the segments, on a logarithmic scale.
fn plot(facts: &Facts, k: usize, models: &[String], segments: &[Segment]) -> Plot {
    // A user without a history has no place on a logarithmic scale.
    let middle = |segment: &Segment| (f64::from(segment.from.max(1)) * f64::from(segment.to.max(1))).sqrt();
    let first = segments.iter().map(|segment| segment.from).min().unwrap_or(1).max(1);
    let last = segments.iter().map(|segment| segment.to).max().unwrap_or(1);
    let highest =
        segments.iter().flat_map(|segment| &segment.means).map(|mean| mean.high).fold(0.0, f64::max);
    // Models stand side by side: intervals on one line could not be told apart.
    let step = 0.018 * (f64::from(last.max(2)) / f64::from(first)).ln();
    let room = (models.len() as f64 * step / 2.0).exp();
    let mut marks = Vec::new();
    for (place, model) in models.iter().enumerate() {
        let color = super::models::color(facts.evaluation.as_ref(), model);
        let aside = ((place as f64 - (models.len() as f64 - 1.0) / 2.0) * step).exp();
        let points: Vec<(f64, f64)> =
            segments.iter().map(|segment| (middle(segment) * aside, segment.means[place].value)).collect();
        marks.extend(points.iter().zip(segments).map(|(&at, segment)| Mark::Dot {
            name: String::new(),
            color,
            at,
            x_interval: None,
            y_interval: Some((segment.means[place].low, segment.means[place].high)),
        }));
        marks.push(Mark::Line { name: model.clone(), color, points });
    }
    Plot {
        about: format!(
            "NDCG@{k} of {} over the size of the history; the table below has the numbers",
            models.join(", ")
        ),
        x: Axis::new(
            "tracks in the history (logarithmic)",
            Scale::Log,
            f64::from(first) / room,
            f64::from(last) * room,
        ),
        y: Axis::from_zero(format!("NDCG@{k}"), Scale::Linear, highest),
        marks,
        rules: Vec::new(),
    }
}
