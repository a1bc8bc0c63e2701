//! The audit tells who did what, and shows when it was touched.

use cronapi::model::Role;
use serde_json::{Value, json};

use super::fixture::Node;
use crate::skip::skipped;

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

/// The program of docs/security.md that verifies an exported audit.
fn verified(lines: &str, before: Option<&str>) -> Option<(bool, String)> {
    let page = include_str!("../../docs/security.md");
    let from = page.find("```python\n").unwrap() + "```python\n".len();
    let program = &page[from..from + page[from..].find("```").unwrap()];
    let folder = tempfile::tempdir().unwrap();
    let (program_at, lines_at) = (folder.path().join("verify.py"), folder.path().join("audit"));
    std::fs::write(&program_at, program).unwrap();
    std::fs::write(&lines_at, lines).unwrap();
    let done =
        std::process::Command::new("python3").args([&program_at, &lines_at]).args(before).output();
    let Ok(done) = done else {
        skipped("verified", "there is no python3 here");
        return None;
    };
    let told = [done.stdout, done.stderr].concat();
    Some((done.status.success(), String::from_utf8(told).unwrap()))
}

#[tokio::test]
async fn an_exported_audit_is_verified_elsewhere() {
    let node = Node::start().await;
    for n in 0..40 {
        node.with_job(&format!("job-{n}")).await;
    }
    node.post("/auth/token", json!({"username": "ann", "password": "wrong"})).await.expect(401);
    with(&node, "login.failed").await;
    with(&node, "login").await;
    let export = node.get("/audit/export").await.expect(200);
    assert_eq!(export.header("content-type"), "application/x-ndjson");
    let text = String::from_utf8(export.body.to_vec()).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().enumerate().all(|(at, line)| line["seq"] == at + 1));
    for action in ["login", "login.failed", "job.create"] {
        assert!(lines.iter().any(|line| line["action"] == action), "no {action}");
    }
    let head = export.header("x-cronapi-audit-head").to_owned();
    assert_eq!(lines.last().unwrap()["hash"], head.as_str());
    let Some((whole, told)) = verified(&text, None) else { return };
    assert!(whole && told.contains(&head), "{told}");

    let changed = text.replacen("job-7\"", "job-8\"", 1);
    assert_ne!(changed, text);
    let without: String =
        text.lines().filter(|l| !l.contains("job-9\"")).map(|l| l.to_owned() + "\n").collect();
    for forged in [changed, without] {
        let (whole, told) = verified(&forged, None).unwrap();
        assert!(!whole && told.contains("is not as it was written"), "{told}");
    }
    let rest = node.get("/audit/export?from_seq=21").await.expect(200);
    let rest = String::from_utf8(rest.body.to_vec()).unwrap();
    assert_eq!(serde_json::from_str::<Value>(rest.lines().next().unwrap()).unwrap()["seq"], 21);
    let before = lines[19]["hash"].as_str();
    assert!(verified(&rest, before).unwrap().0);
    assert!(!verified(&rest, None).unwrap().0);

    for (path, status) in
        [("?from_seq=0", 400), ("?from_seq=x", 400), ("?from_seq=4000000000", 200)]
    {
        node.get(&format!("/audit/export{path}")).await.expect(status);
    }
    let ann = node.with_user("ann", Role::Operator).await;
    node.call_as(&ann, "GET", "/audit/export", None).await.expect(403);
}

#[tokio::test]
async fn logins_that_cost_nothing_do_not_fill_the_audit() {
    let node = Node::start().await;
    let attempt = || node.post("/auth/token", json!({"username": "admin", "password": "wrong"}));
    for _ in 0..10 {
        attempt().await.expect(401);
    }
    for _ in 0..100 {
        attempt().await.expect(429);
    }
    // What comes behind them in the same queue.
    node.with_job("a").await;
    node.call("POST", "/jobs/a/pause", Some(json!({"reason": "noise"}))).await.expect(200);
    with(&node, "job.pause.reason").await;
    let kept = node.get("/audit?action=login.throttled&limit=1000").await.expect(200).json();
    let kept = kept["items"].as_array().unwrap().len();
    assert!((1..=40).contains(&kept), "{kept} of 100");
}
