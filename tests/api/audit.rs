//! The audit tells who did what, and shows when it was touched.

use cronapi::model::Role;
use serde_json::{Value, json};

use super::fixture::Node;

/// The audit, once it has a record of this action.
async fn with(node: &Node, action: &str) -> Vec<Value> {
    for _ in 0..100 {
        let page = node.get(&format!("/audit?action={action}")).await.expect(200).json();
        let items = page["items"].as_array().unwrap().clone();
        if !items.is_empty() {
            return items;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("no record of {action}");
}

#[tokio::test]
async fn logins_denials_and_writes_are_recorded_and_chained() {
    let node = Node::start().await;
    node.with_job("a").await;
    let ann = node.with_user("ann", Role::Viewer).await;
    let id = [("x-request-id", "my-request-7")];
    let refused = super::fixture::request(&ann, "DELETE", "/jobs/a", &id, None);
    node.send(refused).await.expect(403);
    node.post("/auth/token", json!({"username": "ann", "password": "wrong"})).await.expect(401);

    let denied = with(&node, "access.denied").await;
    assert_eq!(
        (&denied[0]["actor"], &denied[0]["target"]),
        (&json!("ann"), &json!("DELETE /jobs/a"))
    );
    assert_eq!(denied[0]["request_id"], "my-request-7");
    let failed = with(&node, "login.failed").await;
    assert_eq!(failed[0]["actor"], "ann");
    assert!(with(&node, "login").await.iter().any(|record| record["actor"] == "admin"));
    let created = with(&node, "job.create").await;
    assert_eq!((&created[0]["actor"], &created[0]["target"]), (&json!("admin"), &json!("a")));
    node.call("POST", "/jobs/a/pause", Some(json!({"reason": "noise"}))).await.expect(200);
    assert_eq!(with(&node, "job.pause.reason").await[0]["change"]["reason"], "noise");

    let verdict = node.get("/audit/verify").await.expect(200).json();
    assert_eq!((&verdict["intact"], &verdict["broken_at"]), (&json!(true), &Value::Null));
    assert!(verdict["records"].as_u64().unwrap() >= 5);
    assert!(!node.get("/audit?limit=1000").await.json().to_string().contains("wrong"));
}

#[tokio::test]
async fn the_audit_is_paged_newest_first() {
    let node = Node::start().await;
    for n in 0..9 {
        node.with_job(&format!("job-{n}")).await;
    }
    let (mut targets, mut path) = (Vec::new(), "/audit?action=job.*&limit=2".to_string());
    loop {
        let page = node.get(&path).await.expect(200);
        let body = page.json();
        let items = body["items"].as_array().unwrap();
        targets.extend(items.iter().map(|r| r["target"].as_str().unwrap().to_owned()));
        let link = page.header("link");
        if link.is_empty() {
            break;
        }
        path = link[1..link.find('>').unwrap()].to_owned();
    }
    let all: Vec<_> = (0..9).rev().map(|n| format!("job-{n}")).collect();
    assert_eq!(targets, all);
}
