//! The HTTP service layer: recommendations, similar and popular tracks, events.
//!
//! [`router`] is a pure function of the [`State`], and [`serve`] gets its doors and its end from
//! outside, so that tests use the one without a socket and the other without a signal. [`start`]
//! puts a [`Service`] file into action; the async runtime lives inside it and nowhere else. A
//! resource is one file with its routes first; errors are one type. A request passes the [`door`],
//! the [`front`] and its handler; what a handler needs from elsewhere it gets from the [`peers`].

pub mod answer;
pub mod ask;
pub mod blend;
pub mod catalog;
pub mod cors;
pub mod details;
pub mod direct;
pub mod docs;
pub mod door;
pub mod error;
pub mod events;
pub mod failure;
pub mod filter;
pub mod flat;
pub mod flat_lists;
pub mod front;
pub mod ids;
pub mod impressions;
pub mod keys;
pub mod layout;
pub mod library;
pub mod lists;
pub mod lists_file;
pub mod local;
mod memory;
pub mod metrics;
pub mod model;
pub mod online;
pub mod openapi;
pub mod operations;
pub mod origin;
pub mod parameters;
pub mod past;
pub mod peers;
pub mod process;
pub mod project;
pub mod reason;
pub mod reload;
pub mod request_id;
pub mod routes;
pub mod search;
pub mod service;
pub mod start;
pub mod state;
pub mod taken;
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

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use tokio::sync::{mpsc, watch};

use docs::Document;
use door::Door;
use error::ApiError;
use layout::Resource;
use openapi::Routes;

/// How long requests in flight may take after the end was asked for.
const GRACE: Duration = Duration::from_secs(10);

/// Every route.
pub fn router(state: State) -> Router {
    router_of(state, &Resource::ALL)
}

/// The routes of a service that answers these resources, and how it is.
pub fn router_of(state: State, answers: &[Resource]) -> Router {
    let document = Document::default();
    let mut routes = Routes::new();
    for &resource in answers {
        routes = routes.merge(match resource {
            Resource::Final => recommendations::final_routes(),
            Resource::Offline => recommendations::offline_routes(),
            Resource::Online => recommendations::online_routes(),
            Resource::Similar => similar::routes(),
            Resource::Popular => popular::routes(),
            Resource::Events => history::routes(),
        });
    }
    routes = routes.merge(search::routes()).merge(status::routes()).merge(project::routes());
    routes = routes.merge(page::routes()).merge(docs::routes(&document));
    for &resource in answers {
        routes = routes.merge(peers::tables::routes(resource));
    }
    docs::publish(&document, &openapi::document(&routes, state.service()));
    let max_body = state.service().limits.max_body_bytes.get();
    routes
        .into_router()
        .fallback(|| async { ApiError::NotFound })
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
        .layer(DefaultBodyLimit::max(max_body))
        .with_state(state)
}

/// Answers at these doors until `end` is there; then finishes the requests in flight, and hands on what
/// the end brought.
pub async fn serve<T>(doors: Vec<Door>, end: impl Future<Output = T>) -> T {
    let (stop, stopped) = watch::channel(false);
    let (open, mut closed) = mpsc::channel::<Infallible>(1);
    for door in doors {
        tokio::spawn(door.serve(stopped.clone(), open.clone()));
    }
    drop((open, stopped));
    let result = end.await;
    let _ = stop.send(true);
    // Nothing is ever sent: the channel ends when the last connection has let go of it.
    if tokio::time::timeout(GRACE, closed.recv()).await.is_err() {
        tracing::warn!("some requests took longer than {} s after the stop: cut off", GRACE.as_secs());
    }
    result
}
