//! Time by the clock and time of all threads, and the talk with the driver.

use std::time::Instant;

/// Since when.
pub struct Clock {
    wall: Instant,
    cpu: f64,
}

impl Clock {
    /// From now on.
    pub fn start() -> Self {
        Self { wall: Instant::now(), cpu: cpu_seconds() }
    }

    /// `"cpu": …, "wall": …` since the start.
    pub fn read(&self) -> String {
        format!("\"cpu\": {}, \"wall\": {}", cpu_seconds() - self.cpu, self.wall.elapsed().as_secs_f64())
    }
}

/// User and system time of all threads of this process.
fn cpu_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock exists on Linux and `time` is a place for its answer.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Waits for the driver's next line; `false` when there is none.
pub fn next_round() -> bool {
    std::io::stdin().read_line(&mut String::new()).is_ok_and(|read| read > 0)
}

/// Answers the driver with an object of these members.
pub fn answer(members: &str) {
    use std::io::Write;
    println!("{{{members}}}");
    std::io::stdout().flush().unwrap();
}
