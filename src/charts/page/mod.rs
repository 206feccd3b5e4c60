//! The report: one page that needs nothing but itself, no network and no scripts. It is light or dark as its
//! reader is, fits wide and narrow windows, and prints.

pub mod facts;

mod cleaning;
mod curves;
mod data;
mod models;
mod pipeline;
mod qualities;
mod ranker;
mod segments;
mod split;
#[cfg(test)]
mod tests;

use std::fmt::Write;

use self::facts::Facts;
use super::markup::escaped;
use super::numbers::{count, percent, value};

const STYLE: &str = include_str!("style.css");

/// A part of the page.
struct Section {
    /// Where links lead.
    id: &'static str,
    /// The heading.
    title: &'static str,
    /// HTML below the heading.
    body: String,
}

/// The page as HTML.
pub fn html(facts: &Facts) -> String {
    let sections = [
        models::section,
        qualities::section,
        segments::section,
        ranker::section,
        curves::section,
        data::section,
        cleaning::section,
        split::section,
        pipeline::section,
        pipeline::parameters,
    ];
    let sections: Vec<Section> = sections.into_iter().filter_map(|section| section(facts)).collect();
    let title = escaped(&facts.title);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#content\">To the content</a>\n<header>\n<h1>{title}</h1>\n{}{}</header>\n\
         <nav aria-label=\"Contents\"><ol>\n",
        made(facts),
        headline(facts)
    );
    for Section { id, title, .. } in &sections {
        // Writing to a String cannot fail.
        let _ = writeln!(page, "<li><a href=\"#{id}\">{title}</a></li>");
    }
    page.push_str("</ol></nav>\n<main id=\"content\">\n");
    for Section { id, title, body } in &sections {
        let _ = write!(
            page,
            "<section id=\"{id}\" aria-labelledby=\"{id}-title\">\n<h2 id=\"{id}-title\">{title}</h2>\n{body}</section>\n"
        );
    }
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

/// When the newest of what is told was made.
fn made(facts: &Facts) -> String {
    let newest = facts.steps.iter().filter_map(|step| step.finished.as_deref()).max();
    let Some(newest) = newest else { return String::new() };
    let time: String = newest.chars().take(16).map(|c| if c == 'T' { ' ' } else { c }).collect();
    let n = facts.steps.len();
    let steps = if n == 1 { "1 step".to_owned() } else { format!("{n} steps") };
    format!("<p class=\"quiet\">From {steps}, the last of them done on {} UTC.</p>\n", escaped(&time))
}

/// The numbers that everybody asks for first.
fn headline(facts: &Facts) -> String {
    let overview = &facts.overview;
    let mut cards = vec![
        ("users", count(overview.n_users() as u64), String::new()),
        ("tracks", count(overview.n_items() as u64), String::new()),
        (
            "pairs of user and track",
            count(overview.rows),
            format!("{} of all that are possible", percent(overview.density())),
        ),
    ];
    if overview.listens != overview.rows {
        cards.push((
            "listens",
            count(overview.listens),
            format!("{} a pair", value(overview.listens as f64 / overview.rows.max(1) as f64)),
        ));
    }
    cards.extend(facts.evaluation.as_ref().and_then(models::card));
    let mut html = String::from("<dl class=\"cards\">\n");
    for (label, number, more) in cards {
        let more = if more.is_empty() { String::new() } else { format!("<dd class=\"quiet\">{more}</dd>") };
        let _ = writeln!(html, "<div><dt>{label}</dt><dd class=\"big\">{number}</dd>{more}</div>");
    }
    html.push_str("</dl>\n");
    html
}
