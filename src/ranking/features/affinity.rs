//! What the user's past says of an item: shares of listens by genre and artist, and what was heard before.
//!
//! An item with several genres has the mean of their shares, one with several artists the largest.

use crate::ranking::block::Event;
use crate::ranking::catalog::{Catalog, Groups};

pub(super) const NAMES: [&str; 4] = ["genre_share", "artist_share", "artist_heard", "track_group_heard"];

/// Listens of one user by genre, artist and track group; made once and used for one user after the other.
pub(super) struct Affinity {
    genres: Listens,
    artists: Listens,
    track_groups: Listens,
}

struct Listens {
    counts: Vec<f32>,
    touched: Vec<u32>,
}

impl Listens {
    fn new(groups: &Groups) -> Self {
        Self { counts: vec![0.0; groups.n_groups()], touched: Vec::new() }
    }

    fn clear(&mut self) {
        for group in self.touched.drain(..) {
            self.counts[group as usize] = 0.0;
        }
    }

    fn add(&mut self, groups: &[u32], listens: f32) {
        for &group in groups {
            self.counts[group as usize] += listens;
            self.touched.push(group);
        }
    }

    fn of<'a>(&'a self, groups: &'a [u32]) -> impl Iterator<Item = f32> + 'a {
        groups.iter().map(|&group| self.counts[group as usize])
    }
}

impl Affinity {
    pub(super) fn new(catalog: &Catalog) -> Self {
        Self {
            genres: Listens::new(&catalog.genres),
            artists: Listens::new(&catalog.artists),
            track_groups: Listens::new(&catalog.track_groups),
        }
    }

    pub(super) fn fill(
        &mut self,
        columns: &mut [Vec<f32>],
        catalog: &Catalog,
        events: impl Iterator<Item = Event>,
        items: &[u32],
    ) {
        let Self { genres, artists, track_groups } = self;
        [&mut *genres, &mut *artists, &mut *track_groups].into_iter().for_each(Listens::clear);
        let mut total = 0.0;
        for event in events {
            let listens = event.listens as f32;
            total += listens;
            genres.add(catalog.genres.of(event.item), listens);
            artists.add(catalog.artists.of(event.item), listens);
            track_groups.add(catalog.track_groups.of(event.item), listens);
        }
        for &item in items {
            let of_genres = catalog.genres.of(item);
            let genre_share = genres.of(of_genres).sum::<f32>() / of_genres.len() as f32 / total;
            let artist = artists.of(catalog.artists.of(item)).fold(f32::NAN, f32::max);
            let group = track_groups.of(catalog.track_groups.of(item)).sum::<f32>();
            columns[0].push(genre_share);
            columns[1].push(artist / total);
            columns[2].push(f32::from(u8::from(artist > 0.0)));
            columns[3].push(f32::from(u8::from(group > 0.0)));
        }
    }
}
