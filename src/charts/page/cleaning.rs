//! What became of the raw rows: what each rule of `preprocess` removed.

use super::Section;
use super::facts::{Cleaning, Facts, Rules};
use crate::charts::markup::{Table, bar, escaped};
use crate::charts::numbers::{count, percent};

/// What the rules are called, for people.
const MEANINGS: [(&str, &str); 15] = [
    ("null_user", "without a user"),
    ("users_sample_rate", "users outside of the sample"),
    ("unknown_track", "of tracks that the tracks file does not have"),
    ("dropped_track", "of tracks that were dropped"),
    ("max_track_seq_quantile", "beyond the limit on the position in the user's history"),
    ("same_user_and_track", "duplicates: joined into one row per user and track"),
    ("min_item_users", "tracks with too few users"),
    ("min_user_events", "users with too few tracks"),
    ("no_interaction_left", "users of whom no interaction is left"),
    ("repeated_id", "duplicates: an id that was there before"),
    ("duplicate_of_a_track", "duplicates: the same song under another id"),
    ("drop_without_artist", "without an artist"),
    ("drop_without_genre", "without a genre"),
    ("drop_without_name", "without a name"),
    ("user_not_in_sample", "of users outside of the sample"),
];

pub fn section(facts: &Facts) -> Option<Section> {
    let Cleaning {
        catalog,
        tracks,
        users,
        interactions,
        track_groups,
        max_track_seq,
        period,
        ids_in_time_order,
    } = facts.cleaning.as_ref()?;
    let mut body = format!(
        "<p>The raw interactions are from {} to {}. The catalogue of names has {} rows, of which {} repeat an id and {} are of \
         another type than track, album, artist and genre.",
        escaped(&period.first),
        escaped(&period.last),
        count(catalog.rows_in),
        count(catalog.repeated),
        count(catalog.other_types)
    );
    if let Some(limit) = max_track_seq {
        body.push_str(&format!(
            " Interactions are kept up to position {} of a user's history, the {} quantile.",
            count(u64::try_from(limit.value).unwrap_or_default()),
            percent(limit.quantile)
        ));
    }
    body.push_str(&format!(
        " {} tracks are one of several versions of a song; there are {} songs.</p>\n",
        count(track_groups.tracks_in_groups_of_several),
        count(track_groups.groups)
    ));
    if ids_in_time_order.suspicious {
        body.push_str(&format!(
            "<p class=\"warning\">{} of the users have track ids that rise with the date: dates seem to be assigned to lists that \
             are sorted by id, and a split by time then tells models apart by ids.</p>\n",
            percent(ids_in_time_order.monotone_share)
        ));
    }
    for (what, rules) in [("interactions", interactions), ("tracks", tracks), ("users", users)] {
        body.push_str(&chain(what, rules));
    }
    Some(Section { id: "cleaning", title: "What preprocessing removed", body })
}

/// A chain of rules from rows in to rows out.
fn chain(what: &str, rules: &Rules) -> String {
    let left = percent(rules.rows_out as f64 / rules.rows_in.max(1) as f64);
    let mut title = what.to_owned();
    if let Some(first) = title.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let mut table = Table::new(format!(
        "{title}: {} of {} are left ({left})",
        count(rules.rows_out),
        count(rules.rows_in)
    ))
    .class("wide bars")
    .text("rule")
    .number("removed")
    .number("of all")
    .number("left")
    .text("");
    let share = |rows: u64| rows as f64 / rules.rows_in.max(1) as f64;
    table.row(["raw rows".to_owned(), String::new(), String::new(), count(rules.rows_in), bar(1.0)]);
    for rule in &rules.rules {
        let known = MEANINGS.iter().find(|(name, _)| *name == rule.rule);
        let meaning =
            known.map_or_else(String::new, |(_, meaning)| format!(" <span class=\"more\">{meaning}</span>"));
        table.row([
            format!("<code>{}</code>{meaning}", escaped(&rule.rule)),
            count(rule.dropped),
            percent(share(rule.dropped)),
            count(rule.left),
            bar(share(rule.left)),
        ]);
    }
    table.html()
}
