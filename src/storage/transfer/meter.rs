//! How much has been moved, how fast, and what that means for the rest.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Time that the rate is an average of, roughly.
const MEMORY: f64 = 3.0;

/// How far a transfer is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moved {
    /// Bytes that are where they belong, those of earlier tries included.
    pub done: u64,
    /// Bytes of the whole, when that is known.
    pub total: Option<u64>,
    /// Bytes a second, of late.
    pub rate: f64,
}

/// Hears how far a transfer is; called by one thread at a time.
pub type Tell<'a> = &'a (dyn Fn(Moved) + Send + Sync);

impl Moved {
    /// How long the rest will take, when it goes on like that.
    pub fn left(&self) -> Option<Duration> {
        let rest = self.total?.checked_sub(self.done)?;
        (self.rate > 1.0).then(|| Duration::from_secs_f64((rest as f64 / self.rate).min(1e9)))
    }
}

/// Counts bytes from several threads.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// So many more.
    pub fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Makes rates of counts.
pub struct Meter {
    last: Instant,
    done: u64,
    rate: Option<f64>,
}

impl Meter {
    /// Begins at this count: what was there before does not make the rate.
    pub fn new(done: u64) -> Self {
        Self { last: Instant::now(), done, rate: None }
    }

    /// Takes the present count.
    pub fn read(&mut self, done: u64, total: Option<u64>) -> Moved {
        let seconds = self.last.elapsed().as_secs_f64();
        if seconds > 0.01 {
            let now = done.saturating_sub(self.done) as f64 / seconds;
            let weight = (seconds / MEMORY).min(1.0);
            self.rate = Some(self.rate.map_or(now, |rate| rate + weight * (now - rate)));
            (self.last, self.done) = (Instant::now(), done);
        }
        Moved { done, total, rate: self.rate.unwrap_or(0.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_takes_as_long_as_the_rate_says() {
        let moved = Moved { done: 100, total: Some(300), rate: 50.0 };
        assert_eq!(moved.left(), Some(Duration::from_secs(4)));
        assert_eq!(Moved { total: None, ..moved }.left(), None);
        assert_eq!(Moved { rate: 0.0, ..moved }.left(), None);
    }
}
