//! Cross-origin requests: which pages of other origins may call the service from a browser.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;

/// The origins that may call; none by default.
#[derive(Debug)]
pub struct Cors {
    any: bool,
    origins: Vec<HeaderValue>,
}

impl Cors {
    /// Takes the origins of a service file, which are checked already.
    pub fn new(origins: &[String]) -> Self {
        let any = origins.iter().any(|origin| origin == "*");
        Self { any, origins: origins.iter().filter_map(|origin| origin.parse().ok()).collect() }
    }

    /// The origin to answer to, when it may call.
    pub fn origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        if self.origins.is_empty() {
            return None;
        }
        let origin = headers.get(header::ORIGIN)?;
        if self.any {
            return Some(HeaderValue::from_static("*"));
        }
        self.origins.contains(origin).then(|| origin.clone())
    }

    /// Whether a browser asks if it may ask.
    pub fn is_preflight(&self, headers: &HeaderMap) -> bool {
        !self.origins.is_empty()
            && headers.contains_key(header::ORIGIN)
            && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    }

    /// The answer to such a request; [`allow`](Self::allow) adds whether the origin may.
    pub fn preflight(&self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type, x-api-key, x-request-id"),
            (header::ACCESS_CONTROL_MAX_AGE, "600"),
        ] {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }

    /// Tells the browser that the page may read the answer.
    pub fn allow(&self, origin: Option<HeaderValue>, headers: &mut HeaderMap) {
        if let Some(origin) = origin {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            let shown = HeaderValue::from_static("x-request-id, retry-after");
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, shown);
        }
        if !self.origins.is_empty() && !self.any {
            headers.append(header::VARY, HeaderValue::from_static("origin"));
        }
    }
}
