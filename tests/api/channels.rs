//! `/channels`: written by admins, tested at once, and nothing secret in any answer or record.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use cronapi::model::Role;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::fixture::Node;

const VALUE: &str = "correct-battery-staple";

type Sent = Arc<Mutex<Vec<Value>>>;

/// A receiver that keeps the documents it is sent.
async fn receiver() -> (Sent, String) {
    let sent = Sent::default();
    let kept = sent.clone();
    let take = move |body: Bytes| async move {
        let document = serde_json::from_slice(&body).expect("valid JSON");
        kept.lock().expect("not poisoned").push(document);
        "ok"
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("known");
    let app = Router::new().route("/{*path}", post(take));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (sent, format!("http://{address}"))
}

async fn with_channel(node: &Node, config: Value) -> Value {
    let body = json!({ "type": "webhook", "config": config });
    node.call("PUT", "/channels/ops", Some(body)).await.expect(201).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_goes_out_at_once_and_is_written_down_without_secrets() {
    let (node, (sent, url)) = (Node::start().await, receiver().await);
    let secret = |value: String| Some(json!({ "value": value, "scope": { "jobs": ["none"] } }));
    let hook = format!("{url}/{VALUE}");
    let made =
        with_channel(&node, json!({ "url": { "secret": "hook" }, "sign": { "secret": "key" } }));
    let made = made.await;
    let warnings = made["warnings"].as_array().expect("warnings");
    assert_eq!(warnings.len(), 2, "{made}");
    let first = warnings[0].as_str().expect("text");
    assert!(first.starts_with("config/url: there is no secret hook"), "{first}");
    let missing = node.call("POST", "/channels/ops/test", None).await.expect(200).json();
    assert_eq!(missing["ok"], false);
    assert!(missing["detail"].as_str().unwrap().contains("there is no secret hook"), "{missing}");
    node.call("PUT", "/secrets/hook", secret(hook)).await.expect(200);
    node.call("PUT", "/secrets/key", secret(VALUE.into())).await.expect(200);
    let done = node.call("POST", "/channels/ops/test", None).await.expect(200).json();
    assert_eq!((&done["ok"], &done["detail"]), (&json!(true), &json!("HTTP 200 OK")));
    assert!(done["latency_ms"].is_u64());
    let document = sent.lock().unwrap()[0].clone();
    assert_eq!((&document["kind"], &document["version"]), (&json!("test"), &json!(1)));
    assert!(document["reason"].as_str().unwrap().starts_with("admin tries the channel ops."));
    // Such records are written a moment later, with others.
    let mut applied = node.consensus.applied();
    let audit = loop {
        applied.borrow_and_update();
        let audit = node.get("/audit?action=channel.test").await.expect(200).json();
        if audit["items"].as_array().is_some_and(|items| items.len() == 2) {
            break audit;
        }
        applied.changed().await.expect("the node goes on");
    };
    assert_eq!(audit["items"][0]["target"], "ops");
    for path in ["/channels", "/channels/ops", "/channels/ops/versions/1", "/audit", "/metrics"] {
        let text = String::from_utf8(node.get(path).await.expect(200).body.to_vec()).unwrap();
        assert!(!text.contains(VALUE), "{path}: {text}");
        let counted = "cronapi_channel_sends_total{outcome=\"delivered\",type=\"webhook\"} 1";
        assert!(path != "/metrics" || text.contains(counted), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tests_are_for_admins_of_channels_that_there_are_and_are_bounded() {
    let (node, (_, url)) = (Node::start().await, receiver().await);
    with_channel(&node, json!({ "url": format!("{url}/in") })).await;
    let operator = node.with_user("olga", Role::Operator).await;
    let denied = node.call_as(&operator, "POST", "/channels/ops/test", None).await;
    assert_eq!(denied.expect(403).code(), "forbidden");
    let seen = node.call_as(&operator, "GET", "/channels/ops", None).await.expect(200).json();
    assert_eq!((&seen["type"], &seen["config"]), (&json!("webhook"), &json!("********")));
    node.call("POST", "/channels/other/test", None).await.expect(404);
    for _ in 0..5 {
        node.call("POST", "/channels/ops/test", None).await.expect(200);
    }
    let throttled = node.call("POST", "/channels/ops/test", None).await.expect(429);
    assert!(!throttled.header("retry-after").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_name_the_field() {
    let node = Node::start().await;
    let topic = json!({ "topic": "a" });
    let ntfy = |texts: Value| json!({ "type": "ntfy", "config": topic, "template": texts });
    let mail = json!({ "host": "a", "from": "x", "to": ["a@b.org"] });
    let slack =
        |field: &str| json!({ "type": "slack", "config": { field: "https://hooks.slack.com/x" } });
    let told = [
        (ntfy(json!({ "body": "{{ x }" })), "/template/body"),
        (ntfy(json!({ "subject": "{{ jbo }}" })), "/template/subject"),
        (json!({ "type": "fax", "config": {} }), "/type"),
        (slack("url"), "/config/url"),
        (slack("uri"), "/config/uri"),
        (json!({ "type": "email", "config": mail }), "/config/from"),
    ];
    for (body, pointer) in told {
        let refused =
            node.call("PUT", "/channels/ops", Some(body.clone())).await.expect(422).json();
        let errors = refused["errors"].as_array().expect("errors");
        assert!(errors.iter().any(|fault| fault["pointer"] == pointer), "{body}: {refused}");
    }
}
