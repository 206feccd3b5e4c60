//! Whole files between this machine and places of objects.
//!
//! A [`download`] goes into a file that knows which of its parts have arrived ([`partial`]), so that a break,
//! a `kill -9` or a power cut costs the parts that were under way and no more. An [`upload`] notes what it has begun
//! ([`pending`]), so that it goes on there, or is taken back, and the place is not left with parts of nothing.
//!
//! Parts are moved by a few threads. A download holds one piece of the network a thread, an upload one part a
//! thread: [`Settings::part_size`](super::Settings) × [`Settings::concurrency`](super::Settings) bounds its memory.

mod download;
mod meter;
mod partial;
mod parts;
pub mod pending;
mod upload;

pub use download::{Download, Downloaded, download};
pub use meter::{Moved, Tell};
pub use upload::{Upload, Uploaded, upload};
