//! Past times, run on purpose: looked at first, begun, bounded, ended, and told of in the ledger.

use cronapi::machine::Op;
use cronapi::model::{Role, Scope, Span, Timestamp};
use serde_json::{Value, json};

use super::fixture::{NOW, Node, request, user};

fn hour(n: i64) -> Timestamp {
    Timestamp::from_secs(NOW - NOW % 3_600 + n * 3_600)
}

fn range(from: i64, to: i64) -> Value {
    json!({"from": hour(from), "to": hour(to)})
}

/// A job each hour, of which nothing ran: it was paused for four hours, and is not any more.
async fn paused() -> Node {
    let mut node = Node::start().await;
    node.post("/jobs", json!({"name": "a", "expr": "0 * * * *"})).await.expect(201);
    node.post("/jobs/a/pause", json!({})).await.expect(200);
    node.clock.advance(Span::from_secs(4 * 3_600));
    node.admin = node.login("admin").await;
    node.post("/jobs/a/resume", json!({})).await.expect(200);
    node
}

/// A step of the leader, who is not there in these tests.
async fn step(node: &Node, id: u64, times: &[i64], next: i64) {
    let cursor = node.consensus.state().backfills.all[&id].cursor;
    let times = times.iter().map(|n| hour(*n)).collect();
    node.submit(Op::BackfillStep { id, cursor, times, next: hour(next), passed: 0 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_told_before_anything_is_begun() {
    let node = paused().await;
    let body = json!({"from": hour(-2), "to": hour(5)});
    let path = "/jobs/a/backfills?dry_run=true";
    let refused = node.post(path, body).await.expect(422).json();
    assert_eq!(refused["errors"][0]["pointer"], "/to", "{refused}");
    let plan = node.post(path, range(-2, 4)).await.expect(200).json();
    assert_eq!((&plan["count"], &plan["total"]), (&json!(6), &json!(6)), "{plan}");
    assert_eq!(plan["already"]["missing"], 6, "{plan}");
    assert_eq!(plan["first"], json!(hour(-2)));
    assert_eq!(plan["cells"].as_array().unwrap().len(), 6);
    assert_eq!(node.get("/backfills").await.expect(200).json()["items"], json!([]));
    let backwards = node.post(path, range(2, 2)).await.expect(422).json();
    assert_eq!(backwards["errors"][0]["pointer"], "/from", "{backwards}");
    let many = json!({"from": hour(0), "to": hour(1), "max_concurrent": 101, "version": 99,
        "rate": {"limit": 0, "per": "0s"}});
    let faults = node.post(path, many).await.expect(422).json();
    assert_eq!(faults["errors"].as_array().unwrap().len(), 4, "{faults}");
    node.post("/jobs/none/backfills", range(0, 1)).await.expect(404);
    node.post("/jobs", json!({"name": "by-hand"})).await.expect(201);
    let refused = node.post("/jobs/by-hand/backfills", range(0, 1)).await.expect(409);
    assert_eq!(refused.code(), "no-schedule");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_is_begun_bounded_paused_and_cancelled_and_the_ledger_tells_of_it() {
    let node = paused().await;
    let made = node.post("/jobs/a/backfills", range(1, 4)).await.expect(201);
    assert_eq!(made.header("location"), "/backfills/1");
    let made = made.json();
    assert_eq!((&made["status"], &made["total"]), (&json!("running"), &json!(3)), "{made}");
    let again = node.post("/jobs/a/backfills", range(3, 4)).await.expect(409);
    assert_eq!(again.code(), "backfill-open");
    step(&node, 1, &[1], 2).await;
    let ledger = node.get("/jobs/a/ledger").await.expect(200).json();
    let row = &ledger["items"][0];
    assert_eq!((&row["reason"], &row["backfilled"]), (&json!("paused"), &json!(1)), "{ledger}");
    let told = node.get(&format!("/jobs/a/explain?at={}", hour(1))).await.expect(200).json();
    assert_eq!(told["verdict"], "skipped", "{told}");
    assert_eq!(told["backfilled_by"]["trigger"], "backfill", "{told}");
    assert!(told["summary"].as_str().unwrap().contains("Backfill 1 ran it"), "{told}");
    let runs = node.get("/jobs/a/runs?trigger=backfill").await.expect(200).json();
    assert_eq!(runs["items"][0]["backfill"], 1, "{runs}");
    let job = node.get("/jobs/a").await.expect(200).json();
    assert_eq!(job["last_run"], Value::Null, "{job}");
    let patch = json!({"max_concurrent": 5, "rate": {"limit": 2, "per": "1m"}});
    let bounded = node.call("PATCH", "/backfills/1", Some(patch)).await.expect(200).json();
    assert_eq!((&bounded["max_concurrent"], &bounded["rate"]["limit"]), (&json!(5), &json!(2)));
    let none = node.call("PATCH", "/backfills/1", Some(json!({"rate": null}))).await.expect(200);
    assert!(none.json().get("rate").is_none());
    let reason = json!({"reason": "month end"});
    let paused = node.post("/backfills/1/pause", reason).await.expect(200).json();
    assert_eq!((&paused["status"], &paused["waits"]), (&json!("paused"), &json!("month end")));
    node.call("POST", "/backfills/1/resume", None).await.expect(200);
    step(&node, 1, &[2, 3], 4).await;
    let done = node.get("/backfills/1").await.expect(200).json();
    assert_eq!((&done["status"], &done["counts"]["succeeded"]), (&json!("done"), &json!(3)));
    let over = node.call("POST", "/backfills/1/cancel", None).await.expect(409);
    assert_eq!(over.code(), "backfill-ended");
    let plan = node.post("/jobs/a/backfills?dry_run=true", range(1, 4)).await.expect(200).json();
    assert_eq!((&plan["count"], &plan["already"]["fired"]), (&json!(0), &json!(3)), "{plan}");
    node.post("/jobs/a/backfills", range(1, 2)).await.expect(201);
    let gone = node.call("POST", "/backfills/2/cancel", None).await.expect(200).json();
    assert_eq!(gone["status"], "cancelled", "{gone}");
    let page = node.get("/backfills?job=a&limit=1").await.expect(200).json();
    assert_eq!(page["items"][0]["id"], 2, "{page}");
    assert!(page["next_cursor"].is_string());
    let audit = node.get("/audit?limit=20").await.expect(200).json().to_string();
    for action in ["start", "pause", "resume", "cancel", "update"] {
        assert!(audit.contains(&format!("backfill.{action}")), "{action}: {audit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_begins_one_and_others_do_not_see_it() {
    let node = paused().await;
    let ask = || {
        let key = [("idempotency-key", "k")];
        request(&node.admin, "POST", "/jobs/a/backfills", &key, Some(range(0, 2)))
    };
    let first = node.send(ask()).await.expect(201).json();
    assert_eq!(node.send(ask()).await.expect(201).json()["id"], first["id"]);
    let scope = Scope { jobs: vec!["other-*".into()], tags: Vec::new() };
    let eve = cronapi::model::User { scope, ..user("eve", Role::Operator) };
    node.submit(Op::CreateUser { user: Box::new(eve), session: None }).await;
    let eve = node.login("eve").await;
    let ask = |method: &str, path: &str| request(&eve, method, path, &[], None);
    node.send(ask("GET", "/backfills/1")).await.expect(404);
    node.send(ask("POST", "/backfills/1/cancel")).await.expect(403);
    let seen = node.send(ask("GET", "/backfills")).await.expect(200).json();
    assert_eq!(seen["items"], json!([]));
}
