//! The cluster's own heartbeat to a monitor elsewhere: one at a time goes out, whoever leads, and
//! none without a majority.

use std::time::Duration;

use cluster_tests::harness::cluster::Shape;
use cluster_tests::harness::sink::{Manner, Sink};
use cluster_tests::harness::{Cluster, Sandbox, skipped};
use tokio::time::sleep;

/// How long one may take to come, with a fail-over in between.
const PATIENCE: Duration = Duration::from_secs(30);
/// From one to the next.
const EVERY: Duration = Duration::from_secs(1);

async fn next(monitor: &Sink) {
    let from = monitor.told().len();
    monitor.next(from, PATIENCE, |_| true).await.expect("a heartbeat comes");
}

#[tokio::test]
async fn the_heartbeat_goes_on_with_another_leader_and_stops_without_a_majority() {
    let sandbox = Sandbox::new();
    let cluster = Cluster::make(&sandbox, Shape::loopback(3)).expect("loopback is everywhere");
    let monitor = Sink::start(cluster.own_address()).await;
    cluster.env("CRONAPI_HEARTBEAT_URL", &monitor.url()).await;
    cluster.env("CRONAPI_HEARTBEAT_EVERY", "1s").await;
    cluster.start().await;
    cluster.wait_whole().await;
    next(&monitor).await;
    // One node alone sends.
    let (before, rounds) = (monitor.told().len(), 4);
    sleep(EVERY * rounds).await;
    let come = monitor.told().len() - before;
    assert!(come <= rounds as usize + 1, "{come} in {rounds} seconds");

    let leader = cluster.leader().await.expect("it is whole");
    cluster.kill(leader).await;
    next(&monitor).await;
    let other = cluster.leader().await.expect("two of three elect");
    cluster.kill(other).await;
    // What was on its way may still come.
    sleep(2 * EVERY).await;
    let last = monitor.told().len();
    sleep(4 * EVERY).await;
    assert_eq!(monitor.told().len(), last, "one of three tells nobody that it can decide");

    cluster.up(leader).await;
    next(&monitor).await;
    // A monitor that refuses is told again, and its address is in no log.
    monitor.answer(Manner::Refused(503));
    next(&monitor).await;
    monitor.answer(Manner::Taken);
    next(&monitor).await;
    for node in 0..3 {
        let log = std::fs::read_to_string(sandbox.path().join(format!("node{node}.stderr")));
        assert!(!log.expect("it has a log").contains(&monitor.url()), "node {node} tells of it");
    }
}

#[tokio::test]
async fn a_cluster_that_can_keep_nothing_tells_nobody_that_it_can_decide() {
    let sandbox = Sandbox::new();
    let shape = Shape { disks: true, ..Shape::loopback(1) };
    let cluster = match Cluster::make(&sandbox, shape) {
        Ok(cluster) => cluster,
        Err(why) => return skipped("the heartbeat on a full disk", &why),
    };
    let monitor = Sink::start(cluster.own_address()).await;
    cluster.env("CRONAPI_HEARTBEAT_URL", &monitor.url()).await;
    cluster.env("CRONAPI_HEARTBEAT_EVERY", "1s").await;
    cluster.start().await;
    cluster.wait_whole().await;
    next(&monitor).await;
    cluster.fill_disk(0, true).await;
    // What was on its way may still come, and the node has to notice.
    sleep(3 * EVERY).await;
    let last = monitor.told().len();
    sleep(4 * EVERY).await;
    assert_eq!(monitor.told().len(), last, "its disk takes nothing");
    cluster.fill_disk(0, false).await;
    next(&monitor).await;
}
