//! Probes: an answer for everybody, detail for those with a token.

use axum::body::Body;
use axum::http::Request;

use super::fixture::{Answer, Node};

async fn anybody(node: &Node, path: &str) -> Answer {
    node.send(Request::get(path).body(Body::empty()).unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_need_no_token_and_tell_no_detail() {
    let node = Node::start().await;
    for path in ["/livez", "/readyz", "/healthz", "/health"] {
        let answer = anybody(&node, path).await.expect(200).json();
        assert_eq!(answer, serde_json::json!({"status": "ok"}), "{path}");
    }
    let told = anybody(&node, "/readyz?verbose").await.expect(200).json();
    let checks = told["checks"].as_array().unwrap();
    let names: Vec<_> = checks.iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["running", "leader", "applied", "storage", "disk"]);
    assert!(checks.iter().all(|check| check["ok"] == true && check.get("detail").is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_shows_what_is_behind_a_check() {
    let node = Node::start().await;
    let told = node.get("/readyz?verbose").await.expect(200).json();
    let leader = &told["checks"][1];
    let id = node.consensus.node_id();
    assert!(leader["detail"].as_str().unwrap().starts_with(&format!("node {id} leads")));
    let wrong = Request::get("/readyz?verbose").header("authorization", "Bearer nonsense");
    let told = node.send(wrong.body(Body::empty()).unwrap()).await.expect(200).json();
    assert!(told["checks"][1].get("detail").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_can_not_serve_names_what_it_lacks() {
    let node = Node::start().await;
    node.consensus.clone().shutdown().await.unwrap();
    let told = anybody(&node, "/readyz").await.expect(503);
    assert_eq!(told.code(), "not-ready");
    assert!(told.json()["detail"].as_str().unwrap().contains("leader"), "{:?}", told.json());
    let told = node.get("/readyz").await.expect(503).json();
    assert!(told["detail"].as_str().unwrap().contains("no leader is known"), "{told}");
    anybody(&node, "/livez").await.expect(200);
    anybody(&node, "/readyz?exclude=leader,running").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_check_can_not_be_left_out() {
    let node = Node::start().await;
    let told = anybody(&node, "/readyz?exclude=disc").await.expect(400);
    assert!(told.json()["detail"].as_str().unwrap().contains("disk"));
    anybody(&node, "/readyz?exlude=disk").await.expect(400);
}
