//! How a gRPC channel opens its stream to a peer.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use hyper_util::rt::TokioIo;
use tonic::transport::Uri;
use tower::Service;

use super::{Connection, Transport};

/// Opens streams to one peer, for `tonic::transport::Endpoint::connect_with_connector`. The URI
/// of the endpoint is not looked at.
#[derive(Clone)]
pub struct Connector {
    transport: Arc<dyn Transport>,
    addr: String,
}

impl Connector {
    /// Opens streams to `addr`, a `host:port`.
    pub fn new(transport: Arc<dyn Transport>, addr: impl Into<String>) -> Self {
        Self { transport, addr: addr.into() }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Connection>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<TokioIo<Connection>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let connecting = self.transport.connect(self.addr.clone());
        Box::pin(async move { Ok(TokioIo::new(connecting.await?)) })
    }
}
