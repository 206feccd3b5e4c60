//! A request at a time, in HTTP/1.0: the answer ends with the connection, so that there is nothing to
//! parse but its head.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// An answer that is longer is none.
const MAX_ANSWER: u64 = 64 << 20;

/// What came back.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The status; 0 when there was no answer, and `text` says why.
    pub status: u16,
    /// The media type, without parameters.
    pub media_type: String,
    /// The body.
    pub text: String,
    /// The body, when it is JSON.
    pub json: Value,
    /// From the first byte sent to the last received.
    pub took: Duration,
}

/// Where a service is, and the key that it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `http://host:port`, and what its paths begin with.
    pub base: String,
    /// Its key.
    pub key: Option<String>,
}

/// Sends a request to a service, with a body of JSON when there is one, and waits for the answer.
pub fn ask(place: &Place, method: &str, path: &str, body: Option<&str>) -> Answer {
    let begin = Instant::now();
    let answered = exchange(place, method, path, body);
    let took = begin.elapsed();
    match answered.and_then(|bytes| parse(&bytes)) {
        Ok((status, media_type, text)) => {
            let json = serde_json::from_str(&text).unwrap_or_default();
            Answer { status, media_type, text, json, took }
        }
        Err(error) => {
            let text = format!("no answer: {error}");
            Answer { status: 0, media_type: String::new(), text, json: Value::Null, took }
        }
    }
}

fn exchange(place: &Place, method: &str, path: &str, body: Option<&str>) -> io::Result<Vec<u8>> {
    let (authority, prefix) = address(&place.base)?;
    let key = place.key.as_ref().map(|key| format!("x-api-key: {key}\r\n")).unwrap_or_default();
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("`{authority}` has no address"));
    for address in authority.to_socket_addrs()? {
        let mut connection = match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(connection) => connection,
            Err(error) => {
                last = error;
                continue;
            }
        };
        connection.set_read_timeout(Some(PATIENCE))?;
        connection.set_write_timeout(Some(PATIENCE))?;
        let kind = if body.is_some() { "content-type: application/json\r\n" } else { "" };
        let body = body.unwrap_or_default();
        let length = body.len();
        let request = format!(
            "{method} {prefix}{path} HTTP/1.0\r\nhost: {authority}\r\naccept: application/json\r\n{key}{kind}\
             content-length: {length}\r\n\r\n{body}"
        );
        connection.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        connection.take(MAX_ANSWER).read_to_end(&mut answer)?;
        return Ok(answer);
    }
    Err(last)
}

/// Host with port, and what paths begin with.
fn address(base: &str) -> io::Result<(String, &str)> {
    let wrong = |why: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("`{base}`: {why}"));
    let rest = base.strip_prefix("http://").ok_or_else(|| wrong("it does not begin with http://"))?;
    let (authority, prefix) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if authority.is_empty() {
        return Err(wrong("it names no host"));
    }
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let authority = if has_port { authority.to_owned() } else { format!("{authority}:80") };
    Ok((authority, prefix.trim_end_matches('/')))
}

fn parse(answer: &[u8]) -> io::Result<(u16, String, String)> {
    let wrong = |why| io::Error::new(io::ErrorKind::InvalidData, why);
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.ok_or_else(|| wrong("the connection ended within the head of the answer"))?;
    let head = String::from_utf8_lossy(&answer[..end]);
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let status = status.ok_or_else(|| wrong("it does not speak HTTP"))?;
    let headers = lines.filter_map(|line| line.split_once(':'));
    let (mut media_type, mut length) = (String::new(), None);
    for (name, value) in headers {
        match name.to_ascii_lowercase().as_str() {
            "content-type" => media_type = value.split(';').next().unwrap_or_default().trim().to_owned(),
            "content-length" => length = value.trim().parse::<usize>().ok(),
            _ => {}
        }
    }
    let body = &answer[end + 4..];
    if length.is_some_and(|length| length != body.len()) {
        return Err(wrong("the connection ended within the body of the answer"));
    }
    Ok((status, media_type, String::from_utf8_lossy(body).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_port_and_maybe_a_prefix() {
        let of = |base: &'static str| address(base).ok();
        assert_eq!(of("http://a:8000"), Some(("a:8000".to_owned(), "")));
        assert_eq!(of("http://a/b/"), Some(("a:80".to_owned(), "/b")));
        assert_eq!(of("http://[::1]:9"), Some(("[::1]:9".to_owned(), "")));
        assert_eq!((of("https://a"), of("a:8000"), of("http://")), (None, None, None));
    }

    #[test]
    fn an_answer_is_whole_or_none() {
        let (status, media_type, text) =
            parse(b"HTTP/1.0 404 No\r\nContent-Type: text/plain; q\r\ncontent-length: 2\r\n\r\nno").unwrap();
        assert_eq!((status, media_type.as_str(), text.as_str()), (404, "text/plain", "no"));
        assert!(parse(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nno").is_err());
        assert!(parse(b"HTTP/1.1 200 OK\r\n").is_err());
        assert!(parse(b"hello\r\n\r\n").is_err());
    }

    #[test]
    fn nobody_there_is_an_answer_with_a_reason() {
        let place = Place { base: "http://127.0.0.1:1".to_owned(), key: None };
        let answer = ask(&place, "GET", "/", None);
        assert_eq!(answer.status, 0);
        assert!(answer.text.starts_with("no answer: "), "{}", answer.text);
    }
}
