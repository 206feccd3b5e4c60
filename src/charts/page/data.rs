//! The data: how active users are, how popular tracks are, what is popular, and when people listened.

use super::Section;
use super::facts::{Facts, Split};
use crate::charts::markup::{Table, bar, details, name};
use crate::charts::numbers::{count, percent, value};
use crate::charts::plot::{Mark, Plot};
use crate::charts::scale::{Axis, Scale, date};
use crate::data::distribution::Distribution;
use crate::data::top::Top;

/// Points of a curve.
const POINTS: usize = 160;

pub fn section(facts: &Facts) -> Option<Section> {
    let mut body = sizes(facts);
    if facts.overview.rows == 0 {
        return Some(Section { id: "data", title: "The data", body });
    }
    body.push_str(&timeline(facts));
    body.push_str("<div class=\"columns\">\n<div>\n");
    body.push_str(&figure("User activity", "tracks of a user", &activity(&facts.activity).half()));
    body.push_str("</div>\n<div>\n");
    body.push_str(&figure("Popularity of tracks", "the long tail", &long_tail(&facts.popularity).half()));
    body.push_str("</div>\n</div>\n");
    body.push_str(&tail_words(&facts.popularity));
    body.push_str(&spread(facts));
    body.push_str(&tops(facts));
    Some(Section { id: "data", title: "The data", body })
}

fn figure(title: &str, more: &str, svg: &str) -> String {
    format!(
        "<figure><figcaption>{title} <span class=\"quiet\">– {more}</span></figcaption>\n{svg}</figure>\n"
    )
}

/// How much there is, in words.
fn sizes(facts: &Facts) -> String {
    let overview = &facts.overview;
    let (users, items) = (overview.n_users() as u64, overview.n_items() as u64);
    let silent = overview.users_of_item.len() as u64 - items;
    let mut text = format!(
        "<p>{} users and {} tracks make {} pairs: {} of all that are possible, {} tracks a user and {} users a track on average.",
        count(users),
        count(items),
        count(overview.rows),
        percent(overview.density()),
        value(facts.activity.mean()),
        value(facts.popularity.mean())
    );
    if silent > 0 {
        text.push_str(&format!(" Tracks without a user: {}.", count(silent)));
    }
    if let (Some((&first, _)), Some((&last, _))) =
        (overview.days.first_key_value(), overview.days.last_key_value())
        && let (Some(first), Some(last)) = (date(first.into()), date(last.into()))
    {
        text.push_str(&format!(" First listens are from {first} to {last}."));
    }
    text.push_str("</p>\n");
    text
}

/// Rows over time, with the borders of the split.
fn timeline(facts: &Facts) -> String {
    let timeline = facts.overview.timeline();
    let (Some(first), Some(last)) = (timeline.rows.first(), timeline.rows.last()) else {
        return String::new();
    };
    if first.0 == last.0 {
        return format!(
            "<p class=\"quiet\">All first listens are of one {}: there is no time to show.</p>\n",
            timeline.span.name()
        );
    }
    let most = timeline.rows.iter().map(|row| row.1).max().unwrap_or(1);
    let day_of = |text: &str| {
        let date: chrono::NaiveDate = text.get(..10)?.parse().ok()?;
        Some(f64::from(chrono::Datelike::num_days_from_ce(&date) - 719_163))
    };
    let rule = |date: Option<&String>, label: &str| {
        Some((day_of(date?)?, format!("{label} from {}", date?.get(..10)?)))
    };
    let borders =
        |split: &Split| [rule(split.target_from.as_ref(), "target"), rule(split.test_from.as_ref(), "test")];
    let rules = facts.split.as_ref().map(borders).into_iter().flatten().flatten();
    let plot = Plot {
        about: format!(
            "New pairs of user and track a {}, at most {}; the peak lies near {}",
            timeline.span.name(),
            count(most),
            timeline
                .rows
                .iter()
                .find(|row| row.1 == most)
                .and_then(|row| date(row.0.into()))
                .map_or_else(String::new, |date| date.to_string())
        ),
        x: Axis::new("", Scale::Days, first.0.into(), last.0.into()),
        y: Axis::from_zero(
            format!("new pairs of user and track a {}", timeline.span.name()),
            Scale::Linear,
            most as f64,
        ),
        marks: vec![Mark::Area {
            color: 0,
            points: timeline.rows.iter().map(|&(day, rows)| (day.into(), rows as f64)).collect(),
        }],
        rules: rules.collect(),
    };
    figure("Listens over time", "each pair by its first listen", &plot.svg())
}

/// A histogram of tracks per user on a logarithmic scale.
fn activity(spread: &Distribution) -> Plot {
    let bins = spread.histogram();
    let least = bins.first().map_or(1, |bin| bin.from);
    let most = bins.last().map_or(1, |bin| bin.to.saturating_add(1));
    let tallest = bins.iter().map(|bin| bin.n).max().unwrap_or(1);
    let (median, mean) = (spread.quantile(0.5), spread.mean());
    let column = |bin: &crate::data::distribution::Bin| {
        let told =
            format!("{} – {} tracks: {} users", count(bin.from.into()), count(bin.to.into()), count(bin.n));
        (f64::from(bin.from), f64::from(bin.to) + 1.0, bin.n as f64, told)
    };
    Plot {
        about: format!(
            "Histogram of tracks per user: half of the users have at most {}, the mean is {}, the most is {}",
            count(median.into()),
            value(mean),
            count(spread.quantile(1.0).into())
        ),
        x: Axis::new("tracks of a user (logarithmic)", Scale::Log, f64::from(least), f64::from(most)),
        y: Axis::from_zero("users", Scale::Linear, tallest as f64),
        marks: vec![Mark::Columns { color: 0, columns: bins.iter().map(column).collect() }],
        rules: vec![
            (f64::from(median), format!("median {}", count(median.into()))),
            (mean, format!("mean {}", value(mean))),
        ],
    }
}

/// Users of a track by its rank, both logarithmic.
fn long_tail(spread: &Distribution) -> Plot {
    let points: Vec<(f64, f64)> =
        spread.by_rank(POINTS).into_iter().map(|(rank, users)| (rank as f64, f64::from(users))).collect();
    let most = points.first().map_or(1.0, |point| point.1);
    Plot {
        about: format!(
            "Users of a track over its rank, both on logarithmic scales: {} for the first, {} in the middle, {} for the last",
            count(most as u64),
            count(spread.quantile(0.5).into()),
            count(spread.quantile(0.0).into())
        ),
        x: Axis::new("rank of the track (logarithmic)", Scale::Log, 1.0, spread.n().max(2) as f64),
        y: Axis::new(
            "users (logarithmic)",
            Scale::Log,
            f64::from(spread.quantile(0.0).max(1)),
            most.max(2.0),
        ),
        marks: vec![Mark::Area { color: 2, points }],
        rules: Vec::new(),
    }
}

/// The long tail in words, and how it adds up.
fn tail_words(spread: &Distribution) -> String {
    let plot = Plot {
        about: format!(
            "Share of all pairs over the share of tracks, most popular first: the first 1 % have {}, the first 10 % {}",
            percent(spread.share_of_top(0.01)),
            percent(spread.share_of_top(0.1))
        ),
        x: Axis::new("share of the tracks, most popular first", Scale::Share, 0.0, 1.0),
        y: Axis::new("share of all pairs of user and track", Scale::Share, 0.0, 1.0),
        marks: vec![
            Mark::Line { name: String::new(), color: 6, points: vec![(0.0, 0.0), (1.0, 1.0)] },
            Mark::Area { color: 2, points: spread.concentration(POINTS) },
        ],
        rules: vec![(0.1, format!("10 % of the tracks: {} of the pairs", percent(spread.share_of_top(0.1))))],
    };
    format!(
        "<p>The most popular 1 % of the tracks have {} of all pairs, the first 10 % have {}; {} of the tracks have a single user. \
         The Gini coefficient is {} (0: all alike, 1: one has everything).</p>\n{}",
        percent(spread.share_of_top(0.01)),
        percent(spread.share_of_top(0.1)),
        percent(spread.share_up_to(1)),
        value(spread.gini()),
        details(
            "How popularity adds up",
            &figure("Concentration", "dashed: if all tracks were alike", &plot.svg())
        )
    )
}

/// Both distributions in numbers.
fn spread(facts: &Facts) -> String {
    let mut table = Table::new("How users and tracks are spread").text("").number("least");
    for title in ["quarter", "median", "three quarters", "95 %", "99 %", "most", "mean", "Gini"] {
        table = table.number(title);
    }
    for (title, spread) in [("tracks of a user", &facts.activity), ("users of a track", &facts.popularity)] {
        let quantiles = [0.0, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0].map(|at| count(spread.quantile(at).into()));
        let cells = [title.to_owned()]
            .into_iter()
            .chain(quantiles)
            .chain([value(spread.mean()), value(spread.gini())]);
        table.row(cells);
    }
    table.html()
}

/// What is popular.
fn tops(facts: &Facts) -> String {
    let (overview, tops) = (&facts.overview, &facts.tops);
    let users = overview.n_users().max(1) as f64;
    let most = tops.tracks.first().map_or(1, |top| top.users.max(1)) as f64;
    let mut table = Table::new(format!("Top tracks of {}, by users", count(overview.n_items() as u64)))
        .class("wide bars")
        .text("track")
        .number("users")
        .number("of all")
        .text("");
    for top in &tops.tracks {
        table.row([
            label(top),
            count(top.users),
            percent(top.users as f64 / users),
            bar(top.users as f64 / most),
        ]);
    }
    let mut html = table.html();
    html.push_str("<div class=\"columns\">\n");
    for (what, all, n, without) in [
        ("artists", &tops.artists, tops.n_artists, tops.listens_without_artist),
        ("genres", &tops.genres, tops.n_genres, tops.listens_without_genre),
    ] {
        let one = what.trim_end_matches('s');
        if all.is_empty() {
            html.push_str(&format!("<p class=\"quiet\">No track has a named {one}.</p>\n"));
            continue;
        }
        let most = all.first().map_or(1, |top| top.listens.max(1)) as f64;
        let mut table = Table::new(format!("Top {what} of {}, by listens", count(n as u64)))
            .class("wide bars")
            .text(one)
            .number("tracks")
            .number("listens")
            .number("of all")
            .text("");
        for top in all {
            let share = top.listens as f64 / overview.listens.max(1) as f64;
            table.row([
                label(top),
                count(top.tracks),
                count(top.listens),
                percent(share),
                bar(top.listens as f64 / most),
            ]);
        }
        html.push_str("<div>\n");
        html.push_str(&table.html());
        if without > 0 {
            let share = percent(without as f64 / overview.listens.max(1) as f64);
            html.push_str(&format!(
                "<p class=\"quiet\">{share} of the listens are of tracks without a named {one}.</p>\n"
            ));
        }
        html.push_str("</div>\n");
    }
    html.push_str("</div>\n");
    html
}

/// A name with its artists; an id where there is no name.
fn label(top: &Top) -> String {
    let mut html = match (&top.name, top.id) {
        (Some(text), _) if !text.trim().is_empty() => name(text),
        (_, Some(id)) => format!("track {id}"),
        _ => "(no name)".to_owned(),
    };
    if !top.by.is_empty() && top.name.iter().ne(&top.by) {
        let artists: Vec<String> = top.by.iter().map(|artist| name(artist)).collect();
        html.push_str(&format!(" <span class=\"more\">{}</span>", artists.join(", ")));
    }
    html
}
