//! A backfill on real nodes, whose leader is killed again and again: each of its times has one run,
//! and what ran wrote it down once.

use std::collections::BTreeMap;
use std::time::Duration;

use cluster_tests::harness::cluster::Shape;
use cluster_tests::harness::{Cluster, Sandbox};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// How often a test looks.
const LOOK: Duration = Duration::from_millis(50);
/// The time for all of it.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two kills.
const KILL_EVERY: Duration = Duration::from_secs(4);
const TIMES: usize = 240;

async fn three(sandbox: &Sandbox) -> Cluster {
    let cluster = Cluster::make(sandbox, Shape::loopback(3)).expect("loopback is everywhere");
    cluster.start().await;
    cluster.wait_whole().await;
    cluster
}

/// Begun as soon as the cluster's format has it.
async fn begin(cluster: &Cluster, job: &str, body: &Value) -> u64 {
    let path = format!("/jobs/{job}/backfills");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let sent = cluster.client().send(Method::POST, &path, Some(body), Some("past")).await;
        match sent {
            Ok(answer) if answer.status == 201 => {
                return answer.body["id"].as_u64().expect("an id");
            }
            other => assert!(Instant::now() < deadline, "not begun: {:?}", other.map(|a| a.body)),
        }
        sleep(LOOK).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_time_is_run_once_whichever_node_leads() {
    let sandbox = Sandbox::new();
    let cluster = three(&sandbox).await;
    let client = cluster.client();
    let mark = sandbox.path().join("ran");
    // A short line is appended whole.
    let command = format!("echo $CRONAPI_NOMINAL_TIME $CRONAPI_RUN_ID >> {}", mark.display());
    let job = json!({"name": "past", "expr": "0 * * * *",
        "runner": {"type": "shell", "command": command},
        "retry": {"max_attempts": 5, "delay": "1s", "on": ["lost", "failed"]}});
    client.create(&job, "past").await.expect("created");
    // Ten days of before the job was made.
    let body = json!({"from": "2026-01-01T00:00:00Z", "to": "2026-01-11T00:00:00Z",
        "max_concurrent": 4, "rate": {"limit": 12, "per": "1s"}});
    let id = begin(&cluster, "past", &body).await;
    let deadline = Instant::now() + PATIENCE;
    let (mut killed, mut kills) = (Instant::now(), 0);
    let done = loop {
        if killed.elapsed() >= KILL_EVERY
            && kills < 4
            && let Some(leader) = cluster.leader().await
        {
            cluster.kill(leader).await;
            cluster.spawn(leader).await;
            (killed, kills) = (Instant::now(), kills + 1);
        }
        let told = client.get(&format!("/backfills/{id}")).await;
        match told {
            Ok(told) if told["status"] == "done" => break told,
            told => assert!(Instant::now() < deadline, "not done: {told:?}"),
        }
        sleep(LOOK).await;
    };
    assert!(kills >= 3, "only {kills} kills met it: {done}");
    assert_eq!(done["counts"]["made"], TIMES, "{done}");
    let runs: Vec<Value> = client.list("/jobs/past/runs?trigger=backfill").await.expect("a list");
    let mut by_time: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for run in &runs {
        let at = run["nominal_time"].as_str().expect("a time").to_owned();
        by_time.entry(at).or_default().push(run);
    }
    assert_eq!((runs.len(), by_time.len()), (TIMES, TIMES), "each time has one run");
    // Each attempt that began wrote its line: of a run that was never lost there is one.
    let text = std::fs::read_to_string(&mark).unwrap_or_default();
    for (at, runs) in &by_time {
        let lines = text.lines().filter(|line| line.starts_with(at.as_str())).count();
        let attempts = runs[0]["attempts"].as_array().map_or(0, Vec::len);
        assert!(lines <= attempts, "{at}: {lines} starts of {attempts} attempts");
    }
    let ledger: Vec<Value> = client.list("/jobs/past/ledger").await.expect("a list");
    let before = |row: &&Value| row["nominal_time"].as_str() < Some("2026-02");
    assert_eq!(ledger.iter().filter(before).count(), 0, "no time has an outcome by it");
}
