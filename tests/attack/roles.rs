//! Every operation of the document, called by everybody.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use cronapi::machine::Op;
use cronapi::model::{Kind, Role, Scope, User};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use super::fixture::{Node, request, user};
use super::operations::{Least, Operation, Outside, filled, operations, past};

/// Nothing here may take longer.
const PATIENCE: Duration = Duration::from_secs(20);

fn documented() -> BTreeSet<(String, String)> {
    let document: Value = serde_json::from_str(&cronapi::api::openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let of = |(path, item): (&String, &Value)| {
        let methods: Vec<_> = item.as_object().unwrap().keys().cloned().collect();
        methods.into_iter().map(|method| (path.clone(), method)).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of).collect()
}

#[test]
fn every_operation_says_who_may_call_it() {
    let listed = operations();
    let expected: BTreeSet<_> =
        listed.iter().map(|one| (one.path.to_owned(), one.method.to_owned())).collect();
    assert_eq!(expected.len(), listed.len(), "an operation stands twice");
    let documented = documented();
    let lacking: Vec<_> = documented.difference(&expected).collect();
    assert!(lacking.is_empty(), "tests/attack/operations.rs does not say who may call {lacking:?}");
    let gone: Vec<_> = expected.difference(&documented).collect();
    assert!(gone.is_empty(), "tests/attack/operations.rs has what is not there: {gone:?}");
}

struct World {
    node: Node,
    /// A run of the job `a`.
    run: String,
}

impl World {
    async fn new() -> World {
        let node = Node::start().await;
        node.with_job("a").await;
        node.with_job("other-1").await;
        let timed = serde_json::json!({"name": "timed", "expr": "0 0 1 1 *"});
        node.post("/jobs", timed).await.expect(201);
        node.post("/jobs/timed/backfills", past()).await.expect(201);
        let run = node.call("POST", "/jobs/a/run", None).await.expect(202).json();
        node.submit(Op::CreateUser { user: Box::new(user("ann", Role::Viewer)), session: None })
            .await;
        for kind in Kind::plain() {
            node.post(&format!("/{}", kind.plural()), kind.example()).await.expect(201);
        }
        World { node, run: run["id"].as_str().unwrap().to_owned() }
    }

    /// The status, and as much of the answer as comes at once (of a stream: nothing).
    async fn ask(&self, token: Option<&str>, operation: &Operation) -> (u16, String) {
        let path = filled(operation.path, &self.run);
        let method = operation.method.to_uppercase();
        let request = match token {
            Some(token) => request(token, &method, &path, &[], operation.body.clone()),
            None => {
                let body = operation
                    .body
                    .clone()
                    .map_or_else(Body::empty, |body| Body::from(body.to_string()));
                let request = Request::builder().method(method.as_str()).uri(&path);
                request.header("content-type", "application/json").body(body).unwrap()
            }
        };
        let answered = self.node.router.clone().oneshot(request);
        let response = tokio::time::timeout(PATIENCE, answered).await.expect(&path).unwrap();
        let status = response.status().as_u16();
        let stream = response
            .headers()
            .get("content-type")
            .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        assert_ne!(status, 500, "{method} {path}");
        if stream {
            return (status, String::new());
        }
        let body = tokio::time::timeout(PATIENCE, response.into_body().collect());
        let bytes = body.await.expect(&path).unwrap().to_bytes();
        (status, String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn may(role: Role, least: Least) -> bool {
    match least {
        Least::Anybody | Least::Known | Least::Viewer => true,
        Least::Runner => role >= Role::Runner,
        Least::Operator => role >= Role::Operator,
        Least::Admin => role >= Role::Admin,
    }
}

const ROLES: [Role; 4] = [Role::Viewer, Role::Runner, Role::Operator, Role::Admin];

#[tokio::test]
async fn without_a_token_or_with_a_wrong_one_only_the_way_in_answers() {
    let world = World::new().await;
    for operation in operations() {
        let place = format!("{} {}", operation.method, operation.path);
        let open = operation.least == Least::Anybody;
        for token in [None, Some("x"), Some("crn_x"), Some("a.b.c")] {
            let (status, text) = world.ask(token, &operation).await;
            // A login that fails is a 401 of its own.
            let login = open && text.contains("invalid_");
            assert_eq!(status == 401 && !login, !open, "{place} as {token:?}: {status} {text}");
        }
    }
}

#[tokio::test]
async fn each_role_may_call_what_it_may_and_nothing_else() {
    for role in ROLES {
        let world = World::new().await;
        let caller = world.node.with_user("caller", role).await;
        for operation in operations() {
            let place = format!("{} {} as {role:?}", operation.method, operation.path);
            let (status, text) = world.ask(Some(&caller), &operation).await;
            if operation.least == Least::Anybody {
                continue;
            }
            assert_ne!(status, 401, "{place}: {text}");
            assert_eq!(status == 403, !may(role, operation.least), "{place}: {status} {text}");
        }
    }
}

#[tokio::test]
async fn an_api_token_may_what_its_role_may_but_not_make_others_or_end_sessions() {
    let for_people_only = [
        "/tokens",
        "/auth/password",
        "/auth/logout",
        "/push/subscriptions",
        "/push/subscriptions/{id}",
        "/push/subscriptions/{id}/test",
    ];
    for role in ROLES {
        let world = World::new().await;
        let body = serde_json::json!({"name": "t", "role": role});
        let made = world.node.post("/tokens", body).await.expect(201).json();
        let token = made["token"].as_str().unwrap();
        for operation in operations() {
            let place = format!("{} {} as a {role:?}", operation.method, operation.path);
            let (status, text) = world.ask(Some(token), &operation).await;
            if operation.least == Least::Anybody {
                continue;
            }
            let person = operation.method != "get" && for_people_only.contains(&operation.path);
            let refused = person || !may(role, operation.least);
            assert_eq!(status == 403, refused, "{place}: {status} {text}");
        }
    }
}

#[tokio::test]
async fn a_role_for_other_jobs_opens_nothing_of_this_one() {
    for role in ROLES {
        for scope in [
            Scope { jobs: vec!["other-*".into()], tags: Vec::new() },
            Scope { jobs: Vec::new(), tags: vec!["new".into()] },
        ] {
            let world = World::new().await;
            let caller = User { scope: scope.clone(), ..user("caller", role) };
            world.node.submit(Op::CreateUser { user: Box::new(caller), session: None }).await;
            let caller = world.node.login("caller").await;
            for operation in operations() {
                check_outside(&world, &caller, role, &operation).await;
            }
            let still = world.node.get("/jobs/a").await.expect(200).json();
            assert_eq!(still["version"], 1);
            assert!(still.get("tags").is_none(), "it has a new tag: {still}");
        }
    }
}

async fn check_outside(world: &World, caller: &str, role: Role, operation: &Operation) {
    let place = format!("{} {} as {role:?} of others", operation.method, operation.path);
    let (status, text) = world.ask(Some(caller), operation).await;
    let able = may(role, operation.least);
    match operation.outside {
        _ if operation.least == Least::Anybody => {}
        Outside::Apart if operation.least == Least::Admin => {
            assert_eq!(
                status, 403,
                "{place}: an admin of some jobs is none of the cluster: {text}"
            );
        }
        Outside::Apart => assert_eq!(status == 403, !able, "{place}: {text}"),
        Outside::Left => {
            assert_eq!(status, 200, "{place}: {text}");
            let named = text.contains("\"a\"") || text.contains(&world.run);
            assert!(!named, "{place}: it shows the job: {text}");
        }
        Outside::RefusedInList if able => {
            let answer: Value = serde_json::from_str(&text).expect(&place);
            assert_eq!(
                (status, &answer["items"][0]["action"]),
                (207, &"refused".into()),
                "{place}"
            );
            assert_eq!(answer["refused"], 1, "{place}: {text}");
        }
        Outside::Hidden if able => assert_eq!(status, 404, "{place}: {text}"),
        Outside::Hidden | Outside::Refused | Outside::RefusedInList => {
            let hidden = [403, 404].contains(&status);
            assert!(hidden, "{place}: {status} {text}");
        }
    }
}

#[tokio::test]
async fn the_same_holds_under_the_versioned_path() {
    let world = World::new().await;
    let viewer = world.node.with_user("caller", Role::Viewer).await;
    for (method, path, status) in
        [("DELETE", "/v1/jobs/a", 403), ("GET", "/v1/users", 403), ("GET", "/v1/jobs/a", 200)]
    {
        world.node.call_as(&viewer, method, path, None).await.expect(status);
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        world.node.send(request).await.expect(401);
    }
}
