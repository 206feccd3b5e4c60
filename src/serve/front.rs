//! The front of a service: what happens to every request before and after its handler.
//!
//! It is one hand-written layer and not a stack of boxed ones: what an id, limits, keys, origins, a timeout,
//! metrics, the access log and the watch over silent connections cost is a share of every request that is
//! felt, for a request costs about 12 µs in all. Until the artifacts are read it answers for itself.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::{BoxError, Router};
use tower_service::Service as _;

use super::cors::Cors;
use super::direct::Direct;
use super::error::ApiError;
use super::failure::ServiceError;
use super::ids::Ids;
use super::keys::KeyRing;
use super::metrics::{Metrics, Refusal};
use super::operations::Limits;
use super::request_id;
use super::routes::{ROUTES, route_of};
use super::service::Service;
use super::status;

/// What stands before the router of a service; cheap to clone.
#[derive(Debug, Clone)]
pub struct Front(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    name: String,
    behind: OnceLock<Behind>,
    waiting: Router,
    metrics: Arc<Metrics>,
    limits: Limits,
    keys: KeyRing,
    cors: Cors,
    ids: Ids,
    access_log: bool,
}

/// What answers behind a front.
#[derive(Debug)]
struct Behind {
    router: Router,
    direct: Option<Direct>,
}

impl Front {
    /// A front that has nothing behind it yet.
    ///
    /// # Errors
    /// When an environment variable that should hold a key does not.
    pub fn new(name: &str, service: &Service, metrics: Arc<Metrics>) -> Result<Self, ServiceError> {
        Ok(Self(Arc::new(Shared {
            name: name.to_owned(),
            behind: OnceLock::new(),
            waiting: status::waiting(Arc::clone(&metrics)),
            metrics,
            limits: service.limits.clone(),
            keys: KeyRing::from_env(&service.keys)?,
            cors: Cors::new(&service.cors_origins),
            ids: Ids::new(),
            access_log: service.access_log,
        })))
    }

    /// From now on requests go to this router, or to the shortcut around it.
    pub fn open(&self, router: Router, direct: Option<Direct>) {
        // A front is opened once; what a second call brings is of no use.
        let _ = self.0.behind.set(Behind { router, direct });
    }

    /// The counters of the process.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The limits of the service.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Answers one request, whatever it is.
    pub async fn answer<B>(&self, request: Request<B>) -> Response
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let Shared { metrics, cors, ids, access_log, .. } = &*self.0;
        let begun = Instant::now();
        let route = route_of(request.uri().path());
        let id = request_id::taken(request.headers()).unwrap_or_else(|| request_id::header(&ids.make()));
        let origin = cors.origin(request.headers());
        let told = access_log.then(|| (request.method().clone(), request.uri().clone()));

        let mut response = match self.admit(route, &request) {
            Ok(work) => {
                let response = match self.directly(&request) {
                    Some(response) => response,
                    // In a box, so that requests that never wait do not carry the room for waiting.
                    None => Box::pin(self.work(request.map(Body::new))).await,
                };
                drop(work);
                response
            }
            Err(Early::Preflight) => cors.preflight(),
            Err(Early::Refused(error, refusal)) => {
                metrics.refused(refusal);
                error.into_response()
            }
        };

        let status = response.status().as_u16();
        let took = begun.elapsed();
        metrics.answered(route, status, took);
        if let Some((method, uri)) = told {
            self.tell(&id, &method, &uri, status, took);
        } else if status == 500 {
            tracing::error!(request_id = ?id, "a request was answered with status {status}");
        }
        cors.allow(origin, response.headers_mut());
        response.headers_mut().insert(request_id::HEADER, id);
        response
    }

    /// Decides whether a request is worked on.
    fn admit<B>(&self, route: usize, request: &Request<B>) -> Result<InWork<'_>, Early> {
        let Shared { metrics, limits, keys, cors, behind, .. } = &*self.0;
        if request.method() == Method::OPTIONS && cors.is_preflight(request.headers()) {
            return Err(Early::Preflight);
        }
        let work = InWork::begin(metrics);
        if work.n > limits.max_requests.get() {
            return Err(Early::Refused(ApiError::Overloaded, Refusal::Overload));
        }
        if !keys.allow(ROUTES[route].access, request.headers()) {
            return Err(Early::Refused(ApiError::Unauthorized, Refusal::Unauthorized));
        }
        let query = request.uri().query().map_or(0, str::len);
        if query > limits.max_query_bytes.get() {
            let error = ApiError::QueryTooLong { limit: limits.max_query_bytes.get() };
            return Err(Early::Refused(error, Refusal::TooLong));
        }
        if content_length(request.headers()) > limits.max_body_bytes.get() as u64 {
            let error = ApiError::BodyTooLong { limit: limits.max_body_bytes.get() };
            return Err(Early::Refused(error, Refusal::TooLong));
        }
        if behind.get().is_none() {
            // Counted here; the answer itself comes from the routes that need no artifacts.
            metrics.refused(Refusal::Loading);
        }
        Ok(work)
    }

    /// The answer of the shortcut around the router, if the request is for it.
    fn directly<B>(&self, request: &Request<B>) -> Option<Response> {
        let direct = self.0.behind.get()?.direct.as_ref()?;
        let answer = || direct.answer(request.method(), request.uri());
        catch_unwind(AssertUnwindSafe(answer)).unwrap_or_else(|_| Some(ApiError::Internal.into_response()))
    }

    /// Sends a request to its handler, for as long as it may take.
    async fn work(&self, request: Request<Body>) -> Response {
        let Shared { behind, waiting, limits, metrics, .. } = &*self.0;
        let mut router = behind.get().map_or(waiting, |behind| &behind.router).clone();
        let handled =
            caught(
                async move { router.call(request).await.unwrap_or_else(|impossible| match impossible {}) },
            );
        tokio::time::timeout(limits.request_timeout_ms, handled).await.unwrap_or_else(|_| {
            metrics.refused(Refusal::Timeout);
            ApiError::TooSlow.into_response()
        })
    }

    /// A line of the access log; the query is in it, keys and bodies are not.
    fn tell(&self, id: &HeaderValue, method: &Method, uri: &Uri, status: u16, took: Duration) {
        tracing::info!(
            target: "recsys::access",
            service = self.0.name,
            request_id = id.to_str().unwrap_or_default(),
            method = method.as_str(),
            path = uri.path(),
            query = uri.query().unwrap_or_default(),
            status,
            took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        );
    }
}

/// Why a request does not get to its handler.
enum Early {
    Preflight,
    Refused(ApiError, Refusal),
}

/// A request in work, from its admission to its answer or until the client hangs up.
struct InWork<'a> {
    metrics: &'a Metrics,
    n: usize,
}

impl<'a> InWork<'a> {
    fn begin(metrics: &'a Metrics) -> Self {
        Self { metrics, n: metrics.in_work.fetch_add(1, Relaxed) + 1 }
    }
}

impl Drop for InWork<'_> {
    fn drop(&mut self) {
        self.metrics.in_work.fetch_sub(1, Relaxed);
    }
}

/// The length that the head of a request announces; what it does not announce is limited while it is read.
fn content_length(headers: &HeaderMap) -> u64 {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    length.and_then(|length| length.parse().ok()).unwrap_or(0)
}

/// A handler that panics is a fault of the program; its client and its connection must not suffer.
async fn caught(handled: impl Future<Output = Response>) -> Response {
    let mut handled = pin!(handled);
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| handled.as_mut().poll(context)));
        polled.unwrap_or_else(|_| Poll::Ready(ApiError::Internal.into_response()))
    })
    .await
}
