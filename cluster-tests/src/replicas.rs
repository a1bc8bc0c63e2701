//! Each node's own account of its state, taken when nothing goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::harness::client::Error;
use crate::harness::{Client, Cluster};
use crate::history::{History, Replica};
use crate::moment::Moment;

/// How long nodes may take to have applied the same entries.
const SAME_MAX: Duration = Duration::from_secs(60);

/// Reads the state of every node that runs, by itself, until all were read at one index. Gives
/// what was read last when they never are: the checker says so.
///
/// # Errors
/// A node does not answer.
pub async fn read(cluster: &Cluster, history: &History) -> Result<Vec<Replica>, Error> {
    let mut clients = Vec::new();
    for node in cluster.indexes() {
        if cluster.runs(node).await {
            clients.push((node, cluster.client_of(node)));
        }
    }
    let names: Vec<&String> = history.present.keys().collect();
    let deadline = Instant::now() + SAME_MAX;
    // A pause that goes on has a row as soon as it covers a time: for all, or for none.
    let until = Moment::secs(Moment::now().whole());
    loop {
        let mut replicas = Vec::new();
        for (node, client) in &clients {
            replicas.push(replica(*node, client, &names, until).await?);
        }
        let first = replicas.first().map(|replica: &Replica| replica.applied);
        let same = replicas.iter().all(|replica| Some(replica.applied) == first);
        if same || Instant::now() >= deadline {
            return Ok(replicas);
        }
        sleep(Duration::from_millis(50)).await;
    }
}

async fn applied(client: &Client) -> Result<u64, Error> {
    let status = client.get("/system/status").await?;
    Ok(status["applied_index"].as_u64().unwrap_or_default())
}

/// Read again while entries are applied in between, for as long as makes sense.
async fn replica(
    node: usize,
    client: &Client,
    names: &[&String],
    until: Moment,
) -> Result<Replica, Error> {
    let mut before = applied(client).await?;
    for _ in 0..5 {
        let parts = parts(client, names, until).await?;
        let after = applied(client).await?;
        if before == after {
            return Ok(Replica { node, applied: after, parts });
        }
        before = after;
    }
    // No index stands for what was read.
    Ok(Replica { node, applied: 0, parts: BTreeMap::new() })
}

async fn parts(
    client: &Client,
    names: &[&String],
    until: Moment,
) -> Result<BTreeMap<String, String>, Error> {
    let mut paths: Vec<(String, String)> = ["jobs", "runs", "audit"]
        .iter()
        .map(|name| (name.to_string(), format!("/{name}?consistency=local")))
        .collect();
    for name in names {
        let path = format!("/jobs/{name}/ledger?consistency=local&to={until}");
        paths.push((format!("ledger of {name}"), path));
    }
    let mut parts = BTreeMap::new();
    for (name, path) in paths {
        let mut items: Vec<Value> = client.list(&path).await?;
        items.iter_mut().for_each(still);
        let lines: Vec<String> = items.iter().map(Value::to_string).collect();
        parts.insert(name, lines.join("\n"));
    }
    Ok(parts)
}

/// Without what depends on the time of the question: how far a pause has come that goes on.
fn still(row: &mut Value) {
    if row["reason"] == "paused"
        && let Some(row) = row.as_object_mut()
    {
        row.remove("until");
        row.remove("count");
    }
}
