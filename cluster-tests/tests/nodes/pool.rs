//! Nodes that are started all alike and share a pool of data directories: one cluster, begun
//! once, whichever process gets which seat.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use cluster_tests::harness::cluster::PASSWORD;
use cluster_tests::harness::{Client, Daemon, Launch, Sandbox, client};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

const PATIENCE: Duration = Duration::from_secs(60);
/// For what must not happen: long enough to begin a cluster several times over.
const WATCHED: Duration = Duration::from_secs(4);

/// The addresses of three processes; all of them are told all, none is told which it is.
struct Ground([String; 3]);

impl Ground {
    fn new(test: u8) -> Ground {
        let [.., low] = std::process::id().to_be_bytes();
        Ground([1, 2, 3].map(|last| format!("127.{}.{low}.{last}", 170 + test)))
    }

    /// A process in the order in which an address is taken, with nothing else of its own.
    fn launch(&self, sandbox: &Sandbox, process: usize) -> Launch {
        let address = &self.0[process];
        let pool = sandbox.path().join("pool").display().to_string();
        let join: Vec<String> = self.0.iter().map(|address| format!("{address}:8001")).collect();
        // The process that is last in the list may well be the one with the first seat.
        let join: Vec<String> = join.into_iter().rev().collect();
        Launch::new(sandbox, &format!("process{process}"))
            .args(&["serve", "--listen", &format!("{address}:8000"), "--data-pool", &pool])
            .arg("--cluster-listen")
            .arg(&format!("{address}:8001"))
            .arg("--join")
            .arg(&join.join(","))
            .env("CRONAPI_CLUSTER_KEY", "a cluster key that is only good for tests")
            .env("CRONAPI_ADMIN_PASSWORD", PASSWORD)
    }

    fn client(&self, process: usize) -> Client {
        Client::at(&format!("http://{}:8000", self.0[process]), "admin", PASSWORD)
    }

    /// Waits until all are ready, and gives what they say of themselves.
    async fn statuses(&self) -> Vec<Value> {
        let mut statuses = Vec::new();
        for process in 0..3 {
            let ready = format!("http://{}:8000/readyz", self.0[process]);
            let deadline = Instant::now() + PATIENCE;
            while !matches!(client::plain(&ready).await, Ok(200)) {
                assert!(Instant::now() < deadline, "process {process} is not ready");
                sleep(Duration::from_millis(20)).await;
            }
            statuses.push(self.client(process).get("/system/status").await.expect("it answers"));
        }
        statuses
    }

    /// Waits until all vote: only then one of them may go.
    async fn all_vote(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let nodes = self.client(0).get("/cluster/nodes").await.expect("it answers");
            let items = nodes["items"].as_array().cloned().unwrap_or_default();
            let votes = |item: &&Value| item["live"] == true && item["role"] != "learner";
            if items.iter().filter(votes).count() == 3 {
                return;
            }
            assert!(Instant::now() < deadline, "they do not all vote: {nodes}");
            sleep(Duration::from_millis(50)).await;
        }
    }
}

fn texts(statuses: &[Value], field: &str) -> BTreeSet<String> {
    statuses.iter().map(|status| status[field].to_string()).collect()
}

fn spawn(sandbox: &Sandbox, ground: &Ground) -> Vec<Daemon> {
    (0..3).map(|process| ground.launch(sandbox, process).spawn()).collect()
}

async fn end(daemons: Vec<Daemon>) {
    for daemon in daemons {
        daemon.kill().await;
    }
}

#[tokio::test]
async fn nodes_of_one_pool_become_one_cluster_and_find_their_data_again() {
    let (sandbox, ground) = (Sandbox::new(), Ground::new(0));
    let daemons = spawn(&sandbox, &ground);
    let before = ground.statuses().await;
    assert_eq!(texts(&before, "cluster_id").len(), 1, "{before:?}");
    assert_eq!(texts(&before, "node_id").len(), 3, "{before:?}");
    ground.all_vote().await;
    ground.client(0).create(&json!({"name": "kept"}), "kept").await.expect("created");
    end(daemons).await;
    let daemons = spawn(&sandbox, &ground);
    let after = ground.statuses().await;
    assert_eq!(texts(&before, "cluster_id"), texts(&after, "cluster_id"));
    assert_eq!(texts(&before, "node_id"), texts(&after, "node_id"));
    for process in 0..3 {
        ground.client(process).get("/jobs/kept").await.expect("it is there");
    }
    end(daemons).await;
}

#[tokio::test]
async fn the_first_seat_without_its_data_waits_for_the_others() {
    let (sandbox, ground) = (Sandbox::new(), Ground::new(1));
    let daemons = spawn(&sandbox, &ground);
    let before = ground.statuses().await;
    ground.all_vote().await;
    end(daemons).await;
    fs::remove_dir_all(sandbox.path().join("pool/1")).expect("it is there");
    // Alone, it takes the first seat, and all that it asks are silent.
    let first = ground.launch(&sandbox, 0).spawn();
    let ready = format!("http://{}:8000/readyz", ground.0[0]);
    let until = Instant::now() + WATCHED;
    while Instant::now() < until {
        assert_ne!(client::plain(&ready).await.ok(), Some(200), "it began a second cluster");
        sleep(Duration::from_millis(100)).await;
    }
    let others = [1, 2].map(|process| ground.launch(&sandbox, process).spawn());
    let after = ground.statuses().await;
    assert_eq!(texts(&before, "cluster_id"), texts(&after, "cluster_id"));
    end(others.into_iter().chain([first]).collect()).await;
}
