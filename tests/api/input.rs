//! What nobody should send: always answered with a problem that names the place, never
//! with a 500. [`super::fixture`] checks the form of every answer.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Request};
use cronapi::model::limits;
use serde_json::{Value, json};

use super::fixture::{Answer, Node};

fn pointers(answer: &Answer) -> Vec<String> {
    let errors = answer.json()["errors"].as_array().unwrap().clone();
    errors.iter().map(|fault| fault["pointer"].as_str().unwrap().to_owned()).collect()
}

async fn raw(node: &Node, method: &str, path: &str, kind: &str, body: impl Into<Body>) -> Answer {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("authorization", format!("Bearer {}", node.admin));
    let request = request.header("content-type", kind);
    node.send(request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn faulty_definitions_are_refused_by_field() {
    let node = Node::start().await;
    let long = "x".repeat(10_000);
    for (body, place) in [
        (json!({"name": "a", "exprr": "@daily"}), "/exprr"),
        (json!({"name": "a", "expr": "61 * * * *"}), "/expr"),
        (json!({"name": "a", "expr": "0 0 30 2 *"}), "/expr"),
        (json!({"name": "a", "expr": 5}), "/expr"),
        (json!({"name": "a", "timezone": "Mars/Olympus", "expr": "@daily"}), "/timezone"),
        (json!({"expr": "@daily"}), "/name"),
        (json!({"name": null}), "/name"),
        (json!({"name": ["a"]}), "/name"),
        (json!({"name": "a/b"}), "/name"),
        (json!({"name": ""}), "/name"),
        (json!({"name": ".."}), "/name"),
        (json!({"name": long}), "/name"),
        (json!({"name": "é"}), "/name"),
        (json!({"name": "a\r\nX: y"}), "/name"),
        (json!({"name": "a", "tags": "x"}), "/tags"),
        (json!({"name": "a", "tags": ["a b"]}), "/tags/0"),
        (json!({"name": "a", "priority": 101}), "/priority"),
        (json!({"name": "a", "priority": 1180591620717411303424_f64}), "/priority"),
        (json!({"name": "a", "max_runs": -1}), "/max_runs"),
        (json!({"name": "a", "max_runs": 1.5}), "/max_runs"),
        (json!({"name": "a", "retry": {"max_attempts": 0}}), "/retry/max_attempts"),
        (json!({"name": "a", "retry": {"max": 1}}), "/retry"),
        (json!({"name": "a", "timeout": "soon"}), "/timeout"),
        (json!({"name": "a", "start_at": "tomorrow", "expr": "@daily"}), "/start_at"),
        (json!({"name": "a", "runner": {"type": "cobol"}}), "/runner"),
        (json!({"name": "a", "runner": {"type": "http", "url": "ftp://x"}}), "/runner/url"),
        (json!({"name": "a", "code": "def f(:\n  pass"}), "/code"),
        (json!({"name": "a", "parameters": [1]}), "/parameters"),
        (json!({"name": "a", "parameters_schema": {"type": "strin"}}), "/parameters_schema"),
        (json!({"name": "a", "dependencies": ["a"]}), "/dependencies/0"),
        (json!({"name": "a", "on_success": [{"job": "b", "params": {}}]}), "/on_success"),
        (json!({"name": "a", "code": "x".repeat(70_000)}), ""),
    ] {
        let answer = node.post("/jobs", body.clone()).await.expect(422);
        let found = pointers(&answer);
        let near = |found: &String| found == place || found.starts_with(&format!("{place}/"));
        assert!(found.iter().any(near), "{place} not in {found:?} for {body:.200}");
    }
    let many = json!({"name": "a b", "priority": 900, "expr": "x", "foo": 1});
    assert!(pointers(&node.post("/jobs", many).await.expect(422)).len() >= 3, "all at once");
}

#[tokio::test]
async fn parameters_that_do_not_fit_are_refused_by_field() {
    let node = Node::start().await;
    let schema = json!({"type": "object", "required": ["n"],
        "properties": {"n": {"type": "integer", "maximum": 9}, "s": {"type": "string"}}});
    let spec = json!({"name": "a", "parameters_schema": schema, "parameters": {"n": 1}});
    node.post("/jobs", spec.clone()).await.expect(201);
    let run = node.post("/jobs/a/run", json!({"parameters": {"n": 10, "s": 1}})).await.expect(422);
    assert_eq!(pointers(&run).len(), 2, "{:?}", pointers(&run));
    node.post("/jobs/a/run", json!({"params": {}})).await.expect(422);
    node.post("/jobs/a/run", json!({"parameters": {"s": "x".repeat(40_000)}})).await.expect(422);
    node.post("/jobs/a/run", json!([])).await.expect(422);
    let mut bad = spec;
    bad["name"] = json!("b");
    bad["parameters"] = json!({"n": "x"});
    node.post("/jobs", bad).await.expect(422);
}

#[tokio::test]
async fn circles_are_refused() {
    let node = Node::start().await;
    node.post("/jobs", json!({"name": "a", "on_success": ["b"]})).await.expect(201);
    node.post("/jobs", json!({"name": "b", "on_success": ["c"]})).await.expect(201);
    let closing = node.post("/jobs", json!({"name": "c", "on_finish": ["a"]})).await.expect(422);
    assert!(closing.json()["detail"].as_str().unwrap().contains("circle"));
}

#[tokio::test]
async fn bodies_that_are_not_plain_json_are_refused() {
    let node = Node::start().await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let nested = format!(
        "{{\"name\":\"a\",\"parameters\":{}1{}}}",
        "{\"a\":".repeat(10_000),
        "}".repeat(10_000)
    );
    for body in [
        "",
        "{",
        "nope",
        "{\"name\":\"a\",\"name\":\"b\"}",
        "{\"name\":\"a\",\"parameters\":{\"x\":1,\"x\":2}}",
        "{\"name\":\"a\",\"priority\":1e400}",
        "{\"name\":\"a\"} {}",
        "{\"name\":\"\\ud800\"}",
        deep.as_str(),
        nested.as_str(),
    ] {
        let answer = raw(&node, "POST", "/jobs", "application/json", body.to_owned()).await;
        assert_eq!(answer.expect(400).code(), "malformed-json", "{body:.60}");
    }
    let invalid = Bytes::from_static(b"{\"name\":\"a\xff\"}");
    raw(&node, "POST", "/jobs", "application/json", invalid).await.expect(400);
    for body in ["[]", "1", "null", "\"x\""] {
        raw(&node, "POST", "/jobs", "application/json", body.to_owned()).await.expect(422);
        raw(&node, "PATCH", "/jobs/a", "application/json", body.to_owned()).await.expect(422);
        // A body that may be left out is none of these either.
        let rotate = raw(&node, "POST", "/auth/keys/rotate", "application/json", body.to_owned());
        rotate.await.expect(422);
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x"] {
        let answer = raw(&node, "POST", "/jobs", kind, "{\"name\":\"a\"}").await;
        assert_eq!(answer.expect(415).code(), "unsupported-media-type");
    }
    let packed = &[("content-encoding", "gzip")];
    node.with_headers("POST", "/jobs", packed, Some(json!({"name": "a"}))).await.expect(415);
    let typed = "application/json; charset=utf-8";
    raw(&node, "POST", "/jobs", typed, "{\"name\":\"a\"}").await.expect(201);
}

#[tokio::test]
async fn a_huge_body_is_refused_without_being_read() {
    let node = Node::start().await;
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    let piece = Bytes::from(vec![b' '; 64 * 1024]);
    let endless = futures_util::stream::iter((0..1_600).map(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        Ok::<_, Infallible>(piece.clone())
    }));
    let answer = raw(&node, "POST", "/jobs", "application/json", Body::from_stream(endless)).await;
    assert_eq!(answer.expect(413).code(), "too-large");
    assert!(taken.load(Ordering::SeqCst) <= 6, "100 MB were offered");
    let told = &[("content-length", "104857600")];
    node.with_headers("POST", "/apply", told, Some(json!([]))).await.expect(413);
    let full = json!({"name": "a", "description": "x".repeat(limits::BODY_BYTES_MAX)});
    node.post("/jobs", full).await.expect(413);
    let login = "x".repeat(20_000);
    raw(&node, "POST", "/auth/token", "application/json", login).await.expect(413);
}

#[tokio::test]
async fn a_slow_body_is_given_up() {
    let node = Node::start_with(|o| o.body_timeout = Duration::from_millis(50)).await;
    let never = Body::from_stream(futures_util::stream::pending::<Result<Bytes, Infallible>>());
    let answer = raw(&node, "POST", "/jobs", "application/json", never).await;
    assert_eq!(answer.expect(408).code(), "slow-request");
}

#[tokio::test]
async fn a_set_has_a_bound_and_tells_of_each_item() {
    let node = Node::start().await;
    let many: Vec<Value> = (0..=limits::APPLY_ITEMS_MAX).map(|_| json!({})).collect();
    node.post("/apply", json!(many)).await.expect(422);
    for bad in [json!(1), json!({}), json!({"items": 1}), json!({"items": [1]}), json!(["x"])] {
        node.post("/apply", bad).await.expect(422);
    }
    let mixed = json!([{"name": "ok"}, {"name": "b", "expr": "x"}, {"nam": 1}]);
    let body = node.post("/apply", mixed).await.expect(207).json();
    assert_eq!((&body["created"], &body["refused"]), (&json!(1), &json!(2)));
}

#[tokio::test]
async fn paths_that_name_nothing_possible_are_refused() {
    let node = Node::start().await;
    node.with_job("a").await;
    let long = format!("/jobs/{}", "x".repeat(10_000));
    for path in [
        "/jobs/a%2Fb",
        "/jobs/%00",
        "/jobs/%ff",
        "/jobs/a%20b",
        "/jobs/..%2f..",
        &long,
        "/jobs/%0d%0aX:%20y",
        "/users/a%2Fb",
        "/queues/%E2%82%AC",
        "/runs/1",
        "/runs/x",
        "/runs/%ff",
        "/tokens/1",
        "/jobs/a/versions/x",
        "/jobs/a/versions/-1",
        "/jobs/a/versions/99999999999999999999999",
    ] {
        let method = if path.starts_with("/tokens") { "DELETE" } else { "GET" };
        let answer = node.call(method, path, None).await.expect(400);
        assert_eq!(answer.code(), "invalid-parameter", "{path:.60}");
    }
    for path in ["/nope", "/jobs/a/b/c", "/v2/jobs", "/jobs/", "//jobs", "/v1/nope", "/problems/x"]
    {
        node.get(path).await.expect(404);
    }
    for path in [
        "/jobs/none",
        "/runs/0190a0a0-0000-7000-8000-000000000000",
        "/jobs/a/versions/9",
        "/jobs/none/ledger",
        "/jobs/none/explain?at=2027-01-01T00:00:00Z",
        "/jobs/none/next",
        "/users/none",
        "/queues/none",
    ] {
        assert_eq!(node.get(path).await.expect(404).code(), "not-found", "{path}");
    }
    for (method, path) in [
        ("DELETE", "/jobs"),
        ("PUT", "/jobs"),
        ("POST", "/jobs/a"),
        ("GET", "/auth/token"),
        ("TRACE", "/jobs"),
        ("BREW", "/runs"),
        ("GET", "/jobs/a/run"),
    ] {
        let answer = node.call(method, path, None).await.expect(405);
        assert!(!answer.header("allow").is_empty(), "{method} {path}");
    }
}

#[tokio::test]
async fn parameters_of_the_query_are_checked_by_name() {
    let node = Node::start().await;
    node.with_job("a").await;
    for (path, name) in [
        ("/jobs?limit=0", "query:limit"),
        ("/jobs?limit=1001", "query:limit"),
        ("/jobs?limit=x", "query:limit"),
        ("/jobs?limit=1180591620717411303424", "query:limit"),
        ("/jobs?limit=1&limit=2", "query:limit"),
        ("/jobs?enabled=maybe", "query:enabled"),
        ("/jobs?runner=cobol", "query:runner"),
        ("/jobs?queue=a%2Fb", "query:queue"),
        ("/jobs?sort=age", "query:sort"),
        ("/jobs?q=%ff", "query:q"),
        ("/jobs?consistency=maybe", "query:consistency"),
        ("/runs?status=done", "query:status"),
        ("/runs?trigger=magic", "query:trigger"),
        ("/runs?after=noon", "query:after"),
        ("/runs?node=-1", "query:node"),
        ("/jobs/a/explain?at=noon", "query:at"),
        ("/jobs/a/next?count=0", "query:count"),
        ("/jobs/a/next?count=1001", "query:count"),
        ("/jobs/a/logs?limit=0", "query:limit"),
        ("/events?after=x", "query:after"),
        ("/events?after=1", "query:after"),
        ("/events?jobs=a%2Fb", "query:jobs"),
        ("/audit?from=x", "query:from"),
    ] {
        let answer = node.get(path).await.expect(400);
        assert!(pointers(&answer).contains(&name.to_owned()), "{path}: {:?}", pointers(&answer));
    }
    for path in [
        "/jobs?limt=1",
        "/jobs/a?x=1",
        "/runs?page=2",
        "/users?x",
        "/audit?actr=a",
        "/system/status?verbose",
        "/jobs/a/explain",
        "/events?type=run",
        "/jobs?limit",
        "/jobs?cursor=abc",
        "/jobs?cursor=",
        "/runs?cursor=%00",
        "/audit?cursor=AAAAAAAAAAAAAAAA",
    ] {
        let answer = node.get(path).await.expect(400);
        assert_eq!(answer.code(), "invalid-parameter", "{path}");
    }
    for path in [
        "/jobs/a/run?wait=61s",
        "/jobs/a/run?wait=soon",
        "/jobs/a/run?force=1",
        "/jobs/a/pause?dry_run=x",
        "/jobs?dryrun=true",
    ] {
        node.call("POST", path, None).await.expect(400);
    }
}

#[tokio::test]
async fn headers_are_checked_by_name() {
    let node = Node::start().await;
    node.with_job("a").await;
    let put = |name: &'static str, value: HeaderValue| {
        let request = Request::put("/jobs/a")
            .header("authorization", format!("Bearer {}", node.admin))
            .header("content-type", "application/json")
            .header(name, value)
            .body(Body::from("{}"));
        node.send(request.unwrap())
    };
    let value = HeaderValue::from_static;
    for (name, bad) in [
        ("if-match", value("7")),
        ("if-match", value("\"7")),
        ("if-match", value("")),
        ("if-match", value("*, \"1\"")),
        ("if-match", HeaderValue::from_bytes(b"\"\xff\"").unwrap()),
        ("if-none-match", value("7")),
        ("if-none-match", value("\"1\"")),
        ("idempotency-key", value("")),
        ("idempotency-key", HeaderValue::from_bytes(b"\xff").unwrap()),
        ("idempotency-key", HeaderValue::from_str(&"x".repeat(256)).unwrap()),
        ("idempotency-key", value("a\tb")),
    ] {
        assert_eq!(put(name, bad.clone()).await.expect(400).code(), "invalid-header", "{bad:?}");
    }
    let twice = Request::post("/jobs")
        .header("authorization", format!("Bearer {}", node.admin))
        .header("idempotency-key", "a")
        .header("idempotency-key", "b")
        .header("content-type", "application/json");
    node.send(twice.body(Body::from("{}")).unwrap()).await.expect(400);
    let key = &[("idempotency-key", "k")];
    let token = json!({"name": "t"});
    node.with_headers("POST", "/tokens", key, Some(token)).await.expect(400);
    let resumed = &[("last-event-id", "x")];
    node.with_headers("GET", "/events", resumed, None).await.expect(400);
    // A request id that could split a header or a log line is replaced.
    for odd in ["a b", "<script>", &"x".repeat(65)] {
        let headers = [("x-request-id", odd)];
        let answer = node.with_headers("GET", "/jobs", &headers, None).await.expect(200);
        assert_ne!(answer.header("x-request-id"), odd);
    }
    let kept = node.with_headers("GET", "/jobs", &[("x-request-id", "my-1")], None).await;
    assert_eq!(kept.header("x-request-id"), "my-1");
}
