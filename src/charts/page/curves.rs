//! How training went: the numbers that steps left while they worked.

use std::collections::BTreeMap;

use super::Section;
use super::facts::Facts;
use crate::charts::markup::escaped;
use crate::charts::numbers::value;
use crate::charts::plot::{Mark, Plot};
use crate::charts::scale::{Axis, Scale};

/// Points of one line; more cannot be told apart.
const POINTS: usize = 200;

/// A line of a chart: its name and its points.
type Curve = (String, Vec<(u64, f64)>);

pub fn section(facts: &Facts) -> Option<Section> {
    // One chart for each kind and sort of number; steps of one kind stand in one chart.
    let mut charts: BTreeMap<(String, String), Vec<Curve>> = BTreeMap::new();
    for step in &facts.steps {
        for (name, points) in step.curves.iter().filter(|(_, points)| points.len() > 1) {
            let (part, number) =
                name.rsplit_once('.').map_or((None, name.as_str()), |(part, number)| (Some(part), number));
            // Training and validation belong together.
            let family = number.trim_start_matches("validation_").to_owned();
            let alone = facts.steps.iter().filter(|other| other.kind == step.kind).count() == 1;
            let mut line = match part.map(|part| part.replace('_', " ")) {
                Some(part) if alone => part,
                Some(part) => format!("{} {part}", step.name),
                None => step.name.clone(),
            };
            if number.starts_with("validation_") {
                line.push_str(", held out");
            }
            charts.entry((step.kind.clone(), family)).or_default().push((line, points.clone()));
        }
    }
    if charts.is_empty() {
        return None;
    }
    let mut body = String::from("<div class=\"columns\">\n");
    for ((kind, number), mut curves) in charts {
        if curves.len() > 6 {
            curves = bands(&curves);
        }
        let title = format!("{kind}: {}", number.replace('_', " "));
        body.push_str(&format!(
            "<figure><figcaption>{}</figcaption>\n{}</figure>\n",
            escaped(&title),
            plot(&kind, &number, &curves).half()
        ));
    }
    body.push_str("</div>\n");
    Some(Section { id: "training", title: "Training", body })
}

/// Means over folds, of training and of users held out, as far as every fold goes.
fn bands(curves: &[Curve]) -> Vec<Curve> {
    let mean = |held_out: bool| {
        let all: Vec<&Vec<(u64, f64)>> = curves
            .iter()
            .filter(|(name, _)| name.ends_with(", held out") == held_out)
            .map(|curve| &curve.1)
            .collect();
        let shortest = all.iter().map(|points| points.len()).min().unwrap_or(0);
        let points = (0..shortest).map(|at| {
            let sum: f64 = all.iter().map(|points| points[at].1).sum();
            (all[0][at].0, sum / all.len() as f64)
        });
        let name = if held_out { "held out" } else { "training" };
        (format!("{name}, mean of {}", all.len()), points.collect::<Vec<_>>())
    };
    [mean(false), mean(true)].into_iter().filter(|curve| curve.1.len() > 1).collect()
}

fn plot(kind: &str, number: &str, curves: &[Curve]) -> Plot {
    let at = curves.iter().flat_map(|curve| &curve.1).map(|point| point.0);
    let (first, last) = at.fold((u64::MAX, 0), |(first, last), at| (first.min(at), last.max(at)));
    let unit = if kind == "rank" { "trees" } else { "iterations" };
    let told: Vec<String> = curves
        .iter()
        .filter_map(|(name, points)| {
            Some(format!("{name} from {} to {}", value(points.first()?.1), value(points.last()?.1)))
        })
        .collect();
    let number = number.replace('_', " ");
    Plot {
        about: format!("{number} over {unit}: {}", told.join("; ")),
        x: Axis::new(unit, Scale::Linear, first as f64, last as f64),
        y: Axis::around(number, Scale::Linear, curves.iter().flat_map(|curve| &curve.1).map(|point| point.1)),
        marks: (curves.iter().enumerate())
            .map(|(color, (name, points))| {
                let every = points.len().div_ceil(POINTS).max(1);
                let kept = points
                    .iter()
                    .enumerate()
                    .filter(|(at, _)| at.is_multiple_of(every) || at + 1 == points.len());
                Mark::Line {
                    name: name.clone(),
                    color,
                    points: kept.map(|(_, &(at, value))| (at as f64, value)).collect(),
                }
            })
            .collect(),
        rules: Vec::new(),
    }
}
