//! Versions of one song: the original, remixes, live, acoustic, remastered and cover versions.

use polars::prelude::PlHashMap;
use rayon::prelude::*;
use serde::Serialize;

use super::names;
use super::raw::Names;
use super::titles::Title;
use super::track::Track;

/// What was grouped, for the report.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct GroupSummary {
    /// Songs.
    pub groups: usize,
    /// Songs of which there are several versions.
    pub groups_of_several: usize,
    /// Tracks that are one of several versions.
    pub tracks_in_groups_of_several: usize,
    /// Covers that were joined with another artist's song.
    pub covers_joined: usize,
}

/// Sets the group of every track; `tracks` rise by id.
///
/// Versions have the same song (see [`Title`]) and the same first artist; a track without artist stays
/// alone. A cover joins another artist's group of the same song: the artist that its title names, else
/// its own artist's, else the one with the smallest id; covers without any original are one group.
pub fn assign(tracks: &mut [Track], artists: &Names) -> GroupSummary {
    let titles: Vec<Title> = tracks.par_iter().map(|track| title_of(track, artists)).collect();

    // The group of a song by an artist, by the number of its first track.
    let mut group_of = vec![usize::MAX; tracks.len()];
    let mut by_artist: PlHashMap<(&str, i64), usize> = PlHashMap::default();
    let mut originals: PlHashMap<&str, Vec<usize>> = PlHashMap::default();
    for (number, (track, title)) in tracks.iter().zip(&titles).enumerate().filter(|(_, (_, t))| !t.is_cover) {
        let Some(&artist) = track.artists.first().filter(|_| !title.song.is_empty()) else {
            group_of[number] = number;
            if !title.song.is_empty() {
                originals.entry(&title.song).or_default().push(number);
            }
            continue;
        };
        group_of[number] = *by_artist.entry((&title.song, artist)).or_insert_with(|| {
            originals.entry(&title.song).or_default().push(number);
            number
        });
    }

    let mut orphans: PlHashMap<&str, usize> = PlHashMap::default();
    let mut covers_joined = 0;
    for (number, (track, title)) in tracks.iter().zip(&titles).enumerate().filter(|(_, (_, t))| t.is_cover) {
        let candidates = originals.get(title.song.as_str()).map_or(&[][..], Vec::as_slice);
        let own = track.artists.first().and_then(|&artist| by_artist.get(&(title.song.as_str(), artist)));
        let named = || candidates.iter().find(|&&original| names_artist(title, &tracks[original], artists));
        group_of[number] = match named().or(own).or(candidates.first()) {
            Some(&original) => {
                covers_joined += usize::from(tracks[original].artists.first() != track.artists.first());
                original
            }
            None => *orphans.entry(&title.song).or_insert(number),
        };
    }

    let mut group_id = vec![i64::MAX; tracks.len()];
    let mut sizes = vec![0usize; tracks.len()];
    for (track, &group) in tracks.iter().zip(&group_of) {
        group_id[group] = group_id[group].min(track.id);
        sizes[group] += 1;
    }
    for (track, &group) in tracks.iter_mut().zip(&group_of) {
        track.group_id = group_id[group];
    }
    GroupSummary {
        groups: sizes.iter().filter(|&&size| size > 0).count(),
        groups_of_several: sizes.iter().filter(|&&size| size > 1).count(),
        tracks_in_groups_of_several: sizes.iter().filter(|&&size| size > 1).sum(),
        covers_joined,
    }
}

/// The title of a track; artists of karaoke and tribute bands play covers only.
fn title_of(track: &Track, artists: &Names) -> Title {
    if track.name.is_empty() {
        return Title { song: String::new(), version: String::new(), is_cover: false };
    }
    let mut title = Title::parse(&track.name);
    if let Some(artist) = track.artists.first().and_then(|&id| artists.get(id)) {
        let artist = names::normalise(artist);
        title.is_cover |= artist.split(' ').any(|word| matches!(word, "karaoke" | "караоке"))
            || artist.starts_with("tribute to ")
            || artist.contains(" tribute to ");
    }
    title
}

/// Whether what was cut out of a title names the first artist of `original`.
fn names_artist(title: &Title, original: &Track, artists: &Names) -> bool {
    let Some(artist) = original.artists.first().and_then(|&id| artists.get(id)) else { return false };
    let artist = names::normalise(artist);
    !artist.is_empty() && format!(" {} ", title.version).contains(&format!(" {artist} "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(tracks: &[(i64, Option<i64>, &str)]) -> Vec<i64> {
        let artists = Names::new(vec![
            (10, "Adele".to_owned()),
            (20, "Lionel Richie".to_owned()),
            (30, "Karaoke Stars".to_owned()),
            (40, "Someone".to_owned()),
        ]);
        let mut tracks: Vec<Track> = tracks
            .iter()
            .map(|&(id, artist, name)| Track {
                id,
                artists: artist.into_iter().collect(),
                name: name.to_owned(),
                ..Track::default()
            })
            .collect();
        assign(&mut tracks, &artists);
        tracks.iter().map(|track| track.group_id).collect()
    }

    #[test]
    fn versions_by_one_artist_are_one_group() {
        let found = groups(&[
            (1, Some(10), "Hello (Remix)"),
            (2, Some(10), "Hello"),
            (3, Some(10), "Hello - Live at Home"),
            (4, Some(20), "Hello"),
            (5, Some(10), "Hello Again"),
        ]);
        assert_eq!(found, [1, 1, 1, 4, 5]);
    }

    #[test]
    fn a_cover_joins_the_artist_it_names_else_the_smallest_id() {
        let found = groups(&[
            (1, Some(20), "Hello"),
            (2, Some(10), "Hello"),
            (3, Some(40), "Hello (Adele cover)"),
            (4, Some(40), "Hello (Cover)"),
            (5, Some(30), "Hello"),
            (6, Some(40), "Hello"),
        ]);
        assert_eq!(found, [1, 2, 2, 4, 1, 4]);
    }

    #[test]
    fn covers_without_an_original_are_one_group_and_tracks_without_artist_stay_alone() {
        let found = groups(&[
            (1, Some(40), "Lost (Cover)"),
            (2, Some(30), "Lost"),
            (3, None, "Found"),
            (4, None, "Found"),
            (5, Some(40), ""),
            (6, Some(40), ""),
        ]);
        assert_eq!(found, [1, 1, 3, 4, 5, 6]);
    }
}
