//! Times and sizes as people read them, written the same way everywhere.

use std::time::Duration;

/// A time as people read it: `0.42 s`, `12.3 s`, `3 min 05 s`.
pub fn seconds(time: Duration) -> String {
    let total = time.as_secs_f64();
    match total {
        t if t < 1.0 => format!("{:.0} ms", t * 1000.0),
        t if t < 60.0 => format!("{t:.1} s"),
        t if t < 3600.0 => format!("{} min {:02} s", (t / 60.0) as u64, t as u64 % 60),
        t => format!("{} h {:02} min", (t / 3600.0) as u64, (t as u64 % 3600) / 60),
    }
}

/// A size as people read it: `812 B`, `4.1 MB`.
pub fn bytes(size: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if size < 1000 {
        return format!("{size} B");
    }
    let mut value = size as f64 / 1000.0;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_have_one_unit_each() {
        assert_eq!(bytes(812), "812 B");
        assert_eq!(bytes(4_100_000), "4.1 MB");
        assert_eq!(seconds(Duration::from_millis(420)), "420 ms");
        assert_eq!(seconds(Duration::from_secs(185)), "3 min 05 s");
    }
}
