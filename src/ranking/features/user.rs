//! How much, how widely and how lately a user listens; equal for all candidates of the user.

use crate::ranking::block::History;
use crate::ranking::features::Past;

pub(super) const NAMES: [&str; 6] = [
    "user_events",
    "user_events_7d",
    "user_events_30d",
    "user_artists",
    "user_days_since_first",
    "user_days_since_last",
];

pub(super) fn fill(columns: &mut [Vec<f32>], past: Past<'_>, history: &History, user: usize, n_rows: usize) {
    let today = past.stats.reference_day;
    let events = || history.of(user);
    let recent = |days: i32| events().filter(|event| event.last_day > today - days).count() as f32;
    let mut artists: Vec<u32> =
        events().flat_map(|event| past.catalog.artists.of(event.item)).copied().collect();
    artists.sort_unstable();
    artists.dedup();
    let since = |day: Option<i32>| day.map_or(f32::NAN, |day| (today - day) as f32);
    let values: [f32; NAMES.len()] = [
        events().count() as f32,
        recent(7),
        recent(30),
        artists.len() as f32,
        since(events().map(|event| event.first_day).min()),
        since(events().map(|event| event.last_day).max()),
    ];
    for (column, value) in columns.iter_mut().zip(values) {
        column.extend(std::iter::repeat_n(value, n_rows));
    }
}
