//! `/triggers`: how far they are, and what is asked of whoever reads them.

use serde_json::{Value, json};

use crate::fixture::Node;

fn orders() -> Value {
    json!({ "type": "redis_stream", "job": "pack",
        "config": { "url": "redis://redis.example.org", "stream": "orders" } })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_says_how_far_it_is_and_is_paused_resumed_and_set_elsewhere() {
    let node = Node::start().await;
    let made = node.call("PUT", "/triggers/orders", Some(orders())).await.expect(201);
    let made = made.json();
    assert!(made["warnings"].to_string().contains("pack"), "there is no such job: {made}");
    assert_eq!(
        (&made["position"], &made["refused"], &made["node"], &made["paused"]),
        (&json!("0-0"), &json!(0), &Value::Null, &json!(false))
    );
    let post = async |what: &str, body: Option<Value>| {
        node.call("POST", &format!("/triggers/orders/{what}"), body).await
    };
    let paused = post("pause", None).await.expect(200).json();
    assert_eq!((&paused["paused"], &paused["name"]), (&json!(true), &json!("orders")));
    let dry = post("resume?dry_run=true", None).await.expect(200).json();
    let now = node.get("/triggers/orders").await.expect(200).json();
    assert_eq!((&dry["paused"], &now["paused"]), (&json!(false), &json!(true)));
    post("resume", None).await.expect(200);
    let to = |id: &str| Some(json!({ "position": id }));
    let moved = post("rewind", to("1767225600000-4")).await.expect(200).json();
    assert_eq!(moved["position"], "1767225600000-4");
    let begun = post("rewind", None).await.expect(200).json();
    assert_eq!(begun["position"], "0-0");
    for bad in ["soon", "+1-0", "1-", "99999999999999999999-0"] {
        post("rewind", to(bad)).await.expect(422);
    }
    node.call("POST", "/triggers/none/pause", None).await.expect(404);
    for (action, count) in [("trigger.pause", 1), ("trigger.resume", 1), ("trigger.rewind", 2)] {
        let audit = node.get(&format!("/audit?action={action}")).await.expect(200).json();
        assert_eq!(audit["items"].as_array().map(Vec::len), Some(count), "{action}: {audit}");
    }
}
