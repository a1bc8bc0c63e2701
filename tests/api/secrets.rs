//! `/secrets`: given and never shown; who may use them.

use cronapi::machine::Op;
use cronapi::model::{DataKey, Name, Role, Scope, Sealed, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixture::Node;

const VALUE: &str = "correct-battery-staple";

async fn node() -> Node {
    Node::start().await
}

async fn put(node: &Node, name: &str, scope: Value) {
    let body = json!({"value": VALUE, "scope": scope});
    node.call("PUT", &format!("/secrets/{name}"), Some(body)).await.expect(200);
}

fn job(secret: &str) -> Value {
    json!({"name": "etl-load", "runner": {"type": "shell", "command": "true",
        "env": {"TOKEN": {"secret": secret}, "PLAIN": "text"}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_goes_in_and_never_comes_out() {
    let node = node().await;
    put(&node, "db", json!({})).await;
    put(&node, "db", json!({"jobs": ["etl-*"]})).await;
    let shown = node.get("/secrets/db").await.expect(200);
    assert_eq!(shown.json()["version"], 2);
    assert_eq!(shown.json()["scope"], json!({"jobs": ["etl-*"]}));
    assert_eq!(shown.json()["updated_by"], "admin");
    for path in ["/secrets", "/secrets/db", "/audit"] {
        let text = String::from_utf8(node.get(path).await.expect(200).body.to_vec()).unwrap();
        assert!(!text.contains(VALUE), "{path}: {text}");
    }
    let state = rmp_serde::to_vec_named(&*node.consensus.state()).unwrap();
    assert!(!state.windows(VALUE.len()).any(|w| w == VALUE.as_bytes()), "sealed where it is kept");
    let audit = node.get("/audit?action=secret.put").await.expect(200).json();
    assert_eq!(audit["items"].as_array().unwrap().len(), 2, "{audit}");
    node.call("DELETE", "/secrets/db", None).await.expect(204);
    node.get("/secrets/db").await.expect(404);
    node.call("DELETE", "/secrets/db", None).await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_given_under_a_condition_and_once_for_a_key() {
    let node = node().await;
    let body = || Some(json!({"value": VALUE, "scope": {}}));
    let put =
        |headers: &'static [(&str, &str)]| node.with_headers("PUT", "/secrets/db", headers, body());
    put(&[("if-match", "*")]).await.expect(412);
    assert_eq!(put(&[("if-none-match", "*")]).await.expect(200).header("etag"), "\"1\"");
    put(&[("if-none-match", "*")]).await.expect(412);
    put(&[("if-match", "\"7\"")]).await.expect(412);
    let key: &[_] = &[("if-match", "\"1\""), ("idempotency-key", "k")];
    for replayed in ["", "true"] {
        let given = put(key).await.expect(200);
        assert_eq!(
            (given.header("etag"), given.header("idempotent-replayed")),
            ("\"2\"", replayed)
        );
    }
    let other = Some(json!({"value": "another value", "scope": {}}));
    let reused = node.with_headers("PUT", "/secrets/db", &key[1..], other).await.expect(422);
    assert_eq!(reused.code(), "idempotency-key-reused");
    let at_hand = [("if-none-match", "\"2\"")];
    node.with_headers("GET", "/secrets/db", &at_hand, None).await.expect(304);
    let delete = |headers: &'static [(&str, &str)]| {
        node.with_headers("DELETE", "/secrets/db", headers, None)
    };
    delete(&[("if-match", "\"1\"")]).await.expect(412);
    for replayed in ["", "true"] {
        let gone = delete(&[("if-match", "\"2\""), ("idempotency-key", "k")]).await.expect(204);
        assert_eq!(gone.header("idempotent-replayed"), replayed);
    }
    let user = || Some(json!({"name": "eve", "password": "longer than 8", "role": "viewer"}));
    for replayed in ["", "true"] {
        let made = node.with_headers("POST", "/users", &key[1..], user()).await.expect(201);
        assert_eq!(made.header("idempotent-replayed"), replayed);
    }
    node.post("/users", user().unwrap()).await.expect(409);
    let token = json!({"name": "t", "role": "viewer"});
    let token = node.post("/tokens", token).await.expect(201).json();
    let token = format!("/tokens/{}", token["id"].as_str().unwrap());
    for path in ["/users/eve", &token] {
        for replayed in ["", "true"] {
            let gone = node.with_headers("DELETE", path, &key[1..], None).await.expect(204);
            assert_eq!(gone.header("idempotent-replayed"), replayed, "{path}");
        }
        node.call("DELETE", path, None).await.expect(404);
        let other = [("idempotency-key", "another")];
        node.with_headers("DELETE", path, &other, None).await.expect(404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_can_not_be_masked_or_kept_are_refused() {
    let node = node().await;
    for (value, word) in [("abc", "at least 4"), (&*"x".repeat(16_385), "at most 16384")] {
        let body = json!({"value": value, "scope": {}});
        let answer = node.call("PUT", "/secrets/db", Some(body)).await.expect(422);
        assert!(answer.json()["detail"].as_str().unwrap().contains(word), "{:?}", answer.json());
    }
    let body = json!({"value": VALUE});
    node.call("PUT", "/secrets/db", Some(body)).await.expect(422);
    let patterns: Vec<String> = (0..33).map(|n| format!("job-{n}")).collect();
    for (jobs, word) in [(json!(patterns), "over 32"), (json!(["etl *"]), "")] {
        let body = json!({"value": VALUE, "scope": {"jobs": jobs}});
        let answer = node.call("PUT", "/secrets/db", Some(body)).await.expect(422);
        let told = answer.json()["errors"].to_string();
        assert!(told.contains("/scope/jobs") && told.contains(word), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_see_names_and_admins_give_values() {
    let node = node().await;
    put(&node, "db", json!({})).await;
    let operator = node.with_user("op", Role::Operator).await;
    let viewer = node.with_user("eve", Role::Viewer).await;
    node.call_as(&operator, "GET", "/secrets", None).await.expect(200);
    node.call_as(&viewer, "GET", "/secrets", None).await.expect(403);
    let body = json!({"value": VALUE, "scope": {}});
    node.call_as(&operator, "PUT", "/secrets/db", Some(body)).await.expect(403);
    node.call_as(&operator, "DELETE", "/secrets/db", None).await.expect(403);
    node.call_as(&operator, "POST", "/secrets/rotate", None).await.expect(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_names_only_secrets_that_are_for_it() {
    let node = node().await;
    put(&node, "mine", json!({"jobs": ["etl-*"]})).await;
    put(&node, "other", json!({"jobs": ["billing-*"]})).await;
    let made = node.post("/jobs", job("mine")).await.expect(201).json();
    assert_eq!(made["runner"]["env"]["TOKEN"], json!({"secret": "mine"}));
    let refused = node.call("PUT", "/jobs/etl-load", Some(job("other"))).await.expect(422);
    assert_eq!(refused.json()["errors"][0]["pointer"], "/runner/env/TOKEN");
    let later = node.call("PUT", "/jobs/etl-load", Some(job("missing"))).await.expect(200).json();
    assert!(later["warnings"][0].as_str().unwrap().contains("no secret missing"), "{later}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_node_is_of_an_older_version_secrets_are_refused() {
    let node = Node::start_as(1, |_| {}).await;
    let body = json!({"value": VALUE, "scope": {}});
    let answer = node.call("PUT", "/secrets/db", Some(body)).await.expect(409);
    assert_eq!(answer.code(), "upgrade-needed");
    assert_eq!(node.post("/jobs", job("db")).await.expect(409).code(), "upgrade-needed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_seals_everything_anew() {
    let node = node().await;
    for name in ["a", "b", "c"] {
        put(&node, name, json!({})).await;
    }
    let before = node.consensus.state();
    let rotated = node.call("POST", "/secrets/rotate", None).await.expect(200).json();
    assert_eq!(rotated["resealed"], 3);
    let after = node.consensus.state();
    assert_eq!(after.secrets.keys.len(), 1);
    assert_ne!(after.secrets.keys[0].id, before.secrets.keys[0].id);
    for (name, secret) in &after.secrets.items {
        assert_eq!(secret.version, 1);
        assert_ne!(secret.sealed, before.secrets.items[name].sealed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_can_not_open_everything_changes_nothing() {
    let node = node().await;
    put(&node, "a", json!({})).await;
    // Sealed with a key that this node was not started with.
    let id = Uuid::from_u128(7);
    let sealed = Sealed { key: id, nonce: [1; 24], bytes: vec![0; 48] };
    let key =
        DataKey { id, under: "0".repeat(8), sealed: sealed.clone(), created_at: Timestamp::ZERO };
    let after = node.consensus.state().secrets.keys.last().map(|key| key.id);
    node.submit(Op::PutSecretKey { key, after }).await;
    let name = Name::parse("z").unwrap();
    node.submit(Op::PutSecret { name, jobs: Scope::default(), sealed, expected: None }).await;
    for _ in 0..10 {
        let refused = node.call("POST", "/secrets/rotate", None).await.expect(409);
        assert_eq!(refused.code(), "secrets-key-missing");
    }
    let state = node.consensus.state();
    assert_eq!(state.secrets.keys.len(), 2, "no key is left behind");
    assert_eq!(state.secrets.items.values().filter(|secret| secret.sealed.key == id).count(), 1);
    node.call("DELETE", "/secrets/z", None).await.expect(204);
    node.call("POST", "/secrets/rotate", None).await.expect(200);
    let state = node.consensus.state();
    assert_eq!(state.secrets.keys.len(), 1);
    assert_ne!(state.secrets.keys[0].id, id);
}
