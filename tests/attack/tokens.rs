//! Tokens that were made up, changed, stolen or should be over. That other keys and algorithms
//! are refused is tested with the interface; here is what surrounds that.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::http::Request;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cronapi::model::Role;
use futures_util::{StreamExt, stream};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::fixture::{Node, PASSWORD};

fn part(token: &str, at: usize) -> Value {
    let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(at).unwrap()).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

fn packed(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A token with another head or other claims, and the signature of `token`.
fn changed(token: &str, head: &Value, claims: &Value) -> String {
    format!("{}.{}.{}", packed(head), packed(claims), token.rsplit('.').next().unwrap())
}

fn with(value: &Value, field: &str, new: Value) -> Value {
    let mut value = value.clone();
    value[field] = new;
    value
}

#[tokio::test]
async fn what_is_changed_in_a_token_ends_it() {
    let node = Node::start().await;
    let viewer = node.with_user("ann", Role::Viewer).await;
    let (head, claims, admin) = (part(&viewer, 0), part(&viewer, 1), part(&node.admin, 1));
    for forged in [
        changed(&viewer, &head, &admin),
        changed(&viewer, &head, &with(&claims, "sub", json!("admin"))),
        changed(&viewer, &head, &with(&claims, "exp", json!(9_999_999_999i64))),
        changed(&viewer, &with(&head, "alg", json!("none")), &claims),
        changed(&viewer, &with(&head, "alg", json!("RS256")), &claims),
        changed(&viewer, &with(&head, "jku", json!("http://127.0.0.1/keys")), &admin),
        changed(&viewer, &with(&head, "jwk", json!({"kty": "oct", "k": "eA"})), &admin),
        format!("{}.{}.", packed(&with(&head, "alg", json!("NONE"))), packed(&admin)),
        format!("{viewer}.{viewer}"),
        format!("{viewer}="),
        viewer.to_uppercase(),
    ] {
        node.call_as(&forged, "GET", "/jobs", None).await.expect(401);
    }
    node.call_as(&viewer, "GET", "/jobs", None).await.expect(200);
}

#[tokio::test]
async fn the_name_of_a_key_leads_nowhere() {
    let node = Node::start().await;
    let claims = part(&node.admin, 1);
    for (kid, secret) in [
        ("../../../../dev/null", &b""[..]),
        ("00000000-0000-0000-0000-000000000000", b""),
        ("' OR 1=1", b"x"),
        ("", b""),
    ] {
        let head = Header { kid: Some(kid.into()), ..Header::new(Algorithm::HS256) };
        let token = jsonwebtoken::encode(&head, &claims, &EncodingKey::from_secret(secret));
        node.call_as(&token.unwrap(), "GET", "/jobs", None).await.expect(401);
    }
}

#[tokio::test]
async fn a_token_of_another_cluster_is_a_stranger() {
    let (one, other) = (Node::start().await, Node::start().await);
    one.call_as(&other.admin, "GET", "/jobs", None).await.expect(401);
    let made = other.post("/tokens", json!({"name": "t"})).await.expect(201).json();
    let api = made["token"].as_str().unwrap();
    one.call_as(api, "GET", "/jobs", None).await.expect(401);
}

#[tokio::test]
async fn what_was_over_stays_over_when_it_is_sent_again() {
    let node = Node::start().await;
    let login = json!({"username": "ann", "password": PASSWORD});
    node.with_user("ann", Role::Operator).await;
    let session = node.post("/auth/token", login.clone()).await.expect(200).json();
    let (access, refresh) =
        (session["access_token"].as_str().unwrap(), session["refresh_token"].as_str().unwrap());
    let made = node.call_as(access, "POST", "/tokens", Some(json!({"name": "t"}))).await.json();
    let (api, id) = (made["token"].as_str().unwrap(), made["id"].as_str().unwrap());
    node.call_as(access, "POST", "/auth/logout", None).await.expect(204);
    let replay = || node.post("/auth/refresh", json!({ "refresh_token": refresh }));
    node.call_as(access, "GET", "/auth/me", None).await.expect(401);
    replay().await.expect(401);
    // A new login does not bring the old one back.
    node.post("/auth/token", login).await.expect(200);
    node.call_as(access, "GET", "/auth/me", None).await.expect(401);
    replay().await.expect(401);

    node.call_as(api, "GET", "/auth/me", None).await.expect(200);
    node.call("DELETE", &format!("/tokens/{id}"), None).await.expect(204);
    node.call_as(api, "GET", "/auth/me", None).await.expect(401);
    node.call("POST", "/users/ann/revoke?api_tokens=true", None).await.expect(204);
}

#[tokio::test]
async fn the_secret_of_one_api_token_does_not_open_another() {
    let node = Node::start().await;
    let ann = node.with_user("ann", Role::Viewer).await;
    let own = node.call_as(&ann, "POST", "/tokens", Some(json!({"name": "t"}))).await.json();
    let root = node.post("/tokens", json!({"name": "t"})).await.expect(201).json();
    let texts = [&own, &root].map(|made| made["token"].as_str().unwrap().to_owned());
    let ids = [&own, &root].map(|made| made["id"].as_str().unwrap().replace('-', ""));
    // The one's secret under the other's id, with a checksum that fits.
    let (body, _) = texts[0].rsplit_once('_').unwrap();
    let body = body.replace(&ids[0], &ids[1]);
    assert!(!texts[0].starts_with(&body), "a token names its id");
    let swapped = format!("{body}_{:08x}", crc32fast::hash(body.as_bytes()));
    node.call_as(&swapped, "GET", "/users", None).await.expect(401);
    for cut in 5..texts[1].len() {
        node.call_as(&texts[1][..cut], "GET", "/jobs?consistency=local", None).await.expect(401);
    }
}

#[tokio::test]
async fn what_is_revoked_while_a_body_comes_opens_nothing() {
    let node = Node::start().await;
    let token = node.with_user("ann", Role::Operator).await;
    let (sender, mut receiver) = mpsc::channel::<Bytes>(1);
    let coming = stream::poll_fn(move |cx| receiver.poll_recv(cx));
    let body = Body::from_stream(coming.map(Ok::<_, Infallible>));
    let request = Request::builder()
        .method("POST")
        .uri("/tokens")
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .body(body)
        .unwrap();
    let revoked = async {
        sender.send(Bytes::from_static(br#"{"name":"#)).await.unwrap();
        // There is room again: the first part was taken, so whoever asks has been let in.
        let room = sender.reserve().await.unwrap();
        node.call("POST", "/users/ann/revoke", None).await.expect(204);
        room.send(Bytes::from_static(br#""kept"}"#));
        drop(sender);
    };
    let (answer, ()) = tokio::join!(node.send(request), revoked);
    answer.expect(401);
    let kept = node.get("/tokens").await.expect(200).json();
    assert_eq!(kept["items"], json!([]), "an API token outlives what made it");
}
