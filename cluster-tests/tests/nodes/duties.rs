//! What is asked of definitions that one node serves at a time: sinks and triggers.

use std::time::Duration;

use cluster_tests::harness::Cluster;
use cluster_tests::harness::client::Error;
use reqwest::Method;
use serde_json::Value;
use tokio::time::{Instant, sleep};

/// How long anything may take, with a fail-over in between.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Writes a definition.
pub async fn defined(cluster: &Cluster, path: &str, body: &Value) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match cluster.client().write(Method::PUT, path, Some(body), "").await {
            // The format of a cluster rises when its nodes have told the leader what they know.
            Err(Error::Refused { body, .. }) if body.contains("upgrade-needed") => {
                assert!(Instant::now() < deadline, "the format does not rise: {body}");
                sleep(Duration::from_millis(50)).await;
            }
            made => return made.expect("written").body,
        }
    }
}

pub async fn told(cluster: &Cluster, path: &str) -> Value {
    cluster.client().get(path).await.expect("it is there")
}

/// The node that serves it.
pub async fn holder(cluster: &Cluster, path: &str) -> usize {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let node = told(cluster, path).await["node"].as_u64();
        let members = cluster.members().await;
        let found = members.iter().find(|(id, _)| Some(id) == node.map(|n| n.to_string()).as_ref());
        if let Some((_, index)) = found {
            return *index;
        }
        assert!(Instant::now() < deadline, "nobody serves {path}: {node:?} of {members:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until it has a fault with this in it.
pub async fn fault(cluster: &Cluster, path: &str, wanted: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let fault = told(cluster, path).await["fault"].clone();
        if fault.as_str().is_some_and(|fault| fault.contains(wanted)) {
            return;
        }
        assert!(Instant::now() < deadline, "its fault is {fault}");
        sleep(Duration::from_millis(20)).await;
    }
}
