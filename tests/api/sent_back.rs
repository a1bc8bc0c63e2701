//! What was read may be written: fields that only the cluster sets are ignored while they hold,
//! and refused by name when they do not.

use cronapi::model::Span;
use serde_json::{Value, json};

use super::fixture::Node;

fn pointers(answer: &Value) -> Vec<&str> {
    let errors = answer["errors"].as_array().unwrap();
    errors.iter().map(|fault| fault["pointer"].as_str().unwrap()).collect()
}

const LIVE: [(&str, &str); 9] = [
    ("uid", "\"0190a6b8-0000-7000-8000-000000000000\""),
    ("version", "7"),
    ("created_at", "\"2026-01-01T00:00:00Z\""),
    ("updated_at", "\"2026-01-01T00:00:00Z\""),
    ("next_fire_at", "\"2099-01-01T00:00:00Z\""),
    ("last_run", "{\"id\":\"x\"}"),
    ("open_runs", "5"),
    ("unresolved", "[\"other\"]"),
    ("schedule_text", "\"Never\""),
];

#[tokio::test]
async fn what_get_answered_can_be_put() {
    let node = Node::start().await;
    let spec = json!({"name": "a", "expr": "0 3 * * *", "tags": ["x"], "on_success": ["later"]});
    let made = node.post("/jobs", spec).await.expect(201).json();
    assert!(made["warnings"].is_array());
    // With the warnings of the answer to a write, too.
    let put = node.call("PUT", "/jobs/a", Some(made)).await.expect(200);
    assert_eq!(put.header("etag"), "\"1\"", "nothing was changed");
    let mut job = node.get("/jobs/a").await.json();
    job["description"] = json!("now with one");
    let put = node.call("PUT", "/jobs/a", Some(job)).await.expect(200).json();
    assert_eq!((&put["version"], &put["description"]), (&json!(2), &json!("now with one")));
    let page = node.get("/jobs").await.json();
    let applied = node.post("/apply", json!({"items": page["items"]})).await.expect(200).json();
    assert_eq!(applied["unchanged"], 1);
    let job = node.get("/jobs/a").await.json();
    let plan = node.post("/schedules/preview", job.clone()).await.expect(200).json();
    assert_eq!(plan["next"][0]["at"], job["next_fire_at"]);
    let patched = node.call("PATCH", "/jobs/a", Some(job)).await.expect(200).json();
    assert_eq!(patched["version"], 2);
}

#[tokio::test]
async fn a_read_only_field_with_another_value_is_refused_by_name() {
    let node = Node::start().await;
    node.post("/jobs", json!({"name": "a", "expr": "0 3 * * *"})).await.expect(201);
    let job = node.get("/jobs/a").await.json();
    for (field, other) in LIVE {
        let mut changed = job.clone();
        changed[field] = serde_json::from_str(other).unwrap();
        for (method, path) in [("PUT", "/jobs/a"), ("PATCH", "/jobs/a")] {
            let refused = node.call(method, path, Some(changed.clone())).await.expect(422).json();
            assert_eq!(pointers(&refused), [format!("/{field}")], "{method}");
            assert!(
                refused["errors"][0]["detail"].as_str().unwrap().contains("set by the cluster")
            );
        }
        let applied = node.post("/apply", json!([changed])).await.expect(207).json();
        assert_eq!(applied["items"][0]["errors"][0]["pointer"], format!("/{field}"));
        // With another fault, both are told.
        changed["timezone"] = json!("Nowhere/None");
        let refused = node.call("PUT", "/jobs/a", Some(changed)).await.expect(422).json();
        assert_eq!(pointers(&refused).len(), 2, "{refused}");
    }
    // There is no such job: nothing can be as it is.
    let mut gone = job.clone();
    gone["name"] = json!("b");
    let refused = node.post("/jobs", gone).await.expect(422).json();
    assert!(pointers(&refused).contains(&"/uid"), "{refused}");
}

#[tokio::test]
async fn what_was_read_is_taken_after_the_job_has_run() {
    let node = Node::start().await;
    node.post("/jobs", json!({"name": "a"})).await.expect(201);
    let before = node.get("/jobs/a").await.json();
    node.call("POST", "/jobs/a/run?wait=30s", None).await.expect(200);
    let between = node.get("/jobs/a").await.json();
    assert!(between["last_run"].is_object());
    node.clock.advance(Span::from_secs(5));
    node.call("POST", "/jobs/a/run?wait=30s", None).await.expect(200);
    for read in [before, between.clone()] {
        node.call("PUT", "/jobs/a", Some(read)).await.expect(200);
    }
    let mut forged = between;
    forged["last_run"]["finished_at"] = json!("2099-01-01T00:00:00Z");
    let refused = node.call("PUT", "/jobs/a", Some(forged)).await.expect(422).json();
    assert_eq!(pointers(&refused), ["/last_run"]);
}

#[tokio::test]
async fn what_was_read_before_somebody_elses_edit_is_refused() {
    let node = Node::start().await;
    node.post("/jobs", json!({"name": "a", "expr": "0 3 * * *"})).await.expect(201);
    let read = node.get("/jobs/a").await.json();
    node.call("PATCH", "/jobs/a", Some(json!({"timeout": "5m"}))).await.expect(200);
    let refused = node.call("PUT", "/jobs/a", Some(read)).await.expect(422).json();
    assert!(pointers(&refused).contains(&"/version"), "{refused}");
}

#[tokio::test]
async fn a_repeated_put_of_what_was_read_gets_its_first_answer() {
    let node = Node::start().await;
    node.post("/jobs", json!({"name": "a"})).await.expect(201);
    let mut job = node.get("/jobs/a").await.json();
    job["description"] = json!("x");
    for replayed in ["", "true"] {
        let key = &[("idempotency-key", "k")];
        let put = node.with_headers("PUT", "/jobs/a", key, Some(job.clone())).await.expect(200);
        assert_eq!((put.header("idempotent-replayed"), put.header("etag")), (replayed, "\"2\""));
    }
}

#[tokio::test]
async fn a_queue_can_be_sent_back() {
    let node = Node::start().await;
    node.call("PUT", "/queues/q", Some(json!({"concurrency": 3}))).await.expect(200);
    let queue = node.get("/queues/q").await.json();
    let put = node.call("PUT", "/queues/q", Some(queue.clone())).await.expect(200).json();
    assert_eq!(put, queue);
    let refused = node.call("PUT", "/queues/other", Some(queue)).await.expect(422).json();
    assert_eq!(pointers(&refused), ["/name"]);
}
