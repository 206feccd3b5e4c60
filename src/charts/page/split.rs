//! The periods: what lies in each, how sparse it is, and who and what is new in it.

use super::Section;
use super::facts::{Cold, Facts};
use crate::charts::markup::{Table, bar, escaped};
use crate::charts::numbers::{count, percent, value};

pub fn section(facts: &Facts) -> Option<Section> {
    let split = facts.split.as_ref()?;
    let periods = &split.periods;
    let how = match split.strategy.as_str() {
        "time" => "by time",
        "leave_last_n" => "by the last tracks of each user",
        "random" => "at random",
        other => other,
    };
    let mut body = format!(
        "<p>Split {}. Base models learn from <em>train</em>, the ranker from what <em>target</em> then brought; what is recommended \
         comes from models of <em>history</em>, which is both, and is measured against <em>test</em>.</p>\n",
        escaped(how)
    );
    let mut table = Table::new("Sizes and sparsity")
        .class("wide bars short")
        .text("period")
        .text("dates")
        .number("pairs")
        .number("of all")
        .number("users")
        .number("tracks")
        .number("density")
        .number("pairs a user")
        .text("");
    for (name, period) in [
        ("train", &periods.train),
        ("target", &periods.target),
        ("history", &periods.history),
        ("test", &periods.test),
    ] {
        let dates = match (&period.first, &period.last) {
            (Some(first), Some(last)) => {
                format!("<span class=\"one\">{} – {}</span>", day(first), day(last))
            }
            _ => "–".to_owned(),
        };
        let possible = period.users as f64 * period.items as f64;
        table.row([
            name.to_owned(),
            dates,
            count(period.events),
            percent(period.share),
            count(period.users),
            count(period.items),
            if possible > 0.0 { percent(period.events as f64 / possible) } else { "–".to_owned() },
            if period.users > 0 {
                value(period.events as f64 / period.users as f64)
            } else {
                "–".to_owned()
            },
            bar(period.share),
        ]);
    }
    body.push_str(&table.html());
    let mut table = Table::new("Cold users and tracks: not there in the period before")
        .text("")
        .number("cold users")
        .number("of the period's")
        .number("their pairs")
        .number("cold tracks")
        .number("of the period's")
        .number("their pairs");
    for (name, period, cold) in [
        ("target, seen from train", &periods.target, &split.cold.target_to_train),
        ("test, seen from history", &periods.test, &split.cold.test_to_history),
    ] {
        let Cold { users, items, events_of_cold_users, events_of_cold_items } = cold;
        let of = |part: u64, whole: u64| {
            if whole > 0 { percent(part as f64 / whole as f64) } else { "–".to_owned() }
        };
        table.row([
            name.to_owned(),
            count(*users),
            of(*users, period.users),
            of(*events_of_cold_users, period.events),
            count(*items),
            of(*items, period.items),
            of(*events_of_cold_items, period.events),
        ]);
    }
    body.push_str(&table.html());
    Some(Section { id: "split", title: "Split and cold users", body })
}

/// A date without its time.
fn day(text: &str) -> String {
    escaped(text.get(..10).unwrap_or(text))
}
