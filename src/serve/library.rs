//! Everything a service answers from, in memory and immutable: one release of artifacts.
//!
//! It is read whole before the first answer and shared behind an `Arc`; the files may be replaced
//! while the service runs.

use std::path::{Path, PathBuf};

use super::catalog::Catalog;
use super::failure::ServiceError;
use super::lists::{InvalidLists, Lists, ListsBuilder};
use super::service::Artifacts;
use crate::codec::{CodecError, ranked};

/// One release: the tracks, the lists of users and tracks, and the popular tracks.
#[derive(Debug, Default)]
pub struct Library {
    /// The tracks.
    pub catalog: Catalog,
    /// Final recommendations by user.
    pub recommendations: Lists,
    /// Similar tracks by track.
    pub similar: Lists,
    /// The most popular tracks with their scores, best first.
    pub top_popular: Vec<(u32, f32)>,
}

impl Library {
    /// Reads the four artifacts; blocks, and must not be called from a single-threaded async
    /// runtime.
    ///
    /// # Errors
    /// When one is missing, unreadable, or does not fit the others.
    pub fn load(artifacts: &Artifacts) -> Result<Self, ServiceError> {
        artifacts.check()?;
        let track_ids = ranked::read_ids(&artifacts.items, "track_id")?;
        let catalog = Catalog::new(track_ids).map_err(|track_id| CodecError::Value {
            path: artifacts.items.clone(),
            column: "track_id".to_owned(),
            message: format!("track {track_id} occurs twice"),
        })?;
        let recommendations = lists(&artifacts.recommendations, "user_id", "track_id", &catalog)?;
        let similar = lists(&artifacts.similar, "track_id", "similar_track_id", &catalog)?;
        let path = &artifacts.top_popular;
        let top_popular = ranked::read_one(path, |block| {
            let item = |&track: &i64| catalog.item(track).ok_or(InvalidLists::UnknownTrack(track));
            let scored = block.tracks.iter().zip(block.scores);
            scored.map(|(track, &score)| Ok((item(track)?, score))).collect::<Result<Vec<_>, _>>()
        })?
        .map_err(mismatch(path))?;
        Ok(Self { catalog, recommendations, similar, top_popular })
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
