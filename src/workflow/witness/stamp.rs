//! What the file system says about a file, as 40 bytes that can be compared.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use rustix::fd::AsFd;
use rustix::fs::{AtFlags, Stat, statat};
use rustix::io::{self, Errno};

/// Bytes of a stamp.
pub const LENGTH: usize = 40;

/// Some file systems keep whole seconds only, some two of them.
const COARSE: Duration = Duration::from_millis(2_100);

/// Equal stamps are taken for equal files: device, inode, size, times of modification and change.
pub type Stamp = [u8; LENGTH];

/// How a name is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Look {
    /// What a symbolic link leads to counts.
    Through,
    /// A symbolic link counts itself.
    Plain,
}

impl Look {
    fn flags(self) -> AtFlags {
        match self {
            Self::Through => AtFlags::empty(),
            Self::Plain => AtFlags::SYMLINK_NOFOLLOW,
        }
    }
}

/// The stamp of a file in a folder; nothing when it is not there.
///
/// # Errors
/// When it cannot be looked at.
pub fn look(folder: impl AsFd, name: &[u8], look: Look) -> io::Result<Option<Stamp>> {
    match statat(folder, name, look.flags()) {
        Ok(found) => Ok(Some(of_stat(&found))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The stamp of a file that was looked at.
pub fn of(found: &Metadata) -> Stamp {
    let modified = nanoseconds(found.mtime(), found.mtime_nsec());
    stamp([found.dev(), found.ino(), found.size(), modified, nanoseconds(found.ctime(), found.ctime_nsec())])
}

// The types of the fields differ between systems; where a number is cut, it is cut on both sides.
#[allow(clippy::unnecessary_cast, clippy::cast_sign_loss)]
fn of_stat(found: &Stat) -> Stamp {
    let modified = nanoseconds(found.st_mtime as i64, found.st_mtime_nsec as i64);
    let changed = nanoseconds(found.st_ctime as i64, found.st_ctime_nsec as i64);
    stamp([found.st_dev as u64, found.st_ino as u64, found.st_size as u64, modified, changed])
}

fn stamp(fields: [u64; 5]) -> Stamp {
    let mut stamp = [0; LENGTH];
    for (place, field) in stamp.chunks_exact_mut(8).zip(fields) {
        place.copy_from_slice(&field.to_le_bytes());
    }
    stamp
}

fn nanoseconds(seconds: i64, rest: i64) -> u64 {
    seconds.wrapping_mul(1_000_000_000).wrapping_add(rest).cast_unsigned()
}

/// Whether a file changed at least `tick` before `now`, so that a later change shows.
pub fn is_settled(stamp: &Stamp, now: SystemTime, tick: Duration) -> bool {
    let changed = stamp.last_chunk().map_or(i64::MAX, |bytes| i64::from_le_bytes(*bytes));
    let Ok(now) = now.duration_since(SystemTime::UNIX_EPOCH) else { return false };
    let tick = if changed % 1_000_000_000 == 0 { COARSE } else { tick };
    let settled = now.checked_sub(tick).map(|time| i64::try_from(time.as_nanos()));
    matches!(settled, Some(Ok(settled)) if changed <= settled)
}
