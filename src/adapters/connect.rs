//! Connections to the servers of sinks and triggers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::executor::runner::{RunnerEnv, addresses};
use crate::model::limits::SINK_CALL_TIMEOUT;
use crate::trust;

/// A connection to one address is given up after so long, for the next one.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Connects to the first address that answers. One that is guarded may not lead inside.
pub(super) async fn tcp(
    guard: Option<&RunnerEnv>,
    host: &str,
    port: u16,
) -> Result<TcpStream, String> {
    let found: Vec<SocketAddr> = match guard {
        Some(env) => addresses(env, host, port).await.map_err(|(why, _)| why)?,
        None => {
            let found = tokio::net::lookup_host((host, port)).await;
            found.map_err(|e| format!("DNS: {host} could not be resolved: {e}"))?.collect()
        }
    };
    let mut why = "it has no address".to_owned();
    for address in found {
        match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => why = error.to_string(),
            Err(_) => "no answer".clone_into(&mut why),
        }
    }
    Err(format!("can't connect to {host}:{port}: {why}"))
}

/// TLS over a connection, with a server that the authorities of this node's system vouch for.
pub(super) async fn tls(host: &str, tcp: TcpStream) -> Result<TlsStream<TcpStream>, String> {
    let name = ServerName::try_from(host.to_owned());
    let name = name.map_err(|_| format!("{host} is no name that a certificate can have"))?;
    let stream = TlsConnector::from(trust()?).connect(name, tcp).await;
    stream.map_err(|e| format!("TLS with {host} failed: {e}"))
}

fn trust() -> Result<Arc<ClientConfig>, String> {
    trust::client(trust::system()).map(Arc::new)
}

/// What a server has to answer in time.
pub(super) async fn bounded<T>(
    who: &str,
    work: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    let done = timeout(SINK_CALL_TIMEOUT.std(), work).await;
    done.unwrap_or_else(|_| Err(format!("{who} did not answer within {SINK_CALL_TIMEOUT}")))
}
