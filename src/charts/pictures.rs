//! The pictures that are files of their own.

use super::bars::{Bar, bars};
use super::histogram::{Column, histogram};
use super::legible::legible;
use super::numbers::{count, percent, value};
use super::{Labels, Picture};
use crate::data::distribution::Distribution;
use crate::data::overview::Overview;
use crate::data::top::{Top, Tops};

/// Features that fit on a picture.
const MOST_FEATURES: usize = 30;

/// How many tracks users have.
pub fn user_activity(activity: &Distribution) -> Picture {
    let columns: Vec<Column> = (activity.histogram().iter())
        .map(|bin| Column { from: f64::from(bin.from), to: f64::from(bin.to) + 1.0, height: bin.n as f64 })
        .collect();
    let (median, mean) = (activity.quantile(0.5), activity.mean());
    let subtitle = format!(
        "{} users; the most active has {} tracks, 95 % have at most {}",
        count(activity.n() as u64),
        count(activity.quantile(1.0).into()),
        count(activity.quantile(0.95).into())
    );
    let labels =
        Labels { title: "User activity", subtitle: &subtitle, unit: "tracks of a user (logarithmic)" };
    let rules = [
        (f64::from(median), format!("median {}", count(median.into()))),
        (mean, format!("mean {}", value(mean))),
    ];
    histogram(labels, "users", &columns, if activity.n() > 0 { &rules } else { &[] })
}

/// The tracks with most users.
pub fn top_tracks(tops: &Tops, overview: &Overview) -> Picture {
    let of_all = overview.n_users().max(1) as f64;
    let all = tops.tracks.iter().map(|top| {
        let label = format!("{} ({})", count(top.users), percent(top.users as f64 / of_all));
        Bar { name: track(top), value: top.users as f64, label }
    });
    let subtitle =
        format!("{} tracks, {} users", count(overview.n_items() as u64), count(overview.n_users() as u64));
    let labels =
        Labels { title: "Top tracks", subtitle: &subtitle, unit: "users (and their share of all users)" };
    bars(labels, &all.collect::<Vec<_>>())
}

/// The genres with most listens.
pub fn top_genres(tops: &Tops, overview: &Overview) -> Picture {
    let of_all = overview.listens.max(1) as f64;
    let all = tops.genres.iter().zip(1..).map(|(top, place)| {
        let label = format!("{} ({})", count(top.listens), percent(top.listens as f64 / of_all));
        let name = legible(top.name.as_deref().unwrap_or_default(), &format!("genre no. {place}"));
        Bar { name, value: top.listens as f64, label }
    });
    let mut subtitle =
        format!("{} genres; a track counts for the first of its genres", count(tops.n_genres as u64));
    if tops.listens_without_genre > 0 {
        let share = percent(tops.listens_without_genre as f64 / of_all);
        subtitle.push_str(&format!("; {share} of the listens are of tracks without one"));
    }
    let labels =
        Labels { title: "Top genres", subtitle: &subtitle, unit: "listens (and their share of all listens)" };
    bars(labels, &all.collect::<Vec<_>>())
}

/// What moves the order of a ranker: features with their share in percent, falling.
pub fn feature_importances(importances: &[(String, f64)], subtitle: &str) -> Picture {
    let shown = &importances[..importances.len().min(MOST_FEATURES)];
    let all = shown.iter().map(|(name, percent)| Bar {
        name: legible(name, name),
        value: *percent,
        label: format!("{percent:.2}"),
    });
    let labels = Labels {
        title: "Feature importances of the ranker",
        subtitle,
        unit: "share of what moves the prediction, %",
    };
    bars(labels, &all.collect::<Vec<_>>())
}

/// The name of a track and its artists, as far as a picture can show them.
fn track(top: &Top) -> String {
    let id = top.id.map_or_else(|| "track".to_owned(), |id| format!("track {id}"));
    let name = legible(top.name.as_deref().unwrap_or_default(), &id);
    let by: Vec<String> = top
        .by
        .iter()
        .map(|artist| legible(artist, ""))
        .filter(|artist| !artist.trim_matches(['(', ')', ' ']).is_empty())
        .collect();
    if by.is_empty() || by == [name.as_str()] { name } else { format!("{name} – {}", by.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_track_is_named_with_its_artists_or_its_id() {
        let top = |name: &str, by: &[&str]| Top {
            name: Some(name.to_owned()),
            by: by.iter().map(|&artist| artist.to_owned()).collect(),
            id: Some(7),
            ..Top::default()
        };
        assert_eq!(track(&top("Звезда", &["Кино", "Ann"])), "Звезда – Кино, Ann");
        assert_eq!(track(&top("夜", &["Ann"])), "track 7 – Ann");
        assert_eq!(track(&top("夜", &["米津"])), "track 7");
        assert_eq!(track(&top("Кино", &["Кино"])), "Кино", "told once");
    }

    #[test]
    fn every_picture_can_be_of_nothing() {
        let (overview, tops) = (Overview::default(), Tops::default());
        let pictures = [
            user_activity(&Distribution::default()),
            top_tracks(&tops, &overview),
            top_genres(&tops, &overview),
            feature_importances(&[], ""),
        ];
        assert!(pictures.iter().all(|picture| picture.width == 1200 && picture.height > 100));
    }
}
