//! Streams: events in order, resumed where they were left, ended in time.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::Request;
use cronapi::machine::Op;
use cronapi::machine::state::Offers;
use cronapi::model::Role;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tower::ServiceExt;
use uuid::Uuid;

use super::fixture::{Node, request};

struct Stream {
    body: BodyDataStream,
    text: String,
}

/// One event: its name, id and data.
#[derive(Debug)]
struct Event {
    name: String,
    id: String,
    data: Value,
}

impl Stream {
    async fn open(node: &Node, request: Request<Body>) -> Stream {
        let response = node.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Stream { body: response.into_body().into_data_stream(), text: String::new() }
    }

    /// The next event; none: the stream is over.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                if event.starts_with(':') {
                    continue;
                }
                let field = |name: &str| {
                    let line = event.lines().find_map(|line| line.strip_prefix(name));
                    line.unwrap_or_default().trim().to_owned()
                };
                let data = serde_json::from_str(&field("data:")).unwrap();
                return Some(Event { name: field("event:"), id: field("id:"), data });
            }
            let piece = tokio::time::timeout(Duration::from_secs(10), self.body.next());
            let piece = piece.await.expect("nothing came within 10 s")?;
            self.text.push_str(std::str::from_utf8(&piece.unwrap()).unwrap());
        }
    }
}

fn events(node: &Node, query: &str, headers: &[(&str, &str)]) -> Request<Body> {
    request(&node.admin, "GET", &format!("/events{query}"), headers, None)
}

#[tokio::test]
async fn events_come_in_order_and_are_resumed_where_they_were_left() {
    let node = Node::start().await;
    let mut live = Stream::open(&node, events(&node, "", &[])).await;
    node.with_job("a").await;
    node.with_job("b").await;
    let first = live.next().await.unwrap();
    assert_eq!((first.name.as_str(), &first.data["job"]), ("job.created", &json!("a")));
    let second = live.next().await.unwrap();
    assert_eq!(second.data["job"], "b");

    let resumed = events(&node, "?after=0.0", &[("last-event-id", first.id.as_str())]);
    let mut resumed = Stream::open(&node, resumed).await;
    assert_eq!(resumed.next().await.unwrap().id, second.id);
    let after = format!("?after={}&jobs=b", first.id);
    let mut filtered = Stream::open(&node, events(&node, &after, &[])).await;
    assert_eq!(filtered.next().await.unwrap().data["job"], "b");
}

/// Keeps events in the history from here on.
async fn keep_events(node: &Node) {
    let (boot, offers) = (Uuid::from_u128(7), Offers { keep_events: true, ..Offers::default() });
    let (address, api) = ("127.0.0.1:1".into(), String::new());
    node.submit(Op::NodeUp { node: 1, boot, address, api, slots: 2, labels: Default::default() })
        .await;
    node.submit(Op::NodeOffers { node: 1, boot, offers }).await;
}

#[tokio::test]
async fn events_that_are_kept_are_read_though_memory_has_them_no_more() {
    let node = Node::start().await;
    node.with_job("before").await;
    keep_events(&node).await;
    let from = node.consensus.state().events.from;
    node.with_job("a").await;
    // More than memory keeps, most of them in a few entries.
    let jobs: Vec<_> = (0..5_500).map(|n| json!({"name": format!("j{n}")})).collect();
    for part in jobs.chunks(1_000) {
        node.post("/apply", json!({"items": part})).await.expect(200);
    }
    let off: Vec<_> =
        (0..5_500).map(|n| json!({"name": format!("j{n}"), "description": "x"})).collect();
    for part in off.chunks(1_000) {
        node.post("/apply", json!({"items": part})).await.expect(200);
    }
    assert!(node.consensus.events_since(from, 0).is_err(), "memory has them no more");
    let after = format!("?after={}.{}&types=job", from - 1, u32::MAX);
    let mut all = Stream::open(&node, events(&node, &after, &[])).await;
    let (mut last, mut told) = ((0, 0), BTreeSet::new());
    for _ in 0..11_001 {
        let event = all.next().await.unwrap();
        assert_ne!(event.name, "reset");
        let (index, sub) = event.id.split_once('.').unwrap();
        let place: (u64, u32) = (index.parse().unwrap(), sub.parse().unwrap());
        assert!(place > last, "{place:?} after {last:?}");
        last = place;
        told.insert((event.name, event.data["job"].as_str().unwrap().to_owned()));
    }
    let mut all_of_them = BTreeSet::from([("job.created".to_owned(), "a".to_owned())]);
    for n in 0..5_500 {
        all_of_them.insert(("job.created".to_owned(), format!("j{n}")));
        all_of_them.insert(("job.updated".to_owned(), format!("j{n}")));
    }
    assert!(told == all_of_them, "each event once");
    node.with_job("after").await;
    assert_eq!(all.next().await.unwrap().data["job"], "after");
    // From before they were kept nothing is there, and that is said.
    let mut gone = Stream::open(&node, events(&node, "?after=1.0", &[])).await;
    assert_eq!(gone.next().await.unwrap().name, "reset");
}

#[tokio::test]
async fn streams_end_when_the_node_stops() {
    let node = Node::start().await;
    let mut live = Stream::open(&node, events(&node, "", &[])).await;
    node.stop.send_replace(true);
    let last = live.next().await.unwrap();
    assert_eq!((last.name.as_str(), &last.data["reason"]), ("end", &json!("the node is stopping")));
    assert!(live.next().await.is_none());
}

#[tokio::test]
async fn the_number_of_streams_is_bounded() {
    let node = Node::start_with(|options| options.streams_max = 1).await;
    let held = Stream::open(&node, events(&node, "", &[])).await;
    node.send(events(&node, "", &[])).await.expect(503);
    drop(held);
    for _ in 0..100 {
        let again = node.router.clone().oneshot(events(&node, "", &[])).await.unwrap();
        if again.status() == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the place of a stream that ended is not given back");
}

#[tokio::test]
async fn the_output_of_a_run_is_followed_to_its_end() {
    let node = Node::start().await;
    node.with_job("a").await;
    let run = node.call("POST", "/jobs/a/run?wait=5s", None).await.expect(200).json();
    let path = format!("/runs/{}/logs?follow=true", run["id"].as_str().unwrap());
    let mut live = Stream::open(&node, request(&node.admin, "GET", &path, &[], None)).await;
    loop {
        let event = live.next().await.unwrap();
        if event.name == "end" {
            assert_eq!(event.data["reason"], "the run has ended");
            break;
        }
    }
    assert!(live.next().await.is_none());
    let missing = "/runs/0190a0a0-0000-7000-8000-000000000000/logs?follow=true";
    node.get(missing).await.expect(404);
}

fn events_as(token: &str, query: &str) -> Request<Body> {
    request(token, "GET", &format!("/events{query}"), &[], None)
}

#[tokio::test]
async fn a_stream_shows_nothing_that_happens_after_its_caller_was_shut_out() {
    let node = Node::start().await;
    let made = node.post("/tokens", json!({"name": "t"})).await.expect(201).json();
    let (api, id) = (made["token"].as_str().unwrap(), made["id"].as_str().unwrap().to_owned());
    let ann = node.with_user("ann", Role::Viewer).await;
    let bob = node.with_user("bob", Role::Viewer).await;
    let mut shut = Vec::new();
    for token in [api, &ann, &bob] {
        shut.push(Stream::open(&node, events_as(token, "")).await);
    }
    let mut open = Stream::open(&node, events(&node, "", &[])).await;
    node.with_job("before").await;
    for stream in shut.iter_mut().chain([&mut open]) {
        assert_eq!(stream.next().await.unwrap().data["job"], "before");
    }
    node.call("DELETE", &format!("/tokens/{id}"), None).await.expect(204);
    node.call("POST", "/users/ann/revoke", None).await.expect(204);
    node.call("DELETE", "/users/bob", None).await.expect(204);
    node.with_job("after").await;
    for mut stream in shut {
        let last = stream.next().await.unwrap();
        let reason = &last.data["reason"];
        assert_eq!((last.name.as_str(), reason), ("end", &json!("the token is no longer good")));
        assert!(stream.next().await.is_none());
    }
    assert_eq!(open.next().await.unwrap().data["job"], "after");
}

#[tokio::test]
async fn a_stream_leaves_out_what_its_callers_new_role_does_not_count_for() {
    let node = Node::start().await;
    let ann = node.with_user("ann", Role::Viewer).await;
    let mut live = Stream::open(&node, events_as(&ann, "")).await;
    node.with_job("a-1").await;
    assert_eq!(live.next().await.unwrap().data["job"], "a-1");
    let role = json!({"role": "viewer", "scope": {"jobs": ["b-*"]}});
    node.call("PUT", "/users/ann/role", Some(role)).await.expect(200);
    node.with_job("a-2").await;
    node.with_job("b-1").await;
    assert_eq!(live.next().await.unwrap().name, "rights");
    assert_eq!(live.next().await.unwrap().data["job"], "b-1");
}

#[tokio::test]
async fn one_stream_carries_the_events_and_the_output_of_a_run() {
    let node = Node::start().await;
    let shell = json!({"type": "shell", "command": "true"});
    node.post("/jobs", json!({"name": "a", "runner": shell})).await.expect(201);
    let run = node.call("POST", "/jobs/a/run", None).await.expect(202).json();
    let id = run["id"].as_str().unwrap();
    let mut live = Stream::open(&node, events(&node, &format!("?output={id}"), &[])).await;
    node.with_job("b").await;
    assert_eq!(live.next().await.unwrap().name, "job.created");
    // Output has no event of its own: it comes all the same.
    super::page::writes(&node, serde_json::from_value(run["id"].clone()).unwrap()).await;
    let (mut texts, mut names) = (Vec::new(), Vec::new());
    loop {
        let event = live.next().await.unwrap();
        names.push(event.name.clone());
        match event.name.as_str() {
            "output.line" => {
                assert_eq!(event.id, "", "the place in the events is not moved by output");
                texts.push(event.data["text"].as_str().unwrap().to_owned());
            }
            "output.end" => {
                assert_eq!(event.data["run_id"], id);
                break;
            }
            _ => {}
        }
    }
    assert_eq!(texts, ["one\n", "two\n"]);
    assert!(names.contains(&"run.failed".to_owned()), "{names:?}");
    // It goes on with events, and is taken up behind the place it had.
    node.with_job("c").await;
    assert_eq!(live.next().await.unwrap().data["job"], "c");
    let again = events(&node, &format!("?output={id}&output_after=1.0"), &[]);
    let mut again = Stream::open(&node, again).await;
    assert_eq!(again.next().await.unwrap().data["text"], "two\n");
    let missing = "/events?output=0190a0a0-0000-7000-8000-000000000000";
    node.get(missing).await.expect(404);
    node.get("/events?output_after=1.0").await.expect(400);
}

#[tokio::test]
async fn an_idle_stream_learns_at_once_that_its_caller_may_do_less_or_nothing() {
    let node = Node::start().await;
    let ann = node.with_user("ann", Role::Operator).await;
    let mut live = Stream::open(&node, events_as(&ann, "")).await;
    // Nothing else happens in this cluster: no event carries it.
    let began = std::time::Instant::now();
    let role = json!({"role": "viewer"});
    node.call("PUT", "/users/ann/role", Some(role)).await.expect(200);
    let told = live.next().await.unwrap();
    assert_eq!((told.name.as_str(), &told.data["role"]), ("rights", &json!("viewer")));
    node.call("POST", "/users/ann/revoke", None).await.expect(204);
    let last = live.next().await.unwrap();
    assert_eq!(last.name, "end");
    assert!(live.next().await.is_none());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}
