//! Requests to a server that may be down, slow, or something else altogether: every answer is either what was asked
//! for, or a reason to try later, or a refusal for good.

use std::error::Error;
use std::sync::Once;
use std::time::Duration;

use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, redirect};
use serde_json::Value as Json;
use url::Url;

use super::server::Credentials;

const TO_CONNECT: Duration = Duration::from_secs(5);
/// For a request and its whole answer.
const TO_ANSWER: Duration = Duration::from_secs(15);
/// Bytes a second at which an upload must get on.
const SLOWEST_UPLOAD: u64 = 500_000;
/// Bytes of an answer that are read.
const LONGEST_ANSWER: usize = 16 << 20;
/// No server makes us wait longer.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Why a request was not answered as it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// It may be at another time.
    Later {
        /// What happened.
        why: String,
        /// The server says when to come again.
        after: Option<Duration>,
        /// Nobody is there at all.
        nobody: bool,
    },
    /// It never will.
    Refused {
        /// MLflow's name for the reason.
        code: String,
        /// What it says about it.
        message: String,
    },
}

impl Trouble {
    /// Something that is not as it should be, and may be at another time.
    pub fn later(why: impl Into<String>) -> Self {
        Self::Later { why: why.into(), after: None, nobody: false }
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Later { why, .. } => f.write_str(why),
            Self::Refused { code, message } => write!(f, "{message} ({code})"),
        }
    }
}

/// A server, and who we are to it.
pub struct Http {
    client: Client,
    server: Url,
    credentials: Credentials,
}

impl Http {
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// When the system has no certificates, or the like.
    pub fn new(server: Url, credentials: Credentials) -> Result<Self, Trouble> {
        static PROVIDER: Once = Once::new();
        // Another room may have named it before: it is the same.
        PROVIDER.call_once(|| _ = rustls::crypto::ring::default_provider().install_default());
        let client = Client::builder()
            .user_agent(concat!("recsys/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(TO_CONNECT)
            .redirect(redirect::Policy::none())
            .build();
        let client = client.map_err(|error| Trouble::later(cause(&error)))?;
        Ok(Self { client, server, credentials })
    }

    /// The address of something on the server, `parts` below its own path.
    pub fn url<'a>(&self, parts: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.server.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(parts);
        }
        url
    }

    /// Asks for JSON.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn get(&self, url: Url) -> Result<Json, Trouble> {
        self.ask(self.client.request(Method::GET, url).timeout(TO_ANSWER)).await
    }

    /// Sends JSON and gets some.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn post(&self, url: Url, body: &Json) -> Result<Json, Trouble> {
        let request = self.client.request(Method::POST, url).timeout(TO_ANSWER);
        self.ask(request.header(CONTENT_TYPE, "application/json").body(body.to_string())).await
    }

    /// Sends a file of `size` bytes.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn put(&self, url: Url, body: reqwest::Body, size: u64) -> Result<(), Trouble> {
        let time = TO_ANSWER + Duration::from_secs(size / SLOWEST_UPLOAD);
        let request = self.client.request(Method::PUT, url).timeout(time);
        let request = request.header(CONTENT_TYPE, "application/octet-stream").header(CONTENT_LENGTH, size);
        let response = self.send(request.body(body)).await?;
        let status = response.status();
        match status.is_success() {
            true => Ok(()),
            false => Err(refusal(status, &response_headers(&response), &text(response).await?)),
        }
    }

    async fn ask(&self, request: RequestBuilder) -> Result<Json, Trouble> {
        let response = self.send(request).await?;
        let status = response.status();
        let headers = response_headers(&response);
        let body = text(response).await?;
        if !status.is_success() {
            return Err(refusal(status, &headers, &body));
        }
        serde_json::from_str(&body).map_err(|_| {
            Trouble::later(format!(
                "it answers with {} where an MLflow server answers with JSON",
                headers.content
            ))
        })
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Trouble> {
        let request = match &self.credentials {
            Credentials::None => request,
            Credentials::Basic { name, password } => request.basic_auth(name, Some(password)),
            Credentials::Token(token) => request.bearer_auth(token),
        };
        request.send().await.map_err(|error| unanswered(&error))
    }
}

/// What is of interest in the head of an answer.
struct Headers {
    content: String,
    after: Option<Duration>,
    location: Option<String>,
}

fn response_headers(response: &Response) -> Headers {
    let header = |name: &str| response.headers().get(name)?.to_str().ok();
    let seconds = header(RETRY_AFTER.as_str()).and_then(|value| value.trim().parse::<u64>().ok());
    let kind = header(CONTENT_TYPE.as_str()).and_then(|kind| kind.split(';').next()).unwrap_or_default();
    Headers {
        content: if kind.is_empty() { "something else".to_owned() } else { format!("`{kind}`") },
        after: seconds.map(|seconds| Duration::from_secs(seconds).min(LONGEST_WAIT)),
        location: header("location").and_then(|to| to.split(['?', '#']).next()).map(str::to_owned),
    }
}

async fn text(mut response: Response) -> Result<String, Trouble> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unanswered(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() > LONGEST_ANSWER {
            return Err(Trouble::later("its answer has no end"));
        }
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// What a status other than success means.
fn refusal(status: StatusCode, headers: &Headers, body: &str) -> Trouble {
    let said: Option<Json> = serde_json::from_str(body).ok();
    let field = |name: &str| Some(said.as_ref()?.get(name)?.as_str()?.to_owned());
    let later = |why: String| Trouble::Later { why, after: headers.after, nobody: false };
    match (status.as_u16(), field("error_code")) {
        (401 | 403, _) => later(format!(
            "it refuses who asks ({}): set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN",
            status.as_u16()
        )),
        (300..=399, _) => later(match &headers.location {
            Some(to) => format!("it sends on to `{to}`: name that address"),
            None => format!("it answers {status}"),
        }),
        (408 | 429 | 500.., code) if status != StatusCode::NOT_IMPLEMENTED => later(match code {
            Some(code) => format!("it answers {status}, {code}"),
            None => format!("it answers {status}"),
        }),
        (_, Some(code)) => {
            let message = field("message").unwrap_or_default();
            Trouble::Refused { code, message: message.chars().take(300).collect() }
        }
        (413 | 501, None) => Trouble::Refused { code: status.to_string(), message: "refused".to_owned() },
        (404, None) => later("there is no MLflow server at this address (404)".to_owned()),
        (_, None) => later(format!("it answers {status} with {}", headers.content)),
    }
}

/// What a request without an answer means.
fn unanswered(error: &reqwest::Error) -> Trouble {
    let why = if error.is_timeout() { "it does not answer in time".to_owned() } else { cause(error) };
    Trouble::Later { why, after: None, nobody: error.is_connect() }
}

/// The innermost cause, which says most; the outer ones would repeat the address.
fn cause(error: &reqwest::Error) -> String {
    let mut innermost: &dyn Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers() -> Headers {
        Headers { content: "`text/html`".to_owned(), after: Some(Duration::from_secs(3)), location: None }
    }

    fn told(status: u16, body: &str) -> Trouble {
        refusal(StatusCode::from_u16(status).unwrap(), &headers(), body)
    }

    #[test]
    fn only_what_mlflow_refuses_by_name_is_refused_for_good() {
        let refused = r#"{"error_code": "INVALID_PARAMETER_VALUE", "message": "no"}"#;
        assert!(matches!(told(400, refused), Trouble::Refused { .. }));
        assert!(matches!(told(413, "<html>"), Trouble::Refused { .. }));
        for (status, body) in
            [(400, "<html>"), (401, refused), (404, "<html>"), (302, ""), (429, refused), (503, "")]
        {
            let told = told(status, body);
            assert!(
                matches!(&told, Trouble::Later { after: Some(_), .. } | Trouble::Later { .. }),
                "{told:?}"
            );
        }
        let Trouble::Later { after, .. } = told(429, "") else { panic!("later") };
        assert_eq!(after, Some(Duration::from_secs(3)));
    }
}
