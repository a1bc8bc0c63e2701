//! What sinks of rows are tested with: runs that end in different ways.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cluster_tests::harness::Cluster;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::PATIENCE;

/// Jobs that the load runs: their runs end in different ways.
pub const JOBS: [(&str, &str); 4] = [
    ("good", "echo '::result:: {\"n\": 1}'"),
    ("bad", "echo no >&2; exit 3"),
    ("slow", "sleep 3"),
    ("odd", "true"),
];

/// Each second three of the jobs are due; `slow` is skipped at most of its times.
pub async fn jobs(cluster: &Cluster) {
    for (name, command) in JOBS {
        let mut job = json!({ "name": name, "runner": { "type": "shell", "command": command } });
        match name {
            "odd" => job["overlap"] = json!("allow"),
            _ => job["expr"] = json!("@every 1s"),
        }
        cluster.client().create(&job, "").await.expect("made");
    }
}

/// Runs `odd` by hand, with texts that a database has to be careful with, until it is told to stop.
pub fn by_hand(cluster: &Cluster, stop: &Arc<AtomicBool>) -> JoinHandle<()> {
    let (client, stop) = (cluster.client(), Arc::clone(stop));
    tokio::spawn(async move {
        let mut n = 0;
        while !stop.load(Ordering::Relaxed) {
            n += 1;
            let given = json!({ "parameters": { "n": n, "text": "a\u{0}b'\"\\ ☃" } });
            let run = client.write(Method::POST, "/jobs/odd/run", Some(&given), "").await;
            run.expect("it is run");
            sleep(Duration::from_millis(20)).await;
        }
    })
}

/// Pauses all jobs, and waits until no run is open.
pub async fn quiet(cluster: &Cluster) {
    for (name, _) in JOBS {
        let path = format!("/jobs/{name}/pause");
        cluster.client().write(Method::POST, &path, None, "").await.expect("paused");
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let path = "/runs?status=waiting,queued,assigned,running";
        let open = cluster.client().list::<Value>(path).await.expect("a list").len();
        if open == 0 {
            return;
        }
        assert!(Instant::now() < deadline, "{open} runs are open");
        sleep(Duration::from_millis(100)).await;
    }
}

/// A value as text; null: none.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// One that the other does not have.
pub fn only_one(left: &BTreeSet<String>, right: &BTreeSet<String>) -> Option<String> {
    left.difference(right).next().cloned()
}
