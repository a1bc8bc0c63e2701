//! `/sinks`: how far they are, and what is asked of whoever writes them.

use cronapi::model::Role;
use serde_json::{Value, json};

use crate::fixture::Node;

async fn told(node: &Node) -> Value {
    node.get("/sinks/audit").await.expect(200).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_says_how_far_it_is_and_is_paused_resumed_and_set_back() {
    let node = Node::start().await;
    let made = node.call("PUT", "/sinks/audit", Some(json!({ "type": "file" }))).await;
    let made = made.expect(201).json();
    assert_eq!(
        (&made["paused"], &made["behind"], &made["node"]),
        (&json!(false), &json!(0), &Value::Null)
    );
    let begin = made["position"].as_str().expect("text").to_owned();
    node.with_job("a").await;
    let behind = told(&node).await["behind"].as_u64().expect("a number");
    assert!(behind > 0, "nobody writes it");
    let paused = node.call("POST", "/sinks/audit/pause", None).await.expect(200).json();
    assert_eq!((&paused["paused"], &paused["name"]), (&json!(true), &json!("audit")));
    assert_eq!(node.call("POST", "/sinks/audit/pause", None).await.expect(200).json(), paused);
    let dry = node.call("POST", "/sinks/audit/resume?dry_run=true", None).await.expect(200).json();
    assert_eq!((&dry["paused"], &told(&node).await["paused"]), (&json!(false), &json!(true)));
    node.call("POST", "/sinks/audit/resume", None).await.expect(200);
    assert_eq!(told(&node).await["paused"], false);
    let back = |to: &str| Some(json!({ "position": to }));
    node.call("POST", "/sinks/audit/rewind", back(&begin)).await.expect(200);
    node.call("POST", "/sinks/audit/rewind", None).await.expect(200);
    let gone = node.call("POST", "/sinks/audit/rewind", back("0-0")).await;
    assert_eq!(gone.expect(409).code(), "events-gone");
    let ahead = node.call("POST", "/sinks/audit/rewind", back("99999-0")).await;
    assert_eq!(ahead.expect(422).code(), "invalid");
    node.call("POST", "/sinks/audit/rewind", back("soon")).await.expect(422);
    node.call("POST", "/sinks/none/rewind", None).await.expect(404);
    for (action, count) in [("sink.pause", 1), ("sink.resume", 1), ("sink.rewind", 2)] {
        let audit = node.get(&format!("/audit?action={action}")).await.expect(200).json();
        assert_eq!(audit["items"].as_array().map(Vec::len), Some(count), "{action}: {audit}");
    }
    let page = node.get("/metrics").await.expect(200);
    let page = String::from_utf8_lossy(&page.body);
    assert!(page.contains("cronapi_sink_behind{sink=\"audit\"}"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_sees_a_sink_and_admins_alone_where_it_leads() {
    let node = Node::start().await;
    let config = json!({ "url": "redis://redis.example.org", "key": "k" });
    let body = json!({ "type": "redis", "config": config });
    node.call("PUT", "/sinks/audit", Some(body)).await.expect(201);
    let viewer = node.with_user("vic", Role::Viewer).await;
    let seen = node.call_as(&viewer, "GET", "/sinks/audit", None).await.expect(200).json();
    assert!(!seen.to_string().contains("redis.example.org"), "{seen}");
    assert_eq!(seen["type"], "redis");
    let operator = node.with_user("olga", Role::Operator).await;
    for what in ["pause", "resume", "rewind"] {
        let path = format!("/sinks/audit/{what}");
        node.call_as(&operator, "POST", &path, None).await.expect(403);
    }
}
