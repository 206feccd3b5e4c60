//! Routes with their descriptions: what the router and the document are both made of.

use axum::Router;
use axum::handler::Handler;
use axum::routing::{get, post};

use super::operation::Operation;
use crate::serve::state::State;

/// Routes to handlers, each described.
#[derive(Debug, Default)]
pub struct Routes {
    /// The group that the routes are shown in.
    tag: &'static str,
    router: Router<State>,
    described: Vec<Described>,
}

/// An operation in its place.
#[derive(Debug, Clone)]
pub(super) struct Described {
    pub(super) tag: &'static str,
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) operation: Operation,
}

impl Routes {
    /// No route yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// No route yet, in the group `tag`.
    pub fn tagged(tag: &'static str) -> Self {
        Self { tag, router: Router::new(), described: Vec::new() }
    }

    /// Adds `GET path`.
    #[must_use]
    pub fn get<H, T>(mut self, path: &'static str, handler: H, operation: &Operation) -> Self
    where
        H: Handler<T, State>,
        T: 'static,
    {
        self.router = self.router.route(path, get(handler));
        self.describe("get", path, operation)
    }

    /// Adds `POST path`.
    #[must_use]
    pub fn post<H, T>(mut self, path: &'static str, handler: H, operation: &Operation) -> Self
    where
        H: Handler<T, State>,
        T: 'static,
    {
        self.router = self.router.route(path, post(handler));
        self.describe("post", path, operation)
    }

    /// Both tables in one.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.described.extend(other.described);
        self
    }

    /// The router alone; take the document first.
    pub fn into_router(self) -> Router<State> {
        self.router
    }

    pub(super) fn described(&self) -> &[Described] {
        &self.described
    }

    fn describe(mut self, method: &'static str, path: &'static str, operation: &Operation) -> Self {
        self.described.push(Described { tag: self.tag, method, path, operation: operation.clone() });
        self
    }
}
