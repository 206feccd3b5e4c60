//! One answer without a server: the same router, asked in memory.
//!
//! Nothing is left behind: no port is taken, no file of events is made, no impression is kept.

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use serde_json::Value;
use tokio::runtime::Builder;
use tower::ServiceExt;

use super::events::EventStore;
use super::failure::{EventsFault, ServiceError};
use super::impressions::Impressions;
use super::library::Library;
use super::service::Service;
use super::state::State;

/// What the service would answer.
#[derive(Debug, Clone, PartialEq)]
pub struct LocalAnswer {
    /// The status.
    pub status: StatusCode,
    /// The body.
    pub body: Value,
    /// Whether events were left out because another process, a running service, has them.
    pub is_without_events: bool,
}

/// What a service would answer to a request without a body, from the release and the events as they are.
///
/// # Errors
/// When the artifacts or the events cannot be read.
///
/// # Panics
/// When called from inside an async runtime.
pub fn answer(service: &Service, method: Method, uri: &str) -> Result<LocalAnswer, ServiceError> {
    let library = Library::load(service)?;
    let nowhere = tempfile::tempdir().map_err(ServiceError::Stopped)?;
    let keep = service.events.keep_per_user.get();
    let empty = || EventStore::open(&nowhere.path().join("events.sqlite"), keep);
    let mut is_without_events = false;
    let events = if service.events.path.exists() {
        match EventStore::open(&service.events.path, keep) {
            Err(EventsFault::InUse { .. }) => {
                is_without_events = true;
                empty()?
            }
            other => other?,
        }
    } else {
        empty()?
    };
    let state = State::new(service.clone(), library, events, Impressions::open(None)?);
    let runtime = Builder::new_current_thread().enable_all().build().map_err(ServiceError::Stopped)?;
    runtime.block_on(async {
        let request = Request::builder().method(method).uri(uri).body(Body::empty());
        let request = request.map_err(|error| failed(format!("`{uri}`: {error}")))?;
        let Ok(response) = super::router(state.clone()).oneshot(request).await;
        let status = response.status();
        let bytes = to_bytes(response.into_body(), usize::MAX).await;
        let bytes = bytes.map_err(|error| failed(error.to_string()))?;
        state.events().close().await;
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Ok(LocalAnswer { status, body, is_without_events })
    })
}

fn failed(message: String) -> ServiceError {
    ServiceError::Stopped(std::io::Error::other(message))
}
