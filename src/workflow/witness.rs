//! Witnesses: what was looked at when nothing was left to do, so that the next run need only see that
//! all of it is as it was.
//!
//! A witness names every file that the verdict depends on with what the file system says of it (device,
//! inode, size, times), those that must not be there, and every environment variable that was looked at;
//! of values it has digests only. It is trusted as far as the memo of [`super::digests`] is: equal stamps
//! are equal bytes, because the time of change cannot be set back, and because nothing is witnessed that
//! changed so recently that it could change again within one tick of the file system's clock.
//!
//! A wrong "nothing to do" is the worst that a runner can say. So a witness is [`take`]n by checking
//! everything once more, under the locks of the run; what is not understood (a command of `fingerprint:`,
//! a walk over the whole environment) leaves no witness; and one that is missing, damaged, of another
//! program or different in any point is as good as none: the full check follows.

mod confirm;
mod record;
mod stamp;
mod take;

use std::path::PathBuf;

use super::plan::kept::Origin;

pub use confirm::{Confirmed, Purpose, confirm};
pub use take::{Scene, take};

/// The ending of a witness's file, which lies beside the kept plan.
pub const ENDING: &str = "unchanged";

/// Where a witness is to be left, and what the plan was made from.
pub struct Place {
    /// Its file.
    pub path: PathBuf,
    /// What the plan was made from.
    pub origin: Origin,
}

#[cfg(test)]
mod tests;
