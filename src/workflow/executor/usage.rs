//! What a step inside this process used: the peak of the process's memory while it ran, and the
//! processor time that passed meanwhile. Steps that run at the same time are counted together.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::workflow::kind::Usage;

/// Steps at work inside this process.
static AT_WORK: AtomicUsize = AtomicUsize::new(0);
/// Ticks of the processor time that Linux tells, a second.
const TICKS: f64 = 100.0;

/// A measurement that has begun.
pub struct Measured {
    cpu_seconds: f64,
}

impl Measured {
    /// Begins.
    pub fn begin() -> Self {
        if AT_WORK.fetch_add(1, Ordering::SeqCst) == 0 {
            // Starts the kernel's peak anew; where it refuses, the peak is that of the whole run so far.
            let _ = fs::write("/proc/self/clear_refs", "5");
        }
        Self { cpu_seconds: cpu_seconds().unwrap_or(0.0) }
    }

    /// What was used since, as far as the system tells.
    pub fn usage(&self) -> Option<Usage> {
        Some(Usage {
            peak_memory_bytes: peak_bytes()?,
            cpu_seconds: (cpu_seconds()? - self.cpu_seconds).max(0.0),
        })
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        AT_WORK.fetch_sub(1, Ordering::SeqCst);
    }
}

fn peak_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

/// Time of this process in user and system mode.
fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11).map(str::parse::<f64>);
    Some((fields.next()?.ok()? + fields.next()?.ok()?) / TICKS)
}

#[cfg(test)]
mod tests {
    use super::Measured;

    #[test]
    fn a_peak_is_seen_after_it_is_over() {
        let measured = Measured::begin();
        let large = vec![1_u8; 64 << 20];
        assert_eq!(large[5 << 20], 1);
        drop(large);
        assert!(measured.usage().unwrap().peak_memory_bytes > 64 << 20);
    }
}
