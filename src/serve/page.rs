//! `GET /`: a page for browsers, `{"status": "alive"}` for everyone else.
//!
//! Three files without a build, which load nothing from elsewhere and ask the same routes that any client
//! asks. The policy lets no other script run, and the script writes names as text only.

use axum::Json;
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};

use super::error::ApiError;
use super::openapi::{Operation, Parameter, Routes, Shape};
use super::parameters::Parameters;
use super::status::Status;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

const FILE: Parameter = Parameter::needed("file", Shape::OneOf(NAMES), "The name of a file of the page.");

const NAMES: &[&str] = &["app.js", "charts.js", "icon.svg", "style.css"];

const HTML: &str = "text/html; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";

/// The files beside the page itself: name, type, text.
static FILES: [(&str, &str, &str); 4] = [
    ("app.js", JS, include_str!("page/app.js")),
    ("charts.js", JS, include_str!("page/charts.js")),
    ("icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
    ("style.css", CSS, include_str!("page/style.css")),
];

/// The routes of the page.
pub fn routes() -> Routes {
    let alive = Operation::new(
        "Whether the process runs; a page for browsers",
        "Clients whose `Accept` names `text/html` get a page to look at recommendations with.",
    )
    .answers::<Status>("It does.")
    .answers_media("text/html", "");
    let file = Operation::new("A file of the page", "")
        .takes(&[&FILE])
        .answers_media("text/javascript", "The file.")
        .answers_media("text/css", "")
        .answers_media("image/svg+xml", "")
        .fails(ApiError::NotFound);
    Routes::tagged("documentation").get("/", index, &alive).get("/page/{file}", file_of_page, &file)
}

/// `GET /`: 200, the page or JSON, by `Accept`.
pub(super) async fn index(headers: HeaderMap) -> Response {
    let accepts = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut response = if accepts.into_iter().any(|value| value.contains("text/html")) {
        file(HTML, include_str!("page/index.html"))
    } else {
        Json(Status { status: "alive" }).into_response()
    };
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    response
}

/// `GET /page/{file}`: 200 with the file; 404 for another name.
pub(super) async fn file_of_page(parameters: Parameters) -> Result<Response, ApiError> {
    let name = parameters.all(FILE.name).next().unwrap_or_default();
    let (_, kind, text) = FILES.iter().find(|(known, ..)| *known == name).ok_or(ApiError::NotFound)?;
    Ok(file(kind, text))
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let headers: [(HeaderName, &str); 5] = [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        // The files change with the program, and are small.
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_described() {
        assert_eq!(FILES.map(|file| file.0), NAMES);
    }
}
