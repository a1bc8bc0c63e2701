//! A cluster of which is known who leads all the time, and that has something to write.

use std::time::Duration;

use cluster_tests::harness::{Client, Cluster};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// Between two looks, and two writes.
const LOOK: Duration = Duration::from_millis(100);

/// A cluster with a client of each node that is logged in.
pub struct Watched {
    pub cluster: Cluster,
    clients: Vec<Client>,
    written: std::cell::Cell<u32>,
}

/// Who leads, and in which term, as one node says.
pub type Led = (Option<String>, u64);

impl Watched {
    /// Starts it, with a job that fires each second.
    pub async fn start(cluster: Cluster) -> Watched {
        cluster.start().await;
        cluster.wait_whole().await;
        let clients: Vec<Client> = cluster.indexes().map(|node| cluster.client_of(node)).collect();
        let each = json!({"name": "each-second", "expr": "* * * * * *",
            "overlap": "allow", "runner": {"type": "shell", "command": "true"}});
        clients[0].create(&each, "each-second").await.expect("created");
        for client in &clients {
            client.get("/system/status?consistency=local").await.expect("it answers");
        }
        Watched { cluster, clients, written: std::cell::Cell::new(0) }
    }

    /// What a node says of itself, as soon as it says something.
    pub async fn told(&self, node: usize) -> Value {
        let status = self.clients[node].get("/system/status?consistency=local").await;
        status.expect("it answers")
    }

    /// Whom a node follows, and in which term.
    pub async fn led(&self, node: usize) -> Led {
        let status = self.told(node).await;
        let text = |value: &Value| match value {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        (text(&status["leader_id"]), status["term"].as_u64().unwrap_or_default())
    }

    /// The node that leads; all of them agree.
    pub async fn leader(&self) -> (usize, Led) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let first = self.led(0).await;
            let mut same = first.0.is_some();
            for node in 1..self.cluster.size() {
                same &= self.led(node).await == first;
            }
            if same && let Some(leader) = self.cluster.leader().await {
                return (leader, first);
            }
            assert!(Instant::now() < deadline, "the nodes do not agree on a leader: {first:?}");
            sleep(LOOK).await;
        }
    }

    /// Puts a job of a new name at a node; gives how long that took.
    pub async fn write(&self, node: usize) -> Duration {
        self.written.set(self.written.get() + 1);
        let name = format!("written-{}", self.written.get());
        let began = Instant::now();
        self.clients[node].create(&json!({"name": name}), &name).await.expect("created");
        began.elapsed()
    }

    /// Writes all the time for so long; no node sees another leader, or a later term, meanwhile.
    /// Gives the longest write.
    pub async fn no_election(&self, long: Duration, what: &str) -> Duration {
        let (_, before) = self.leader().await;
        let until = Instant::now() + long;
        let mut longest = Duration::ZERO;
        let mut node = 0;
        while Instant::now() < until {
            longest = longest.max(self.write(node).await);
            for node in self.cluster.indexes() {
                assert_eq!(self.led(node).await, before, "{what}: node {node} saw an election");
            }
            node = (node + 1) % self.cluster.size();
            sleep(LOOK).await;
        }
        longest
    }

    /// Kills the leader; gives how long it takes until a write is done by the others.
    pub async fn fail_over(&self) -> Duration {
        let (leader, _) = self.leader().await;
        self.cluster.kill(leader).await;
        self.write((leader + 1) % self.cluster.size()).await
    }
}
