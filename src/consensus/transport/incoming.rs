//! Streams that peers open, one after the other, without end.

use std::io;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream;

use super::{Connection, Listener};

/// How long nothing is accepted after a fault of this side, such as no free file handle: it
/// would come again at once.
const PAUSE: Duration = Duration::from_millis(100);

/// Everything that `listener` accepts, for `serve_with_incoming`. Faults of accepting are logged;
/// they neither end the stream nor make it spin, so no item is an error.
pub fn incoming(
    listener: Box<dyn Listener>,
) -> impl Stream<Item = io::Result<Connection>> + Send + 'static {
    stream::unfold(listener, |mut listener| async move {
        let connection = next(listener.as_mut()).await;
        Some((Ok(connection), listener))
    })
}

async fn next(listener: &mut dyn Listener) -> Connection {
    loop {
        match listener.accept().await {
            Ok(connection) => return connection,
            Err(error) if is_of_one_peer(&error) => {
                tracing::debug!(%error, "a peer left before it was accepted");
            }
            Err(error) => {
                tracing::warn!(%error, "can't accept connections of other nodes");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Whether a fault concerns the one stream that was about to be accepted.
fn is_of_one_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
