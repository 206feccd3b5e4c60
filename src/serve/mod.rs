//! The HTTP service layer: recommendations, similar and popular tracks, events.
//!
//! [`router`] is a pure function of the [`State`], and [`serve`] gets its listener and its end from
//! outside, so that tests use the one without a socket and the other without a signal. [`start`]
//! puts a [`Service`] file into action; the async runtime lives inside it and nowhere else. A
//! resource is one file with its routes first; errors are one type.

pub mod answer;
pub mod ask;
pub mod blend;
pub mod catalog;
pub mod details;
pub mod docs;
pub mod error;
pub mod events;
pub mod failure;
pub mod filter;
pub mod impressions;
pub mod library;
pub mod lists;
pub mod local;
pub mod online;
pub mod openapi;
pub mod parameters;
pub mod project;
pub mod search;
pub mod service;
pub mod start;
pub mod state;
pub mod variants;

mod history;
mod page;
mod popular;
mod recommendations;
mod similar;
mod status;

pub use failure::ServiceError;
pub use service::Service;
pub use start::{Started, start};
pub use state::State;

use std::io;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::watch;

use docs::Document;
use error::ApiError;

/// How long requests in flight may take after the end was asked for.
const GRACE: Duration = Duration::from_secs(10);

/// Every route.
pub fn router(state: State) -> Router {
    let document = Document::default();
    let routes = recommendations::routes()
        .merge(history::routes())
        .merge(similar::routes())
        .merge(popular::routes())
        .merge(search::routes())
        .merge(status::routes())
        .merge(project::routes())
        .merge(page::routes())
        .merge(docs::routes(&document));
    docs::publish(&document, &openapi::document(&routes, state.service()));
    routes
        .into_router()
        .fallback(|| async { ApiError::NotFound })
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
        .with_state(state)
}

/// Answers until `shutdown` is there; then finishes the requests in flight and closes
/// the files of events and impressions.
///
/// # Errors
/// When the system takes the listener away.
pub async fn serve(
    listener: TcpListener,
    state: State,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let listener = listener.tap_io(|connection| {
        // Answers are one write each: waiting to fill a packet would only delay them.
        let _ = connection.set_nodelay(true);
    });
    let (stop, mut stopped) = watch::channel(false);
    let graceful = async move {
        let _ = stopped.wait_for(|&stop| stop).await;
    };
    let server = axum::serve(listener, router(state.clone())).with_graceful_shutdown(graceful);
    let deadline = async {
        shutdown.await;
        let _ = stop.send(true);
        tokio::time::sleep(GRACE).await;
        tracing::warn!("some requests took longer than {} s after the stop: cut off", GRACE.as_secs());
    };
    let result = tokio::select! {
        result = server.into_future() => result,
        () = deadline => Ok(()),
    };
    state.events().close().await;
    state.impressions().close().await;
    result
}
