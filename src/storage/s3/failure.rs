//! What the client of S3 says about a request that failed, in our words.

use std::error::Error;
use std::time::Duration;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStreamError;

use crate::storage::error::{Failure, Kind};

/// Why a request failed.
pub fn failure<E>(error: SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    match &error {
        SdkError::TimeoutError(_) => Failure::new(Kind::TimedOut, "no answer in time"),
        SdkError::DispatchFailure(dispatch) => match dispatch.as_connector_error() {
            Some(error) if error.is_timeout() => {
                Failure::new(Kind::TimedOut, format!("no connection in time: {}", root(error)))
            }
            Some(error) if is_reset(error) => {
                Failure::new(Kind::Broken, format!("the connection broke: {}", root(error)))
            }
            Some(error) => Failure::new(Kind::Unreachable, format!("no connection: {}", root(error))),
            None => Failure::new(Kind::Unreachable, "no connection"),
        },
        SdkError::ServiceError(said) if said.raw().status().is_success() => {
            Failure::new(Kind::Garbled, format!("the answer cannot be understood: {}", chain(said.err())))
        }
        SdkError::ServiceError(said) => {
            of_answer(said.raw(), said.err().code().unwrap_or_default(), said.err().message())
        }
        SdkError::ResponseError(said) => {
            let status = said.raw().status().as_u16();
            if status >= 400 {
                return of_answer(said.raw(), "", None);
            }
            Failure::new(Kind::Garbled, "the answer cannot be understood")
        }
        other => {
            // Before anything is sent, it is keys that are missing or an address that is wrong.
            let words = chain(other);
            let about_keys = words.contains("credential") || words.contains("identity");
            match about_keys {
                true => Failure::new(Kind::NoKeys, "no keys were found"),
                false => Failure::new(Kind::Refused, words),
            }
        }
    }
}

/// Why the bytes of an answer stopped coming.
pub fn broken(error: ByteStreamError) -> Failure {
    Failure::new(Kind::Broken, format!("the connection broke: {}", root(&error)))
}

fn of_answer(raw: &HttpResponse, code: &str, message: Option<&str>) -> Failure {
    let status = raw.status().as_u16();
    let header = |name: &str| raw.headers().get(name);
    let kind = kind_of(status, code);
    let mut text = match (code, message) {
        ("", _) => format!("the server answers {status}"),
        (code, None | Some("")) => format!("the server answers {status} {code}"),
        (code, Some(message)) => {
            format!("the server answers {status} {code}: {}", message.trim_end_matches('.'))
        }
    };
    if kind == Kind::WrongRegion
        && let Some(region) = header("x-amz-bucket-region")
    {
        text = format!("the bucket is in the region `{region}`");
    }
    if kind == Kind::ClockSkew
        && let Some(date) = header("date")
    {
        text = format!("{text}; it is {date} there, {} here", chrono::Utc::now().to_rfc2822());
    }
    let retry_after = header("retry-after").and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
    Failure { retry_after, ..Failure::new(kind, text) }
}

fn kind_of(status: u16, code: &str) -> Kind {
    match code {
        "NoSuchBucket" => return Kind::NoBucket,
        "NoSuchKey" | "NoSuchUpload" => return Kind::NotFound,
        "InvalidAccessKeyId" => return Kind::UnknownKey,
        "SignatureDoesNotMatch" => return Kind::WrongSecret,
        "RequestTimeTooSkewed" => return Kind::ClockSkew,
        "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" => {
            return Kind::WrongRegion;
        }
        "BadDigest" | "InvalidDigest" | "XAmzContentSHA256Mismatch" => return Kind::Checksum,
        "SlowDown"
        | "Throttling"
        | "ThrottlingException"
        | "RequestLimitExceeded"
        | "InternalError"
        | "ServiceUnavailable" => return Kind::Busy,
        "RequestTimeout" | "IncompleteBody" => return Kind::Broken,
        "PreconditionFailed" | "ConditionalRequestConflict" => return Kind::Condition,
        "NotImplemented" | "MethodNotAllowed" => return Kind::Unsupported,
        _ => {}
    }
    match status {
        301 | 307 => Kind::WrongRegion,
        401 | 403 => Kind::Denied,
        404 => Kind::NotFound,
        405 | 501 => Kind::Unsupported,
        408 => Kind::Broken,
        409 | 412 => Kind::Condition,
        429 | 500 | 502 | 503 | 504 => Kind::Busy,
        _ => Kind::Refused,
    }
}

fn is_reset(error: &(dyn Error + 'static)) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let mut next = Some(error);
    while let Some(error) = next {
        let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        if matches!(kind, Some(BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof))
            || error.to_string().contains("connection closed")
        {
            return true;
        }
        next = error.source();
    }
    false
}

/// What lies at the bottom of an error: the layers above it say little.
fn root(error: &dyn Error) -> String {
    let mut last = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        last = error.to_string();
        next = error.source();
    }
    last
}

fn chain(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        words = format!("{words}: {error}");
        next = error.source();
    }
    words
}
