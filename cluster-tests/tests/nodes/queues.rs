//! Queues on real nodes: two windows hold though leaders are killed, and what holds a queue back is
//! counted.

use std::time::Duration;

use cluster_tests::harness::cluster::Shape;
use cluster_tests::harness::{Cluster, Sandbox};
use cluster_tests::history::Run;
use cluster_tests::moment::Moment;
use reqwest::Method;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::duties::{PATIENCE, defined};

/// Starts in a window, and its length in milliseconds.
const WINDOWS: [(usize, i64); 2] = [(10, 500), (40, 4_000)];
const RUNS: usize = 240;
/// Kills of whoever leads.
const KILLS: usize = 4;
const LOOK: Duration = Duration::from_millis(20);

async fn begin(cluster: &Cluster, runs: usize) {
    let (client, body) = (cluster.client(), json!({}));
    for n in 0..runs {
        let key = format!("run-{n}");
        client.write(Method::POST, "/jobs/j/run", Some(&body), &key).await.expect("begun");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_windows_hold_though_leaders_are_killed() {
    let sandbox = Sandbox::new();
    let cluster = Cluster::make(&sandbox, Shape::loopback(3)).expect("loopback is everywhere");
    cluster.start().await;
    cluster.wait_whole().await;
    let rate = |(limit, per): &(usize, i64)| json!({"limit": limit, "per": format!("{per}ms")});
    let rates: Vec<_> = WINDOWS.iter().map(rate).collect();
    defined(&cluster, "/queues/q", &json!({"rates": rates})).await;
    let job = json!({"queue": "q", "overlap": "allow",
        "retry": {"max_attempts": 5, "delay": "100ms", "on": ["lost"]},
        "runner": {"type": "shell", "command": "true"}});
    defined(&cluster, "/jobs/j", &job).await;
    begin(&cluster, RUNS).await;
    for _ in 0..KILLS {
        let deadline = Instant::now() + PATIENCE;
        let leader = loop {
            if let Some(leader) = cluster.leader().await {
                break leader;
            }
            assert!(Instant::now() < deadline, "nobody leads");
            sleep(LOOK).await;
        };
        cluster.kill(leader).await;
        cluster.up(leader).await;
        cluster.wait_whole().await;
    }
    let deadline = Instant::now() + PATIENCE;
    let runs: Vec<Run> = loop {
        let runs: Vec<Run> = cluster.client().list("/jobs/j/runs").await.expect("told");
        if runs.iter().all(|run| run.status == "succeeded") {
            break runs;
        }
        assert!(Instant::now() < deadline, "some do not end");
        sleep(LOOK).await;
    };
    assert_eq!(runs.len(), RUNS, "each once");
    let attempts = runs.iter().flat_map(|run| &run.attempts);
    let mut starts: Vec<Moment> = attempts.map(|attempt| attempt.assigned_at).collect();
    starts.sort_unstable();
    for (limit, per) in WINDOWS {
        let over = starts.windows(limit + 1).find(|it| it[limit] < it[0].plus_ms(per));
        assert_eq!(over, None, "over {limit} in {per} ms");
        let full = starts.windows(limit).any(|it| it[limit - 1] < it[0].plus_ms(per));
        assert!(full, "no window of {per} ms was ever full: nothing was held back");
    }
    cluster.terminate_all().await;
}

/// How long a queue was held back, by what, in seconds.
async fn blocked(cluster: &Cluster, by: &str) -> f64 {
    let page = cluster.client().send(Method::GET, "/metrics", None, None).await.expect("told");
    let series = format!("cronapi_queue_blocked_seconds_total{{by=\"{by}\",queue=\"q\"}} ");
    let found = page.text.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok());
    found.unwrap_or_default()
}

async fn counts(cluster: &Cluster, by: &str) {
    let (deadline, before) = (Instant::now() + PATIENCE, blocked(cluster, by).await);
    while blocked(cluster, by).await < before + 1.5 {
        assert!(Instant::now() < deadline, "{by} is not counted");
        sleep(LOOK).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_holds_a_queue_back_is_counted_in_seconds() {
    let sandbox = Sandbox::new();
    let cluster = Cluster::make(&sandbox, Shape::loopback(1)).expect("loopback is everywhere");
    cluster.start().await;
    cluster.wait_whole().await;
    let job = json!({"queue": "q", "overlap": "allow",
        "runner": {"type": "shell", "command": "sleep 60"}});
    defined(&cluster, "/queues/q", &json!({"concurrency": 1})).await;
    defined(&cluster, "/jobs/j", &job).await;
    begin(&cluster, 3).await;
    counts(&cluster, "concurrency").await;
    defined(&cluster, "/queues/q", &json!({"rates": [{"limit": 1, "per": "1h"}]})).await;
    counts(&cluster, "rate").await;
    defined(&cluster, "/queues/q", &json!({"paused": true})).await;
    counts(&cluster, "paused").await;
    cluster.terminate_all().await;
}
