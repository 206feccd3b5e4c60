//! The description of the service: OpenAPI 3.1, made from the same table that the router is made of.
//!
//! A resource lists its routes once, as [`Routes`]: path, handler and [`Operation`] in one line. The
//! schemas are those of the types that handlers answer with, the errors are [`ApiError`]s that say
//! their own status, code and message, and limits come from the service file. What is not written
//! there is not reachable, and what is reachable is described.
//!
//! [`ApiError`]: super::error::ApiError

mod anywhere;
mod document;
mod operation;
mod parameter;
mod routes;
mod vocabulary;

pub use document::document;
pub use operation::Operation;
pub use parameter::{Parameter, Shape};
pub use routes::Routes;
pub use vocabulary::{K, NAMES, TRACK_ID, USER_ID};
