//! The second stage: what moves its order, and whether it is worth its cost.

use super::Section;
use super::facts::Facts;
use crate::charts::markup::{Table, bar, details, name, words};
use crate::charts::numbers::count;

/// Features that are shown at once.
const SHOWN: usize = 20;

pub fn section(facts: &Facts) -> Option<Section> {
    if facts.importances.is_empty() && facts.ranking.is_none() {
        return None;
    }
    let mut body = String::new();
    if let Some(training) = facts.ranking.as_ref().map(|ranking| &ranking.training) {
        body.push_str(&format!(
            "<p>{} trees, learnt from {} candidates of which {} were chosen.</p>\n",
            count(training.trees),
            count(training.rows),
            count(training.positives)
        ));
        if let Some(verdict) = training.validation.as_ref().and_then(|validation| validation.verdict.as_ref())
        {
            body.push_str(&format!("<p>{}.</p>\n", sentence(&verdict.words)));
        }
    }
    let most = facts.importances.first().map_or(1.0, |(_, most)| most.max(f64::MIN_POSITIVE));
    let table = |caption: String, features: &[(String, f64)]| {
        let mut table = Table::new(caption).class("wide bars").text("feature").number("%").text("");
        for (feature, percent) in features {
            table.row([name(feature), format!("{percent:.2}"), bar(percent / most)]);
        }
        if table.is_empty() { String::new() } else { table.html() }
    };
    let (shown, rest) = facts.importances.split_at(facts.importances.len().min(SHOWN));
    body.push_str(&table("Feature importances, share of what moves the prediction".to_owned(), shown));
    if !rest.is_empty() {
        body.push_str(&details(
            &format!("The other {} features", rest.len()),
            &table("Other features".to_owned(), rest),
        ));
    }
    Some(Section { id: "ranker", title: "The ranker", body })
}

/// With a capital and without a full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.trim_end_matches('.').chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    words(&format!("{first}{}", letters.as_str()))
}
