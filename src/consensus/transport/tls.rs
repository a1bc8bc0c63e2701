//! Streams that both sides have proved to belong to the cluster.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use rustls::pki_types::ServerName;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, timeout};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::identity::{Identity, IdentityError, NAME};
use super::{CONNECT_TIMEOUT, Connection, Listener, Transport, too_slow};

/// How long a peer may take to prove itself.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Peers that may be proving themselves at a time. One more drops the one that began first: a
/// node needs milliseconds, so slow strangers keep nobody out.
const HANDSHAKES_MAX: usize = 64;
/// Refusals are worth a warning once in this time; the others are debug messages.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// Mutual TLS 1.3 over another transport, with certificates made from the cluster's key.
#[derive(Clone)]
pub struct Tls {
    inner: Arc<dyn Transport>,
    identity: Arc<Identity>,
}

impl Tls {
    /// Streams of `inner` to peers that hold `key`. Deriving the identity takes some 50 ms.
    ///
    /// # Errors
    /// The key is too short, or no identity could be made.
    pub fn new(inner: Arc<dyn Transport>, key: &str) -> Result<Self, IdentityError> {
        Self::rotating(inner, key, None)
    }

    /// The same while the key is replaced: peers may hold `old` instead.
    ///
    /// # Errors
    /// A key is too short, or no identity could be made.
    pub fn rotating(
        inner: Arc<dyn Transport>,
        key: &str,
        old: Option<&str>,
    ) -> Result<Self, IdentityError> {
        Ok(Self { inner, identity: Arc::new(Identity::of(key, old)?) })
    }
}

impl Tls {
    /// Connects with the key that the peer has.
    async fn prove_to(self, addr: String) -> io::Result<Connection> {
        let mut refused = None;
        for client in &self.identity.clients {
            let plain = self.inner.connect(addr.clone()).await?;
            let peer = plain.peer().to_owned();
            let name = ServerName::try_from(NAME).map_err(io::Error::other)?;
            match TlsConnector::from(client.clone()).connect(name, plain).await {
                Ok(stream) => return Ok(Connection::new(stream, peer)),
                Err(error) if refused.is_none() && of_another_key(&error) => refused = Some(error),
                Err(error) => return Err(refused.unwrap_or(error)),
            }
        }
        Err(refused.unwrap_or_else(|| io::ErrorKind::NotConnected.into()))
    }
}

/// Whether the peer showed a certificate that another key made.
fn of_another_key(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
}

impl Transport for Tls {
    fn connect(&self, addr: String) -> BoxFuture<'static, io::Result<Connection>> {
        let proved = self.clone().prove_to(addr.clone());
        Box::pin(async move {
            match timeout(CONNECT_TIMEOUT, proved).await {
                Ok(done) => done,
                Err(_) => Err(too_slow(&format!("connecting to {addr}"), CONNECT_TIMEOUT)),
            }
        })
    }

    fn lookup(&self, addr: String) -> BoxFuture<'static, Vec<String>> {
        self.inner.lookup(addr)
    }

    fn listen(&self, addr: String) -> BoxFuture<'static, io::Result<Box<dyn Listener>>> {
        let listening = self.inner.listen(addr);
        let acceptor = TlsAcceptor::from(self.identity.server.clone());
        Box::pin(async move {
            let inner = listening.await?;
            let proving = Proving {
                inner,
                acceptor,
                handshakes: JoinSet::new(),
                oldest_first: VecDeque::new(),
                warned: None,
            };
            Ok(Box::new(proving) as Box<dyn Listener>)
        })
    }
}

type Refusal = (String, io::Error);

/// Accepts, and lets each peer prove itself in a task of its own.
struct Proving {
    inner: Box<dyn Listener>,
    acceptor: TlsAcceptor,
    handshakes: JoinSet<Result<Connection, Refusal>>,
    oldest_first: VecDeque<AbortHandle>,
    warned: Option<Instant>,
}

impl Proving {
    fn begin(&mut self, plain: Connection) {
        self.oldest_first.retain(|task| !task.is_finished());
        if self.oldest_first.len() >= HANDSHAKES_MAX
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            oldest.abort();
        }
        let handshake = prove(self.acceptor.clone(), plain);
        self.oldest_first.push_back(self.handshakes.spawn(handshake));
    }

    fn refused(&mut self, (peer, error): Refusal) {
        if went_away(&error) {
            tracing::debug!(%peer, %error, "a connection ended before its handshake was done");
            return;
        }
        let lately = self.warned.is_some_and(|at| at.elapsed() < WARN_EVERY);
        if lately {
            tracing::debug!(%peer, %error, "a peer did not prove that it is of this cluster");
        } else {
            tracing::warn!(
                %peer, %error,
                "a peer did not prove that it is of this cluster: does it have the same key?"
            );
            self.warned = Some(Instant::now());
        }
    }
}

impl Listener for Proving {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Connection>> {
        Box::pin(async move {
            loop {
                tokio::select! {
                    biased;
                    Some(done) = self.handshakes.join_next() => match done {
                        Ok(Ok(connection)) => return Ok(connection),
                        Ok(Err(refusal)) => self.refused(refusal),
                        // It made room for another.
                        Err(_) => {}
                    },
                    plain = self.inner.accept() => self.begin(plain?),
                }
            }
        })
    }
}

/// Whether it left before it could prove anything: a node that gave up asking while it was
/// being started, a probe that only opens the port.
pub(super) fn went_away(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof};
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | TimedOut | UnexpectedEof
    )
}

pub(super) async fn prove(acceptor: TlsAcceptor, plain: Connection) -> Result<Connection, Refusal> {
    let peer = plain.peer().to_owned();
    match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(plain)).await {
        Ok(Ok(stream)) => Ok(Connection::new(stream, peer)),
        Ok(Err(error)) => Err((peer, error)),
        Err(_) => Err((peer, too_slow("its handshake", HANDSHAKE_TIMEOUT))),
    }
}
