//! From a service file to a running service: listen, load, open the events, answer.

use std::io;
use std::net::{self, SocketAddr};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::runtime::Builder;

use super::events::EventStore;
use super::failure::ServiceError;
use super::impressions::Impressions;
use super::library::Library;
use super::reload::Watch;
use super::service::Service;
use super::state::State;

/// What there is to say once a service answers.
#[derive(Debug, Clone)]
pub struct Started {
    /// Where it listens.
    pub address: SocketAddr,
    /// Tracks in the catalogue.
    pub n_tracks: usize,
    /// Users with a precomputed list.
    pub n_users: usize,
    /// Tracks with similar ones.
    pub n_similar: usize,
    /// How long reading the artifacts took.
    pub loading: Duration,
}

/// Runs a service on this thread until `shutdown` is there.
///
/// The port is taken before anything is read, so that a port in use is known at once. `started` is
/// told when the first request can be answered.
///
/// # Errors
/// When the service cannot start, or the system ends it.
///
/// # Panics
/// When called from inside an async runtime.
pub fn start(
    service: &Service,
    started: impl FnOnce(&Started),
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServiceError> {
    service.check()?;
    let listener = listen(service)?;
    let begin = Instant::now();
    let library = Library::load(service)?;
    let events = EventStore::open(&service.events.path, service.events.keep_per_user.get())?;
    let impressions = Impressions::open(service.impressions.path.as_deref())?;
    let facts = Started {
        address: listener.local_addr().map_err(ServiceError::Stopped)?,
        n_tracks: library.catalog.len(),
        n_users: library.recommendations.len(),
        n_similar: library.similar.len(),
        loading: begin.elapsed(),
    };
    let state = State::new(service.clone(), library, events, impressions);
    let period = Duration::from_secs(service.reload.every_seconds.into());
    let watch = (!period.is_zero()).then(|| Watch::start(state.clone(), period));
    let _watch = watch.transpose().map_err(ServiceError::Stopped)?;
    let runtime = Builder::new_multi_thread().enable_all().build().map_err(ServiceError::Stopped)?;
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener).map_err(ServiceError::Stopped)?;
        started(&facts);
        super::serve(listener, state, shutdown).await.map_err(ServiceError::Stopped)
    })
}

fn listen(service: &Service) -> Result<net::TcpListener, ServiceError> {
    let Service { host, port, .. } = service;
    let bound = net::TcpListener::bind((host.as_str(), *port));
    let listener = bound.and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
    listener.map_err(|cause| match cause.kind() {
        io::ErrorKind::AddrInUse => ServiceError::PortInUse { port: *port },
        _ => ServiceError::Listen { host: host.clone(), port: *port, cause },
    })
}
