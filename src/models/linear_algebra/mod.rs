//! Dense linear algebra that closed-form models share: every function gives the same bits at any thread
//! count, since work is cut at fixed places and each piece is computed by one thread.

pub mod svd;
pub mod symmetric_tiles;

/// How far a fit has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Steps done so far, from 1.
    pub done: usize,
    /// All steps.
    pub total: usize,
}
