//! Three nodes of CronAPI that load is put on.
//!
//! It asks them with one token of its own: a login is a password hash and an entry of the log,
//! which would be measured as well.

use std::time::Duration;

use bytes::Bytes;
use cluster_tests::harness::{Client, Cluster, Sandbox, Shape};
use hyper::Method;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use crate::rest::Line;
use crate::{Failure, Scale};

/// Nodes of every cluster here.
pub const NODES: usize = 3;
/// How long a cluster may take to be of one mind.
const SETTLE_MAX: Duration = Duration::from_secs(60);
/// One question to one node.
const ASK_MAX: Duration = Duration::from_secs(3);
/// A token is asked for anew after this; it is good for longer.
const TOKEN_MAX: Duration = Duration::from_secs(240);
/// Between two looks at something that is to come.
const LOOK: Duration = Duration::from_millis(30);

/// A cluster in a folder of its own.
pub struct Bed {
    /// Started, and whole.
    pub cluster: Cluster,
    /// As `admin`.
    pub client: Client,
    token: Mutex<Option<(String, Instant)>>,
    // Last: it ends what still runs.
    pub sandbox: Sandbox,
}

impl Bed {
    /// Starts one and waits until every node follows the same leader and votes.
    pub async fn start(scale: Scale) -> Result<Bed, Failure> {
        Bed::start_with(scale, true).await
    }

    /// Starts one whose leader plans starts ahead, or does not.
    pub async fn start_with(scale: Scale, plan_ahead: bool) -> Result<Bed, Failure> {
        let mut sandbox = Sandbox::new();
        if scale.keep {
            sandbox.keep();
            println!("kept for a look: {}", sandbox.path().display());
        }
        let shape = Shape { key: scale.tls, plan_ahead, ..Shape::loopback(NODES) };
        let cluster = Cluster::make(&sandbox, shape)?;
        cluster.start().await;
        let client = cluster.client();
        let bed = Bed { cluster, client, token: Mutex::default(), sandbox };
        bed.whole().await?;
        Ok(bed)
    }

    async fn token(&self) -> Result<String, Failure> {
        let mut kept = self.token.lock().await;
        if let Some((token, since)) = &*kept
            && since.elapsed() < TOKEN_MAX
        {
            return Ok(token.clone());
        }
        let deadline = Instant::now() + SETTLE_MAX;
        loop {
            let last = match self.client.login().await {
                Ok((200, Some(token))) => {
                    *kept = Some((token.clone(), Instant::now()));
                    return Ok(token);
                }
                Ok((status, _)) => format!("the login gives {status}"),
                Err(error) => error.to_string(),
            };
            if Instant::now() > deadline {
                return Err(last.into());
            }
            sleep(LOOK).await;
        }
    }

    /// A connection to a node.
    pub async fn line(&self, node: usize) -> Result<Line, Failure> {
        Line::open(self.cluster.url(node), &self.token().await?).await
    }

    /// What a node says at a path.
    async fn ask(&self, node: usize, path: &str) -> Result<Value, Failure> {
        let asked = async {
            let mut line = self.line(node).await?;
            line.done(Method::GET, path, Bytes::new()).await
        };
        let answer = timeout(ASK_MAX, asked).await;
        let answer = answer.map_err(|_| format!("node {node} is silent at {path}"))??;
        Ok(serde_json::from_slice(&answer)?)
    }

    /// What a node says of itself.
    pub async fn status(&self, node: usize) -> Result<Value, Failure> {
        self.ask(node, "/system/status").await
    }

    /// The node that leads, by its own word.
    pub async fn leader(&self) -> Result<usize, Failure> {
        let deadline = Instant::now() + SETTLE_MAX;
        loop {
            let mut newest: Option<(u64, usize)> = None;
            for node in 0..self.cluster.size() {
                let Ok(status) = self.status(node).await else { continue };
                let term = status["term"].as_u64().unwrap_or_default();
                if status["leader_id"] == status["node_id"]
                    && newest.is_none_or(|(known, _)| known < term)
                {
                    newest = Some((term, node));
                }
            }
            if let Some((_, leader)) = newest {
                return Ok(leader);
            }
            if Instant::now() > deadline {
                return Err("nobody leads".into());
            }
            sleep(LOOK).await;
        }
    }

    /// Waits until all nodes vote and are live to their leader, and have applied what it has.
    pub async fn whole(&self) -> Result<(), Failure> {
        let deadline = Instant::now() + SETTLE_MAX;
        let leader = self.leader().await?;
        let goal = self.status(leader).await?["applied_index"].as_u64();
        loop {
            let listed = self.ask(leader, "/cluster/nodes").await.unwrap_or_default();
            let items = listed["items"].as_array().cloned().unwrap_or_default();
            let there = |item: &&Value| {
                let votes = item["role"] == "leader" || item["role"] == "follower";
                votes && item["live"] == true && item["applied_index"].as_u64() >= goal
            };
            if items.iter().filter(there).count() == NODES {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("the cluster is not whole: {listed}").into());
            }
            sleep(LOOK).await;
        }
    }

    /// Ends it at once: what a stop in order takes is measured elsewhere.
    pub async fn end(self) {
        for node in 0..self.cluster.size() {
            self.cluster.kill(node).await;
        }
    }
}
