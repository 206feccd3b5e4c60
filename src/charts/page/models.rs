//! The models beside each other by accuracy, with intervals, and whether differences can be believed.

use std::cmp::Ordering;

use super::Section;
use super::facts::{Evaluation, Facts, Model, Value};
use crate::charts::markup::{Table, details, name};
use crate::charts::numbers::{count, p_value, percent, value};
use crate::charts::scale::{Axis, Scale};
use crate::eval::compare::is_significant;

/// Metrics of accuracy, and what they are called.
const ACCURACY: [(&str, &str); 6] = [
    ("ndcg", "NDCG"),
    ("recall", "recall"),
    ("precision", "precision"),
    ("map", "MAP"),
    ("mrr", "MRR"),
    ("hit_rate", "hit rate"),
];

pub fn section(facts: &Facts) -> Option<Section> {
    let evaluation = facts.evaluation.as_ref()?;
    let k = evaluation.compare_at;
    let mut body = summary(evaluation)?;
    body.push_str(&dots(evaluation, &format!("ndcg@{k}"), &format!("NDCG@{k} with 95 % intervals"), true));
    body.push_str(&accuracy(evaluation, k));
    let (_, model) = evaluation.models.first_key_value()?;
    let others: String = model
        .protocol
        .k
        .iter()
        .filter(|&&other| other != k)
        .map(|&other| accuracy(evaluation, other))
        .collect();
    if !others.is_empty() {
        body.push_str(&details("At other cuts of the lists", &others));
    }
    Some(Section { id: "models", title: "Models compared", body })
}

/// The best model for the head of the page.
pub fn card(evaluation: &Evaluation) -> Option<(&'static str, String, String)> {
    let (best, model) = ranked(evaluation).into_iter().next()?;
    let ndcg = model.metrics.get(&format!("ndcg@{}", evaluation.compare_at))?;
    let k = evaluation.compare_at;
    Some(("best model", name(best), format!("NDCG@{k} {}{}", value(ndcg.value), interval(ndcg))))
}

/// `(0.081 to 0.092)` where there is an interval.
pub fn interval(of: &Value) -> String {
    of.interval().map_or_else(String::new, |(low, high)| format!(" ({} to {})", value(low), value(high)))
}

/// Models by falling NDCG at the cut of the comparison.
pub fn ranked(evaluation: &Evaluation) -> Vec<(&str, &Model)> {
    let metric = format!("ndcg@{}", evaluation.compare_at);
    let of = |model: &Model| model.metrics.get(&metric).map_or(f64::MIN, |ndcg| ndcg.value);
    let mut models: Vec<(&str, &Model)> =
        evaluation.models.iter().map(|(name, model)| (name.as_str(), model)).collect();
    models.sort_by(|a, b| of(b.1).partial_cmp(&of(a.1)).unwrap_or(Ordering::Equal));
    models
}

/// The interval on a line of its own, where it says more than the value.
pub fn below(of: &Value) -> String {
    let interval = of.interval().filter(|(low, high)| low < high);
    interval.map_or_else(String::new, |(low, high)| {
        format!("<br><span class=\"more one\">{} – {}</span>", value(low), value(high))
    })
}

/// The colour of a model in every chart.
pub fn color(evaluation: Option<&Evaluation>, model: &str) -> usize {
    let place = evaluation.and_then(|evaluation| evaluation.models.keys().position(|name| name == model));
    place.unwrap_or_default()
}

/// What the numbers say, in words.
fn summary(evaluation: &Evaluation) -> Option<String> {
    let (_, model) = evaluation.models.first_key_value()?;
    let mut html = String::new();
    if let Some(lead) = &evaluation.lead {
        let p = lead.p_t_test.unwrap_or(1.0);
        let verdict =
            if is_significant(p) { "more than chance between users explains" } else { "which may be chance" };
        html.push_str(&format!(
            "<p>{} leads {} by {} in NDCG@{}, {verdict} (p {} in a paired t‑test over users).</p>\n",
            name(&lead.best),
            name(&lead.second),
            value(lead.mean_difference),
            evaluation.compare_at,
            equal(&p_value(p))
        ));
    }
    let protocol = &model.protocol;
    let users =
        if protocol.users == "warm" { "users with a history" } else { "users with or without a history" };
    let novel = if protocol.novel_only {
        "only tracks that are new to the user count as hits"
    } else {
        "known tracks count as hits too"
    };
    html.push_str(&format!(
        "<p class=\"quiet\">Measured on {} {users} against what they chose in the test period, out of {} tracks; {novel}.",
        count(model.counts.evaluated_users),
        count(model.counts.catalogue),
    ));
    if protocol.users == "warm" && model.counts.cold_users > 0 {
        html.push_str(&format!(" {} users without a history are left out.", count(model.counts.cold_users)));
    }
    if protocol.bootstrap_samples > 0 {
        html.push_str(&format!(
            " Intervals are from {} resamples of the users.",
            count(protocol.bootstrap_samples as u64)
        ));
    }
    html.push_str("</p>\n");
    Some(html)
}

fn equal(p: &str) -> String {
    if p.starts_with('<') { p.replace('<', "&lt;") } else { format!("= {p}") }
}

/// One metric of all models: a dot and its interval on one scale from 0, and the numbers.
pub fn dots(evaluation: &Evaluation, metric: &str, caption: &str, tested: bool) -> String {
    let models = ranked(evaluation);
    let values: Vec<(&str, &Model, &Value)> = models
        .into_iter()
        .filter_map(|(name, model)| Some((name, model, model.metrics.get(metric)?)))
        .collect();
    let most = values
        .iter()
        .map(|(_, _, value)| value.high.unwrap_or(value.value).max(value.value))
        .fold(0.0, f64::max);
    let axis = Axis::from_zero("", Scale::Linear, most);
    let scale = format!("value and interval on a scale from 0 to {}", value(axis.high));
    let table = Table::new(caption).class("wide dots").text("model").number("value");
    let mut table = table.picture(&scale, &ticks(&axis)).text("95 % interval");
    if tested {
        table = table.number(format!("against {}", evaluation.baseline)).number("p, corrected");
    }
    let best = values.iter().map(|value| value.2.value).fold(f64::MIN, f64::max);
    for (model_name, model, of) in values {
        let class = if of.value == best { "best" } else { "" };
        let interval = of
            .interval()
            .map_or_else(|| "–".to_owned(), |(low, high)| format!("{} to {}", value(low), value(high)));
        let mut cells = vec![
            name(model_name),
            format!("<span class=\"{class}\">{}</span>", value(of.value)),
            dot(&axis, of, model_name == evaluation.baseline),
            format!("<span class=\"one\">{interval}</span>"),
        ];
        if tested {
            cells.extend(against(evaluation, model_name, model));
        }
        table.row(cells);
    }
    table.html()
}

/// The difference to the baseline in percent of it, and its p-value.
fn against(evaluation: &Evaluation, model_name: &str, model: &Model) -> [String; 2] {
    if model_name == evaluation.baseline {
        return ["baseline".to_owned(), String::new()];
    }
    let k = evaluation.compare_at;
    let baseline =
        evaluation.models.get(&evaluation.baseline).and_then(|model| model.metrics.get(&format!("ndcg@{k}")));
    let versus = model.against_baseline.iter().find(|versus| versus.k == k);
    let (Some(baseline), Some(versus)) = (baseline, versus) else { return ["–".to_owned(), String::new()] };
    let sign = if versus.mean_difference > 0.0 { "+" } else { "" };
    let relative = if baseline.value > 0.0 {
        format!("{sign}{}", percent(versus.mean_difference / baseline.value))
    } else {
        format!("{sign}{}", value(versus.mean_difference))
    };
    [relative, versus.p_holm.map_or_else(|| "–".to_owned(), |p| p_value(p).replace('<', "&lt;"))]
}

/// The labels of the grid that [`dot`] draws.
fn ticks(axis: &Axis) -> String {
    let mut svg = String::from("<svg class=\"dot\" aria-hidden=\"true\">");
    for (tick, label) in axis.ticks(4) {
        let x = axis.place(tick) * 100.0;
        svg.push_str(&format!(
            "<text class=\"tick\" x=\"{x:.2}%\" y=\"15\" text-anchor=\"middle\">{label}</text>"
        ));
    }
    svg + "</svg>"
}

fn dot(axis: &Axis, of: &Value, is_baseline: bool) -> String {
    let place = |value: f64| axis.place(value).clamp(0.0, 1.0) * 100.0;
    let color = if is_baseline { 7 } else { 1 };
    let mut svg = String::from("<svg class=\"dot\" aria-hidden=\"true\">");
    for (tick, _) in axis.ticks(4) {
        let x = place(tick);
        svg.push_str(&format!("<line class=\"grid\" x1=\"{x:.2}%\" x2=\"{x:.2}%\" y1=\"0\" y2=\"20\"/>"));
    }
    if let Some((low, high)) = of.interval() {
        svg.push_str(&format!(
            "<line class=\"whisker{color}\" x1=\"{:.2}%\" x2=\"{:.2}%\" y1=\"10\" y2=\"10\"/>",
            place(low),
            place(high)
        ));
    }
    svg.push_str(&format!(
        "<circle class=\"fill{color}\" cx=\"{:.2}%\" cy=\"10\" r=\"4.5\"/></svg>",
        place(of.value)
    ));
    svg
}

/// All metrics of accuracy at a cut; the best of each is bold.
fn accuracy(evaluation: &Evaluation, k: usize) -> String {
    metrics(evaluation, k, &ACCURACY, &format!("Accuracy, lists of {k}"))
}

/// Several metrics of all models, each with its interval below; the highest of each is bold.
pub fn metrics(evaluation: &Evaluation, k: usize, of: &[(&str, &str)], caption: &str) -> String {
    let mut table = Table::new(caption).text("model");
    for (_, title) in of {
        table = table.number(*title);
    }
    let models = ranked(evaluation);
    // Where all are alike, none is best.
    let best: Vec<f64> = of
        .iter()
        .map(|(metric, _)| {
            let values = models.iter().filter_map(|(_, model)| model.metrics.get(&format!("{metric}@{k}")));
            let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), value| {
                (low.min(value.value), high.max(value.value))
            });
            if low < high { high } else { f64::NAN }
        })
        .collect();
    for (model_name, model) in models {
        let mut cells = vec![name(model_name)];
        for ((metric, _), best) in of.iter().zip(&best) {
            cells.push(match model.metrics.get(&format!("{metric}@{k}")) {
                None => "–".to_owned(),
                Some(of) => {
                    let class = if of.value == *best { " class=\"best\"" } else { "" };
                    format!("<span{class}>{}</span>{}", value(of.value), below(of))
                }
            });
        }
        table.row(cells);
    }
    table.html()
}
