//! Streams between nodes over the virtual network.

use std::io;
use std::net::SocketAddr;

use cronapi::consensus::{CONNECT_TIMEOUT, Connection, Listener, Transport};
use futures_util::future::BoxFuture;
use tokio::time::timeout;
use turmoil::net::{TcpListener, TcpStream};

/// The virtual network.
#[derive(Clone, Copy, Debug, Default)]
pub struct Virtual;

impl Transport for Virtual {
    fn connect(&self, addr: String) -> BoxFuture<'static, io::Result<Connection>> {
        Box::pin(async move {
            match timeout(CONNECT_TIMEOUT, TcpStream::connect(addr.as_str())).await {
                Ok(Ok(stream)) => Ok(Connection::new(stream, addr)),
                Ok(Err(error)) => Err(error),
                Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("dialling {addr}"))),
            }
        })
    }

    fn listen(&self, addr: String) -> BoxFuture<'static, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let listener = TcpListener::bind(addr.as_str()).await?;
            Ok(Box::new(Accepting(listener)) as Box<dyn Listener>)
        })
    }
}

struct Accepting(TcpListener);

impl Listener for Accepting {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Connection>> {
        Box::pin(async move {
            let (stream, peer) = self.0.accept().await?;
            Ok(Connection::new(stream, peer.to_string()))
        })
    }
}
