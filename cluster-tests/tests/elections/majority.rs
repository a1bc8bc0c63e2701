//! For want of a majority no process ends: it waits, says so, and goes on.

use std::time::Duration;

use cluster_tests::harness::client::{PlainAnswer, plain_text};
use cluster_tests::harness::cluster::Shape;
use cluster_tests::harness::{Cluster, Sandbox};
use serde_json::json;
use tokio::time::{Instant, sleep};

/// Longer than a command is waited for, which once ended the process.
const ALONE: Duration = Duration::from_secs(14);
/// A sync on a bad disk.
const SLOW: Duration = Duration::from_millis(1_500);

/// A node says at its door that it waits for a majority.
async fn says_that_it_waits(cluster: &Cluster, node: usize) {
    let ready = format!("{}/readyz", cluster.url(node));
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let last = match plain_text(&ready).await {
            Ok(PlainAnswer { status: 503, text }) if text.contains("waits for a majority") => {
                return;
            }
            other => format!("{other:?}"),
        };
        assert!(cluster.runs(node).await, "node {node} has ended");
        assert!(Instant::now() < deadline, "node {node} says {last}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// A process is still there after so long.
async fn stays(cluster: &Cluster, node: usize, long: Duration) {
    let until = Instant::now() + long;
    while Instant::now() < until {
        assert!(cluster.runs(node).await, "node {node} ended: {}", cluster.log(node).await);
        sleep(Duration::from_millis(100)).await;
    }
}

/// All nodes work together: what one takes another shows.
async fn works(cluster: &Cluster, name: &str) {
    cluster.wait_ready().await;
    cluster.wait_whole().await;
    for node in 0..cluster.size() {
        let name = format!("{name}-{node}");
        cluster.client_of(node).create(&json!({"name": name}), &name).await.expect("created");
        let other = cluster.client_of((node + 1) % cluster.size());
        let found = other.get(&format!("/jobs/{name}")).await.expect("it is there");
        assert_eq!(found["name"], name.as_str());
    }
}

#[tokio::test]
async fn the_last_leader_alone_waits_for_the_others_and_goes_on_with_them() {
    let sandbox = Sandbox::new();
    let cluster = Cluster::make(&sandbox, Shape::loopback(3)).expect("loopback is everywhere");
    cluster.start().await;
    works(&cluster, "before").await;
    let last = cluster.leader().await.expect("one leads");
    for node in cluster.indexes() {
        cluster.kill(node).await;
    }
    cluster.spawn(last).await;
    says_that_it_waits(&cluster, last).await;
    stays(&cluster, last, ALONE).await;
    says_that_it_waits(&cluster, last).await;
    let log = cluster.log(last).await;
    assert!(log.contains("waits for a majority"), "{log}");
    for node in cluster.indexes().filter(|node| *node != last) {
        cluster.spawn(node).await;
    }
    works(&cluster, "after").await;
    assert_eq!(cluster.faults(), Vec::<String>::new());
}

#[tokio::test]
async fn a_leader_that_is_back_at_once_on_a_slow_disk_stays() {
    let sandbox = Sandbox::new();
    let shape = Shape { shim: true, ..Shape::loopback(3) };
    let cluster = Cluster::make(&sandbox, shape).expect("loopback and a C compiler are there");
    cluster.start().await;
    works(&cluster, "before").await;
    let last = cluster.leader().await.expect("one leads");
    for node in cluster.indexes() {
        cluster.set_sync_pause(node, SLOW).await;
    }
    cluster.kill(last).await;
    cluster.spawn(last).await;
    stays(&cluster, last, ALONE).await;
    for node in cluster.indexes() {
        cluster.set_sync_pause(node, Duration::ZERO).await;
    }
    works(&cluster, "after").await;
}

#[tokio::test]
async fn a_cluster_of_one_on_a_slow_disk_starts() {
    let sandbox = Sandbox::new();
    let shape = Shape { shim: true, ..Shape::loopback(1) };
    let cluster = Cluster::make(&sandbox, shape).expect("loopback and a C compiler are there");
    // Each of the first commands takes longer than it is waited for.
    cluster.set_sync_pause(0, 8 * SLOW).await;
    cluster.spawn(0).await;
    stays(&cluster, 0, 2 * ALONE).await;
    cluster.set_sync_pause(0, Duration::ZERO).await;
    works(&cluster, "after").await;
    cluster.kill(0).await;
    cluster.set_sync_pause(0, 8 * SLOW).await;
    cluster.spawn(0).await;
    stays(&cluster, 0, 2 * ALONE).await;
    cluster.set_sync_pause(0, Duration::ZERO).await;
    works(&cluster, "again").await;
}
