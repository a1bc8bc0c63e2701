//! Streams of bytes between nodes, and who may open one.
//!
//! Owns: dialling and listening for what nodes say to each other, and the proof that a peer
//! holds the cluster's key. Does not own: what goes through a stream (gRPC beside this module),
//! nor which peers there are.
//!
//! ```text
//! Connector ──> Tls ──> Tcp ~~~~~~ Tcp ──> Tls ──> incoming ──> gRPC server
//! (each call    both sides prove      (handshakes apart      (faults of accepting
//!  to a peer)   the cluster's key)     from accepting)        end nothing)
//! ```
//!
//! Invariants:
//! - Nothing but `tcp` touches a socket; a simulation brings a [`Transport`] of its own.
//! - Whoever gets a [`Connection`] out of [`Tls`] holds the cluster's key, and so does the peer.
//! - Every connect ends within [`CONNECT_TIMEOUT`]; nothing a peer does delays another peer.
//!
//! To add a transport: a type that implements [`Transport`], and a [`Listener`] for it.

mod connection;
mod connector;
mod identity;
mod incoming;
mod tcp;
mod tls;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::BoxFuture;

pub use connection::Connection;
pub use connector::Connector;
pub use identity::IdentityError;
pub use incoming::incoming;
pub use tcp::Tcp;
pub use tls::Tls;

/// How long a connect may take, with all that belongs to it.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// A way to reach other nodes and to be reached.
pub trait Transport: Send + Sync + 'static {
    /// Opens a stream to a peer at `host:port`. It ends within [`CONNECT_TIMEOUT`].
    fn connect(&self, addr: String) -> BoxFuture<'static, io::Result<Connection>>;

    /// Every address that is behind `host:port`; a name may stand for several nodes. What can't
    /// be looked up is given back as it is. It ends within [`CONNECT_TIMEOUT`].
    fn lookup(&self, addr: String) -> BoxFuture<'static, Vec<String>> {
        Box::pin(async move { vec![addr] })
    }

    /// Listens on `host:port`; port 0 is any free one, which the listener then tells.
    fn listen(&self, addr: String) -> BoxFuture<'static, io::Result<Box<dyn Listener>>>;
}

/// Takes streams that peers open.
pub trait Listener: Send {
    /// Where it listens.
    ///
    /// # Errors
    /// The system does not say.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// The next stream. After an error it can be asked again. A future that is dropped before
    /// its end has taken nothing.
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Connection>>;
}

/// The error of what did not end in time.
fn too_slow(what: &str, limit: Duration) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("{what} took over {limit:?}"))
}
