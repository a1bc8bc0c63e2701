//! What a caller can make a node pay, and that it is bounded before it is paid.

use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::Request;
use cronapi::model::Role;
use futures_util::stream;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::fixture::{Node, request};
use super::operations::{Least, filled, operations};

const RUN: &str = "0190a0a0-0000-7000-8000-000000000000";

#[tokio::test]
async fn one_caller_holds_a_share_of_the_streams_whatever_tokens_it_has() {
    let node = Node::start_with(|options| options.streams_max = 20).await;
    let viewer = node.with_user("eve", Role::Viewer).await;
    let again = node.login("eve").await;
    let mut held = Vec::new();
    let refused = loop {
        let token = if held.len() % 2 == 0 { &viewer } else { &again };
        let answer = node.router.clone().oneshot(request(token, "GET", "/events", &[], None));
        let answer = answer.await.unwrap();
        if answer.status() != 200 {
            break answer.status();
        }
        held.push(answer);
    };
    assert_eq!((held.len(), refused.as_u16()), (10, 429));
    let other = node.router.clone().oneshot(request(&node.admin, "GET", "/events", &[], None));
    assert_eq!(other.await.unwrap().status(), 200);
}

#[tokio::test]
async fn who_may_not_is_refused_before_a_byte_of_the_body_is_read() {
    let node = Node::start().await;
    let viewer = node.with_user("eve", Role::Viewer).await;
    let mut asked = 0;
    for to in operations() {
        let above = matches!(to.least, Least::Runner | Least::Operator | Least::Admin);
        if !above || to.method == "get" {
            continue;
        }
        // A body that never comes.
        let body = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let request = Request::builder()
            .method(to.method.to_uppercase().as_str())
            .uri(filled(to.path, RUN))
            .header("authorization", format!("Bearer {viewer}"))
            .header("content-type", "application/json")
            .header("content-length", "200000")
            .body(body)
            .unwrap();
        let answer = tokio::time::timeout(Duration::from_secs(5), node.send(request)).await;
        let answer = answer.unwrap_or_else(|_| panic!("{} {} reads it", to.method, to.path));
        assert_eq!(answer.status, 403, "{} {}: {}", to.method, to.path, answer.json());
        asked += 1;
    }
    assert!(asked > 20, "{asked}");
}

/// Peak memory of this process, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn reset_peak() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

#[tokio::test]
async fn an_apply_of_many_small_values_costs_little_more_than_its_bytes() {
    let node = Node::start().await;
    let small = "{\"a\":0},".repeat(32 * 1024 * 1024 / 8 - 16);
    let flat = format!("[{}{{}}]", &small);
    let nested = format!("[{{\"name\":\"a\",\"parameters\":{{\"x\":[{small}0]}}}}]");
    for body in [flat, nested] {
        let body = Bytes::from(body);
        reset_peak();
        let before = peak();
        let request = Request::post("/apply?dry_run=true")
            .header("authorization", format!("Bearer {}", node.admin))
            .header("content-type", "application/json")
            .body(Body::from(body))
            .unwrap();
        let answer = node.send(request).await;
        let status = answer.status.as_u16();
        assert!(matches!(status, 413 | 422), "{status} {}", answer.json());
        let grown = peak().saturating_sub(before) / 1024;
        assert!(grown < 300, "{grown} MiB for 32 MiB");
    }
}

#[tokio::test]
async fn a_body_of_many_values_is_refused_wherever_one_is_taken() {
    let node = Node::start().await;
    let many: Vec<Value> = (0..50_000).map(|_| json!([])).collect();
    let body = json!({ "name": "a", "parameters": { "x": many } });
    for path in ["/jobs", "/schedules/preview"] {
        node.post(path, body.clone()).await.expect(413);
    }
}

/// A schema with as dear patterns as there may be.
fn dear() -> Value {
    let patterns: Vec<Value> =
        (0..60).map(|n| json!({ "pattern": format!("^(a{{1,90}}){{1,90}}b{{{n}}}?$") })).collect();
    json!({ "properties": { "text": { "allOf": patterns } } })
}

#[tokio::test]
async fn patterns_and_long_texts_are_weighed_before_they_meet() {
    let node = Node::start().await;
    let viewer = node.with_user("eve", Role::Viewer).await;
    let word = json!({ "pattern": "^(\\w{1,20}){1,20}$" });
    let wide = json!({ "properties": { "text": { "allOf": vec![word; 64] } } });
    let enums = json!({ "items": { "enum": (0..6_000).collect::<Vec<_>>() } });
    let enums = json!({ "properties": { "list": enums } });
    for (schema, given) in [
        (dear(), json!({ "text": "a".repeat(30_000) })),
        (wide, json!({ "text": "a".repeat(30_000) })),
        (enums, json!({ "list": vec![7_000; 6_000] })),
    ] {
        let body = json!({ "parameters": given, "parameters_schema": schema });
        let began = Instant::now();
        let answer = node.call_as(&viewer, "POST", "/schedules/preview", Some(body)).await;
        assert_eq!(answer.status, 422, "{}", answer.json());
        let took = began.elapsed();
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
    // What people write is far from that.
    let plain = json!({ "properties": {
        "mail": { "type": "string", "pattern": "^[^@\\s]+@[^@\\s]+$" },
        "day": { "type": "string", "pattern": "^\\d{4}-\\d{2}-\\d{2}$" },
        "text": { "type": "string", "pattern": "^[\\w .,-]*$" } } });
    let given = json!({ "mail": "a@b.example", "day": "2027-01-15", "text": "a".repeat(30_000) });
    let body = json!({ "parameters": given, "parameters_schema": plain });
    node.call_as(&viewer, "POST", "/schedules/preview", Some(body)).await.expect(200);
}
