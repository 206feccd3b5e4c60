//! The services of a file, on free ports, for as long as they are asked.

use std::path::Path;
use std::sync::mpsc;
use std::thread;

use tokio::sync::oneshot;

use crate::cli::CommandError;
use crate::serve::{Service, ServiceError, Started, start};

/// Starts the services of a file, hands their addresses to `work`, and stops them.
///
/// # Errors
/// When they do not start.
pub fn with_service<T>(file: &Path, work: impl FnOnce(&[String]) -> T) -> Result<T, CommandError> {
    let mut service = Service::read(file).map_err(CommandError::usage)?;
    let folder = tempfile::tempdir().map_err(|error| CommandError::from(ServiceError::Stopped(error)))?;
    service.host = "127.0.0.1".to_owned();
    service.port = 0;
    for member in &mut service.services {
        member.host = None;
        member.port = 0;
    }
    service.events.path = folder.path().join("events.sqlite");
    service.events.database_url_env = None;
    service.impressions.path = None;
    service.lists_cache = None;
    service.keys = Default::default();

    let (addresses_to, addresses) = mpsc::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    thread::scope(|scope| {
        let running = scope.spawn(|| {
            let started = |started: &Started| {
                let addresses = started.services.iter().map(|(_, address)| format!("http://{address}"));
                let _ = addresses_to.send(addresses.collect::<Vec<_>>());
            };
            let result = start(&service, started, async { drop(stopped.await) });
            // Whoever waits for the addresses is told that there are none.
            drop(addresses_to);
            result
        });
        let answer = addresses.recv().map(|addresses| work(&addresses));
        let _ = stop.send(());
        let ended = running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        match (answer, ended) {
            (Ok(answer), Ok(())) => Ok(answer),
            (_, Err(error)) => Err(error.into()),
            (Err(_), Ok(())) => unreachable!("a service that ends well has started"),
        }
    })
}
