//! `/push`: browsers of one's own, at push services that are known, and tried at once.

use std::sync::{Mutex, OnceLock};
use std::thread;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use cronapi::model::Role;
use serde_json::{Value, json};

use crate::fixture::{Node, PUSH_SERVICES};

const P256DH: &str =
    "BLn9b-VR0ca83knDNZ32dCHGyjJp-1riX9ZTN40MqV8K_LpQmLqxC_DoHvqvFXO_nGdAB4W9dogZb_sM-uV4JbY";
const AUTH: &str = "_ordMnz7uTCmrpBTeUV4Bw";

/// What came: the path, the headers, the bytes.
static CAME: Mutex<Vec<(String, HeaderMap, Bytes)>> = Mutex::new(Vec::new());

async fn take(Path(path): Path<String>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let status = path.rsplit('/').next().and_then(|last| last.parse().ok());
    CAME.lock().unwrap().push((path, headers, body));
    StatusCode::from_u16(status.unwrap_or(201)).unwrap()
}

/// A push service that all tests share. The last part of a path says what it answers.
fn service() -> &'static str {
    static SERVICE: OnceLock<String> = OnceLock::new();
    SERVICE.get_or_init(|| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, Router::new().route("/{*path}", post(take))).await.unwrap();
            });
        });
        origin
    })
}

/// A node that knows two push services; the second is one that no node may reach.
async fn started() -> Node {
    let known = vec![service().to_owned(), "http://169.254.169.254".to_owned()];
    *PUSH_SERVICES.lock().unwrap() = known;
    Node::start().await
}

fn browser(path: &str) -> Value {
    json!({
        "endpoint": format!("{}/{path}", service()),
        "keys": { "p256dh": P256DH, "auth": AUTH },
        "label": "phone",
    })
}

async fn subscribed(node: &Node, path: &str) -> Value {
    node.call("POST", "/push/subscriptions", Some(browser(path))).await.expect(201).json()
}

async fn tried(node: &Node, of: &Value) -> Value {
    let path = format!("/push/subscriptions/{}/test", of["id"].as_str().unwrap());
    node.call("POST", &path, None).await.expect(200).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_subscribes_with_the_one_key_and_is_tried() {
    let node = started().await;
    let key = node.get("/push/key").await.expect(200).json();
    assert_eq!(key, node.get("/push/key").await.expect(200).json(), "it is made once");
    assert_eq!(key["key"].as_str().unwrap().len(), 87, "65 bytes in base64url");
    let state = node.consensus.state();
    let kept = state.pushes.key.as_ref().unwrap();
    assert!(kept.sealed.is_some() && kept.secret == [0; 32], "sealed as secrets are");
    let made = subscribed(&node, "a/201").await;
    assert_eq!(made["service"], service().split("//").nth(1).unwrap());
    assert_eq!(made["on"][0], "failed");
    assert!(!made.to_string().contains("a/201"), "its address is a key to write there: {made}");
    let tried = tried(&node, &made).await;
    assert_eq!((&tried["ok"], &tried["detail"]), (&json!(true), &json!("the push service has it")));
    let came = CAME.lock().unwrap();
    let (_, headers, body) = came.iter().find(|(path, ..)| path == "a/201").expect("it came");
    let head = |name: &str| headers[name].to_str().unwrap().to_owned();
    assert_eq!((head("ttl"), head("urgency")), ("86400".into(), "normal".into()));
    assert_eq!((head("content-encoding"), head("topic").len()), ("aes128gcm".into(), 32));
    let signed = head("authorization");
    assert!(signed.starts_with("vapid t=ey"), "{signed}");
    assert!(signed.ends_with(&format!(", k={}", key["key"].as_str().unwrap())), "{signed}");
    assert!(!body.windows(4).any(|four| four == b"test"), "it is encrypted");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_becomes_of_a_test_is_the_answer() {
    let node = started().await;
    node.get("/push/key").await.expect(200);
    for (path, told) in [
        ("b/410", "does not want pushes"),
        ("b/403", "HTTP 403"),
        ("b/503", "HTTP 503"),
        ("b/302", "HTTP 302"),
    ] {
        let made = subscribed(&node, path).await;
        let tried = tried(&node, &made).await;
        assert_eq!(tried["ok"], false, "{tried}");
        assert!(tried["detail"].as_str().unwrap().contains(told), "{tried}");
    }
    // It is a push service to this cluster, and stands where no node may go.
    let mut inside = browser("x");
    inside["endpoint"] = json!("http://169.254.169.254/latest/meta-data");
    let made = node.call("POST", "/push/subscriptions", Some(inside)).await.expect(201).json();
    let tried = tried(&node, &made).await;
    assert!(tried["detail"].as_str().unwrap().contains("denied"), "{tried}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_is_told_at_its_field() {
    let node = started().await;
    for (change, pointer, told) in [
        (json!({ "endpoint": "https://169.254.169.254/a" }), "/endpoint", "no push service"),
        (json!({ "endpoint": "https://10.0.0.1/a" }), "/endpoint", "CRONAPI_PUSH_ALLOW"),
        (json!({ "endpoint": "no" }), "/endpoint", "is no address"),
        (json!({ "keys": { "p256dh": "a", "auth": AUTH } }), "/keys/p256dh", "65 bytes"),
        (json!({ "keys": { "p256dh": P256DH, "auth": "!" } }), "/keys/auth", "16 bytes"),
        (json!({ "on": ["recovered"] }), "/on", "needs a trouble"),
        (json!({ "match": { "jobs": [""] } }), "/match/jobs/0", "must have 1"),
    ] {
        let mut body = browser("c/201");
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let refused = node.call("POST", "/push/subscriptions", Some(body)).await.expect(422).json();
        let fault = &refused["errors"][0];
        assert_eq!(fault["pointer"], pointer, "{refused}");
        assert!(fault["detail"].as_str().unwrap().contains(told), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_is_its_users_alone() {
    let node = started().await;
    let made = subscribed(&node, "d/201").await;
    let path = format!("/push/subscriptions/{}", made["id"].as_str().unwrap());
    let again = node.call("POST", "/push/subscriptions", Some(browser("d/201"))).await;
    assert_eq!(again.expect(200).json()["id"], made["id"], "known by its address");
    let ann = node.with_user("ann", Role::Viewer).await;
    let of_ann = node.call_as(&ann, "GET", "/push/subscriptions", None).await.expect(200).json();
    assert_eq!(of_ann["items"], json!([]));
    node.call_as(&ann, "DELETE", &path, None).await.expect(404);
    node.call_as(&ann, "POST", &format!("{path}/test"), None).await.expect(404);
    // A token may see less than its owner: it makes none.
    let token = json!({ "name": "t", "role": "viewer", "scope": { "jobs": ["a"] } });
    let token = node.call("POST", "/tokens", Some(token)).await.expect(201).json();
    let token = token["token"].as_str().unwrap();
    let body = Some(browser("d2/201"));
    node.call_as(token, "POST", "/push/subscriptions", body).await.expect(403);
    node.call_as(token, "DELETE", &path, None).await.expect(403);
    node.call("DELETE", &path, None).await.expect(204);
    let own = node.get("/push/subscriptions").await.expect(200).json();
    assert_eq!(own["items"], json!([]));
    let audit = node.get("/audit?action=push.subscribe").await.expect(200).json();
    assert_eq!(audit["items"].as_array().unwrap().len(), 2, "{audit}");
    assert!(!audit.to_string().contains("d/201"), "{audit}");
}
