//! Heartbeats of jobs: a monitor elsewhere hears of each success, whoever is killed, and of no
//! failure.

use std::time::Duration;

use cluster_tests::harness::cluster::Shape;
use cluster_tests::harness::sink::{Manner, Sink};
use cluster_tests::harness::{Cluster, Sandbox};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::duties::defined;

/// How long one may take to come, with a fail-over in between.
const PATIENCE: Duration = Duration::from_secs(60);

/// 32 bytes of one.
const SECRETS_KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

async fn job(cluster: &Cluster, name: &str, command: &str, url: Value) {
    let runner = json!({"type": "shell", "command": command});
    let body = json!({"runner": runner, "heartbeat_url": url});
    defined(cluster, &format!("/jobs/{name}"), &body).await;
}

async fn runs(cluster: &Cluster, name: &str) -> Value {
    cluster.client().run_to_end(name, "").await.expect("it ends")
}

/// Waits until the heartbeat of a job is so.
async fn until(cluster: &Cluster, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let job = cluster.client().get(&format!("/jobs/{name}")).await.expect("it is there");
        if wanted(&job["heartbeat"]) {
            return job["heartbeat"].clone();
        }
        assert!(Instant::now() < deadline, "{}", job["heartbeat"]);
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_success_is_told_whoever_is_killed() {
    let sandbox = Sandbox::new();
    let cluster = Cluster::make(&sandbox, Shape::loopback(3)).expect("loopback is everywhere");
    cluster.env("CRONAPI_SECRETS_KEY", SECRETS_KEY).await;
    cluster.start().await;
    cluster.wait_whole().await;
    let monitor = Sink::start(cluster.own_address()).await;
    let secret = json!({"value": monitor.url(), "scope": {"jobs": ["good"]}});
    let path = "/secrets/monitor";
    cluster.client().write(Method::PUT, path, Some(&secret), "").await.expect("kept");
    job(&cluster, "good", "true", json!({"secret": "monitor"})).await;
    job(&cluster, "bad", "false", json!(monitor.url())).await;
    assert_eq!(runs(&cluster, "bad").await["status"], "failed");
    runs(&cluster, "good").await;
    monitor.next(0, PATIENCE, |_| true).await.expect("it is told");
    until(&cluster, "good", |beat| beat["sent_at"].is_string()).await;
    assert_eq!(monitor.told().len(), 1, "a failure is no heartbeat");

    // The monitor is away, and each node once.
    monitor.answer(Manner::Refused(503));
    let run = runs(&cluster, "good").await;
    let fault = until(&cluster, "good", |beat| beat["fault"].is_string()).await;
    assert_eq!(
        (&fault["fault"], &fault["waiting"]),
        (&json!("HTTP 503 Service Unavailable"), &run["id"])
    );
    for node in cluster.indexes() {
        cluster.kill(node).await;
        cluster.up(node).await;
    }
    cluster.wait_whole().await;
    let seen = monitor.told().len();
    monitor.answer(Manner::Taken);
    monitor.next(seen, PATIENCE, |told| told.status == 200).await.expect("it is told");
    until(&cluster, "good", |beat| beat["fault"].is_null() && beat["waiting"].is_null()).await;

    // What waits when another run succeeds is told with that one.
    let seen = monitor.told().len();
    for _ in 0..3 {
        runs(&cluster, "good").await;
    }
    until(&cluster, "good", |beat| beat["waiting"].is_null()).await;
    let told = monitor.told().len() - seen;
    assert!((1..=3).contains(&told), "{told} for three runs");
    for node in cluster.indexes() {
        let log = cluster.log(node).await;
        assert!(!log.contains(&monitor.url()), "node {node} tells where the monitor is");
    }
}

#[tokio::test]
async fn a_secret_that_is_not_for_the_job_and_an_address_inside_are_refused() {
    let sandbox = Sandbox::new();
    let cluster = Cluster::make(&sandbox, Shape::loopback(1)).expect("loopback is everywhere");
    cluster.env("CRONAPI_SECRETS_KEY", SECRETS_KEY).await;
    cluster.start().await;
    cluster.wait_whole().await;
    let secret = |jobs: &str| {
        let body = json!({"value": "https://hc.example.org/a", "scope": {"jobs": [jobs]}});
        let client = cluster.client();
        async move { client.write(Method::PUT, "/secrets/monitor", Some(&body), "").await }
    };
    secret("hidden").await.expect("kept");
    job(&cluster, "hidden", "true", json!({"secret": "monitor"})).await;
    secret("other").await.expect("kept");
    job(&cluster, "inside", "true", json!("http://169.254.169.254/latest/meta-data")).await;
    for (name, wanted) in [("hidden", "is not for this job"), ("inside", "denied")] {
        runs(&cluster, name).await;
        let beat = until(&cluster, name, |beat| beat["fault"].is_string()).await;
        assert!(beat["fault"].as_str().is_some_and(|fault| fault.contains(wanted)), "{beat}");
    }
}
