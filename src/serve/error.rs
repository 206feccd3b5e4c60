//! What a client is told when a request cannot be answered: JSON with a stable code.
//!
//! The message says what was expected and found; details of the machine stay in the log.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use super::events::{NotStored, Unreadable};

/// Why a request was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// A parameter that the route needs is not there.
    #[error("`{field}` is missing")]
    MissingParameter {
        /// The parameter.
        field: &'static str,
    },
    /// A parameter has a value that cannot be.
    #[error("`{field}` must be {expected}, found `{found}`")]
    InvalidParameter {
        /// The parameter.
        field: &'static str,
        /// What it may be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A filter goes by a column that the table of items does not have.
    #[error("`{field}` cannot be used here: the items of this service have no `{column}`")]
    UnsupportedFilter {
        /// The parameter.
        field: &'static str,
        /// The column.
        column: &'static str,
    },
    /// The query string or the path is not text.
    #[error("the address of the request is not valid UTF-8 text")]
    InvalidAddress,
    /// No track has this id.
    #[error("track {track_id} is not known")]
    UnknownTrack {
        /// The id.
        track_id: i64,
    },
    /// The body is not what the route takes.
    #[error("{message}")]
    InvalidBody {
        /// 400, 413, 415 or 422.
        status: StatusCode,
        /// What is wrong with it.
        message: String,
    },
    /// No route has this path.
    #[error("there is no such route")]
    NotFound,
    /// The route has another method.
    #[error("the route does not answer to this method")]
    MethodNotAllowed,
    /// The service knows no pipeline.
    #[error("this service was started without a pipeline")]
    NoPipeline,
    /// No report of `evaluate` is there.
    #[error("there is no report of an evaluation yet")]
    NoReport,
    /// Events cannot be stored or read at the moment.
    #[error("events cannot be stored or read at the moment; try again later")]
    EventsUnavailable,
    /// The artifacts are being read.
    #[error("the service is starting; try again in a moment")]
    Loading,
    /// Too many requests are in work.
    #[error("too many requests are in work; try again in a moment")]
    Overloaded,
    /// No key, or one that does not open this route.
    #[error("this route asks for a key: `authorization: Bearer KEY` or `x-api-key: KEY`")]
    Unauthorized,
    /// The query is longer than the service takes.
    #[error("the query must be at most {limit} bytes long")]
    QueryTooLong {
        /// The limit.
        limit: usize,
    },
    /// The body is longer than the service takes.
    #[error("the body must be at most {limit} bytes long")]
    BodyTooLong {
        /// The limit.
        limit: usize,
    },
    /// The request was not finished in the time that a request may take.
    #[error("the request took too long")]
    TooSlow,
    /// A fault of the program; the log has it.
    #[error("the service made a mistake; it is in its log")]
    Internal,
}

/// Why a request was not answered.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub(super) struct ErrorBody {
    /// The stable name of the error, for programs.
    pub code: &'static str,
    /// What was expected and what was found, for people.
    pub message: String,
    /// The parameter or key at fault, if one is.
    pub field: Option<&'static str>,
}

impl ApiError {
    /// A parameter with a value that cannot be; of the value, the first 40 letters are shown.
    pub fn invalid(field: &'static str, expected: &str, found: &str) -> Self {
        let found = found.chars().take(40).collect();
        Self::InvalidParameter { field, expected: expected.to_owned(), found }
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::MissingParameter { .. }
            | Self::InvalidParameter { .. }
            | Self::UnsupportedFilter { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::InvalidAddress => StatusCode::BAD_REQUEST,
            Self::UnknownTrack { .. } | Self::NotFound | Self::NoPipeline | Self::NoReport => {
                StatusCode::NOT_FOUND
            }
            Self::InvalidBody { status, .. } => *status,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::EventsUnavailable | Self::Loading | Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::QueryTooLong { .. } => StatusCode::URI_TOO_LONG,
            Self::BodyTooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The stable name of the error, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::MissingParameter { .. } => "missing_parameter",
            Self::InvalidParameter { .. } => "invalid_parameter",
            Self::UnsupportedFilter { .. } => "unsupported_filter",
            Self::InvalidAddress => "invalid_address",
            Self::UnknownTrack { .. } => "unknown_track",
            Self::InvalidBody { .. } => "invalid_body",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::NoPipeline => "no_pipeline",
            Self::NoReport => "no_report",
            Self::EventsUnavailable => "events_unavailable",
            Self::Loading => "loading",
            Self::Overloaded => "overloaded",
            Self::Unauthorized => "unauthorized",
            Self::QueryTooLong { .. } => "query_too_long",
            Self::BodyTooLong { .. } => "body_too_long",
            Self::TooSlow => "too_slow",
            Self::Internal => "internal",
        }
    }

    fn field(&self) -> Option<&'static str> {
        match self {
            Self::MissingParameter { field }
            | Self::InvalidParameter { field, .. }
            | Self::UnsupportedFilter { field, .. } => Some(field),
            Self::UnknownTrack { .. } => Some("track_id"),
            _ => None,
        }
    }
}

impl ApiError {
    /// What a client is told.
    pub(super) fn body(&self) -> ErrorBody {
        ErrorBody { code: self.code(), message: self.to_string(), field: self.field() }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status(), Json(self.body())).into_response();
        let extra = match self {
            Self::EventsUnavailable | Self::Loading | Self::Overloaded => {
                Some((header::RETRY_AFTER, HeaderValue::from_static("1")))
            }
            Self::Unauthorized => Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            _ => None,
        };
        response.headers_mut().extend(extra);
        response
    }
}

impl From<NotStored> for ApiError {
    fn from(_: NotStored) -> Self {
        Self::EventsUnavailable
    }
}

impl From<Unreadable> for ApiError {
    fn from(_: Unreadable) -> Self {
        Self::EventsUnavailable
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        Self::InvalidBody { status: rejection.status(), message: rejection.body_text() }
    }
}
