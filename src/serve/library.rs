//! Everything a service answers from, in memory and immutable: one release of artifacts.
//!
//! It is read whole before the first answer and shared behind an `Arc`; the files may be replaced
//! while the service runs.

use std::path::{Path, PathBuf};

use super::blend::{Pick, Source};
use super::catalog::{Catalog, ItemSet};
use super::details::Details;
use super::failure::ServiceError;
use super::lists::{InvalidLists, List, Lists, ListsBuilder};
use super::search::SearchTexts;
use super::service::Artifacts;
use crate::codec::{CodecError, item_details, ranked};

/// One release: the tracks, the lists of users and tracks, and the popular tracks.
#[derive(Debug, Default)]
pub struct Library {
    /// The tracks.
    pub catalog: Catalog,
    /// What the tracks are called, and what filters go by.
    pub details: Details,
    /// Final recommendations by user.
    pub recommendations: Lists,
    /// Similar tracks by track.
    pub similar: Lists,
    /// The most popular tracks with their scores, best first.
    pub top_popular: Vec<(u32, f32)>,
    /// Tracks that no answer names.
    pub blocked: ItemSet,
    /// What searches look through.
    pub search_texts: SearchTexts,
}

impl Library {
    /// Reads the four artifacts; blocks, and must not be called from a single-threaded async
    /// runtime.
    ///
    /// # Errors
    /// When one is missing, unreadable, or does not fit the others.
    pub fn load(artifacts: &Artifacts) -> Result<Self, ServiceError> {
        artifacts.check()?;
        let mut details = item_details::read(&artifacts.items)?;
        let track_ids = std::mem::take(&mut details.track_ids);
        let catalog = Catalog::new(track_ids).map_err(|track_id| CodecError::Value {
            path: artifacts.items.clone(),
            column: "track_id".to_owned(),
            message: format!("track {track_id} occurs twice"),
        })?;
        let lists = |path: &Path, is_left_out, key, track| {
            if is_left_out { Ok(Lists::default()) } else { lists(path, key, track, &catalog) }
        };
        let Artifacts { without_recommendations, without_similar, without_top_popular, .. } = *artifacts;
        let recommendations =
            lists(&artifacts.recommendations, without_recommendations, "user_id", "track_id")?;
        let similar = lists(&artifacts.similar, without_similar, "track_id", "similar_track_id")?;
        let path = &artifacts.top_popular;
        let read_popular = || {
            ranked::read_one(path, |block| {
                let item = |&track: &i64| catalog.item(track).ok_or(InvalidLists::UnknownTrack(track));
                let scored = block.tracks.iter().zip(block.scores);
                scored.map(|(track, &score)| Ok((item(track)?, score))).collect::<Result<Vec<_>, _>>()
            })
        };
        let top_popular =
            if without_top_popular { Vec::new() } else { read_popular()?.map_err(mismatch(path))? };
        let details = Details::new(details, catalog.len());
        let (blocked, search_texts) = Default::default();
        Ok(Self { catalog, details, recommendations, similar, top_popular, blocked, search_texts })
    }

    /// The same, with tracks that no answer may name; ids that are not in the catalogue are no matter.
    #[must_use]
    pub fn blocking(mut self, track_ids: &[i64]) -> Self {
        self.blocked = track_ids.iter().filter_map(|&id| self.catalog.item(id)).collect();
        self
    }

    /// The items of a list, with its source.
    pub fn picks(&self, list: List<'_>, source: Source) -> impl Iterator<Item = Pick> {
        list.iter().map(move |(item, score)| Pick { item, score, source })
    }

    /// The popular tracks, best first.
    pub fn popular(&self) -> impl Iterator<Item = Pick> {
        self.top_popular.iter().map(|&(item, score)| Pick { item, score, source: Source::Popular })
    }
}

fn lists(path: &Path, key: &str, track: &str, catalog: &Catalog) -> Result<Lists, ServiceError> {
    let mut builder = ListsBuilder::default();
    ranked::read(path, key, track, |block| builder.push(block, catalog).map_err(mismatch(path)))?;
    builder.finish().map_err(mismatch(path))
}

fn mismatch(path: &Path) -> impl Fn(InvalidLists) -> ServiceError {
    let path: PathBuf = path.to_owned();
    move |cause| ServiceError::Artifact { path: path.clone(), cause }
}
