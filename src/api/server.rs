//! Connections: how many, from whom, how slow, and how they end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::HeaderValue;
use axum::http::header::{CONNECTION, TRANSFER_ENCODING};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower::ServiceExt;

use super::certificates::{Certificates, HTTP_2};
use super::doors::{self, Busy, Doors, Place};
use super::head;
use super::patient::Patient;
use super::proxies::Proxies;

/// How the server behaves.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Connections at a time. One address has no more than are left for others.
    pub connections_max: usize,
    /// Time for a request's head to arrive, and the longest pause between two requests.
    pub head_timeout: Duration,
    /// A client that reads nothing of its answer for so long is given up.
    pub unread_timeout: Duration,
    /// Time that requests under way get once the node stops.
    pub grace: Duration,
    /// What HTTPS is served with; none: HTTP.
    pub tls: Option<Certificates>,
    /// Proxies whose word counts.
    pub proxies: Proxies,
}

impl Default for ServerOptions {
    fn default() -> Self {
        ServerOptions {
            connections_max: CONNECTIONS_MAX,
            head_timeout: Duration::from_secs(30),
            unread_timeout: Duration::from_secs(30),
            grace: Duration::from_secs(10),
            tls: None,
            proxies: Proxies::default(),
        }
    }
}

/// Connections at a time, where the system lets a process have so many files.
pub const CONNECTIONS_MAX: usize = 4_096;
/// Headers of a request.
const HEADERS_MAX: usize = 100;
/// Bytes of a request's head in HTTP/2; what a head of HTTP/1.1 may have, and the names of fields.
const HEAD_BYTES: u32 = 2 * head::BYTES_MAX as u32;
/// Requests at a time of one connection: tabs of a browser share one.
const STREAMS_MAX: u32 = 64;
/// Bytes of an answer that wait for a client to take them, of each request.
const SEND_BYTES: usize = 64 * 1024;
/// Pause after the system refused to accept (it has no file left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A connection beside the others, for a question about health: its head, and all of it.
const ASIDE_HEAD: Duration = Duration::from_secs(2);
const ASIDE_LIFE: Duration = Duration::from_secs(5);

/// Address of the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub SocketAddr);

/// A request on a connection beside the others: only questions about health are answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aside;

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
    let doors = Doors::new(options.connections_max);
    let mut connections = JoinSet::new();
    let mut refused = false;
    loop {
        let accepted = tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => break,
            // Finished ones are taken out as the others come.
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => {
                refused = false;
                let shared = options.proxies.trusts(from.ip());
                let visit = Visit {
                    from,
                    place: doors.enter(from.ip(), shared),
                    doors: Arc::clone(&doors),
                    router: router.clone(),
                    shutdown: shutdown.clone(),
                    options: options.clone(),
                };
                connections.spawn(visit.received(stream, shared));
            }
            Err(error) => {
                // The first of a row is told: it passes, and comes ten times a second.
                if !std::mem::replace(&mut refused, true) {
                    tracing::warn!(%error, "a connection can't be accepted; trying again");
                }
                tokio::select! {
                    () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                    () = stopped(&mut shutdown) => break,
                }
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

/// A connection, and what it is served with.
struct Visit {
    from: SocketAddr,
    place: Place,
    doors: Arc<Doors>,
    router: Router,
    shutdown: watch::Receiver<bool>,
    options: ServerOptions,
}

impl Visit {
    /// The whole of a connection. `shared`: it comes from a proxy, which may say for whom.
    async fn received(mut self, mut stream: TcpStream, shared: bool) {
        // Answers are written whole; waiting for more only delays them.
        let _ = stream.set_nodelay(true);
        if shared {
            let told = tokio::select! {
                told = self.options.proxies.told(&mut stream) => told,
                () = self.place.taken() => return,
                () = stopped(&mut self.shutdown) => return,
            };
            match told {
                Ok(None) => {}
                Ok(Some(client)) => {
                    self.from = client;
                    self.place = self.doors.enter(client.ip(), false);
                }
                Err(error) => return tracing::debug!(%error, from = %self.from, "a proxy failed"),
            }
        }
        let place = self.place;
        let guest = Guest {
            from: Peer(self.from),
            of: Arc::clone(place.guest()),
            aside: place.aside,
            http_2: false,
        };
        let served = connection(stream, guest, self.router, self.shutdown, self.options);
        let life = if place.aside { ASIDE_LIFE } else { Duration::MAX };
        tokio::select! {
            _ = tokio::time::timeout(life, served) => {}
            () = place.taken() => {}
        }
    }
}

/// Who is served.
struct Guest {
    from: Peer,
    of: Arc<doors::Guest>,
    aside: bool,
    /// The client takes HTTP/2.
    http_2: bool,
}

async fn connection(
    stream: TcpStream,
    mut guest: Guest,
    router: Router,
    mut shutdown: watch::Receiver<bool>,
    options: ServerOptions,
) {
    let Some(tls) = options.tls.clone() else {
        return requests(stream, guest, router, shutdown, options).await;
    };
    let agreed = tokio::select! {
        agreed = tls.accept(stream) => agreed,
        () = stopped(&mut shutdown) => return,
    };
    match agreed {
        Ok(stream) => {
            guest.http_2 = stream.get_ref().1.alpn_protocol() == Some(HTTP_2);
            requests(stream, guest, router, shutdown, options).await;
        }
        Err(error) => tracing::debug!(%error, from = %guest.from.0, "no TLS with a client"),
    }
}

/// The requests of a connection: one after the other, or of HTTP/2 several at a time.
async fn requests(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    guest: Guest,
    router: Router,
    shutdown: watch::Receiver<bool>,
    options: ServerOptions,
) {
    let Guest { from, of, aside, http_2 } = guest;
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        let busy = Busy::of(&of);
        let refused = head::fault(&request);
        // A connection of HTTP/2 is framed: what is refused is one request of it.
        // A length beside chunks is dropped before it is seen here; whoever went by it sees the
        // next request elsewhere. So none follows what came in chunks (RFC 9112, 6.3).
        let chunked = request.headers().contains_key(TRANSFER_ENCODING);
        let last = (aside || refused.is_some() || chunked) && !http_2;
        request.extensions_mut().insert(from);
        if aside {
            request.extensions_mut().insert(Aside);
        }
        if let Some(refused) = refused {
            request.extensions_mut().insert(refused);
        }
        let answered = router.clone().oneshot(request.map(Body::new));
        async move {
            let mut response = answered.await?;
            if last {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response.map(|body| Answering { body, _busy: busy }))
        }
    });
    let hurry = Arc::new(AtomicBool::new(false));
    let stream = Patient::new(stream, options.unread_timeout, Arc::clone(&hurry));
    let (stream, ending) = (TokioIo::new(stream), Ending { from, shutdown, hurry, options });
    let head_timeout = if aside { ASIDE_HEAD } else { ending.options.head_timeout };
    if http_2 {
        let mut http = http2::Builder::new(TokioExecutor::new());
        http.timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(HEAD_BYTES)
            .max_send_buf_size(SEND_BYTES)
            .keep_alive_interval(head_timeout)
            .keep_alive_timeout(head_timeout);
        let connection = http.serve_connection(stream, service);
        return ending.drive(connection, |connection| connection.graceful_shutdown()).await;
    }
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .max_headers(HEADERS_MAX)
        .max_buf_size(head::BYTES_MAX);
    let connection = http.serve_connection(stream, service);
    ending.drive(connection, |connection| connection.graceful_shutdown()).await;
}

/// How a connection ends.
struct Ending {
    from: Peer,
    shutdown: watch::Receiver<bool>,
    hurry: Arc<AtomicBool>,
    options: ServerOptions,
}

impl Ending {
    /// Serves until the client goes; once the node stops, what is under way gets some time.
    async fn drive<C>(mut self, connection: C, stop: impl FnOnce(Pin<&mut C>))
    where
        C: Future<Output = Result<(), hyper::Error>>,
    {
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stopped(&mut self.shutdown) => {
                stop(connection.as_mut());
                self.hurry.store(true, Ordering::Relaxed);
                match tokio::time::timeout(self.options.grace, connection).await {
                    Ok(ended) => ended,
                    Err(_) => return,
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, from = %self.from.0, "a connection broke");
        }
    }
}

/// The body of an answer: until its end, the connection is at work.
struct Answering {
    body: Body,
    _busy: Busy,
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
