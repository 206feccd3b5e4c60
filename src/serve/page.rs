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

const FILE: Parameter =
    Parameter::needed("file", Shape::Text(100), "`app.js`, `charts.js`, `style.css` or `icon.svg`.");

const HTML: &str = "text/html; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";

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
    Routes::new("documentation").get("/", index, &alive).get("/page/{file}", file_of_page, &file)
}

/// `GET /`: 200, the page or JSON, by `Accept`.
async fn index(headers: HeaderMap) -> Response {
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
async fn file_of_page(parameters: Parameters) -> Result<Response, ApiError> {
    match parameters.all(FILE.name).next().unwrap_or_default() {
        "app.js" => Ok(file(JS, include_str!("page/app.js"))),
        "charts.js" => Ok(file(JS, include_str!("page/charts.js"))),
        "icon.svg" => Ok(file("image/svg+xml", include_str!("page/icon.svg"))),
        "style.css" => Ok(file(CSS, include_str!("page/style.css"))),
        _ => Err(ApiError::NotFound),
    }
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
