//! How nodes become a cluster: one, and never a second one.

use std::time::Duration;

use cluster_tests::harness::cluster::{Join, Shape};
use cluster_tests::harness::{Cluster, Sandbox, client};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// For what must not happen: long enough for nodes to find each other several times over.
const WATCHED: Duration = Duration::from_secs(4);

fn cluster(sandbox: &Sandbox, shape: Shape) -> Cluster {
    Cluster::make(sandbox, shape).expect("the loopback interface is everywhere")
}

/// The id of the cluster that a node is of.
async fn id(cluster: &Cluster, node: usize) -> String {
    let status = cluster.client_of(node).get("/system/status").await.expect("it answers");
    status["cluster_id"].as_str().unwrap_or_default().to_string()
}

/// The id of the one cluster that all are of.
async fn only_id(cluster: &Cluster) -> String {
    let first = id(cluster, 0).await;
    assert!(!first.is_empty());
    for node in 1..cluster.size() {
        assert_eq!(id(cluster, node).await, first, "node {node}");
    }
    first
}

/// Waits until so many members vote and are live, as every node says.
async fn voters(cluster: &Cluster, count: usize) {
    let deadline = Instant::now() + Duration::from_secs(60);
    for node in 0..cluster.size() {
        let client = cluster.client_of(node);
        loop {
            let nodes = client.get("/cluster/nodes").await.expect("it answers");
            let items = nodes["items"].as_array().cloned().unwrap_or_default();
            let votes = |item: &&Value| {
                let role = item["role"].as_str().unwrap_or_default();
                item["live"] == true && matches!(role, "leader" | "follower" | "voter")
            };
            if items.iter().filter(votes).count() == count {
                break;
            }
            assert!(Instant::now() < deadline, "node {node} says {nodes}");
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Nobody of these takes itself for a cluster.
async fn stay_alone(cluster: &Cluster, nodes: &[usize]) {
    let until = Instant::now() + WATCHED;
    while Instant::now() < until {
        for node in nodes {
            let ready = format!("{}/readyz", cluster.url(*node));
            let answer = client::plain(&ready).await.ok();
            assert_ne!(answer, Some(200), "node {node} is ready without the others");
        }
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn nodes_with_one_list_become_one_cluster() {
    let sandbox = Sandbox::new();
    let cluster = cluster(&sandbox, Shape::loopback(3));
    cluster.start().await;
    voters(&cluster, 3).await;
    only_id(&cluster).await;
    // What one acknowledges, the next read at any other shows.
    for node in 0..3 {
        let name = format!("job-{node}");
        let client = cluster.client_of(node);
        client.create(&json!({"name": name}), &name).await.expect("created");
        for other in 0..3 {
            let found = cluster.client_of(other).get(&format!("/jobs/{name}")).await;
            assert_eq!(found.expect("it is there")["name"], name.as_str());
        }
    }
}

#[tokio::test]
async fn five_nodes_become_one_cluster() {
    let sandbox = Sandbox::new();
    let cluster = cluster(&sandbox, Shape::loopback(5));
    cluster.start().await;
    voters(&cluster, 5).await;
    only_id(&cluster).await;
}

#[tokio::test]
async fn a_running_node_takes_others_in() {
    let sandbox = Sandbox::new();
    let shape = Shape { join: Join::First, ..Shape::loopback(3) };
    let cluster = cluster(&sandbox, shape);
    cluster.up(0).await;
    let before = id(&cluster, 0).await;
    let client = cluster.client_of(0);
    client.create(&json!({"name": "early"}), "early").await.expect("created");
    cluster.up(1).await;
    cluster.up(2).await;
    voters(&cluster, 3).await;
    assert_eq!(only_id(&cluster).await, before);
    for node in 0..3 {
        cluster.client_of(node).get("/jobs/early").await.expect("it is there");
    }
}

#[tokio::test]
async fn nothing_begins_without_the_first_of_the_list() {
    let sandbox = Sandbox::new();
    let cluster = cluster(&sandbox, Shape::loopback(3));
    cluster.spawn(1).await;
    cluster.spawn(2).await;
    stay_alone(&cluster, &[1, 2]).await;
    cluster.spawn(0).await;
    cluster.wait_ready().await;
    voters(&cluster, 3).await;
    only_id(&cluster).await;
}

#[tokio::test]
async fn a_first_node_that_lost_its_data_founds_no_second_cluster() {
    let sandbox = Sandbox::new();
    let cluster = cluster(&sandbox, Shape::loopback(3));
    cluster.start().await;
    voters(&cluster, 3).await;
    let before = only_id(&cluster).await;
    cluster.client().create(&json!({"name": "kept"}), "kept").await.expect("created");
    // While the others run: they take it in again.
    cluster.kill(0).await;
    cluster.wipe(0).await;
    cluster.up(0).await;
    cluster.wait_whole().await;
    assert_eq!(only_id(&cluster).await, before);
    // While they do not: it waits, for one of them and for both.
    for node in 0..3 {
        cluster.kill(node).await;
    }
    cluster.wipe(0).await;
    cluster.spawn(0).await;
    stay_alone(&cluster, &[0]).await;
    cluster.spawn(1).await;
    stay_alone(&cluster, &[0]).await;
    cluster.spawn(2).await;
    cluster.wait_ready().await;
    cluster.wait_whole().await;
    assert_eq!(only_id(&cluster).await, before);
    for node in 0..3 {
        cluster.client_of(node).get("/jobs/kept").await.expect("it is there");
    }
}
