//! Where the asynchronous code lives: a small runtime that the first request starts.
//!
//! Callers are plain threads that wait here for one future each; a few threads of the runtime's own
//! look after the sockets.

use std::future::Future;
use std::pin::pin;
use std::sync::OnceLock;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::time::{Instant, sleep_until, timeout};

use super::Stop;
use super::error::{Failure, Kind};

/// How often somebody who waits looks whether to give up.
const LOOK: Duration = Duration::from_millis(100);
/// Threads that look after sockets.
const THREADS: usize = 2;

/// Waits for `future`, until `stop` says otherwise.
///
/// # Errors
/// What the future fails with; [`Kind::Stopped`]; a system without threads.
pub fn wait<T>(stop: Stop<'_>, future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let builder = builder.worker_threads(THREADS).thread_name("storage").enable_all();
        builder.build().map_err(|error| error.to_string())
    });
    let runtime = runtime.as_ref().map_err(|error| Failure::new(Kind::Disk, error.clone()))?;
    runtime.block_on(async {
        let mut future = pin!(future);
        loop {
            if stop() {
                return Err(Failure::stopped());
            }
            tokio::select! {
                biased;
                ended = &mut future => return ended,
                () = sleep_until(Instant::now() + LOOK) => {}
            }
        }
    })
}

/// A future that must end within this time.
///
/// # Errors
/// [`Kind::TimedOut`] when it does not.
pub async fn within<T>(
    limit: Duration,
    future: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let silent = || Failure::new(Kind::TimedOut, format!("no answer within {} s", limit.as_secs()));
    timeout(limit, future).await.unwrap_or_else(|_| Err(silent()))
}

/// Sleeps on the thread of the caller, until `stop` says otherwise.
pub fn pause(stop: Stop<'_>, time: Duration) {
    let end = std::time::Instant::now() + time;
    while !stop() {
        let left = end.saturating_duration_since(std::time::Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(LOOK));
    }
}
