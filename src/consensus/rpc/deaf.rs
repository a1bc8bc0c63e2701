//! A peer that takes every connection and every byte, and never answers: what a link that was
//! cut in one direction leaves behind, for tests.

use std::io;
use std::sync::{Arc, Mutex};

use futures_util::future::{BoxFuture, ready};
use tokio::io::{AsyncReadExt, DuplexStream, duplex};

use super::Peers;
use crate::consensus::local::Local;
use crate::consensus::transport::{Connection, Listener, Transport};
use crate::storage::{DirectoryError, Identities, Identity};

/// The other ends, read by nobody but [`hear`].
struct Deaf;

impl Transport for Deaf {
    fn connect(&self, addr: String) -> BoxFuture<'static, io::Result<Connection>> {
        let (near, far) = duplex(64 * 1024);
        tokio::spawn(hear(far));
        Box::pin(ready(Ok(Connection::new(near, addr))))
    }

    fn listen(&self, _: String) -> BoxFuture<'static, io::Result<Box<dyn Listener>>> {
        Box::pin(ready(Err(io::ErrorKind::Unsupported.into())))
    }
}

/// Takes what comes, until the other end gives up.
async fn hear(mut far: DuplexStream) {
    let mut buffer = [0; 4096];
    while far.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
}

/// Node 2 is one.
pub(in crate::consensus) fn peers() -> Result<Peers, DirectoryError> {
    let identity = Arc::new(Mutex::new(Identity::generate(0)?));
    let local = Local::new(Identities::in_memory(identity), "near:1".to_owned());
    let peers = Peers::new(Arc::new(local), Some(Arc::new(Deaf)));
    peers.told(2, "far:1");
    Ok(peers)
}
