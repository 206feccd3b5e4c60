//! The service of a file, on a free port, for as long as it is asked.

use std::path::Path;
use std::sync::mpsc;
use std::thread;

use tokio::sync::oneshot;

use crate::cli::CommandError;
use crate::serve::{Service, ServiceError, start};

/// Starts the service of a file, hands its addresses to `work`, and stops it.
///
/// # Errors
/// When it does not start.
pub fn with_service<T>(file: &Path, work: impl FnOnce(&[String]) -> T) -> Result<T, CommandError> {
    let mut service = Service::read(file).map_err(CommandError::usage)?;
    let folder = tempfile::tempdir().map_err(|error| CommandError::from(ServiceError::Stopped(error)))?;
    service.host = "127.0.0.1".to_owned();
    service.port = 0;
    service.events.path = folder.path().join("events.sqlite");
    service.impressions.path = None;

    let (address_to, address) = mpsc::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    thread::scope(|scope| {
        let running = scope.spawn(|| {
            let started = |started: &crate::serve::Started| {
                let _ = address_to.send(format!("http://{}", started.address));
            };
            let result = start(&service, started, async { drop(stopped.await) });
            // Whoever waits for the address is told that there is none.
            drop(address_to);
            result
        });
        let answer = address.recv().map(|address| work(&[address]));
        let _ = stop.send(());
        let ended = running.join().expect("the service has no panic of its own to tell of");
        match (answer, ended) {
            (Ok(answer), Ok(())) => Ok(answer),
            (_, Err(error)) => Err(error.into()),
            (Err(_), Ok(())) => unreachable!("a service that ends well has started"),
        }
    })
}
