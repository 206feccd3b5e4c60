//! What every request for a list may say beside whom it is for.

use super::blend::{Pick, cut};
use super::error::ApiError;
use super::filter::Filter;
use super::library::Library;
use super::parameters::Parameters;

/// How a list is to be.
#[derive(Debug)]
pub struct Ask {
    /// At most this many tracks.
    pub k: usize,
    /// Tell of each track its score and source, not only its id.
    pub items: bool,
    /// Say what each track is called.
    pub names: bool,
    /// Say why each track is there.
    pub explain: bool,
    filter: Filter,
}

impl Ask {
    /// Reads `k`, `items`, `names`, `explain` and the filters.
    ///
    /// # Errors
    /// When a parameter has a value that cannot be, or a filter does not fit the release.
    pub fn new(parameters: &Parameters, library: &Library, max_k: usize) -> Result<Self, ApiError> {
        let filter = Filter::new(parameters, library)?;
        let (names, explain) = (parameters.flag("names")?, parameters.flag("explain")?);
        let items = parameters.flag_unless_off("items")?;
        Ok(Self { k: parameters.k(max_k)?, items, names, explain, filter })
    }

    /// Whether an answer from `library` may name this track.
    pub fn allows(&self, library: &Library, item: u32) -> bool {
        !library.blocked.contains(&item) && self.filter.allows(library, item)
    }

    /// Whether an answer from `library` may name every track, whatever else is in it: most requests filter nothing.
    pub fn takes_all(&self, library: &Library) -> bool {
        library.blocked.is_empty() && self.filter.is_open()
    }

    /// The list that is given of these: allowed ones, each once, within the limits, `k` at most.
    pub fn cut(&self, library: &Library, picks: impl Iterator<Item = Pick>) -> Vec<Pick> {
        if self.takes_all(library) {
            return cut(picks, self.k, |_| true);
        }
        let mut limits = self.filter.limits(library);
        cut(picks.filter(|pick| self.allows(library, pick.item)), self.k, |item| limits.admit(item))
    }

    /// How many of the best of a list are enough for [`cut`](Self::cut).
    pub fn n_needed(&self) -> usize {
        if self.filter.is_limited() { usize::MAX } else { self.k }
    }
}
