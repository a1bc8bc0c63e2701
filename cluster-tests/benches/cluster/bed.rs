//! Three nodes of CronAPI that load is put on.

use std::time::Duration;

use cluster_tests::harness::{Client, Cluster, Sandbox, Shape};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::rest::Line;
use crate::{Failure, Scale};

/// Nodes of every cluster here.
pub const NODES: usize = 3;
/// How long a cluster may take to be of one mind.
const SETTLE_MAX: Duration = Duration::from_secs(60);

/// A cluster in a folder of its own.
pub struct Bed {
    /// Started, and whole.
    pub cluster: Cluster,
    /// As `admin`.
    pub client: Client,
    token: String,
    // Last: it ends what still runs.
    pub sandbox: Sandbox,
}

impl Bed {
    /// Starts one and waits until every node follows the same leader and votes.
    pub async fn start(scale: Scale) -> Result<Bed, Failure> {
        let sandbox = Sandbox::new();
        let shape = Shape { key: scale.tls, ..Shape::loopback(NODES) };
        let cluster = Cluster::make(&sandbox, shape)?;
        cluster.start().await;
        cluster.wait_whole().await;
        let client = cluster.client();
        let token = match cluster.client_of(0).login().await? {
            (200, Some(token)) => token,
            (status, _) => return Err(format!("the login gives {status}").into()),
        };
        let bed = Bed { cluster, client, token, sandbox };
        bed.wait_voters().await?;
        Ok(bed)
    }

    async fn wait_voters(&self) -> Result<(), Failure> {
        let deadline = Instant::now() + SETTLE_MAX;
        loop {
            let nodes = self.client.get("/cluster/nodes").await?;
            let items = nodes["items"].as_array().cloned().unwrap_or_default();
            let votes = |node: &&Value| node["role"] != "learner" && node["live"] == true;
            if items.iter().filter(votes).count() == NODES {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("not all of them vote: {nodes}").into());
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// A connection to a node.
    pub async fn line(&self, node: usize) -> Result<Line, Failure> {
        Line::open(self.cluster.url(node), &self.token).await
    }

    /// The node that leads.
    pub async fn leader(&self) -> Result<usize, Failure> {
        let deadline = Instant::now() + SETTLE_MAX;
        loop {
            if let Some(leader) = self.cluster.leader().await {
                return Ok(leader);
            }
            if Instant::now() > deadline {
                return Err("nobody leads".into());
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// What a node says of itself.
    pub async fn status(&self, node: usize) -> Result<Value, Failure> {
        let status = self.cluster.tells(node, "/system/status").await;
        status.ok_or_else(|| format!("node {node} is silent").into())
    }

    /// Waits until a node has applied what the leader has now, and is live to it.
    pub async fn caught_up(&self, node: usize) -> Result<(), Failure> {
        self.cluster.wait_whole().await;
        let leader = self.leader().await?;
        let goal = self.status(leader).await?["applied_index"].as_u64();
        let deadline = Instant::now() + SETTLE_MAX;
        loop {
            let status = self.cluster.tells(node, "/system/status").await.unwrap_or_default();
            if status["applied_index"].as_u64() >= goal && !status.is_null() {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("node {node} does not come up to {goal:?}: {status}").into());
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends it in order.
    pub async fn stop(self) {
        self.cluster.terminate_all().await;
    }
}
