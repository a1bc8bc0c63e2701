//! A leader whose clock is wrong decides nothing, and another one leads.

use std::time::Duration;

use cluster_tests::harness::cluster::Shape;
use cluster_tests::harness::{Cluster, Sandbox};
use cluster_tests::moment::Moment;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::watched::Watched;

const HOUR: i64 = 3_600;
/// Until another node leads.
const HANDED: Duration = Duration::from_secs(10);

async fn three(sandbox: &Sandbox) -> Watched {
    let shape = Shape { shim: true, ..Shape::loopback(3) };
    let cluster = Cluster::make(sandbox, shape).expect("loopback and a C compiler are there");
    Watched::start(cluster).await
}

/// Waits until another node than `old` leads.
async fn another_leads(watched: &Watched, old: usize) -> usize {
    let deadline = Instant::now() + HANDED;
    loop {
        match watched.cluster.leader().await {
            Some(leader) if leader != old => return leader,
            other => assert!(Instant::now() < deadline, "{other:?} leads on"),
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Every nominal time of the job has fired, and log time is what it should be.
async fn all_fired(watched: &Watched) {
    let client = watched.cluster.client();
    let deadline = Instant::now() + HANDED;
    let ledger: Vec<Value> = loop {
        let ledger: Vec<Value> = client.list("/jobs/each-second/ledger").await.expect("answered");
        if ledger.len() > 5 {
            break ledger;
        }
        assert!(Instant::now() < deadline, "it does not fire: {ledger:?}");
        sleep(Duration::from_millis(200)).await;
    };
    let other: Vec<&Value> = ledger.iter().filter(|row| row["outcome"] != "fired").collect();
    assert!(other.is_empty(), "{other:?}");
    let status = client.get("/system/status").await.expect("answered");
    let log_time = Moment::parse(status["log_time"].as_str().expect("a time")).expect("RFC 3339");
    let apart_ms = log_time.ms_since(Moment::now());
    assert!(apart_ms.abs() <= 3_000, "log time is {log_time}, {apart_ms} ms from now");
}

async fn jumps(seconds: i64) {
    let sandbox = Sandbox::new();
    let watched = three(&sandbox).await;
    sleep(Duration::from_secs(6)).await;
    for _ in 0..2 {
        let (old, _) = watched.leader().await;
        watched.cluster.set_clock(old, seconds).await;
        let new = another_leads(&watched, old).await;
        // It fires by its own clock, beside the wrong one.
        sleep(Duration::from_secs(3)).await;
        all_fired(&watched).await;
        let told = watched.told(old).await;
        let ahead = told["clock_ahead_ms"].as_i64().expect("it is known");
        assert!((ahead - seconds * 1_000).abs() < 2_000, "{ahead} ms ahead, not {seconds} s");
        assert!(watched.cluster.log(old).await.contains("the clock of this node is over 2 s"));
        // Who knows that its clock is wrong leaves it to the others.
        watched.cluster.kill(new).await;
        let third = another_leads(&watched, new).await;
        assert_ne!(third, old, "the node with the wrong clock leads");
        watched.cluster.set_clock(old, 0).await;
        watched.cluster.heal().await;
        all_fired(&watched).await;
    }
}

#[tokio::test]
async fn a_leader_whose_clock_jumps_ahead_hands_over_and_log_time_stays() {
    jumps(HOUR).await;
}

#[tokio::test]
async fn a_leader_whose_clock_jumps_back_hands_over_and_nothing_is_missed() {
    jumps(-HOUR).await;
}

#[tokio::test]
async fn three_seconds_are_too_much_and_one_is_not() {
    let sandbox = Sandbox::new();
    let watched = three(&sandbox).await;
    let (leader, before) = watched.leader().await;
    watched.cluster.set_clock(leader, 1).await;
    sleep(Duration::from_secs(3)).await;
    assert_eq!(watched.leader().await, (leader, before));
    watched.cluster.set_clock(leader, 3).await;
    another_leads(&watched, leader).await;
    all_fired(&watched).await;
}
