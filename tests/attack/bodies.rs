//! Bodies that are too large, too deep, packed, slow, or not what they say, sent to every
//! operation of the document that takes one.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Request;
use futures_util::StreamExt;
use futures_util::stream;
use serde_json::Value;

use super::fixture::{Answer, Node};
use super::operations::{Operation, filled, operations};

const RUN: &str = "0190a0a0-0000-7000-8000-000000000000";

/// The operations whose bodies are read.
fn with_bodies() -> Vec<Operation> {
    let document: Value = serde_json::from_str(&cronapi::api::openapi()).unwrap();
    let takes =
        |one: &Operation| document["paths"][one.path][one.method]["requestBody"].is_object();
    let found: Vec<_> = operations().into_iter().filter(takes).collect();
    assert!(found.len() > 15, "{} operations take a body", found.len());
    found
}

async fn send(node: &Node, to: &Operation, headers: &[(&str, &str)], body: Body) -> Answer {
    let path = filled(to.path, RUN);
    let mut request = Request::builder().method(to.method.to_uppercase().as_str()).uri(path);
    request = request.header("authorization", format!("Bearer {}", node.admin));
    // What the page's own path takes; others do not look at it.
    request = request.header("x-cronapi-page", "1");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    node.send(request.body(body).unwrap()).await
}

const JSON: (&str, &str) = ("content-type", "application/json");

fn refused(to: &Operation, what: &str, answer: &Answer, statuses: &[u16]) {
    let status = answer.status.as_u16();
    let text = String::from_utf8_lossy(&answer.body);
    assert!(statuses.contains(&status), "{} {}: {what}: {status} {text}", to.method, to.path);
}

#[tokio::test]
async fn nested_doubtful_and_mistyped_bodies_are_refused_everywhere() {
    let node = Node::start().await;
    let arrays = format!("{}1{}", "[".repeat(60_000), "]".repeat(60_000));
    let objects = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    let texts: [(&str, String); 7] = [
        ("deep arrays", arrays),
        ("deep objects", objects),
        ("no JSON", "<a/>".into()),
        ("a text", "\"x\"".into()),
        ("a number without end", format!("{{\"name\":1{}}}", "0".repeat(5_000))),
        ("a key twice", "{\"name\":\"x\",\"name\":\"y\"}".into()),
        ("half a surrogate", "{\"name\":\"\\ud800\"}".into()),
    ];
    for to in with_bodies() {
        for (what, text) in &texts {
            let answer = send(&node, &to, &[JSON], Body::from(text.clone())).await;
            refused(&to, what, &answer, &[400, 413, 422]);
        }
    }
}

#[tokio::test]
async fn packed_bodies_are_not_unpacked() {
    let node = Node::start().await;
    // The head of a gzip stream; a bomb would go on like any other.
    let packed = Bytes::from_static(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
    for to in with_bodies() {
        for encoding in ["gzip", "deflate", "br", "zstd", "gzip, gzip", "x"] {
            let headers = [JSON, ("content-encoding", encoding)];
            let answer = send(&node, &to, &headers, Body::from(packed.clone())).await;
            refused(&to, encoding, &answer, &[415]);
        }
    }
}

#[tokio::test]
async fn a_body_without_end_is_cut_off_everywhere() {
    let node = Node::start().await;
    let piece = Bytes::from(vec![b' '; 64 * 1024]);
    for to in with_bodies() {
        // No length is told, and it would never end.
        let pieces = piece.clone();
        let endless = stream::repeat_with(move || Ok::<_, std::io::Error>(pieces.clone()));
        let answer = send(&node, &to, &[JSON], Body::from_stream(endless)).await;
        refused(&to, "endless", &answer, &[413]);
        let told = [JSON, ("content-length", "99999999999")];
        let answer = send(&node, &to, &told, Body::empty()).await;
        refused(&to, "a large length", &answer, &[413]);
    }
}

#[tokio::test]
async fn a_body_that_trickles_is_given_up_everywhere() {
    let node = Node::start_with(|options| options.body_timeout = Duration::from_millis(30)).await;
    for to in with_bodies() {
        let first = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"{"))]);
        let answer =
            send(&node, &to, &[JSON], Body::from_stream(first.chain(stream::pending()))).await;
        refused(&to, "trickling", &answer, &[408]);
    }
    node.get("/jobs").await.expect(200);
}
