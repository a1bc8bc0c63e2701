//! Who gets in, and how fast that ends.

use axum::body::Body;
use axum::http::Request;
use cronapi::clock::Clock;
use cronapi::machine::Op;
use cronapi::machine::apply::LOGIN_FAILED;
use cronapi::machine::command::AuditNote;
use cronapi::machine::state::FORMAT;
use cronapi::model::{Actor, Name, Role, Span};
use cronapi::service::access::{ACCESS_TTL, new_signing_key};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::fixture::{Node, PASSWORD, request};

fn claims_of(token: &str) -> Value {
    use base64::Engine;
    let part = token.split('.').nth(1).unwrap();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

fn unsigned(header: Value, claims: &Value) -> String {
    use base64::Engine;
    let encode =
        |value: &Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", encode(&header), encode(claims))
}

#[tokio::test]
async fn everything_but_the_way_in_takes_a_token() {
    let node = Node::start().await;
    for path in [
        "/livez",
        "/readyz",
        "/healthz",
        "/health",
        "/",
        "/openapi.json",
        "/docs/",
        "/problems",
        "/problems/invalid",
    ] {
        let answer = node.send(Request::get(path).body(Body::empty()).unwrap()).await;
        answer.expect(200);
    }
    for path in [
        "/jobs",
        "/jobs/a",
        "/runs",
        "/users",
        "/tokens",
        "/audit",
        "/audit/verify",
        "/events",
        "/queues",
        "/system/status",
        "/system/leader",
        "/cluster/nodes",
        "/auth/me",
        "/v1/jobs",
        "/jobs/a/ledger",
        "/runs/0190a0a0-0000-7000-8000-000000000000/logs",
    ] {
        let answer = node.send(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.expect(401).code(), "unauthenticated", "{path}");
    }
}

#[tokio::test]
async fn a_token_comes_from_a_form_or_json_and_a_refresh_token() {
    let node = Node::start().await;
    let json = json!({"username": "admin", "password": PASSWORD});
    let issued = node.post("/auth/login", json).await.expect(200).json();
    assert_eq!((&issued["token_type"], &issued["expires_in"]), (&json!("bearer"), &json!(3600)));
    let refresh = issued["refresh_token"].as_str().unwrap();
    let again = node.post("/auth/refresh", json!({"refresh_token": refresh})).await.expect(200);
    let again = again.json();
    let token = again["access_token"].as_str().unwrap().to_owned();
    assert_eq!(node.call_as(&token, "GET", "/auth/me", None).await.json()["user"], "admin");
    node.call_as(refresh, "GET", "/jobs", None).await.expect(401);
    node.post("/auth/refresh", json!({"refresh_token": token})).await.expect(401);
    let form = "grant_type=refresh_token&refresh_token=".to_owned()
        + again["refresh_token"].as_str().unwrap();
    let request = Request::post("/auth/token")
        .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
        .body(Body::from(form));
    node.send(request.unwrap()).await.expect(200);
}

#[tokio::test]
async fn a_wrong_login_says_neither_what_was_wrong_nor_how_often() {
    let node = Node::start().await;
    let mut details = Vec::new();
    for (user, password) in [("admin", "wrong"), ("nobody", "wrong"), ("", ""), ("a/b", "x")] {
        let body = json!({"username": user, "password": password});
        let answer = node.post("/auth/token", body).await.expect(401);
        assert_eq!(answer.json()["error"], "invalid_grant");
        details.push(answer.json()["error_description"].clone());
    }
    details.dedup();
    assert_eq!(details.len(), 1, "{details:?}");
    for bad in [
        json!({}),
        json!({"username": "admin"}),
        json!({"grant_type": "client_credentials", "username": "a", "password": "b"}),
    ] {
        let answer = node.post("/auth/token", bad).await.expect(400);
        assert_eq!(answer.json()["error"], "invalid_request");
    }
    node.post("/auth/token", json!({"username": 5, "password": []})).await.expect(422);
}

#[tokio::test]
async fn too_many_wrong_logins_have_to_wait() {
    let node = Node::start().await;
    let attempt = |password: &'static str| {
        node.post("/auth/token", json!({"username": "admin", "password": password}))
    };
    for _ in 0..10 {
        attempt("wrong").await.expect(401);
    }
    let refused = attempt(PASSWORD).await.expect(429);
    assert!(refused.header("retry-after").parse::<u64>().unwrap() <= 6);
    node.clock.advance(Span::from_secs(6));
    attempt(PASSWORD).await.expect(200);
}

#[tokio::test]
async fn forged_and_expired_tokens_are_refused() {
    let node = Node::start().await;
    let claims = claims_of(&node.admin);
    let header = jsonwebtoken::decode_header(&node.admin).unwrap();
    let other = new_signing_key().unwrap();
    let sign = |algorithm: Algorithm, kid: Option<String>, claims: &Value| {
        let header = Header { kid, ..Header::new(algorithm) };
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(&other.secret)).unwrap()
    };
    let kid = header.kid.clone();
    let none = json!({"alg": "none", "typ": "JWT", "kid": kid});
    let cut = &node.admin[..node.admin.len() - 2];
    let twisted = node.admin.replacen('.', ".e", 1);
    for bad in [
        sign(Algorithm::HS256, kid.clone(), &claims),
        sign(Algorithm::HS256, Some(other.id.to_string()), &claims),
        sign(Algorithm::HS256, None, &claims),
        sign(Algorithm::HS512, kid.clone(), &claims),
        unsigned(none, &claims),
        unsigned(json!({"alg": "None", "kid": kid}), &claims),
        unsigned(json!({"alg": "HS256", "kid": kid}), &claims),
        cut.to_owned(),
        twisted,
        "crn_x_y_z".into(),
        "x".into(),
        "a.b.c".into(),
        "é".into(),
        "x".repeat(100_000),
    ] {
        node.call_as(&bad, "GET", "/jobs", None).await.expect(401);
    }
    for scheme in ["Basic YTpi", "Bearer", "bearer  ", "Token x"] {
        let request = Request::get("/jobs").header("authorization", scheme);
        node.send(request.body(Body::empty()).unwrap()).await.expect(401);
    }
    let twice = Request::get("/jobs")
        .header("authorization", format!("Bearer {}", node.admin))
        .header("authorization", "Bearer x");
    node.send(twice.body(Body::empty()).unwrap()).await.expect(401);
    node.get("/jobs").await.expect(200);
    node.clock.advance(ACCESS_TTL);
    node.get("/jobs").await.expect(401);
}

#[tokio::test]
async fn what_a_user_may_do_changes_at_once() {
    let node = Node::start().await;
    let ann = node.with_user("ann", Role::Operator).await;
    node.call_as(&ann, "POST", "/jobs", Some(json!({"name": "a"}))).await.expect(201);
    let role =
        |role: &'static str| node.call("PUT", "/users/ann/role", Some(json!({ "role": role })));
    role("viewer").await.expect(200);
    let refused = node.call_as(&ann, "POST", "/jobs", Some(json!({"name": "b"}))).await;
    assert_eq!(refused.expect(403).code(), "forbidden");
    node.call_as(&ann, "GET", "/jobs/a", None).await.expect(200);
    node.call("PUT", "/users/ann/role?role=runner", None).await.expect(200);
    node.call_as(&ann, "POST", "/jobs/a/run", None).await.expect(202);
    let scope = json!({"role": "operator", "scope": {"jobs": ["etl-*"]}});
    node.call("PUT", "/users/ann/role", Some(scope)).await.expect(200);
    node.call_as(&ann, "GET", "/jobs/a", None).await.expect(404);
    node.call_as(&ann, "PUT", "/jobs/a", Some(json!({}))).await.expect(403);
    node.call_as(&ann, "PUT", "/jobs/etl-1", Some(json!({}))).await.expect(201);
    let seen = node.call_as(&ann, "GET", "/jobs", None).await.json();
    assert_eq!(seen["items"].as_array().unwrap().len(), 1);
    for bad in [json!({"role": "king"}), json!({}), json!({"role": "viewer", "scope": {"x": 1}})] {
        node.call("PUT", "/users/ann/role", Some(bad)).await.expect(422);
    }
}

#[tokio::test]
async fn sessions_end_on_revoke_new_password_logout_and_deletion() {
    let node = Node::start().await;
    let ann = node.with_user("ann", Role::Viewer).await;
    node.call("POST", "/users/ann/revoke", None).await.expect(204);
    node.call_as(&ann, "GET", "/jobs", None).await.expect(401);

    let ann = node.login("ann").await;
    let change = json!({"old_password": "wrong", "new_password": "longer than 8"});
    node.call_as(&ann, "PUT", "/auth/password", Some(change)).await.expect(422);
    let change = json!({"old_password": PASSWORD, "new_password": "short"});
    node.call_as(&ann, "PUT", "/auth/password", Some(change)).await.expect(422);
    let change = json!({"old_password": PASSWORD, "new_password": "longer than 8"});
    node.call_as(&ann, "PUT", "/auth/password", Some(change)).await.expect(204);
    node.call_as(&ann, "GET", "/jobs", None).await.expect(401);

    node.call("PUT", "/users/ann/password", Some(json!({"password": PASSWORD}))).await.expect(204);
    let ann = node.login("ann").await;
    node.call_as(&ann, "POST", "/auth/logout", None).await.expect(204);
    node.call_as(&ann, "GET", "/jobs", None).await.expect(401);

    let ann = node.login("ann").await;
    node.call("DELETE", "/users/ann", None).await.expect(204);
    node.call_as(&ann, "GET", "/jobs", None).await.expect(401);
    let back = json!({"name": "ann", "password": PASSWORD, "role": "admin"});
    node.post("/users", back).await.expect(201);
    node.call_as(&ann, "GET", "/jobs", None).await.expect(401);
}

#[tokio::test]
async fn the_last_admin_stays() {
    let node = Node::start().await;
    for (method, path, body) in [
        ("DELETE", "/users/admin", None),
        ("PUT", "/users/admin/role", Some(json!({"role": "viewer"}))),
        ("PUT", "/users/admin/role", Some(json!({"role": "admin", "scope": {"tags": ["x"]}}))),
    ] {
        assert_eq!(node.call(method, path, body).await.expect(409).code(), "last-admin");
    }
}

#[tokio::test]
async fn users_are_for_admins_only() {
    let node = Node::start().await;
    let ann = node.with_user("ann", Role::Operator).await;
    let user = json!({"name": "eve", "password": "longer than 8", "role": "admin"});
    for (method, path, body) in [
        ("GET", "/users", None),
        ("GET", "/users/admin", None),
        ("POST", "/users", Some(user.clone())),
        ("PUT", "/users/ann/role", Some(json!({"role": "admin"}))),
        ("PUT", "/users/admin/password", Some(json!({"password": "longer than 8"}))),
        ("PUT", "/users/ann/password", Some(json!({"password": "longer than 8"}))),
        ("POST", "/users/admin/revoke", None),
        ("DELETE", "/users/admin", None),
        ("GET", "/audit", None),
        ("GET", "/audit/verify", None),
        ("PUT", "/queues/q", Some(json!({"concurrency": 1}))),
    ] {
        let answer = node.call_as(&ann, method, path, body).await;
        assert_eq!(answer.expect(403).code(), "forbidden", "{method} {path}");
    }
    node.call_as(&ann, "GET", "/users/ann", None).await.expect(200);
    let made = node.post("/users", user.clone()).await.expect(201);
    assert!(!made.json().to_string().contains("argon2"));
    node.post("/users", user).await.expect(409);
}

#[tokio::test]
async fn api_tokens_do_what_their_owner_may_and_no_more() {
    let node = Node::start().await;
    node.with_job("a").await;
    let ann = node.with_user("ann", Role::Operator).await;
    let make = |body: Value| node.send(request(&ann, "POST", "/tokens", &[], Some(body)));
    make(json!({"name": "t", "role": "admin"})).await.expect(422);
    make(json!({"name": ""})).await.expect(422);
    make(json!({"name": "t", "expires_in": "0s"})).await.expect(422);
    let made = make(json!({"name": "t", "role": "runner", "expires_in": "1h"})).await;
    let made = made.expect(201).json();
    let (id, token) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    assert!(token.starts_with("crn_"));
    node.call_as(token, "POST", "/jobs/a/run", None).await.expect(202);
    node.call_as(token, "POST", "/jobs", Some(json!({"name": "b"}))).await.expect(403);
    node.call_as(token, "POST", "/tokens", Some(json!({"name": "u"}))).await.expect(403);
    node.call_as(token, "POST", "/auth/logout", None).await.expect(403);
    let me = node.call_as(token, "GET", "/auth/me", None).await.json();
    assert_eq!((&me["token_id"], &me["role"]), (&json!(id), &json!("runner")));
    let mut wrong = token.to_owned();
    wrong.replace_range(40..41, if &token[40..41] == "0" { "1" } else { "0" });
    node.call_as(&wrong, "GET", "/jobs", None).await.expect(401);

    node.call("PUT", "/users/ann/role?role=viewer", None).await.expect(200);
    node.call_as(token, "POST", "/jobs/a/run", None).await.expect(403);
    let listed = node.get("/tokens").await.json().to_string();
    assert!(listed.contains(id) && !listed.contains(token));
    node.clock.advance(Span::from_secs(3_600));
    node.call_as(token, "GET", "/jobs", None).await.expect(401);

    let ann = node.login("ann").await;
    let made = node.call_as(&ann, "POST", "/tokens", Some(json!({"name": "t"}))).await.json();
    let (id, token) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    node.call_as(token, "GET", "/jobs", None).await.expect(200);
    node.login("admin").await;
    node.call_as(&ann, "DELETE", &format!("/tokens/{id}"), None).await.expect(204);
    node.call_as(token, "GET", "/jobs", None).await.expect(401);
}

#[tokio::test]
async fn a_deleted_owner_takes_the_tokens_along() {
    let node = Node::start().await;
    let ann = node.with_user("ann", Role::Viewer).await;
    let made = node.call_as(&ann, "POST", "/tokens", Some(json!({"name": "t"}))).await.json();
    let token = made["token"].as_str().unwrap().to_owned();
    node.call_as(&token, "GET", "/jobs", None).await.expect(200);
    node.submit(Op::DeleteUser { name: Name::parse("ann").unwrap() }).await;
    node.call_as(&token, "GET", "/jobs", None).await.expect(401);
}

#[tokio::test]
async fn a_rotated_key_lets_the_old_tokens_live_unless_they_are_revoked() {
    let node = Node::start().await;
    let before = node.get("/auth/keys").await.expect(200).json();
    assert_eq!(before["items"].as_array().unwrap().len(), 1);
    let rotated = node.call("POST", "/auth/keys/rotate", None).await.expect(200).json();
    let keys = rotated["items"].as_array().unwrap();
    assert_eq!(keys[0]["id"], before["items"][0]["id"]);
    assert!(keys[0]["ends_at"].is_string() && keys[1]["ends_at"].is_null(), "{rotated}");
    assert!(!rotated.to_string().contains("secret"));
    node.get("/jobs").await.expect(200);
    let fresh = node.login("admin").await;
    let kid = jsonwebtoken::decode_header(&fresh).unwrap().kid;
    assert_eq!(kid.as_deref(), keys[1]["id"].as_str());

    let made = node.post("/tokens", json!({"name": "t"})).await.expect(201).json();
    let ann = node.with_user("ann", Role::Operator).await;
    node.call_as(&ann, "POST", "/auth/keys/rotate", None).await.expect(403);
    node.call_as(&ann, "GET", "/auth/keys", None).await.expect(403);
    node.post("/auth/keys/rotate", json!({"revoke": "yes"})).await.expect(422);
    let revoked = node.post("/auth/keys/rotate", json!({"revoke": true})).await.expect(200).json();
    assert_eq!(revoked["items"].as_array().unwrap().len(), 1);
    for token in [&node.admin, &fresh, &ann] {
        node.call_as(token, "GET", "/jobs", None).await.expect(401);
    }
    node.call_as(made["token"].as_str().unwrap(), "GET", "/jobs", None).await.expect(200);
    node.login("admin").await;
}

#[tokio::test]
async fn while_a_node_is_of_an_older_version_keys_stay_as_they_are() {
    let node = Node::start_as(1, |_| {}).await;
    let answer = node.call("POST", "/auth/keys/rotate", None).await.expect(409);
    assert_eq!(answer.code(), "upgrade-needed");
    assert_eq!(node.get("/auth/keys").await.json()["items"].as_array().unwrap().len(), 1);
    node.submit(Op::RaiseFormat { to: FORMAT }).await;
    node.call("POST", "/auth/keys/rotate", None).await.expect(200);
}

#[tokio::test]
async fn wrong_logins_elsewhere_and_before_a_restart_count_here() {
    let node = Node::start().await;
    let failed = || AuditNote {
        at: node.clock.now(),
        actor: Actor { name: "admin".into(), from: None, request_id: None, trace: None },
        action: LOGIN_FAILED.into(),
        target: "admin".into(),
        change: json!({}),
    };
    // As another node tells it, or this one did in an earlier life.
    node.submit(Op::Note { entries: (0..10).map(|_| failed()).collect() }).await;
    let attempt = json!({"username": "admin", "password": PASSWORD});
    let refused = node.post("/auth/token", attempt.clone()).await.expect(429);
    assert!(refused.header("retry-after").parse::<u64>().unwrap() <= 6);
    node.clock.advance(Span::from_secs(6));
    node.post("/auth/token", attempt).await.expect(200);
}

#[tokio::test]
async fn a_token_that_is_used_much_is_noted_once_a_minute() {
    let node = Node::start().await;
    let made = node.post("/tokens", json!({"name": "t"})).await.expect(201).json();
    let token = made["token"].as_str().unwrap();
    let used = || {
        let id: uuid::Uuid = made["id"].as_str().unwrap().parse().unwrap();
        node.consensus.state().access.tokens[&id].last_used_at
    };
    let mut applied = node.consensus.applied();
    for minute in 0..2 {
        let before = used();
        let index = *applied.borrow();
        for _ in 0..50 {
            node.call_as(token, "GET", "/jobs?consistency=local", None).await.expect(200);
        }
        while used() == before {
            applied.changed().await.unwrap();
        }
        for _ in 0..50 {
            node.call_as(token, "GET", "/jobs?consistency=local", None).await.expect(200);
        }
        // A write of its own shows that nothing was queued behind the first use.
        node.submit(Op::SetQueue { name: Name::parse("q").unwrap(), concurrency: Some(1) }).await;
        assert!(
            *applied.borrow() - index <= 3,
            "minute {minute}: {index} to {:?}",
            *applied.borrow()
        );
        node.clock.advance(Span::from_secs(60));
    }
}
