//! From a service file to a running service: listen, load, open the events, answer.
//!
//! Every port is taken before anything is read, so that a port in use is known at once, and probes are
//! answered while the artifacts are read: alive, but not ready.

use std::io;
use std::net::{self, SocketAddr};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use super::direct::Direct;
use super::door::Door;
use super::events::{EventStore, Events, PostgresStore};
use super::failure::{EventsFault, ServiceError};
use super::front::Front;
use super::impressions::Impressions;
use super::layout::{Member, Resource};
use super::library::Library;
use super::metrics::Metrics;
use super::peers::sources;
use super::reload::Watch;
use super::service::{self, Service};
use super::state::State;
use super::{memory, router_of};

/// What there is to say once a service answers.
#[derive(Debug, Clone)]
pub struct Started {
    /// Where it listens; the first service of the layout.
    pub address: SocketAddr,
    /// Every service of this process, and where it listens.
    pub services: Vec<(String, SocketAddr)>,
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
/// `started` is told when the first request can be answered.
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
    let metrics = Arc::new(Metrics::default());
    let members = service.members();
    let mut listeners = Vec::new();
    for member in &members {
        let front = Front::new(&member.name, service, Arc::clone(&metrics))?;
        listeners.push((listen(member, &service.host)?, front));
    }
    let runtime = Builder::new_multi_thread().enable_all().build().map_err(ServiceError::Stopped)?;
    let result = runtime.block_on(run(service, &members, listeners, metrics, started, shutdown));
    // A thread that still reads artifacts must not hold up the end.
    runtime.shutdown_background();
    result
}

async fn run(
    service: &Service,
    members: &[Member],
    listeners: Vec<(net::TcpListener, Front)>,
    metrics: Arc<Metrics>,
    started: impl FnOnce(&Started),
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServiceError> {
    let mut doors = Vec::new();
    for (listener, front) in listeners {
        let listener = TcpListener::from_std(listener).map_err(ServiceError::Stopped)?;
        doors.push(Door::new(listener, front));
    }
    let addresses = doors.iter().map(Door::address).collect::<io::Result<Vec<_>>>();
    let addresses = addresses.map_err(ServiceError::Stopped)?;
    let fronts: Vec<Front> = doors.iter().map(|door| door.front().clone()).collect();

    let mut shutdown = pin!(shutdown);
    let begin = Instant::now();
    let loading = load_beside(service.clone(), metrics)?;
    let until_the_end = async {
        let state = tokio::select! {
            () = &mut shutdown => return Ok::<_, ServiceError>(None),
            loaded = loading => loaded.unwrap_or_else(|_| Err(ServiceError::Stopped(panicked())))?,
        };
        for (front, member) in fronts.iter().zip(members) {
            let direct = Direct::new(&state, &member.answers);
            front.open(router_of(state.clone(), &member.answers), direct);
        }
        let period = Duration::from_secs(service.reload.every_seconds.into());
        let watch = (!period.is_zero()).then(|| Watch::start(state.clone(), period));
        let _watch = watch.transpose().map_err(ServiceError::Stopped)?;
        let library = state.library();
        started(&Started {
            address: addresses[0],
            services: members.iter().map(|member| member.name.clone()).zip(addresses).collect(),
            n_tracks: library.catalog.len(),
            n_users: library.recommendations.len(),
            n_similar: library.similar.len(),
            loading: begin.elapsed(),
        });
        shutdown.await;
        Ok(Some(state))
    };
    let state = super::serve(doors, until_the_end).await?;
    if let Some(state) = state {
        state.events().close().await;
        state.impressions().close().await;
    }
    Ok(())
}

/// Reads everything on a thread of its own, while probes are answered.
fn load_beside(
    service: Service,
    metrics: Arc<Metrics>,
) -> Result<oneshot::Receiver<Result<State, ServiceError>>, ServiceError> {
    let (loaded_to, loaded) = oneshot::channel();
    let runtime = Handle::current();
    let load = move || {
        let _context = runtime.enter();
        // Nobody listens any more when the service was stopped meanwhile.
        let _ = loaded_to.send(load(service, metrics));
    };
    thread::Builder::new().name("load".to_owned()).spawn(load).map_err(ServiceError::Stopped)?;
    Ok(loaded)
}

fn load(service: Service, metrics: Arc<Metrics>) -> Result<State, ServiceError> {
    let library = Library::load(&service)?;
    let events = events(&service)?;
    memory::give_back();
    let impressions = Impressions::open(&service.impressions)?;
    Ok(State::counted(service, library, events, impressions, metrics))
}

/// The store of events of this process, or the service that has them.
pub(super) fn events(service: &Service) -> Result<Events, ServiceError> {
    if let Some(peer) = sources::peer(service, Resource::Events) {
        return Ok(peer.into());
    }
    if !service.answers(Resource::Events) {
        return Ok(Events::none());
    }
    if let Some(url) = database_url(service) {
        let service::Events { keep_per_user, database_timeout_ms, .. } = service.events;
        let opened = PostgresStore::open(&url, keep_per_user.get(), database_timeout_ms);
        return Ok(Handle::current().block_on(opened)?.into());
    }
    Ok(event_store(&service.events.path, &service.events)?.into())
}

/// The SQLite file of events at a path.
pub(super) fn event_store(path: &Path, events: &service::Events) -> Result<EventStore, EventsFault> {
    EventStore::open(path, events.keep_per_user.get(), events.read_at_start.get())
}

/// The PostgreSQL that events are kept in, where the environment names one.
pub(super) fn database_url(service: &Service) -> Option<String> {
    let variable = service.events.database_url_env.as_ref()?;
    std::env::var(variable).ok().filter(|url| !url.is_empty())
}

fn panicked() -> io::Error {
    io::Error::other("reading the artifacts came to a sudden end")
}

fn listen(member: &Member, host: &str) -> Result<net::TcpListener, ServiceError> {
    let (host, port) = (member.host.as_deref().unwrap_or(host), member.port);
    let bound = net::TcpListener::bind((host, port));
    let listener = bound.and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
    listener.map_err(|cause| match cause.kind() {
        io::ErrorKind::AddrInUse => ServiceError::PortInUse { port },
        _ => ServiceError::Listen { host: host.to_owned(), port, cause },
    })
}
