//! `/openapi.json` and, for people, Swagger UI at `/docs`; everything it needs is in the program.
//!
//! The files of Swagger UI lie gzipped in the program and are sent as they are: every browser takes
//! them so. The few clients that do not get them unpacked.

use std::io::Read;
use std::sync::{Arc, OnceLock};

use axum::body::Bytes;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use flate2::read::GzDecoder;
use serde_json::Value;

use super::error::ApiError;
use super::openapi::{Operation, Parameter, Routes, Shape};
use super::parameters::Parameters;

/// What Swagger UI may load: its own files, and pictures that lie in its style sheet. It sets styles of
/// elements, which counts as inline.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
/// The files change with the program only, but its address stays.
const A_DAY: HeaderValue = HeaderValue::from_static("public, max-age=86400");

const FILE: Parameter = Parameter::needed("file", Shape::OneOf(NAMES), "The name of a file of the page.");

const NAMES: &[&str] = &["swagger-ui-bundle.js", "swagger-ui.css", "start.js", "start.css", "LICENSE.txt"];

/// A file of the page: name, type, bytes, whether they are gzipped.
struct File(&'static str, &'static str, &'static [u8], bool);

const JS: &str = "text/javascript; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
static FILES: [File; 5] = [
    File("swagger-ui-bundle.js", JS, include_bytes!("docs/swagger-ui-bundle.js.gz"), true),
    File("swagger-ui.css", CSS, include_bytes!("docs/swagger-ui.css.gz"), true),
    File("start.js", JS, include_bytes!("docs/start.js"), false),
    File("start.css", CSS, include_bytes!("docs/start.css"), false),
    File("LICENSE.txt", "text/plain; charset=utf-8", include_bytes!("docs/swagger-ui.LICENSE.txt"), false),
];

/// The description, which is known only when all routes are.
pub type Document = Arc<OnceLock<Bytes>>;

/// Puts the description where the routes take it from.
pub fn publish(document: &Document, description: &Value) {
    let _ = document.set(Bytes::from(description.to_string()));
}

/// The routes of the documentation.
pub fn routes(document: &Document) -> Routes {
    let document = Arc::clone(document);
    let described = move || {
        let document = document.get().cloned().unwrap_or_default();
        async move { ([(CONTENT_TYPE, "application/json")], document) }
    };
    let json = Operation::new("This description", "OpenAPI 3.1, made from the handlers.")
        .answers::<Value>("The OpenAPI document.");
    let page = Operation::new("This description, for people", "Swagger UI, with its files in the program.")
        .answers_media("text/html", "The page.");
    let file = Operation::new("A file of the page", "")
        .takes(&[&FILE])
        .answers_media("text/javascript", "The file.")
        .answers_media("text/css", "")
        .answers_media("text/plain", "")
        .fails(ApiError::NotFound);
    Routes::tagged("documentation").get("/openapi.json", described, &json).get("/docs", index, &page).get(
        "/docs/{file}",
        asset,
        &file,
    )
}

/// `GET /docs`: the page.
async fn index() -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, include_str!("docs/index.html")).into_response()
}

/// `GET /docs/{file}`: a file of the page; 404 for another name.
async fn asset(parameters: Parameters, headers: HeaderMap) -> Result<Response, ApiError> {
    let name = parameters.all(FILE.name).next().unwrap_or_default();
    let File(_, kind, bytes, is_gzipped) =
        FILES.iter().find(|file| file.0 == name).ok_or(ApiError::NotFound)?;
    let mut response = if *is_gzipped && !takes_gzip(&headers) {
        let mut plain = Vec::new();
        GzDecoder::new(*bytes).read_to_end(&mut plain).map_err(|_| ApiError::NotFound)?;
        plain.into_response()
    } else {
        Bytes::from_static(bytes).into_response()
    };
    let about = response.headers_mut();
    if *is_gzipped {
        about.insert(VARY, HeaderValue::from_static("accept-encoding"));
        if takes_gzip(&headers) {
            about.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
    }
    about.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    about.insert(CACHE_CONTROL, A_DAY);
    about.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

/// Whether a client names gzip among what it takes, and not with weight 0.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let weight = weight.trim().trim_start_matches("q=").parse().unwrap_or(0.0);
        matches!(name.trim().to_ascii_lowercase().as_str(), "gzip" | "*") && weight > 0.0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        let of = |value: &'static str| {
            takes_gzip(&HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(value))]))
        };
        assert!(of("gzip, deflate, br, zstd") && of("br;q=1.0, GZIP;q=0.5") && of("*"));
        assert!(!of("identity") && !of("gzip;q=0") && !of("br") && !takes_gzip(&HeaderMap::new()));
    }

    #[test]
    fn every_file_is_whole_and_described() {
        assert_eq!(FILES.each_ref().map(|file| file.0), NAMES);
        for File(name, _, bytes, is_gzipped) in &FILES {
            let mut plain = bytes.to_vec();
            if *is_gzipped {
                plain.clear();
                GzDecoder::new(*bytes).read_to_end(&mut plain).unwrap();
            }
            assert!(std::str::from_utf8(&plain).is_ok_and(|text| !text.is_empty()), "{name}");
        }
    }
}
