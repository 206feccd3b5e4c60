//! The route that nearly all requests ask for, answered without the router.
//!
//! `POST /recommendations?user_id&k` takes everything it needs from the query, and where lists and events lie
//! in this process its answer waits for nothing. The router would cost it boxed futures, copies of the request and
//! extensions that nobody asks for. What answers is the very code behind the router, which
//! answers whatever is not for this shortcut; a test holds the answers of both ways against each other.

use axum::http::{Method, Uri};
use axum::response::{IntoResponse, Response};

use super::layout::Resource;
use super::recommendations;
use super::state::State;

/// The shortcut of a service that answers final recommendations.
#[derive(Debug)]
pub struct Direct(State);

impl Direct {
    /// The shortcut of a service that answers these resources, if it has one.
    pub fn new(state: &State, answers: &[Resource]) -> Option<Self> {
        answers.contains(&Resource::Final).then(|| Self(state.clone()))
    }

    /// Answers a request that is for the shortcut.
    pub fn answer(&self, method: &Method, uri: &Uri) -> Option<Response> {
        if *method != Method::POST || uri.path() != recommendations::POSTED {
            return None;
        }
        recommendations::at_once(&self.0, uri.query().unwrap_or_default()).map(IntoResponse::into_response)
    }
}
