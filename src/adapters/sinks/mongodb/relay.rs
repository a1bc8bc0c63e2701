//! The way out for the driver, which makes its connections itself and would go anywhere.
//!
//! It is given a socket of this process instead of an address. What it connects there is connected
//! to the server by `adapters::connect`, which knows where requests may not go and speaks TLS. The
//! socket has no file: its name is by chance, and who connects has to be this process.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::adapters::connect::{bounded, tcp, tls};
use crate::executor::runner::RunnerEnv;
use crate::machine::chain::hex;

/// A connection to a server, with TLS or without.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A server, and how to get there.
#[derive(Clone)]
struct Server {
    env: Arc<RunnerEnv>,
    host: String,
    port: u16,
    wrapped: bool,
}

/// Leads to one server, until it is dropped.
pub(super) struct Relay {
    /// What the driver connects to.
    pub path: PathBuf,
    task: JoinHandle<()>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Relay {
    /// Connects once, so that what is in the way is told in its own words, and listens for the
    /// driver.
    ///
    /// # Errors
    /// The server can't be reached, or may not be.
    pub async fn open(
        env: &Arc<RunnerEnv>,
        (host, port): &(String, u16),
        wrapped: bool,
    ) -> Result<Relay, String> {
        let server = Server { env: Arc::clone(env), host: host.clone(), port: *port, wrapped };
        let first = server.connect().await?;
        let mut chance = [0; 16];
        getrandom::fill(&mut chance).map_err(|e| format!("no name for a socket: {e}"))?;
        let path = PathBuf::from(format!("\0cronapi-{}", hex(&chance)));
        let listener = UnixListener::bind(&path);
        let listener = listener.map_err(|e| format!("no socket for the driver: {e}"))?;
        let task = tokio::spawn(listen(listener, server, first));
        Ok(Relay { path, task })
    }
}

impl Server {
    async fn connect(&self) -> Result<Box<dyn Stream>, String> {
        let Server { env, host, port, wrapped } = self;
        let plain = tcp(Some(env), host, *port).await?;
        Ok(if *wrapped { Box::new(tls(host, plain).await?) } else { Box::new(plain) })
    }
}

/// Leads each connection of this process to the server; all of them end with the task.
async fn listen(listener: UnixListener, server: Server, first: Box<dyn Stream>) {
    let (mut ways, mut first) = (JoinSet::new(), Some(first));
    while let Ok((inside, _)) = listener.accept().await {
        while ways.try_join_next().is_some() {}
        if ours(&inside) {
            ways.spawn(lead(inside, server.clone(), first.take()));
        }
    }
}

/// Whether the other end is this process.
fn ours(inside: &UnixStream) -> bool {
    let pid = inside.peer_cred().ok().and_then(|who| who.pid());
    pid.and_then(|pid| u32::try_from(pid).ok()) == Some(std::process::id())
}

async fn lead(mut inside: UnixStream, server: Server, outside: Option<Box<dyn Stream>>) {
    let outside = match outside {
        Some(outside) => Ok(outside),
        None => bounded(&server.host, server.connect()).await,
    };
    // Without it the driver sees its connection end.
    if let Ok(mut outside) = outside {
        let _ = copy_bidirectional(&mut inside, &mut outside).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::{Duration, timeout};

    use super::*;

    /// What is closed shows that sooner.
    const LONG: Duration = Duration::from_millis(200);

    async fn relay(listener: &TcpListener) -> Relay {
        let env = Arc::new(RunnerEnv::detect());
        let port = listener.local_addr().unwrap().port();
        Relay::open(&env, &("127.0.0.1".to_owned(), port), false).await.unwrap()
    }

    #[tokio::test]
    async fn a_connection_of_this_process_is_led_to_the_server() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let relay = relay(&listener).await;
        for _ in 0..2 {
            let mut inside = UnixStream::connect(&relay.path).await.unwrap();
            inside.write_all(b"hello").await.unwrap();
            let (mut outside, _) = listener.accept().await.unwrap();
            let mut heard = [0; 5];
            outside.read_exact(&mut heard).await.unwrap();
            outside.write_all(&heard).await.unwrap();
            inside.read_exact(&mut heard).await.unwrap();
            assert_eq!(&heard, b"hello");
        }
        let path = relay.path.clone();
        drop(relay);
        tokio::task::yield_now().await;
        assert!(UnixStream::connect(&path).await.is_err(), "it ends with the relay");
    }

    #[tokio::test]
    async fn a_connection_of_another_process_is_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let relay = relay(&listener).await;
        let _first = listener.accept().await.unwrap();
        let name = relay.path.to_str().unwrap().trim_start_matches('\0').to_owned();
        let other = "import socket, sys\n\
            s = socket.socket(socket.AF_UNIX)\n\
            s.connect('\\0' + sys.argv[1])\n\
            sys.exit(s.recv(1) != b'')";
        let mut python = tokio::process::Command::new("python3");
        let ended = python.args(["-c", other, &name]).status().await.unwrap();
        assert!(ended.success(), "it is read to its end");
        // The way there is still that of this process.
        let mut inside = UnixStream::connect(&relay.path).await.unwrap();
        inside.write_all(b"hello").await.unwrap();
        assert!(timeout(LONG, inside.read_u8()).await.is_err(), "it is led, and stays");
    }
}
