//! Texts that mean to be read as something else: paths, headers, lines of a log.

use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::Request;
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use super::fixture::Node;

#[tokio::test]
async fn a_path_leads_to_what_it_says_or_nowhere() {
    let node = Node::start().await;
    node.with_job("a").await;
    for path in [
        "/jobs/..%2fusers",
        "/jobs/%2e%2e/users",
        "/jobs/../users",
        "/jobs/a%00",
        "/jobs/a%0d%0aX-Evil:%201",
        "/jobs/a%20",
        "/jobs/%ff",
        "/jobs/%c0%af",
        "/jobs/a;b=c",
        "/jobs/a%2fruns",
        "//jobs",
        "/jobs//a",
        "/v1/v1/jobs",
        "/V1/jobs",
        "/JOBS",
        "/jobs/a/",
        "/problems/..%2f..%2fetc%2fpasswd",
        "/docs/..%2f..%2fCargo.toml",
        "/docs/%2e%2e/%2e%2e/etc/passwd",
    ] {
        let answer = node.get(path).await;
        let status = answer.status.as_u16();
        assert!([400, 404].contains(&status), "{path}: {status}");
        assert!(answer.headers.get("x-evil").is_none());
        assert!(!String::from_utf8_lossy(&answer.body).contains("root:"), "{path}");
    }
}

#[tokio::test]
async fn headers_do_not_change_who_asks_what() {
    let node = Node::start().await;
    let ann = node.with_user("ann", cronapi::model::Role::Viewer).await;
    node.with_job("a").await;
    let asked = |headers: Vec<(&'static str, &'static str)>| {
        let mut request = Request::get("/jobs/a").header("authorization", format!("Bearer {ann}"));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        node.send(request.body(Body::empty()).unwrap())
    };
    for headers in [
        vec![("x-http-method-override", "DELETE")],
        vec![("x-original-url", "/users")],
        vec![("x-rewrite-url", "/users")],
        vec![("x-forwarded-user", "admin"), ("x-remote-user", "admin")],
        vec![("host", "evil.example"), ("x-forwarded-host", "evil.example")],
    ] {
        let answer = asked(headers).await.expect(200);
        assert_eq!(answer.json()["name"], "a");
        let all = format!("{:?} {:?}", answer.headers, answer.body);
        assert!(!all.contains("evil.example"), "{all}");
    }
    // What a client calls itself is not where it comes from.
    let forwarded = vec![("x-forwarded-for", "10.9.9.9"), ("forwarded", "for=10.9.9.9")];
    asked(forwarded).await.expect(200);
    let audit = node.get("/audit?limit=1000").await.json().to_string();
    assert!(!audit.contains("10.9.9.9"), "{audit}");
    for id in ["a b", "x\u{1b}[31m", "<script>", &"x".repeat(65)] {
        let mut request = Request::get("/livez");
        if let Ok(value) = axum::http::HeaderValue::from_bytes(id.as_bytes()) {
            request = request.header("x-request-id", value);
        }
        let answer = node.send(request.body(Body::empty()).unwrap()).await;
        assert_ne!(answer.header("x-request-id"), id);
    }
    for path in ["/jobs/a", "/users/ann"] {
        let cross = Request::options(path)
            .header("origin", "https://evil.example")
            .header("access-control-request-method", "DELETE");
        let answer = node.send(cross.body(Body::empty()).unwrap()).await;
        assert!(answer.headers.get("access-control-allow-origin").is_none());
    }
}

/// Lines that are logged, as they would stand in a file.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Lines;

    fn make_writer(&'a self) -> Lines {
        self.clone()
    }
}

#[tokio::test]
async fn what_a_stranger_sends_makes_no_line_of_a_log_and_stays_whole_in_the_audit() {
    let lines = Lines::default();
    let logger = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(lines.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(logger);
    let node = Node::start().await;
    let evil = "eve\r\n2027-01-01T00:00:00Z  INFO forged=1 \u{1b}[2J\u{1b}]0;x\u{7}";
    node.post("/auth/token", json!({"username": evil, "password": evil})).await.expect(401);
    node.post("/jobs", json!({"name": evil})).await.expect(422);
    node.post("/jobs", json!({"name": "a", "description": evil})).await.expect(201);
    node.post("/jobs/a/pause", json!({ "reason": evil })).await;
    node.get("/jobs/a%0d%0aforged=1%1b[2J").await.expect(400);
    let record = loop {
        let page = node.get("/audit?action=login.failed").await.expect(200).json();
        if let Some(record) = page["items"].as_array().unwrap().first() {
            break record.clone();
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((&record["actor"], &record["target"]), (&json!(evil), &json!(evil)));
    let export = node.get("/audit/export").await.expect(200);
    let export = String::from_utf8(export.body.to_vec()).unwrap();
    assert!(!export.contains('\u{1b}') && !export.contains('\r'));
    assert!(export.lines().all(|line| line.starts_with("{\"seq\":")), "{export}");
    let logged = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(!logged.contains('\u{1b}') && !logged.contains('\u{7}'), "{logged}");
    assert!(logged.lines().all(|line| !line.starts_with("2027-01-01")), "{logged}");
    assert!(!logged.contains("correct horse") && !logged.contains(&node.admin));
}
