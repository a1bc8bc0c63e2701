//! Reads everything the API says, when all is quiet.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::harness::Cluster;
use crate::harness::client::{Client, Error};
use crate::history::{Audit, History, Life, Present, Row, Run};
use crate::moment::Moment;

/// How long open runs may take to end once nothing starts any more.
const QUIET_MAX: Duration = Duration::from_secs(120);
/// No clock that is right is ahead of another by so much.
const AHEAD_MS: i64 = 60_000;

/// Waits until no run is open. Those that wait for dependencies which no longer run are
/// cancelled. Gives those that are open when patience is over. Those that wait are not waited
/// for while log time stands still: after a clock that was ahead, for as long as it was.
///
/// # Errors
/// There is no answer.
pub async fn quiet(client: &Client) -> Result<Vec<Run>, Error> {
    let deadline = Instant::now() + QUIET_MAX;
    loop {
        let open: Vec<Run> = client.list("/runs?status=waiting,queued,assigned,running").await?;
        if open.iter().all(|run| run.status == "waiting") && stands_still(client).await? {
            return Ok(Vec::new());
        }
        if open.is_empty() || Instant::now() >= deadline {
            return Ok(open);
        }
        let at_gate = |run: &Run| {
            let why = run.reason.as_deref().unwrap_or_default();
            run.status == "waiting" && why.contains("dependencies")
        };
        if open.iter().all(at_gate) {
            for run in &open {
                // It may end by itself meanwhile, which is as good.
                let path = format!("/runs/{}/cancel", run.id);
                client.send(Method::POST, &path, None, Some("cancel")).await?;
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
}

async fn stands_still(client: &Client) -> Result<bool, Error> {
    let status = client.get("/system/status").await?;
    let log_time = status["log_time"].as_str().and_then(Moment::parse).unwrap_or_default();
    Ok(log_time.ms_since(Moment::now()) > AHEAD_MS)
}

/// Reads the rest of a history of `lives`.
///
/// # Errors
/// There is no answer, or not the one that was due.
pub async fn observe(client: &Client, lives: Vec<Life>, early: Vec<Run>) -> Result<History, Error> {
    let mut history = History { lives, ..History::default() };
    let mut runs: BTreeMap<String, Run> = keyed(early);
    for life in &mut history.lives {
        if life.deleted.is_none() {
            // What happened until here must be told; what comes after may be.
            life.read_at = Moment::now();
            let name = &life.name;
            life.ledger = client.list::<Row>(&format!("/jobs/{name}/ledger")).await?;
            runs.extend(keyed(client.list(&format!("/jobs/{name}/runs")).await?));
        }
    }
    history.runs = runs;
    let names: Vec<String> = history.lives.iter().map(|life| life.name.clone()).collect();
    for name in names {
        let answer = client.send(Method::GET, &format!("/jobs/{name}"), None, None).await?;
        if answer.status == 200 {
            history.present.insert(name, present(&answer.body));
        }
    }
    history.audit = client.list::<Audit>("/audit").await?;
    let verdict = client.get("/audit/verify").await?;
    history.audit_broken = (verdict["intact"] != Value::Bool(true)).then(|| verdict.to_string());
    Ok(history)
}

/// Which node each id stood for, at any time of a run.
pub struct Members {
    known: Arc<Mutex<BTreeMap<String, usize>>>,
    cluster: Cluster,
    task: JoinHandle<()>,
}

impl Members {
    /// Looks every now and then.
    pub fn watch(cluster: Cluster) -> Members {
        let known = Arc::new(Mutex::new(BTreeMap::new()));
        let (shared, looked_at) = (known.clone(), cluster.clone());
        let task = tokio::spawn(async move {
            loop {
                let found = looked_at.members().await;
                shared.lock().await.extend(found);
                sleep(Duration::from_secs(2)).await;
            }
        });
        Members { known, cluster, task }
    }

    /// All that were seen.
    pub async fn all(&self) -> BTreeMap<String, usize> {
        let found = self.cluster.members().await;
        let mut known = self.known.lock().await;
        known.extend(found);
        known.clone()
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn keyed(runs: Vec<Run>) -> BTreeMap<String, Run> {
    runs.into_iter().map(|run| (run.id.clone(), run)).collect()
}

fn present(body: &Value) -> Present {
    Present {
        uid: body["uid"].as_str().unwrap_or_default().to_string(),
        version: body["version"].as_u64().unwrap_or_default(),
        text: body.to_string(),
    }
}
