//! Rights that were wider than they looked: of sessions, of API tokens, of tags, of names.

use cronapi::machine::Op;
use cronapi::model::{Name, Role, Scope, Span};
use serde_json::{Value, json};

use super::fixture::{Node, PASSWORD, request};

async fn login(node: &Node, user: &str) -> Value {
    let login = json!({ "username": user, "password": PASSWORD });
    node.post("/auth/token", login).await.expect(200).json()
}

async fn refreshed(node: &Node, session: &Value) -> super::fixture::Answer {
    node.post("/auth/refresh", json!({ "refresh_token": session["refresh_token"] })).await
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap()
}

async fn scoped(node: &Node, name: &str, role: Role, scope: Scope) -> String {
    let token = node.with_user(name, role).await;
    let name = Name::parse(name).unwrap();
    node.submit(Op::SetRole { name, role, scope }).await;
    token
}

fn jobs(pattern: &str) -> Scope {
    Scope { jobs: vec![pattern.into()], tags: Vec::new() }
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_a_second_time_ends_the_session() {
    let node = Node::start().await;
    node.with_user("ann", Role::Viewer).await;
    let (first, other) = (login(&node, "ann").await, login(&node, "ann").await);
    let second = refreshed(&node, &first).await.expect(200).json();
    let third = refreshed(&node, &second).await.expect(200).json();
    node.call_as(text(&third, "access_token"), "GET", "/jobs", None).await.expect(200);
    // Somebody else has it.
    refreshed(&node, &second).await.expect(401);
    for session in [&first, &second, &third] {
        refreshed(&node, session).await.expect(401);
        node.call_as(text(session, "access_token"), "GET", "/jobs", None).await.expect(401);
    }
    // Other sessions of the user go on.
    node.call_as(text(&other, "access_token"), "GET", "/jobs", None).await.expect(200);
    refreshed(&node, &other).await.expect(200);
    let audit = node.get("/audit?limit=100").await.expect(200).json();
    let ended = |row: &&Value| row["action"] == "session.end";
    assert_eq!(audit["items"].as_array().unwrap().iter().filter(ended).count(), 1, "{audit}");
}

#[tokio::test]
async fn a_session_does_not_outlive_its_week_however_often_it_is_refreshed() {
    let node = Node::start().await;
    node.with_user("ann", Role::Viewer).await;
    let mut session = login(&node, "ann").await;
    for _ in 0..6 {
        node.clock.advance(Span::from_secs(86_400));
        session = refreshed(&node, &session).await.expect(200).json();
    }
    assert_eq!(session["refresh_expires_in"], 86_400);
    node.clock.advance(Span::from_secs(86_399));
    session = refreshed(&node, &session).await.expect(200).json();
    assert_eq!((&session["expires_in"], &session["refresh_expires_in"]), (&json!(1), &json!(1)));
    node.clock.advance(Span::from_secs(1));
    refreshed(&node, &session).await.expect(401);
    node.call_as(text(&session, "access_token"), "GET", "/jobs", None).await.expect(401);
}

#[tokio::test]
async fn an_api_token_does_nothing_to_its_owner_and_to_tokens_above_it() {
    let node = Node::start().await;
    let make = async |role: &str| {
        let body = json!({ "name": role, "role": role });
        node.post("/tokens", body).await.expect(201).json()
    };
    let (low, high) = (make("viewer").await, make("admin").await);
    let delete = |token: &Value| format!("/tokens/{}", token["id"].as_str().unwrap());
    let (viewer, admin) = (text(&low, "token"), text(&high, "token"));
    node.call_as(viewer, "DELETE", &delete(&high), None).await.expect(403);
    node.call_as(viewer, "POST", "/tokens", Some(json!({ "name": "x" }))).await.expect(403);
    node.call_as(admin, "POST", "/tokens", Some(json!({ "name": "x" }))).await.expect(403);
    let password = json!({ "password": "another long one" });
    let own = json!({ "old_password": PASSWORD, "new_password": "another long one" });
    let viewer_role = json!({ "role": "viewer" });
    for (method, path, body) in [
        ("PUT", "/users/admin/password", Some(password.clone())),
        ("PUT", "/auth/password", Some(own)),
        ("PUT", "/users/admin/role", Some(viewer_role)),
        ("POST", "/users/admin/revoke", None),
        ("DELETE", "/users/admin", None),
        ("POST", "/auth/logout", None),
    ] {
        node.call_as(admin, method, path, body).await.expect(403);
    }
    // What else an admin does, it does.
    node.with_user("ann", Role::Viewer).await;
    node.call_as(admin, "PUT", "/users/ann/password", Some(password)).await.expect(204);
    node.call_as(viewer, "DELETE", &delete(&low), None).await.expect(204);
    node.call_as(viewer, "GET", "/jobs", None).await.expect(401);
}

#[tokio::test]
async fn names_of_nobody_are_given_to_nobody() {
    let node = Node::start().await;
    for name in ["system", "System", "SYSTEM", "anonymous", "Anonymous"] {
        let body = json!({ "name": name, "password": PASSWORD, "role": "viewer" });
        node.post("/users", body).await.expect(422);
    }
    let body = json!({ "name": "systems", "password": PASSWORD, "role": "viewer" });
    node.post("/users", body).await.expect(201);
}

#[tokio::test]
async fn a_scope_holds_for_tags_of_secrets_and_for_other_accounts() {
    let node = Node::start().await;
    let secret = json!({ "value": "hunter2!", "scope": { "tags": ["prod"] } });
    node.call("PUT", "/secrets/db", Some(secret)).await.expect(200);
    let ops = scoped(&node, "ops", Role::Operator, jobs("team-a-*")).await;
    let boss = scoped(&node, "boss", Role::Admin, jobs("team-a-*")).await;
    let uses = json!({ "type": "shell", "command": "true", "env": { "X": { "secret": "db" } } });
    let job = |name: &str, tags: &[&str]| json!({ "name": name, "tags": tags, "runner": uses });
    node.call_as(&ops, "POST", "/jobs", Some(job("team-a-1", &["prod"]))).await.expect(422);
    node.call_as(&boss, "POST", "/jobs", Some(job("team-a-1", &["prod"]))).await.expect(422);
    // Nor in two steps.
    let plain = json!({ "name": "team-a-1", "tags": ["prod"] });
    node.call_as(&ops, "POST", "/jobs", Some(plain.clone())).await.expect(422);
    let other = json!({ "name": "team-a-1", "tags": ["dev"] });
    node.call_as(&ops, "POST", "/jobs", Some(other)).await.expect(201);
    let tags = Some(json!({ "tags": ["prod"] }));
    node.call_as(&ops, "PATCH", "/jobs/team-a-1", tags.clone()).await.expect(422);
    // A tag that somebody gave who may is there to stay.
    node.call("PATCH", "/jobs/team-a-1", tags).await.expect(200);
    let runner = Some(json!({ "runner": uses }));
    node.call_as(&ops, "PATCH", "/jobs/team-a-1", runner).await.expect(200);
    // Whose role is made up of the tag may give it.
    let tagged = Scope { jobs: Vec::new(), tags: vec!["prod".into()] };
    let prod = scoped(&node, "prod", Role::Operator, tagged).await;
    node.call_as(&prod, "POST", "/jobs", Some(job("free", &["prod"]))).await.expect(201);

    let root = json!({ "name": "team-a-2",
        "runner": { "type": "shell", "command": "id", "user": "root" } });
    node.call_as(&boss, "POST", "/jobs", Some(root.clone())).await.expect(403);
    node.post("/jobs", root).await.expect(201);
}

#[tokio::test]
async fn metrics_previews_and_repeated_requests_tell_nothing_of_other_jobs() {
    let node = Node::start().await;
    for name in ["hidden", "team-a-1"] {
        let body = json!({ "name": name, "expr": "@every 7h", "tags": ["x"] });
        node.post("/jobs", body).await.expect(201);
    }
    let ops = scoped(&node, "ops", Role::Operator, Scope::default()).await;
    let key = [("idempotency-key", "one")];
    let body = json!({ "priority": 7 });
    let patch = || request(&ops, "PATCH", "/jobs/hidden", &key, Some(body.clone()));
    node.send(patch()).await.expect(200);
    let run = || request(&ops, "POST", "/jobs/hidden/run", &key, None);
    node.send(run()).await.expect(202);
    let (name, role) = (Name::parse("ops").unwrap(), Role::Operator);
    node.submit(Op::SetRole { name, role, scope: jobs("team-a-*") }).await;
    for repeated in [patch(), run()] {
        let answer = node.send(repeated).await;
        let told = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(matches!(answer.status.as_u16(), 403 | 404), "{told}");
        assert!(!told.contains("priority") && !told.contains("run_id"), "{told}");
    }

    let get = |token: &str, path: &str| request(token, "GET", path, &[], None);
    let whole = node.send(get(&node.admin, "/metrics")).await.expect(200);
    assert!(String::from_utf8_lossy(&whole.body).contains("\"hidden\""));
    let page = node.send(get(&ops, "/metrics")).await.expect(200);
    let page = String::from_utf8_lossy(&page.body).into_owned();
    assert!(page.contains("\"team-a-1\"") && !page.contains("hidden"), "{page}");

    // Its times would tell when the hidden one was made.
    node.clock.advance(Span::from_secs(1_800));
    let preview = async |name: &str| {
        let body = json!({ "name": name, "expr": "@every 7h" });
        let answer = node.call_as(&ops, "POST", "/schedules/preview", Some(body)).await;
        answer.expect(200).json()["next"].clone()
    };
    assert_eq!(preview("hidden").await, preview("nobody-has-this").await);
    assert_ne!(preview("team-a-1").await, preview("nobody-has-this").await);
}
