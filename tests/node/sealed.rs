//! Signing keys are kept sealed: what a node without the key for secrets can do with them.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use rustix::process::Signal;
use serde_json::Value;

use crate::process::{Node, PATIENCE};

const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const OTHER: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

fn start(data: &Path, key: &str) -> Node {
    let mut node = Node::start(data, "info", |command: &mut Command| {
        if !key.is_empty() {
            command.env("CRONAPI_SECRETS_KEY", key);
        }
    });
    node.line("ready");
    node
}

fn stop(node: Node) {
    node.signal(Signal::TERM);
    node.rest();
}

fn status(node: &Node, token: &str) -> String {
    let head = format!("GET /jobs HTTP/1.1\r\nAuthorization: Bearer {token}");
    node.ask(&head, "").lines().next().unwrap().to_owned()
}

fn keys(node: &Node, token: &str) -> usize {
    let head = format!("GET /auth/keys HTTP/1.1\r\nAuthorization: Bearer {token}");
    let answer = node.ask(&head, "");
    let body: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    body["items"].as_array().or(body.as_array()).expect(&answer).len()
}

/// How a login ends.
fn login(node: &Node) -> String {
    let head = "POST /auth/token HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded";
    let body = "grant_type=password&username=admin&password=correct+horse";
    node.ask(head, body)
}

#[test]
fn signing_keys_of_before_are_sealed_and_then_of_no_use_without_the_key() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    let node = start(&data, "");
    let before = node.login();
    assert_eq!(keys(&node, &before), 1);
    stop(node);

    // From now on with a key: another one signs, and what the first signed is still good.
    let node = start(&data, KEY);
    let end = Instant::now() + PATIENCE;
    while keys(&node, &before) < 2 {
        assert!(Instant::now() < end, "no key took the place of the one in the open");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let now = node.login();
    for token in [&before, &now] {
        assert!(status(&node, token).contains(" 200 "), "{}", status(&node, token));
    }
    stop(node);

    for key in ["", OTHER] {
        let node = start(&data, key);
        let answer = login(&node);
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.contains("CRONAPI_SECRETS_KEY"), "{answer}");
        assert!(!status(&node, &now).contains(" 200 "));
        stop(node);
    }
    let node = start(&data, KEY);
    assert!(status(&node, &now).contains(" 200 "), "nothing was lost");
    stop(node);
}
