//! A server that misbehaves on purpose: in front of a real one, or with one object of its own.
//!
//! It takes one request a connection, asks a rule what to do with it, and remembers what was asked.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What is done to one request.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// Nothing.
    None,
    /// This whole answer instead; `{date}` is the present date.
    Answer(String),
    /// The connection is reset after so many bytes of the body of the answer.
    ResetAfter(usize),
    /// The connection is closed after so many bytes of the body of the answer.
    EndAfter(usize),
    /// A byte of the body of the answer is another one.
    Damage,
    /// The request is reset before it is read as a whole.
    ResetRequest,
    /// A byte of the body of the request is another one.
    DamageRequest,
    /// The server does not see that a range was asked for.
    IgnoreRange,
    /// The answer comes after this time.
    Delay(Duration),
    /// The answer never comes.
    Silence,
}

/// One request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The header of that name, or nothing.
    pub range: Option<String>,
    /// Bytes of its body.
    pub length: usize,
}

type Rule = dyn Fn(&Asked, usize) -> Trouble + Send + Sync;

/// An answer to ask for the bytes of.
enum Origin {
    /// The server behind.
    Upstream(SocketAddr),
    /// One object, at every path, with this ETag.
    Object(Vec<u8>, String),
}

/// The server; it ends when dropped.
pub struct Proxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// In front of the server at `endpoint`. The rule hears each request and how many were made like it before.
    pub fn before(endpoint: &str, rule: impl Fn(&Asked, usize) -> Trouble + Send + Sync + 'static) -> Self {
        let upstream = endpoint.trim_start_matches("http://").parse().unwrap();
        Self::start(Origin::Upstream(upstream), Box::new(rule))
    }

    /// With one object, whose ETag is no checksum.
    pub fn of(bytes: Vec<u8>, rule: impl Fn(&Asked, usize) -> Trouble + Send + Sync + 'static) -> Self {
        let etag = format!("\"v-{}\"", blake3::hash(&bytes).to_hex());
        Self::start(Origin::Object(bytes, etag), Box::new(rule))
    }

    fn start(origin: Origin, rule: Box<Rule>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let shared = Arc::new((origin, rule, Arc::clone(&asked), Arc::clone(&over)));
        let thread = std::thread::spawn({
            let over = Arc::clone(&over);
            move || {
                for connection in listener.incoming() {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    let shared = Arc::clone(&shared);
                    std::thread::spawn(move || {
                        let (origin, rule, asked, over) = &*shared;
                        let _ =
                            connection.and_then(|connection| answer(connection, origin, rule, asked, over));
                    });
                }
            }
        });
        Self { address, asked, over, thread: Some(thread) }
    }

    /// Where it is reached.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Forgets what was asked.
    pub fn forget(&self) {
        self.asked.lock().unwrap().clear();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().unwrap().join();
    }
}

/// A head of a request or an answer, and the bytes after it that came with it.
fn read_head(connection: &mut TcpStream) -> std::io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 1 << 16];
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            return Ok((String::from_utf8_lossy(&bytes).into_owned(), rest));
        }
        match connection.read(&mut chunk)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            n => bytes.extend_from_slice(&chunk[..n]),
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn answer(
    mut client: TcpStream,
    origin: &Origin,
    rule: &Rule,
    asked: &Mutex<Vec<Asked>>,
    over: &AtomicBool,
) -> std::io::Result<()> {
    let (mut head, mut body) = read_head(&mut client)?;
    let mut words = head.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let length: usize = header(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let range = header(&head, "range").map(str::to_owned);
    let request = Asked { method, target, range, length };
    let trouble = {
        let mut asked = asked.lock().unwrap();
        let before = asked.iter().filter(|before| before.method == request.method).count();
        asked.push(request.clone());
        rule(&request, before)
    };
    if let Trouble::ResetRequest = trouble {
        return reset(&client);
    }
    while body.len() < length {
        let mut chunk = vec![0; (length - body.len()).min(1 << 16)];
        match client.read(&mut chunk)? {
            0 => return Ok(()),
            n => body.extend_from_slice(&chunk[..n]),
        }
    }
    match &trouble {
        Trouble::Answer(text) => {
            let now = chrono::Utc::now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
            client.write_all(text.replace("{date}", &now).as_bytes())?;
            return client.shutdown(Shutdown::Both);
        }
        Trouble::Delay(time) => std::thread::sleep(*time),
        Trouble::Silence => {
            while !over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(20));
            }
            return Ok(());
        }
        Trouble::IgnoreRange => {
            let lines = head.split("\r\n").filter(|line| !line.to_ascii_lowercase().starts_with("range:"));
            head = lines.collect::<Vec<_>>().join("\r\n");
        }
        Trouble::DamageRequest => body.iter_mut().take(1).for_each(|byte| *byte ^= 1),
        _ => {}
    }
    let (head, mut body) = match origin {
        Origin::Upstream(address) => forward(*address, &head, &body)?,
        Origin::Object(bytes, etag) => object(&request.method, &head, bytes, etag),
    };
    if let Trouble::Damage = trouble
        && let Some(byte) = body.last_mut()
    {
        *byte ^= 1;
    }
    client.write_all(head.as_bytes())?;
    match trouble {
        Trouble::ResetAfter(count) => {
            client.write_all(&body[..count.min(body.len())])?;
            client.flush()?;
            // What was sent before a reset may be thrown away by the one who receives it.
            std::thread::sleep(Duration::from_millis(30));
            reset(&client)
        }
        Trouble::EndAfter(count) => {
            client.write_all(&body[..count.min(body.len())])?;
            client.shutdown(Shutdown::Both)
        }
        _ => {
            client.write_all(&body)?;
            client.shutdown(Shutdown::Write)
        }
    }
}

/// Closing a connection that has no time to linger resets it.
fn reset(client: &TcpStream) -> std::io::Result<()> {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let size = libc::socklen_t::try_from(size_of::<libc::linger>()).unwrap();
    // SAFETY: the descriptor is open as long as `client` is borrowed, and the option is a `linger` of that size.
    let set = unsafe {
        libc::setsockopt(
            client.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size,
        )
    };
    if set == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

fn forward(address: SocketAddr, head: &str, body: &[u8]) -> std::io::Result<(String, Vec<u8>)> {
    let mut server = TcpStream::connect(address)?;
    let lines =
        head.trim_end().split("\r\n").filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    let head = format!("{}\r\nconnection: close\r\n\r\n", lines.collect::<Vec<_>>().join("\r\n"));
    server.write_all(head.as_bytes())?;
    server.write_all(body)?;
    let (head, mut body) = read_head(&mut server)?;
    server.read_to_end(&mut body)?;
    Ok((head, body))
}

/// What a web server says about one object.
fn object(method: &str, head: &str, bytes: &[u8], etag: &str) -> (String, Vec<u8>) {
    if header(head, "if-match").is_some_and(|wanted| wanted != etag) {
        return ("HTTP/1.1 412 Precondition Failed\r\ncontent-length: 0\r\n\r\n".to_owned(), Vec::new());
    }
    let range = header(head, "range").and_then(|range| {
        let (start, end) = range.trim_start_matches("bytes=").split_once('-')?;
        Some((start.parse::<usize>().ok()?, end.parse::<usize>().ok()?.min(bytes.len() - 1)))
    });
    let (status, part, extra) = match range {
        Some((start, end)) => (
            "206 Partial Content",
            &bytes[start..=end],
            format!("content-range: bytes {start}-{end}/{}\r\n", bytes.len()),
        ),
        None => ("200 OK", bytes, String::new()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\netag: {etag}\r\naccept-ranges: bytes\r\nlast-modified: Sat, 21 Nov 2026 10:00:00 GMT\r\n{extra}connection: close\r\n\r\n",
        part.len()
    );
    let body = if method == "HEAD" { Vec::new() } else { part.to_vec() };
    (head, body)
}
