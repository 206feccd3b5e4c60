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
    let mut table = Table::new(format!("NDCG@{k} by the size of the history, 95 % intervals below"))
        .text("tracks in the history")
        .number("users");
    for model in models {
        table = table.number(model.clone());
    }
    for segment in segments {
        let best = segment.means.iter().map(|mean| mean.value).fold(f64::MIN, f64::max);
        let mut cells = vec![range(segment), count(segment.users as u64)];
        for mean in &segment.means {
            let class = if mean.value == best { " class=\"best\"" } else { "" };
            cells.push(format!(
                "<span{class}>{}</span><br><span class=\"more\">{} – {}</span>",
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
            plot(*k, models, segments).svg()
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
fn plot(k: usize, models: &[String], segments: &[Segment]) -> Plot {
    // A user without a history has no place on a logarithmic scale.
    let middle = |segment: &Segment| (f64::from(segment.from.max(1)) * f64::from(segment.to.max(1))).sqrt();
    let first = segments.iter().map(|segment| segment.from).min().unwrap_or(1).max(1);
    let last = segments.iter().map(|segment| segment.to).max().unwrap_or(1);
    let highest =
        segments.iter().flat_map(|segment| &segment.means).map(|mean| mean.high).fold(0.0, f64::max);
    let mut marks = Vec::new();
    for (place, model) in models.iter().enumerate() {
        for segment in segments {
            let mean = segment.means[place];
            // Side by side: intervals on one line could not be told apart.
            let aside = 1.0 + (place as f64 - models.len() as f64 / 2.0) * 0.012;
            marks.push(Mark::Dot {
                name: String::new(),
                color: place,
                at: (middle(segment) * aside, mean.value),
                x_interval: None,
                y_interval: Some((mean.low, mean.high)),
            });
        }
        marks.push(Mark::Line {
            name: model.clone(),
            color: place,
            points: segments.iter().map(|segment| (middle(segment), segment.means[place].value)).collect(),
        });
    }
    Plot {
        about: format!(
            "NDCG@{k} of {} over the size of the history; the table below has the numbers",
            models.join(", ")
        ),
        x: Axis::new("tracks in the history (logarithmic)", Scale::Log, f64::from(first), f64::from(last)),
        y: Axis::from_zero(format!("NDCG@{k}"), Scale::Linear, highest),
        marks,
        rules: Vec::new(),
    }
}
