//! Definitions and runs, from end to end.

use serde_json::{Value, json};

use super::fixture::Node;

#[tokio::test]
async fn a_job_is_created_shown_replaced_patched_and_deleted() {
    let node = Node::start().await;
    let spec = json!({"name": "a", "expr": "0 3 * * *", "tags": ["x"]});
    let made = node.post("/jobs", spec).await.expect(201);
    assert_eq!(made.header("location"), "/jobs/a");
    assert_eq!(made.header("etag"), "\"1\"");
    assert_eq!(made.json()["enabled"], true);
    assert_eq!(node.post("/jobs", json!({"name": "a"})).await.expect(409).code(), "exists");

    let shown = node.get("/jobs/a").await.expect(200);
    assert_eq!(shown.json()["uid"], made.json()["uid"]);
    let again = node.with_headers("GET", "/jobs/a", &[("if-none-match", "\"1\"")], None).await;
    assert!(again.expect(304).body.is_empty());
    node.with_headers("GET", "/v1/jobs/a", &[("if-none-match", "\"2\"")], None).await.expect(200);

    let put = node.call("PUT", "/jobs/a", Some(json!({"expr": "@daily"}))).await.expect(200);
    assert_eq!(put.header("etag"), "\"2\"");
    node.call("PUT", "/jobs/b", Some(json!({}))).await.expect(201);
    let patch = Some(json!({"description": "d", "expr": null}));
    let patched = node.call("PATCH", "/jobs/a", patch).await.expect(200).json();
    assert_eq!((&patched["description"], patched.get("expr")), (&json!("d"), None));

    node.call("DELETE", "/jobs/a", None).await.expect(204);
    node.get("/jobs/a").await.expect(404);
}

#[tokio::test]
async fn conditions_hold_writes_back() {
    let node = Node::start().await;
    node.with_job("a").await;
    let put = |headers: &'static [(&'static str, &'static str)], path: &'static str| {
        node.with_headers("PUT", path, headers, Some(json!({"description": "x"})))
    };
    for headers in [
        &[("if-match", "\"9\"")][..],
        &[("if-match", "W/\"1\"")],
        &[("if-match", "\"abc\"")],
        &[("if-none-match", "*")],
    ] {
        assert_eq!(put(headers, "/jobs/a").await.expect(412).code(), "precondition-failed");
    }
    put(&[("if-match", "*")], "/jobs/b").await.expect(412);
    put(&[("if-match", "\"1\"")], "/jobs/b").await.expect(412);
    put(&[("if-none-match", "*")], "/jobs/b").await.expect(201);
    put(&[("if-match", "\"8\", \"1\"")], "/jobs/a").await.expect(200);
    node.with_headers("DELETE", "/jobs/a", &[("if-match", "\"1\"")], None).await.expect(412);
    node.with_headers("DELETE", "/jobs/a", &[("if-match", "\"2\"")], None).await.expect(204);
}

#[tokio::test]
async fn a_repeated_request_gets_its_first_answer() {
    let node = Node::start().await;
    let send = |key: &'static str, name: &'static str| {
        let headers: &[(&str, &str)] = Box::leak(Box::new([("idempotency-key", key)]));
        node.with_headers("POST", "/jobs", headers, Some(json!({ "name": name })))
    };
    let first = send("k1", "a").await.expect(201);
    assert_eq!(first.header("idempotent-replayed"), "");
    let second = send("k1", "a").await.expect(201);
    assert_eq!(second.header("idempotent-replayed"), "true");
    assert_eq!(first.json()["uid"], second.json()["uid"]);
    assert_eq!(send("k1", "b").await.expect(422).code(), "idempotency-key-reused");
    assert_eq!(send("k2", "a").await.expect(409).code(), "exists");

    let run = || node.with_headers("POST", "/jobs/a/run", &[("idempotency-key", "r")], None);
    let one = run().await.expect(202).json();
    let two = run().await.expect(202).json();
    assert_eq!(one["id"], two["id"], "one run, whatever is repeated");

    let delete = |key| node.with_headers("DELETE", "/jobs/a", key, None);
    for replayed in ["", "true"] {
        let gone = delete(&[("idempotency-key", "d")]).await.expect(204);
        assert_eq!(gone.header("idempotent-replayed"), replayed);
    }
    delete(&[("idempotency-key", "e")]).await.expect(404);
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let node = Node::start().await;
    let dry = node.post("/jobs?dry_run=true", json!({"name": "a"})).await.expect(200);
    assert_eq!(dry.header("x-cronapi-dry-run"), "true");
    node.get("/jobs/a").await.expect(404);
    node.with_job("a").await;
    node.call("DELETE", "/jobs/a?dry_run=true", None).await.expect(204);
    node.get("/jobs/a").await.expect(200);
    let plan = node.post("/apply?dry_run=true", json!([{"name": "a"}, {"name": "b"}])).await;
    let plan = plan.expect(200).json();
    assert_eq!((&plan["created"], &plan["unchanged"]), (&json!(1), &json!(1)));
    node.get("/jobs/b").await.expect(404);
}

#[tokio::test]
async fn lists_come_in_pages() {
    let node = Node::start().await;
    let items: Vec<_> = (0..7).map(|n| json!({"name": format!("job-{n}")})).collect();
    node.post("/apply", json!({ "items": items })).await.expect(200);
    let (mut seen, mut path) = (Vec::new(), "/jobs?limit=3&sort=-name".to_string());
    loop {
        let page = node.get(&path).await.expect(200);
        let body = page.json();
        let names = body["items"].as_array().unwrap().iter();
        seen.extend(names.map(|job| job["name"].as_str().unwrap().to_owned()));
        let Some(cursor) = body["next_cursor"].as_str() else { break };
        let link = page.header("link");
        assert!(link.ends_with("; rel=\"next\"") && link.contains(cursor), "{link}");
        path = link[1..link.find('>').unwrap()].to_owned();
    }
    let all: Vec<_> = (0..7).rev().map(|n| format!("job-{n}")).collect();
    assert_eq!(seen, all);
    let other = node.get("/jobs?limit=3&sort=-name").await.json();
    let cursor = other["next_cursor"].as_str().unwrap().to_owned();
    node.get(&format!("/jobs?limit=3&sort=name&cursor={cursor}")).await.expect(400);
}

#[tokio::test]
async fn a_run_is_started_shown_and_waited_for() {
    let node = Node::start().await;
    node.with_job("a").await;
    let started = node.post("/jobs/a/run", json!({"parameters": {"x": 1}})).await.expect(202);
    let id = started.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(started.header("location"), format!("/runs/{id}"));
    let run = node.get(&format!("/runs/{id}")).await.expect(200).json();
    assert_eq!((&run["job"], &run["trigger"]), (&json!("a"), &json!("manual")));
    let waited = node.call("POST", "/jobs/a/runs?wait=5s", None).await.expect(200).json();
    assert_eq!(waited["status"], "succeeded");
    assert_eq!(node.get("/jobs/a/runs").await.json()["items"].as_array().unwrap().len(), 2);
    assert_eq!(node.get("/runs?job=a&limit=1").await.json()["items"].as_array().unwrap().len(), 1);
    node.call("POST", &format!("/runs/{id}/cancel"), None).await.expect(409);
    node.call("POST", &format!("/runs/{id}/retry"), None).await.expect(202);
    let logs = node.get(&format!("/runs/{id}/logs")).await.expect(200).json();
    assert_eq!(logs["closed"], true);
    let path = format!("/runs/{id}/logs");
    let text = node.with_headers("GET", &path, &[("accept", "text/plain")], None);
    assert!(text.await.expect(200).header("content-type").starts_with("text/plain"));
}

#[tokio::test]
async fn the_other_views_of_a_job_answer() {
    let node = Node::start().await;
    node.post("/jobs", json!({"name": "a", "expr": "0 3 * * *"})).await.expect(201);
    for path in [
        "/jobs/a/next?count=3",
        "/jobs/a/versions",
        "/jobs/a/versions/1",
        "/jobs/a/ledger?from=2027-01-01T00:00:00Z",
        "/jobs/a/explain?at=2027-01-01T03:00:00Z",
        "/jobs/a/logs?limit=5",
        "/jobs/a/runs?status=failed,lost&status=succeeded",
        "/system/status",
        "/system/leader",
        "/cluster/nodes",
        "/queues",
        "/jobs?consistency=local",
    ] {
        node.get(path).await.expect(200);
    }
    let next = node.get("/jobs/a/next?count=3").await.json();
    assert_eq!(next["items"].as_array().unwrap().len(), 3);
    let preview = node.post("/schedules/preview?count=2", json!({"expr": "@hourly"})).await;
    assert_eq!(preview.expect(200).json()["next"].as_array().unwrap().len(), 2);
    node.call("POST", "/jobs/a/pause", Some(json!({"reason": "holiday"}))).await.expect(200);
    assert_eq!(node.get("/jobs/a").await.json()["enabled"], false);
    node.call("POST", "/jobs/a/resume", None).await.expect(200);
}

#[tokio::test]
async fn queues_get_and_lose_limits() {
    let node = Node::start().await;
    let put = node.call("PUT", "/queues/q", Some(json!({"concurrency": 3}))).await.expect(200);
    assert_eq!(put.json()["concurrency"], 3);
    node.call("PUT", "/queues/q", Some(json!({"concurrency": 0}))).await.expect(422);
    node.get("/queues/q").await.expect(200);
    node.call("DELETE", "/queues/q", None).await.expect(204);
    node.get("/queues/q").await.expect(404);
}

#[tokio::test]
async fn who_paused_a_job_is_told_where_a_time_is_explained() {
    let node = Node::start().await;
    let runner = json!({ "type": "shell", "command": "true" });
    let a = json!({ "name": "a", "expr": "0 0 1 1 *", "runner": runner });
    node.post("/jobs", a).await.expect(201);
    let path = "/jobs/a/explain?at=2040-01-01T00:00:00Z";
    let told = node.get(path).await.expect(200).json();
    assert_eq!((&told["verdict"], &told["facts"]["paused_by"]), (&json!("future"), &Value::Null));
    node.post("/jobs/a/pause", json!({ "reason": "the vault is moved" })).await.expect(200);
    // What is written while it is paused is a version too, and no pause.
    node.call("PATCH", "/jobs/a", Some(json!({ "priority": 1 }))).await.expect(200);
    let told = node.get(path).await.expect(200).json();
    assert_eq!(
        (&told["verdict"], &told["facts"]["paused_by"]),
        (&json!("paused"), &json!("admin"))
    );
    let summary = told["summary"].as_str().unwrap();
    assert!(summary.contains(" admin paused it at 20"), "{summary}");
    assert!(!summary.contains("vault"), "what is for the audit is in the audit: {summary}");
}
