//! One answer without a server: the same router, asked in memory.
//!
//! No port is taken, no file of events is made, no impression is kept.

use std::path::Path;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use serde_json::Value;
use tokio::runtime::Builder;
use tower::ServiceExt;

use super::events::Events;
use super::failure::{EventsFault, ServiceError};
use super::impressions::Impressions;
use super::library::Library;
use super::service::{self, Service};
use super::start;
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
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(ServiceError::Stopped)?;
    let (events, is_without_events) = {
        let _context = runtime.enter();
        events(service, nowhere.path())?
    };
    let state = State::new(service.clone(), library, events, Impressions::off());
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

/// The events as they lie there; none in a new file in the folder `nowhere` when a running service has them.
fn events(service: &Service, nowhere: &Path) -> Result<(Events, bool), ServiceError> {
    let service::Events { path, .. } = &service.events;
    let empty = || start::event_store(&nowhere.join("events.sqlite"), &service.events);
    if start::database_url(service).is_some() {
        return Ok((start::events(service)?, false));
    }
    if !path.exists() {
        return Ok((empty()?.into(), false));
    }
    match start::event_store(path, &service.events) {
        Ok(events) => Ok((events.into(), false)),
        Err(EventsFault::InUse { .. }) => Ok((empty()?.into(), true)),
        Err(fault) => Err(fault.into()),
    }
}

fn failed(message: String) -> ServiceError {
    ServiceError::Stopped(std::io::Error::other(message))
}
