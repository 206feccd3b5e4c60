//! Everything a service answers from, in memory and immutable: one release of artifacts.
//!
//! It is read whole before the first answer and shared behind an `Arc`; the files may be replaced
//! while the service runs.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::blend::{Pick, Source};
use super::catalog::{Catalog, ItemSet};
use super::details::Details;
use super::failure::ServiceError;
use super::flat_lists::{self, FlatLists};
use super::lists::{InvalidLists, List, Lists};
use super::model::FactorModel;
use super::origin::{Look, Origin, Told};
use super::past::Past;
use super::search::SearchTexts;
use super::service::{Artifacts, Service};
use crate::codec::{item_details, ranked};

/// One release: the tracks, the lists of users and tracks, and the popular tracks.
#[derive(Debug)]
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
    /// The factors of a model, where the service has one.
    pub model: Option<FactorModel>,
    /// What users listened to before, where the service has it.
    pub past: Option<Past>,
    /// Tracks that no answer names.
    pub blocked: ItemSet,
    /// What searches look through.
    pub search_texts: SearchTexts,
    /// The bytes that it was read from.
    pub origin: Origin,
    /// How the files looked then.
    pub look: Look,
    /// When it was read.
    pub read_at: SystemTime,
}

impl Library {
    /// Reads the artifacts of a service; blocks, and must not be called from a single-threaded async
    /// runtime. When a run replaces them meanwhile, they are read again.
    ///
    /// # Errors
    /// When one is missing, unreadable, or does not fit the others.
    pub fn load(service: &Service) -> Result<Self, ServiceError> {
        let artifacts = &service.artifacts;
        artifacts.check()?;
        let mut look = Look::at(artifacts);
        loop {
            let library = Origin::of(artifacts).and_then(|origin| Self::read(service, origin, look.clone()));
            let after = Look::at(artifacts);
            if after == look {
                if let Ok(Self { origin: Origin { told: Told::Other { manifest }, .. }, .. }) = &library {
                    tracing::warn!("the artifacts are not those that `{}` names", manifest.display());
                }
                return library;
            }
            look = after;
        }
    }

    /// Reads the artifacts that are known to be of this origin and to look like this.
    ///
    /// # Errors
    /// When one is unreadable or does not fit the others.
    pub fn read(service: &Service, origin: Origin, look: Look) -> Result<Self, ServiceError> {
        let artifacts = &service.artifacts;
        let mut details = item_details::read(&artifacts.items)?;
        let track_ids = std::mem::take(&mut details.track_ids);
        let catalog = flat_lists::catalog(track_ids, &artifacts.items)?;
        let flat = FlatLists {
            made: artifacts.flat_lists.as_deref(),
            cache: service.lists_cache.as_deref(),
            origin: &origin,
        };
        let Artifacts { without_recommendations, without_similar, without_top_popular, .. } = *artifacts;
        let lists = |name, is_elsewhere, path: &Path, key, track| {
            if is_elsewhere {
                Ok(Lists::default())
            } else {
                flat.lists(name, || flat_lists::read(path, key, track, &catalog))
            }
        };
        let path = &artifacts.recommendations;
        let recommendations = lists("recommendations", without_recommendations, path, "user_id", "track_id")?;
        let path = &artifacts.similar;
        let similar = lists("similar", without_similar, path, "track_id", "similar_track_id")?;
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
        let model = artifacts.model.as_ref().map(|model| FactorModel::read(model, &artifacts.items));
        let model = model.transpose()?;
        let past = artifacts.history.as_ref();
        let past = past.map(|history| Past::read(history, &artifacts.users, catalog.len())).transpose()?;
        Ok(Self {
            catalog,
            details,
            recommendations,
            similar,
            top_popular,
            model,
            past,
            blocked: ItemSet::default(),
            search_texts: SearchTexts::default(),
            origin,
            look,
            read_at: SystemTime::now(),
        })
    }

    /// The same, with tracks that no answer may name; ids that are not in the catalogue are no matter.
    #[must_use]
    pub fn blocking(mut self, track_ids: &[i64]) -> Self {
        self.blocked = track_ids.iter().filter_map(|&id| self.catalog.item(id)).collect();
        self
    }

    /// The tracks similar to one.
    pub fn similar_to(&self, item: u32) -> List<'_> {
        self.similar.list(self.catalog.track_id(item)).unwrap_or_default()
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

pub(super) fn mismatch(path: &Path) -> impl Fn(InvalidLists) -> ServiceError {
    let path: PathBuf = path.to_owned();
    move |cause| ServiceError::Artifact { path: path.clone(), cause }
}
