//! Three nodes of etcd: Debian's `etcd-server`, its defaults, no TLS.

mod rpc;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use cluster_tests::harness::Sandbox;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

pub use rpc::Kv;

use crate::Failure;

const NODES: usize = 3;
const START_MAX: Duration = Duration::from_secs(30);
/// Streams that share a connection, as etcd's own clients do it.
pub const STREAMS: usize = 8;

/// A cluster of processes; they are killed when it is dropped.
pub struct Etcd {
    children: Vec<Child>,
    urls: Vec<String>,
    // Last: it ends what still runs.
    pub sandbox: Sandbox,
}

/// Whether it is installed here.
pub fn installed() -> bool {
    std::process::Command::new("etcd")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

impl Etcd {
    /// Starts it and waits until each node takes a put.
    pub async fn start() -> Result<Etcd, Failure> {
        let sandbox = Sandbox::new();
        // Ports that are free now.
        let held: Vec<_> = (0..2 * NODES)
            .map(|_| std::net::TcpListener::bind("127.0.0.1:0"))
            .collect::<Result<_, _>>()?;
        let urls = held
            .iter()
            .map(|port| Ok(format!("http://{}", port.local_addr()?)))
            .collect::<Result<Vec<_>, std::io::Error>>()?;
        drop(held);
        let (clients, peers) = urls.split_at(NODES);
        let named = peers.iter().enumerate();
        let cluster: Vec<_> = named.map(|(node, url)| format!("e{node}={url}")).collect();
        let cluster = cluster.join(",");
        let children = clients
            .iter()
            .zip(peers)
            .enumerate()
            .map(|(node, (client, peer))| spawn(&sandbox, node, client, peer, &cluster))
            .collect::<Result<_, _>>()?;
        let etcd = Etcd { children, urls: clients.to_vec(), sandbox };
        etcd.wait_ready().await?;
        Ok(etcd)
    }

    async fn wait_ready(&self) -> Result<(), Failure> {
        let deadline = Instant::now() + START_MAX;
        for node in 0..NODES {
            loop {
                let tried = async { self.client(node).await?.put(b"ready", b"yes").await };
                match tried.await {
                    Ok(()) => break,
                    Err(why) if Instant::now() > deadline => {
                        return Err(format!("etcd {node} does not start: {why}").into());
                    }
                    Err(_) => sleep(Duration::from_millis(100)).await,
                }
            }
        }
        Ok(())
    }

    /// A client of a node, on a connection of its own; clones of it share that.
    pub async fn client(&self, node: usize) -> Result<Kv, Failure> {
        Kv::connect(&self.urls[node % NODES]).await
    }

    /// Ends it.
    pub async fn stop(mut self) {
        for child in &mut self.children {
            // An error says that it has ended already.
            let _ = child.kill().await;
        }
    }
}

fn spawn(
    sandbox: &Sandbox,
    node: usize,
    client: &str,
    peer: &str,
    cluster: &str,
) -> Result<Child, Failure> {
    let data = sandbox.path().join(format!("etcd{node}"));
    let log = |path: &Path| std::fs::File::create(path.with_extension("log"));
    let mut command = Command::new("etcd");
    command
        .args(["--name", &format!("e{node}"), "--data-dir"])
        .arg(&data)
        .args(["--listen-client-urls", client, "--advertise-client-urls", client])
        .args(["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer])
        .args(["--initial-cluster", cluster, "--logger", "zap", "--log-level", "error"])
        .env("TMPDIR", sandbox.tmp())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log(&data)?)
        .kill_on_drop(true);
    Ok(command.spawn()?)
}
