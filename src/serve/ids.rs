//! Ids of requests and of answers: 32 hexadecimal digits that no other of any process has.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// An id as it is written.
pub type Id = [u8; 32];

/// Makes ids: half of the digits differ between processes, the other half count.
#[derive(Debug)]
pub struct Ids {
    process: [u8; 16],
    next: AtomicU64,
}

impl Ids {
    /// Ids of this process.
    pub fn new() -> Self {
        let process = RandomState::new().hash_one(std::process::id());
        Self { process: digits(process), next: AtomicU64::new(0) }
    }

    /// The next id.
    pub fn make(&self) -> Id {
        let mut id = [0; 32];
        let (process, number) = id.split_at_mut(16);
        process.copy_from_slice(&self.process);
        number.copy_from_slice(&digits(self.next.fetch_add(1, Relaxed)));
        id
    }

    /// How many were made.
    pub fn made(&self) -> u64 {
        self.next.load(Relaxed)
    }
}

impl Default for Ids {
    fn default() -> Self {
        Self::new()
    }
}

/// An id as text.
pub fn text(id: &Id) -> &str {
    str::from_utf8(id).expect("hexadecimal digits are text")
}

fn digits(number: u64) -> [u8; 16] {
    std::array::from_fn(|position| b"0123456789abcdef"[(number >> (60 - 4 * position) & 15) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_count_and_differ_between_processes() {
        let ids = [Ids::new(), Ids::new()].map(|ids| [ids.make(), ids.make()].map(|id| text(&id).to_owned()));
        assert!(ids[0][0].ends_with("0000000000000000") && ids[1][1].ends_with("0000000000000001"));
        assert_ne!(ids[0][0][..16], ids[1][0][..16]);
        assert_eq!(digits(0x0123_4567_89ab_cdef), *b"0123456789abcdef");
    }
}
