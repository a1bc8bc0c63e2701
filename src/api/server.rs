//! Connections: how many, how slow, and how they end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower::ServiceExt;

use super::certificates::Certificates;

/// How the server behaves.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Connections at a time; more wait to be accepted.
    pub connections_max: usize,
    /// Time for a request's head to arrive, and the longest pause between two requests.
    pub head_timeout: Duration,
    /// Time that requests under way get once the node stops.
    pub grace: Duration,
    /// What HTTPS is served with; none: HTTP.
    pub tls: Option<Certificates>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        ServerOptions {
            connections_max: 4_096,
            head_timeout: Duration::from_secs(30),
            grace: Duration::from_secs(10),
            tls: None,
        }
    }
}

/// Headers of a request, and bytes of its head.
const HEADERS_MAX: usize = 100;
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Pause after the system refused to accept (it has no file left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Address of the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub SocketAddr);

/// Serves `router` until `shutdown` turns true; then ends idle connections at once and
/// gives requests under way some time.
pub async fn serve(listener: TcpListener, router: Router, shutdown: watch::Receiver<bool>) {
    serve_with(listener, router, shutdown, ServerOptions::default()).await;
}

/// As [`serve`], with options.
pub async fn serve_with(
    listener: TcpListener,
    router: Router,
    mut shutdown: watch::Receiver<bool>,
    options: ServerOptions,
) {
    let places = Arc::new(Semaphore::new(options.connections_max));
    let mut connections = JoinSet::new();
    loop {
        let place = Arc::clone(&places).acquire_owned();
        let accepted = tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => break,
            // Finished ones are taken out as the others come.
            Some(_) = connections.join_next() => continue,
            both = async { (place.await, listener.accept().await) } => both,
        };
        match accepted {
            (Ok(place), Ok((stream, from))) => {
                let (router, stop, options) = (router.clone(), shutdown.clone(), options.clone());
                connections.spawn(async move {
                    connection(stream, from, router, stop, options).await;
                    drop(place);
                });
            }
            (Err(_), _) => break,
            (_, Err(error)) => {
                tracing::warn!(%error, "a connection can't be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Returns once the node stops, or nobody is left to say so.
async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    // What it gives is a lock, which must not be held any longer.
    let _ = shutdown.wait_for(|stop| *stop).await;
}

async fn connection(
    stream: TcpStream,
    from: SocketAddr,
    router: Router,
    mut shutdown: watch::Receiver<bool>,
    options: ServerOptions,
) {
    // Answers are written whole; waiting for more only delays them.
    let _ = stream.set_nodelay(true);
    let Some(tls) = options.tls.clone() else {
        return requests(stream, Peer(from), router, shutdown, options).await;
    };
    let agreed = tokio::select! {
        agreed = tls.accept(stream) => agreed,
        () = stopped(&mut shutdown) => return,
    };
    match agreed {
        Ok(stream) => requests(stream, Peer(from), router, shutdown, options).await,
        Err(error) => tracing::debug!(%error, %from, "no TLS with a client"),
    }
}

/// The requests of a connection, one after the other.
async fn requests(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    from: Peer,
    router: Router,
    mut shutdown: watch::Receiver<bool>,
    options: ServerOptions,
) {
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(from);
        router.clone().oneshot(request.map(Body::new))
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(options.head_timeout)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    let connection = http.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut shutdown) => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(options.grace, connection).await {
                Ok(ended) => ended,
                Err(_) => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, from = %from.0, "a connection broke");
    }
}
