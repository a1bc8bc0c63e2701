//! Streams over TCP: the only place of this module that touches a socket.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::BoxFuture;
use rustix::net::sockopt;
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::time::timeout;

use super::{CONNECT_TIMEOUT, Connection, Listener, Transport, too_slow};

/// Silence after which the system asks whether the peer is still there.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
/// Time between two such questions.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);
/// Questions without an answer that end the stream.
const KEEPALIVE_PROBES: u32 = 3;
/// Addresses of one name that are tried, each for its share of the time.
const ADDRESSES_MAX: usize = 4;
/// Nodes behind one name that are asked.
const NODES_MAX: usize = 16;

/// Plain TCP. A name is looked up at each connect, since the address behind it may change.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

impl Transport for Tcp {
    fn connect(&self, addr: String) -> BoxFuture<'static, io::Result<Connection>> {
        Box::pin(async move {
            match timeout(CONNECT_TIMEOUT, dial(&addr)).await {
                Ok(done) => done,
                Err(_) => Err(too_slow(&format!("connecting to {addr}"), CONNECT_TIMEOUT)),
            }
        })
    }

    fn lookup(&self, addr: String) -> BoxFuture<'static, Vec<String>> {
        Box::pin(async move {
            let found = match timeout(CONNECT_TIMEOUT, lookup_host(&addr)).await {
                Ok(Ok(found)) => found.take(NODES_MAX).map(|peer| peer.to_string()).collect(),
                Ok(Err(_)) | Err(_) => Vec::new(),
            };
            if found.is_empty() { vec![addr] } else { found }
        })
    }

    fn listen(&self, addr: String) -> BoxFuture<'static, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let listener = TcpListener::bind(addr).await?;
            Ok(Box::new(Accepting(listener)) as Box<dyn Listener>)
        })
    }
}

async fn dial(addr: &str) -> io::Result<Connection> {
    let found: Vec<SocketAddr> = lookup_host(addr).await?.take(ADDRESSES_MAX).collect();
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{addr} has no address"));
    let share = CONNECT_TIMEOUT / u32::try_from(found.len().max(1)).unwrap_or(1);
    for peer in found {
        match timeout(share, TcpStream::connect(peer)).await {
            Ok(Ok(stream)) => {
                tune(&stream)?;
                return Ok(Connection::new(stream, addr));
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = too_slow(&format!("connecting to {peer}"), share),
        }
    }
    Err(last)
}

/// Small messages go out at once, and a peer whose host died is noticed.
fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(stream, KEEPALIVE_PROBES)?;
    Ok(())
}

struct Accepting(TcpListener);

impl Listener for Accepting {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Connection>> {
        Box::pin(async move {
            loop {
                let (stream, peer) = self.0.accept().await?;
                match tune(&stream) {
                    Ok(()) => return Ok(Connection::new(stream, peer.to_string())),
                    // It is gone already: some systems then refuse every option.
                    Err(error) => tracing::debug!(%peer, %error, "a peer left at once"),
                }
            }
        })
    }
}
