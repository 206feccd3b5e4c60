//! A door: one port, its connections, and their end.
//!
//! Connections are served by hyper itself, because a service must decide what its router cannot: how
//! many connections there are, how long one may be silent, and that no answer waits for a full packet.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};

use super::front::Front;

/// The longest head of a request: a query of the largest limit and its headers.
const MAX_HEAD: usize = 128 << 10;
/// What a listener rests when the process has no file descriptor left.
const REST: Duration = Duration::from_millis(100);

/// A port and what answers there.
#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    front: Front,
}

impl Door {
    /// Lets a front answer at a listener.
    pub fn new(listener: TcpListener, front: Front) -> Self {
        Self { listener, front }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// What answers.
    pub fn front(&self) -> &Front {
        &self.front
    }

    /// Takes connections until `stop` turns true; a clone of `open` lives as long as each of them.
    pub async fn serve(self, mut stop: watch::Receiver<bool>, open: mpsc::Sender<Infallible>) {
        let room = Arc::new(Semaphore::new(self.front.limits().max_connections.get()));
        let stopped = stop.clone();
        let mut stopping = pin!(stop.wait_for(|&stop| stop));
        loop {
            let accepted = async {
                let place = Arc::clone(&room).acquire_owned().await;
                (place, self.listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                _ = &mut stopping => return,
                accepted = accepted => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let (front, stopped, open) = (self.front.clone(), stopped.clone(), open.clone());
                    tokio::spawn(async move {
                        front.metrics().connections.fetch_add(1, Relaxed);
                        converse(stream, &front, stopped).await;
                        front.metrics().connections.fetch_sub(1, Relaxed);
                        drop((place, open));
                    });
                }
                Err(error) if is_of_the_client(&error) => {}
                Err(error) => {
                    tracing::error!("no connection can be taken: {error}");
                    tokio::time::sleep(REST).await;
                }
            }
        }
    }
}

/// Answers the requests of a connection, one after the other.
async fn converse(stream: TcpStream, front: &Front, mut stop: watch::Receiver<bool>) {
    // Answers are one write each: waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    let (begun, ended) = (AtomicU64::new(0), AtomicU64::new(0));
    let answer = service_fn(|request: Request<Incoming>| {
        begun.fetch_add(1, Relaxed);
        async {
            let response = front.answer(request).await;
            ended.fetch_add(1, Relaxed);
            Ok::<_, Infallible>(response)
        }
    });
    let mut http = http1::Builder::new();
    http.max_buf_size(MAX_HEAD);
    // Head and body in one piece: copying a kilobyte costs less than handing two pieces to the system.
    http.writev(false);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), answer));
    let mut stopping = pin!(stop.wait_for(|&stop| stop));
    let mut is_stopping = false;
    let patience = front.limits().idle_timeout_ms;
    // One timer for the whole connection, looked at when it ends: a timer for each request would cost
    // more than everything else that is done for it here.
    let mut silence = pin!(tokio::time::sleep(patience));
    let mut seen = 0;
    loop {
        tokio::select! {
            biased;
            // A client that breaks off or sends what is not HTTP is no fault of the service.
            _ = &mut connection => return,
            _ = &mut stopping, if !is_stopping => {
                is_stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            () = &mut silence => {
                let (begun, ended) = (begun.load(Relaxed), ended.load(Relaxed));
                if begun == ended && begun == seen {
                    return;
                }
                seen = begun;
                silence.as_mut().reset(tokio::time::Instant::now() + patience);
            }
        }
    }
}

fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
