//! How popular and how old an item, its artist and its genre are; equal for all users.

use crate::ranking::features::Past;

pub(super) const NAMES: [&str; 10] = [
    "item_users",
    "item_users_7d",
    "item_users_30d",
    "item_listens",
    "item_days_since_first",
    "item_days_since_last",
    "item_popularity_rank",
    "artist_listens",
    "genre_listens",
    "track_group_size",
];

pub(super) fn fill(columns: &mut [Vec<f32>], past: Past<'_>, items: &[u32]) {
    let stats = past.stats;
    let sources: [&[f32]; NAMES.len() - 1] = [
        &stats.users,
        &stats.users_7d,
        &stats.users_30d,
        &stats.listens,
        &stats.days_since_first,
        &stats.days_since_last,
        &stats.popularity_rank,
        &stats.artist_listens,
        &stats.genre_listens,
    ];
    for (column, source) in columns.iter_mut().zip(sources) {
        column.extend(items.iter().map(|&item| source[item as usize]));
    }
    let sizes = items.iter().map(|&item| past.catalog.group_sizes[item as usize] as f32);
    columns[NAMES.len() - 1].extend(sizes);
}
