//! Trying again: what can go well a moment later is tried again after a pause that doubles, with a
//! share of chance so that many clients do not come back at once; a server that says how long to wait is
//! heard.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use super::Stop;
use super::error::{Failure, Kind};
use super::runtime::pause;

/// The first pause.
const FIRST: Duration = Duration::from_millis(200);
/// No pause is longer, whatever the server asks.
const LONGEST: Duration = Duration::from_secs(20);

/// How often to try, and how often it was tried.
#[derive(Debug, Clone)]
pub struct Retry {
    attempts: u32,
    failed: u32,
}

impl Retry {
    /// At most so many tries.
    pub fn new(attempts: u32) -> Self {
        Self { attempts, failed: 0 }
    }

    /// Something went well in between: counting begins anew.
    pub fn progressed(&mut self) {
        self.failed = 0;
    }

    /// After a failure: pauses when it is worth trying again.
    ///
    /// # Errors
    /// The failure, when it is not.
    pub fn after(&mut self, failure: Failure, stop: Stop<'_>) -> Result<(), Failure> {
        self.failed += 1;
        // A clock that is wrong is corrected by the first answer; a checksum that is wrong twice stays wrong.
        let attempts = match failure.kind {
            Kind::ClockSkew => self.attempts.min(2),
            Kind::Checksum => self.attempts.min(3),
            _ => self.attempts,
        };
        if !failure.kind.is_transient() || self.failed >= attempts {
            return Err(failure);
        }
        let pause_for = self.pause_before_next(failure.retry_after);
        tracing::warn!("{}; trying again in {:.1} s", failure.message, pause_for.as_secs_f64());
        pause(stop, pause_for);
        if stop() { Err(Failure::stopped()) } else { Ok(()) }
    }

    fn pause_before_next(&self, asked: Option<Duration>) -> Duration {
        let doubled = FIRST.saturating_mul(1 << (self.failed - 1).min(10));
        // Seeded anew by the system each time; no more is asked of it.
        let chance = RandomState::new().hash_one(self.failed) as f64 / u64::MAX as f64;
        doubled.mul_f64(0.5 + chance / 2.0).max(asked.unwrap_or_default()).min(LONGEST)
    }
}

/// Makes a request until it goes well or is not worth trying again.
///
/// # Errors
/// The last failure.
pub fn again<T>(
    attempts: u32,
    stop: Stop<'_>,
    mut request: impl FnMut() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut retry = Retry::new(attempts);
    loop {
        match request() {
            Ok(value) => return Ok(value),
            Err(failure) => retry.after(failure, stop)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_help_is_not_tried_again() {
        for (kind, expected) in
            [(Kind::Denied, 1), (Kind::ClockSkew, 2), (Kind::Busy, 3), (Kind::NotFound, 1)]
        {
            let mut tries = 0;
            let ended: Result<(), Failure> = again(3, &|| false, || {
                tries += 1;
                Err(Failure::new(kind, "no"))
            });
            assert_eq!((ended.unwrap_err().kind, tries), (kind, expected));
        }
    }

    #[test]
    fn pauses_double_and_hear_the_server() {
        let retry = Retry { attempts: 9, failed: 4 };
        let pause = retry.pause_before_next(None);
        assert!(pause >= FIRST * 4 && pause <= FIRST * 8, "{pause:?}");
        assert_eq!(retry.pause_before_next(Some(Duration::from_secs(7))), Duration::from_secs(7));
        assert_eq!(retry.pause_before_next(Some(Duration::from_secs(7000))), LONGEST);
    }
}
