//! A long way between nodes makes all of it slow: it deposes no leader, and an election ends.

use std::time::Duration;

use cluster_tests::harness::cluster::Shape;
use cluster_tests::harness::{Cluster, Place, Sandbox, skipped};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::watched::Watched;

/// How long no election may be seen.
const WATCHED: Duration = Duration::from_secs(10);
/// What an election and a write may take within a site.
const NEAR: Duration = Duration::from_secs(2);
/// And how many times a round trip; packets that are lost are sent again.
const TRIPS: u32 = 30;

async fn far(trips_ms: &[u16], loss_percent: u8) {
    let sandbox = Sandbox::new();
    let shape = Shape { place: Place::Lab, ..Shape::loopback(3) };
    let cluster = match Cluster::make(&sandbox, shape) {
        Ok(cluster) => cluster,
        Err(why) => return skipped("slow links", &why),
    };
    let watched = Watched::start(cluster).await;
    let cluster = &watched.cluster;
    for trip in trips_ms.iter().copied() {
        if let Err(why) = cluster.lab().far_apart(trip, loss_percent) {
            return skipped("slow links", &why);
        }
        let what = format!("{trip} ms, {loss_percent} % lost");
        // It is not known yet how long the way is now.
        watched.write(0).await;
        let write = watched.no_election(WATCHED, &what).await;
        let took = watched.fail_over().await;
        println!("{what}: a write took {write:?} at most, the fail-over {took:?}");
        let most = NEAR + TRIPS * Duration::from_millis(trip.into());
        assert!(took < most, "{what}: it took {took:?}");
        cluster.heal().await;
    }
}

#[tokio::test]
async fn round_trips_of_1_to_60_ms_depose_no_leader_and_hinder_no_election() {
    far(&[1, 20, 60], 0).await;
}

#[tokio::test]
async fn round_trips_of_120_and_200_ms_depose_no_leader_and_hinder_no_election() {
    far(&[120, 200], 0).await;
}

#[tokio::test]
async fn packets_that_are_lost_depose_no_leader_and_hinder_no_election() {
    far(&[20, 200], 2).await;
}

/// Until a leader that is cut off gives a write up, with room for a slow machine.
const GIVEN_UP: Duration = Duration::from_millis(4_000);

/// Method, path, body, headers.
type Write<'a> = (Method, &'a str, &'a Value, &'a [(&'a str, &'a str)]);

#[tokio::test]
async fn a_leader_that_is_cut_off_answers_a_write_within_its_patience() {
    let sandbox = Sandbox::new();
    let shape = Shape { place: Place::Lab, ..Shape::loopback(3) };
    let cluster = match Cluster::make(&sandbox, shape) {
        Ok(cluster) => cluster,
        Err(why) => return skipped("a leader that is cut off", &why),
    };
    let watched = Watched::start(cluster).await;
    let cluster = &watched.cluster;
    watched.write(0).await;
    let (leader, _) = watched.leader().await;
    let client = cluster.client_of(leader);
    client.prepare().await.expect("a token");
    cluster.lab().isolate(leader).expect("this is root");
    let there = json!({"name": "each-second"});
    let new = json!({"name": "new"});
    let changed = json!({"description": "changed"});
    let writes: [Write<'_>; 5] = [
        (Method::PUT, "/jobs/each-second", &there, &[]),
        (Method::PUT, "/jobs/new", &new, &[("If-None-Match", "*")]),
        (Method::PUT, "/jobs/new", &new, &[("Idempotency-Key", "cut-off")]),
        (Method::PATCH, "/jobs/nowhere", &changed, &[]),
        (Method::POST, "/jobs", &there, &[]),
    ];
    for round in 0..2 {
        for (method, path, body, headers) in &writes {
            let began = Instant::now();
            let answer = client.attempt(method, path, Some(body), headers).await;
            let (took, answer) = (began.elapsed(), answer.expect("an answer"));
            let what = format!("{method} {path}, round {round}");
            println!("{what}: {} after {took:?}", answer.status);
            assert_eq!(answer.status, 503, "{what}: {}", answer.text);
            assert!(took < GIVEN_UP, "{what}: it took {took:?}");
        }
    }
    cluster.heal().await;
}

/// Runs go to every node of a cluster as soon as all its nodes are ready.
#[tokio::test]
async fn the_first_runs_of_a_fresh_cluster_go_to_all_its_nodes() {
    let sandbox = Sandbox::new();
    let cluster = Cluster::make(&sandbox, Shape::loopback(3)).expect("loopback is everywhere");
    cluster.start().await;
    let client = cluster.client();
    let job = json!({"name": "first", "runner": {"type": "shell", "command": "true"}});
    client.create(&job, "first").await.expect("created");
    let mut nodes = std::collections::BTreeSet::new();
    for n in 0..6 {
        let run = client.run_to_end("first", &format!("first-{n}")).await.expect("it ran");
        nodes.insert(run["node"].to_string());
    }
    assert_eq!(nodes.len(), 3, "all six runs went to {nodes:?}");
}
