//! Monitors: pings as scripts send them, keys that are told once, and who may do what.

use cronapi::model::limits::{PING_BODY_BYTES_MAX, PINGS};
use cronapi::model::{Role, Scope};
use serde_json::{Value, json};

use super::fixture::{Answer, Node, user};

/// A node with the monitor `dump`; and where its pings go.
async fn listening() -> (Node, String) {
    let node = Node::start().await;
    let made = node.post("/monitors", json!({"name": "dump", "every": "1h"})).await;
    let path = made.expect(201).json()["ping_path"].as_str().unwrap().to_owned();
    (node, path)
}

async fn sent(node: &Node, method: &str, path: &str, body: &str) -> Answer {
    let request = axum::http::Request::builder().method(method).uri(path);
    let request = request.header("user-agent", "curl/8.1").body(body.to_owned().into());
    node.send(request.unwrap()).await
}

async fn shown(node: &Node) -> Value {
    node.get("/monitors/dump").await.expect(200).json()
}

async fn pings(node: &Node) -> Vec<Value> {
    let page = node.get("/monitors/dump/pings").await.expect(200).json();
    page["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn pings_are_as_healthchecks_has_them() {
    let (node, path) = listening().await;
    assert_eq!(shown(&node).await["status"], "new");
    let done = sent(&node, "GET", &path, "").await.expect(200);
    assert_eq!((&done.body[..], done.header("ping-body-limit")), (&b"OK"[..], "10000"));
    assert_eq!(done.header("content-type"), "text/plain; charset=utf-8");
    let up = shown(&node).await;
    assert_eq!(
        (&up["status"], &up["pings"], &up["ping_path"]),
        (&json!("up"), &json!(1), &Value::Null)
    );
    assert!(up["explanation"].as_str().unwrap().starts_with("Up. The next ping is due at"));
    assert!(sent(&node, "HEAD", &path, "").await.expect(200).body.is_empty());
    let long = "x".repeat(PING_BODY_BYTES_MAX + 1);
    sent(&node, "POST", &path, &long).await.expect(200);
    sent(&node, "POST", &format!("{path}/fail"), "disk full").await.expect(200);
    assert_eq!(shown(&node).await["status"], "down");
    let run = "0190b9a1-1f2c-4b7e-8d3a-0c6a3a2f9a11";
    sent(&node, "GET", &format!("{path}/start?rid={run}&create=1"), "").await.expect(200);
    sent(&node, "POST", &format!("{path}/log"), "half way").await.expect(200);
    sent(&node, "GET", &format!("{path}/0?rid={run}"), "").await.expect(200);
    assert_eq!(shown(&node).await["status"], "up");
    sent(&node, "GET", &format!("{path}/255"), "").await.expect(200);
    let all = pings(&node).await;
    let kinds: Vec<&str> = all.iter().map(|ping| ping["kind"].as_str().unwrap()).collect();
    let (done, fail) = ("success", "fail");
    assert_eq!(kinds, [fail, done, "log", "start", fail, done, done, done]);
    assert_eq!((&all[0]["exit_code"], &all[1]["exit_code"]), (&json!(255), &json!(0)));
    assert_eq!((&all[3]["rid"], &all[4]["body"]), (&json!(run), &json!("disk full")));
    assert_eq!(all[5]["body_bytes"], PING_BODY_BYTES_MAX);
    assert_eq!((&all[6]["method"], &all[6]["agent"]), (&json!("HEAD"), &json!("curl/8.1")));
    for wrong in ["256", "-1", "stop", "1.5"] {
        sent(&node, "GET", &format!("{path}/{wrong}"), "").await.expect(400);
    }
    sent(&node, "GET", &format!("{path}?rid=x"), "").await.expect(400);
    sent(&node, "GET", &format!("/ping/{run}"), "").await.expect(404);
    sent(&node, "GET", "/ping/none", "").await.expect(404);
    sent(&node, "PUT", &path, "").await.expect(405);
    // Under the prefix of the version, too.
    sent(&node, "GET", &format!("/v1{path}"), "").await.expect(200);
}

#[tokio::test]
async fn a_key_is_told_once_and_is_nowhere_else() {
    let (node, path) = listening().await;
    let key = path.rsplit('/').next().unwrap();
    for place in ["/monitors/dump", "/monitors", "/audit", "/monitors/dump/versions"] {
        let body = node.get(place).await.expect(200).body;
        assert!(!String::from_utf8_lossy(&body).contains(key), "{place}");
    }
    let same = json!({"every": "2h"});
    let put = node.call("PUT", "/monitors/dump", Some(same)).await.expect(200).json();
    assert_eq!(put["ping_path"], Value::Null);
    let made = node.call("POST", "/monitors/dump/key", None).await.expect(200).json();
    sent(&node, "GET", &path, "").await.expect(404);
    sent(&node, "GET", made["ping_path"].as_str().unwrap(), "").await.expect(200);
    let set = json!({"items": [{"kind": "monitor", "name": "b", "every": "1h"}]});
    let plan = node.post("/apply?dry_run=true", set.clone()).await.expect(200).json();
    assert_eq!(plan["items"][0].get("ping_path"), None);
    let done = node.post("/apply", set.clone()).await.expect(200).json();
    let path = done["items"][0]["ping_path"].as_str().unwrap();
    sent(&node, "GET", path, "").await.expect(200);
    let again = node.post("/apply", set).await.expect(200).json();
    assert_eq!(again["items"][0].get("ping_path"), None);
    let actions = node.get("/audit?action=monitor.rotate-key").await.expect(200).json();
    assert_eq!(actions["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_monitor_is_paused_resumed_and_explained() {
    let (node, path) = listening().await;
    let paused = node.call("POST", "/monitors/dump/pause", None).await.expect(200).json();
    assert_eq!(paused["status"], "paused");
    assert!(paused["explanation"].as_str().unwrap().starts_with("Paused"));
    let resumed = node.call("POST", "/monitors/dump/resume", None).await.expect(200).json();
    assert_eq!(resumed["status"], "new");
    node.call("POST", "/monitors/dump/pause", None).await.expect(200);
    sent(&node, "GET", &path, "").await.expect(200);
    assert_eq!(shown(&node).await["status"], "up");
    node.call("POST", "/monitors/none/pause", None).await.expect(404);
}

#[tokio::test]
async fn each_key_has_its_rate() {
    let (node, path) = listening().await;
    for _ in 0..PINGS.burst {
        sent(&node, "GET", &path, "").await.expect(200);
    }
    let refused = sent(&node, "GET", &path, "").await.expect(429);
    assert_eq!(refused.header("retry-after"), "12");
    let other = node.post("/monitors", json!({"name": "b", "every": "1h"})).await.expect(201);
    let path = other.json()["ping_path"].as_str().unwrap().to_owned();
    sent(&node, "GET", &path, "").await.expect(200);
}

#[tokio::test]
async fn what_a_monitor_can_not_be_is_refused_where_it_stands() {
    let node = Node::start().await;
    let cases = [
        (json!({}), "/every"),
        (json!({"every": "1h", "expr": "* * * * *"}), "/every"),
        (json!({"every": "1s"}), "/every"),
        (json!({"expr": "nonsense"}), "/expr"),
        (json!({"expr": "@daily", "timezone": "Nowhere"}), "/timezone"),
        (json!({"every": "1h", "grace": "0s"}), "/grace"),
        (json!({"every": "1h", "notify": {"channels": []}}), "/notify/channels"),
        (json!({"every": "1h", "notify": {"channels": ["a"], "on": ["failed"]}}), "/notify/on"),
    ];
    for (body, place) in cases {
        let told = format!("{body}");
        let refused = node.call("PUT", "/monitors/m", Some(body)).await.expect(422).json();
        let errors = refused["errors"].as_array().unwrap();
        assert!(errors.iter().any(|error| error["pointer"] == place), "{told}: {refused}");
    }
    let job = json!({"name": "j", "notify": {"channels": ["a"], "on": ["monitor_down"]}});
    node.post("/jobs", job).await.expect(422);
}

#[tokio::test]
async fn monitors_out_of_scope_are_hidden() {
    let (node, path) = listening().await;
    sent(&node, "POST", &format!("{path}/fail"), "").await.expect(200);
    let scope = Scope { jobs: vec!["other-*".into()], tags: Vec::new() };
    let eve = cronapi::model::User { scope, ..user("eve", Role::Operator) };
    let op = cronapi::machine::Op::CreateUser { user: Box::new(eve), session: None };
    node.submit(op).await;
    let token = node.login("eve").await;
    for path in ["/monitors/dump", "/monitors/dump/pings"] {
        node.call_as(&token, "GET", path, None).await.expect(404);
    }
    for act in ["pause", "resume", "key"] {
        node.call_as(&token, "POST", &format!("/monitors/dump/{act}"), None).await.expect(403);
    }
    let page = node.call_as(&token, "GET", "/monitors", None).await.expect(200).json();
    assert_eq!(page["items"], json!([]));
}

#[tokio::test]
async fn an_older_cluster_says_that_it_has_none() {
    let node = Node::start_as(5, |_| {}).await;
    let refused = node.post("/monitors", json!({"name": "m", "every": "1h"})).await.expect(409);
    assert_eq!(refused.code(), "upgrade-needed");
}

#[tokio::test]
async fn a_repeated_request_of_a_monitor_that_is_gone_has_the_fields_of_any() {
    let node = Node::start().await;
    let put = async || {
        let body = Some(json!({"name": "dump", "every": "1h"}));
        node.with_headers("POST", "/monitors", &[("idempotency-key", "k")], body).await
    };
    let first = put().await.expect(201).json();
    node.call("DELETE", "/monitors/dump", None).await.expect(204);
    let again = put().await.expect(201).json();
    let fields = |of: &Value| of.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let missing: Vec<String> =
        fields(&first).into_iter().filter(|field| again.get(field).is_none()).collect();
    assert!(missing.is_empty(), "{missing:?} of {again}");
    assert_eq!((&again["status"], &again["ping_path"]), (&json!("new"), &Value::Null));
}
