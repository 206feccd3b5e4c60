//! Tracking: what runs do, logged to an MLflow server.
//!
//! ```text
//! events of a run ─→ pipeline, variants ─→ spool (a file) ─→ delivery ─→ api ─→ http ─→ server
//! ```
//!
//! A run never waits for a server and never fails by one. What is to be logged is written as [`entry`]s
//! to a [`spool`] under `cache/tracking/` first, by a listener to the events of the run ([`pipeline`] and
//! [`variants`] say what is logged); a thread of its own ([`courier`]) sends from there what it can. What
//! is left when the run ends stays, and `recsys track sync` sends it with the same code ([`delivery`]).
//! A [`journal`] beside the spool says how far sending came, so that a crash in the middle of it doubles
//! no run and no metric.
//!
//! Nothing here enters a fingerprint, and no step knows of it.

pub mod api;
pub mod courier;
pub mod delivery;
pub mod entry;
pub mod facts;
pub mod http;
pub mod journal;
pub mod log;
pub mod names;
pub mod pipeline;
pub mod place;
pub mod server;
pub mod settings;
pub mod spool;
pub mod variants;
pub mod whole;
