//! Logins at three nodes: what fails at one counts at all of them, before the next try, and a
//! refresh token that was used up at one is used up at all.

use std::time::Duration;

use cluster_tests::harness::cluster::PASSWORD;
use cluster_tests::harness::{Client, Cluster, Sandbox, Shape};
use reqwest::Method;
use serde_json::json;
use tokio::time::{Instant, sleep};

const FORMAT_MAX: Duration = Duration::from_secs(20);

async fn three(sandbox: &Sandbox) -> Cluster {
    let cluster = Cluster::make(sandbox, Shape::loopback(3)).expect("the loopback interface");
    cluster.start().await;
    // Its first admin is there then.
    cluster.wait_whole().await;
    newest_format(&cluster).await;
    cluster
}

/// Failures are counted together, and refresh tokens used up, from formats on that a new cluster
/// of several nodes comes to by and by: until it takes what the newest one has.
async fn newest_format(cluster: &Cluster) {
    let client = cluster.client();
    let newest = json!({ "name": "newest", "limits": { "cpu": "1m" } });
    let deadline = Instant::now() + FORMAT_MAX;
    loop {
        let answer = client.attempt(&Method::POST, "/jobs", Some(&newest), &[]).await;
        let status = answer.expect("an answer").status;
        if status == 201 {
            return;
        }
        assert!(Instant::now() < deadline, "the format is not raised: {status}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn wrong_logins_count_on_all_nodes_together() {
    let sandbox = Sandbox::new();
    let cluster = three(&sandbox).await;
    let nodes: Vec<Client> =
        (0..3).map(|node| Client::at(cluster.url(node), "admin", "wrong")).collect();
    let mut tried = Vec::new();
    for turn in 0..11 {
        let (status, _) = nodes[turn % 3].login().await.expect("an answer");
        tried.push(status);
    }
    assert_eq!(tried, [vec![401; 10], vec![429]].concat(), "ten in a row, at whichever node");
    for node in &nodes {
        assert_eq!(node.login().await.expect("an answer").0, 429);
    }
}

#[tokio::test]
async fn a_refresh_token_is_used_up_on_all_nodes() {
    let sandbox = Sandbox::new();
    let cluster = three(&sandbox).await;
    let login = json!({ "username": "admin", "password": PASSWORD });
    let ask = async |node: usize, path: &str, body: &serde_json::Value| {
        let client = cluster.client_of(node);
        client.attempt(&Method::POST, path, Some(body), &[]).await.expect("an answer")
    };
    let session = ask(0, "/auth/token", &login).await.body;
    let first = json!({ "refresh_token": session["refresh_token"] });
    let next = ask(1, "/auth/refresh", &first).await;
    assert_eq!(next.status, 200, "{}", next.text);
    let second = json!({ "refresh_token": next.body["refresh_token"] });
    assert_eq!(ask(2, "/auth/refresh", &first).await.status, 401);
    for node in 0..3 {
        assert_eq!(ask(node, "/auth/refresh", &second).await.status, 401, "node {node}");
    }
}
