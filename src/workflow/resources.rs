//! What steps that run at the same time may occupy together: threads and memory.

use std::fs;

use super::plan::PlannedStep;

/// What is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tokens {
    free: Need,
    all: Need,
}

/// What a step occupies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// Threads.
    pub threads: usize,
    /// Bytes of memory.
    pub memory: u64,
}

impl Tokens {
    /// So many threads, and as much memory as the machine has.
    pub fn new(threads: usize) -> Self {
        let all = Need { threads: threads.max(1), memory: memory_of_the_machine() };
        Self { free: all, all }
    }

    /// What a step occupies: no more than there is, so that each step gets its turn.
    pub fn need(&self, step: &PlannedStep) -> Need {
        Need {
            threads: step.threads.unwrap_or(1).min(self.all.threads),
            memory: step.memory.unwrap_or(0).min(self.all.memory),
        }
    }

    /// Takes what a step needs, when it is free.
    pub fn take(&mut self, need: Need) -> bool {
        let fits = need.threads <= self.free.threads && need.memory <= self.free.memory;
        if fits {
            self.free.threads -= need.threads;
            self.free.memory -= need.memory;
        }
        fits
    }

    /// Gives it back.
    pub fn give(&mut self, need: Need) {
        self.free.threads += need.threads;
        self.free.memory += need.memory;
    }

    /// Whether nothing more can start.
    pub fn exhausted(&self) -> bool {
        self.free.threads == 0
    }
}

/// Bytes of memory of the machine, or of the container that the runner lives in.
fn memory_of_the_machine() -> u64 {
    let limit =
        fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    let memory = kibibytes.map_or(u64::MAX, |kibibytes| kibibytes * 1024);
    limit.map_or(memory, |limit: u64| limit.min(memory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_not_free_until_it_is_given_back() {
        let mut tokens = Tokens::new(2);
        let need = Need { threads: 1, memory: tokens.all.memory / 2 + 1 };
        assert!(tokens.take(need));
        assert!(!tokens.take(need), "the memory is taken");
        assert!(tokens.take(Need { threads: 1, memory: 0 }));
        assert!(tokens.exhausted());
        tokens.give(need);
        assert!(tokens.take(need));
    }
}
