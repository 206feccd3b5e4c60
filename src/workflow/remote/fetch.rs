//! Reading through: what the store lacks is taken from a remote cache when it is there.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use miette::Diagnostic;
use thiserror::Error;

use super::{Moved, RemoteError, RemoteStore, Unusable, object, result};
use crate::workflow::files::FilesError;
use crate::workflow::fingerprint::RunKey;
use crate::workflow::store::{KeyLock, StepResult, Store};

/// A remote cache that a run reads. Once it could not be reached it is not asked again: a run must not
/// wait for it at every step.
pub struct ReadThrough {
    remote: Box<dyn RemoteStore>,
    is_gone: AtomicBool,
}

/// Why a result was not taken from a remote cache.
#[derive(Debug, Error, Diagnostic)]
pub enum FetchError {
    /// It could not be reached, or refused.
    #[error("{address} cannot be read: {cause}")]
    #[diagnostic(help("{help}; what is missing here is made here"))]
    Remote {
        /// The cache.
        address: String,
        /// What went wrong.
        cause: RemoteError,
        /// What to do about it.
        help: String,
    },
    /// What is there cannot be trusted.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Unusable(#[from] Unusable),
    /// The disk refused.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Files(#[from] FilesError),
}

impl ReadThrough {
    /// Reads this one.
    pub fn new(remote: Box<dyn RemoteStore>) -> Self {
        Self { remote, is_gone: AtomicBool::new(false) }
    }

    /// Its address.
    pub fn address(&self) -> &str {
        self.remote.address()
    }

    /// The record of a key, when there is one.
    ///
    /// # Errors
    /// When the cache cannot be read, for the first time; or when the record is damaged.
    pub fn record(&self, key: &RunKey) -> Result<Option<StepResult>, FetchError> {
        if self.is_gone.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let name = result(key);
        let Some(record) = self.remote.read(&name).map_err(|cause| self.gone(cause))? else {
            return Ok(None);
        };
        let result = StepResult::unsealed(&record).ok().filter(|result| result.fingerprint.key() == *key);
        let address = || self.address().to_owned();
        result.map(Some).ok_or_else(|| Unusable::Result { address: address(), name }.into())
    }

    /// Takes the objects of a result into the store that are not in it, then records the result.
    ///
    /// # Errors
    /// When the cache cannot be read or has other bytes; when the disk refuses.
    pub fn take(
        &self,
        found: &StepResult,
        store: &Store,
        key: &KeyLock,
        scratch: &Path,
        moved: Moved<'_>,
    ) -> Result<(), FetchError> {
        for (output, wanted) in &found.outputs {
            if store.holds(wanted) {
                continue;
            }
            let name = object(wanted.digest);
            let path = scratch.join(format!("fetched-{}", wanted.digest));
            let there =
                self.remote.download(&name, wanted.size, &path, moved).map_err(|cause| self.gone(cause))?;
            let address = self.address().to_owned();
            if !there {
                return Err(Unusable::Missing { address, output: output.clone() }.into());
            }
            if !store.take_exactly(&path, wanted)? {
                return Err(Unusable::Object { address, name }.into());
            }
        }
        Ok(store.record(key, found)?)
    }

    fn gone(&self, cause: RemoteError) -> FetchError {
        self.is_gone.store(true, Ordering::Relaxed);
        let help = cause.help().map_or_else(|| "check the address".to_owned(), |help| help.to_string());
        FetchError::Remote { address: self.address().to_owned(), cause, help }
    }
}
