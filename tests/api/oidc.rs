//! Login by a provider: whom it lets in, as what, and everything that does not fit.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use cronapi::clock::{Clock, Manual};
use cronapi::model::{Role, Scope, Span, limits};
use cronapi::service::access::{GroupRole, Oidc, OidcOptions};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::fixture::{Answer, Node, PASSWORD};
use super::provider::{BACK, CLIENT, Provider, SECRET, ec_key};

struct World {
    node: Node,
    provider: Arc<Provider>,
}

fn options(issuer: &str) -> OidcOptions {
    let line =
        |group: &str, role: Role, scope: Scope| GroupRole { group: group.into(), role, scope };
    let etl = Scope { jobs: vec!["etl-*".into()], tags: Vec::new() };
    OidcOptions {
        issuer: issuer.to_owned(),
        client_id: CLIENT.into(),
        client_secret: Some(SECRET.into()),
        redirect_url: BACK.into(),
        scopes: vec!["openid".into(), "profile".into()],
        name_claim: "preferred_username".into(),
        groups_claim: "groups".into(),
        roles: vec![
            line("admins", Role::Admin, Scope::default()),
            line("ops", Role::Operator, etl),
        ],
        session: Span::from_secs(7_200),
        ca_file: None,
    }
}

impl World {
    async fn new() -> World {
        // The provider needs the clock of the node, and the node the address of the provider.
        let clock = Arc::new(Manual::default());
        let provider = Provider::start(Arc::clone(&clock)).await;
        let oidc = Oidc::new(options(&provider.issuer)).unwrap();
        let node = Node::start_with(|rest| rest.oidc = Some(oidc)).await;
        clock.set(node.clock.now());
        World { node, provider }
    }

    /// To the provider and back: the query and the cookie that the browser brings.
    async fn visit(&self) -> (String, String) {
        self.visit_at("/auth/oidc/login").await
    }

    async fn visit_at(&self, path: &str) -> (String, String) {
        let answer = self.ask(path, None).await.expect(303);
        let cookie = answer.header("set-cookie").to_owned();
        for part in ["HttpOnly", "SameSite=Lax", "Secure", "Max-Age=600", "Path=/"] {
            assert!(cookie.contains(part), "{part} in {cookie}");
        }
        let back = located(answer.header("location")).await;
        let query = back.strip_prefix(&format!("{BACK}?")).unwrap().to_owned();
        (query, cookie.split(';').next().unwrap().to_owned())
    }

    async fn ask(&self, path: &str, cookie: Option<&str>) -> Answer {
        let mut request = Request::get(path);
        if let Some(cookie) = cookie {
            request = request.header("cookie", format!("other=1; {cookie}; more=2"));
        }
        self.node.send(request.body(Body::empty()).unwrap()).await
    }

    async fn finish(&self, query: &str, cookie: &str) -> Answer {
        self.ask(&format!("/auth/oidc/callback?{query}"), Some(cookie)).await
    }

    async fn login(&self) -> Answer {
        let (query, cookie) = self.visit().await;
        self.finish(&query, &cookie).await
    }

    fn is(&self, user: Value) {
        *self.provider.user.lock().unwrap() = user;
    }

    async fn me(&self, answer: Answer) -> Value {
        let token = answer.expect(200).json()["access_token"].as_str().unwrap().to_owned();
        self.node.call_as(&token, "GET", "/auth/me", None).await.expect(200).json()
    }
}

/// Where a page sends its visitor.
async fn located(url: &str) -> String {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let head = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("location: "));
    line.unwrap_or_else(|| panic!("no location in {text}")).to_owned()
}

#[tokio::test]
async fn groups_become_a_role_at_each_login() {
    let world = World::new().await;
    let me = world.me(world.login().await).await;
    assert_eq!((&me["user"], &me["role"]), (&json!("ann"), &json!("operator")));
    assert_eq!(me["scope"], json!({"jobs": ["etl-*"]}));
    let user = world.node.get("/users/ann").await.expect(200).json();
    assert_eq!(user["provider"], world.provider.issuer.as_str());

    world.is(json!({"sub": "1", "preferred_username": "ann", "groups": ["x", "admins"]}));
    let me = world.me(world.login().await).await;
    assert_eq!((&me["role"], &me["scope"]), (&json!("admin"), &json!({})));

    world.is(json!({"sub": "1", "preferred_username": "ann", "groups": ["x"]}));
    let refused = world.login().await.expect(403);
    assert!(refused.json()["detail"].as_str().unwrap().contains("no group of ann"));
    world.is(json!({"sub": "1", "preferred_username": "ann"}));
    world.login().await.expect(403);
    world.is(json!({"sub": "1", "groups": ["ops"]}));
    world.login().await.expect(403);

    // Some providers tell groups when asked only.
    world.is(json!({"sub": "1", "preferred_username": "ann"}));
    *world.provider.userinfo.lock().unwrap() = json!({"sub": "1", "groups": "ops"});
    assert_eq!(world.me(world.login().await).await["role"], "operator");
    *world.provider.userinfo.lock().unwrap() = json!({"sub": "2", "groups": "admins"});
    world.login().await.expect(401);
}

#[tokio::test]
async fn an_account_is_of_one_person_and_has_no_password() {
    let world = World::new().await;
    world.login().await.expect(200);
    // Another person of that name, and somebody who is called as a user of ours.
    world.is(json!({"sub": "2", "preferred_username": "ann", "groups": ["admins"]}));
    assert_eq!(world.login().await.expect(409).code(), "exists");
    world.is(json!({"sub": "3", "preferred_username": "admin", "groups": ["admins"]}));
    assert_eq!(world.login().await.expect(409).code(), "exists");
    world.is(json!({"sub": "4", "preferred_username": "bob@example.com", "groups": ["admins"]}));
    assert_eq!(world.me(world.login().await).await["user"], "bob-example.com");

    for password in ["", PASSWORD, "nobody has this one"] {
        let login = json!({"username": "ann", "password": password});
        world.node.post("/auth/token", login).await.expect(401);
    }
    let password = Some(json!({"password": PASSWORD}));
    world.node.call("PUT", "/users/ann/password", password).await.expect(422);
    // An admin of the provider's does not make the last own one superfluous.
    let gone = world.node.call("DELETE", "/users/admin", None).await;
    assert_eq!(gone.expect(409).code(), "last-admin");
}

#[tokio::test]
async fn a_session_ends_when_it_should_and_when_it_is_revoked() {
    let world = World::new().await;
    let issued = world.login().await.expect(200).json();
    assert_eq!(
        (&issued["expires_in"], &issued["refresh_expires_in"]),
        (&3600.into(), &7200.into())
    );
    let refresh = json!({"refresh_token": issued["refresh_token"]});
    world.node.clock.advance(Span::from_secs(7_170));
    let again = world.node.post("/auth/refresh", refresh.clone()).await.expect(200).json();
    assert_eq!((&again["expires_in"], &again["refresh_expires_in"]), (&30.into(), &30.into()));
    world.node.clock.advance(Span::from_secs(30));
    world.node.post("/auth/refresh", refresh).await.expect(401);
    let later = json!({"refresh_token": again["refresh_token"]});
    world.node.post("/auth/refresh", later).await.expect(401);
}

#[tokio::test]
async fn a_login_is_finished_by_who_began_it_and_once() {
    let world = World::new().await;
    let (query, cookie) = world.visit().await;
    let (other_query, other_cookie) = world.visit().await;
    world.ask(&format!("/auth/oidc/callback?{query}"), None).await.expect(401);
    world.finish(&query, &other_cookie).await.expect(401);
    world.finish(&other_query, &cookie).await.expect(401);
    world.finish(&query, "cronapi_login=x.y.z").await.expect(401);
    world.finish(&query, &format!("cronapi_login={}", world.node.admin)).await.expect(401);
    world.finish("code=code-0", &cookie).await.expect(401);
    world.finish(&query.replace("code=code-0", "x=1"), &cookie).await.expect(401);
    // The code of one login with the cookie and the state of the other: PKCE ends that.
    let mixed = other_query.replace("code=code-1", "code=code-0");
    world.finish(&mixed, &other_cookie).await.expect(401);
    let (query, cookie) = world.visit().await;
    let denied = query.replace("code=", "error=access_denied&x=");
    let told = world.finish(&denied, &cookie).await.expect(401);
    assert!(told.json()["detail"].as_str().unwrap().contains("access_denied"));
    let foreign = query.replace("/realm&", "/other&");
    assert_ne!(foreign, query);
    world.finish(&foreign, &cookie).await.expect(401);
    let done = world.finish(&query, &cookie).await.expect(200);
    assert!(done.header("set-cookie").contains("Max-Age=0"));
    world.finish(&query, &cookie).await.expect(401);
    // The cookie is no token of ours, and one of ours no cookie.
    let text = cookie.split_once('=').unwrap().1;
    world.node.call_as(text, "GET", "/jobs", None).await.expect(401);
    world.node.post("/auth/refresh", json!({ "refresh_token": text })).await.expect(401);
    let (query, cookie) = world.visit().await;
    world.node.clock.advance(Span::from_secs(600));
    world.finish(&query, &cookie).await.expect(401);
}

#[tokio::test]
async fn who_guesses_codes_is_not_passed_on_to_the_provider_for_long() {
    let world = World::new().await;
    let (query, cookie) = world.visit().await;
    let guess = query.replace("code=code-0", "code=guessed");
    for _ in 0..limits::LOGINS_PER_ADDRESS.burst {
        world.finish(&guess, &cookie).await.expect(401);
    }
    world.finish(&guess, &cookie).await.expect(429);
    world.node.clock.advance(limits::LOGINS_PER_ADDRESS.every);
    world.finish(&query, &cookie).await.expect(200);
}

async fn node_audit(node: &Node) -> String {
    node.get("/audit?limit=1000").await.expect(200).json().to_string()
}

#[tokio::test]
async fn an_id_token_that_is_not_right_is_refused() {
    let world = World::new().await;
    let now = world.node.clock.now().secs();
    let set =
        |claim: &'static str, value: Value| move |claims: &mut Value| claims[claim] = value.clone();
    for (claim, value, status) in [
        ("iss", json!("https://other.example"), 401),
        ("aud", json!("somebody else"), 401),
        ("aud", json!([]), 401),
        ("aud", json!([CLIENT, "other"]), 401),
        ("aud", json!([CLIENT]), 200),
        ("azp", json!("other"), 401),
        ("azp", json!(CLIENT), 200),
        ("nonce", json!("x"), 401),
        ("nonce", Value::Null, 401),
        ("exp", json!(now - 61), 401),
        ("exp", json!(now - 30), 200),
        ("exp", Value::Null, 401),
        ("iat", json!(now + 120), 401),
        ("iat", json!(now + 30), 200),
        ("nbf", json!(now + 120), 401),
        ("sub", json!(""), 401),
        ("sub", json!(7), 401),
        ("unsigned", json!("none"), 401),
        ("unsigned", json!("RS256"), 401),
        ("unsigned", json!("HS256"), 401),
    ] {
        world.provider.twist(set(claim, value.clone()));
        let answer = world.login().await;
        assert_eq!(answer.status.as_u16(), status, "{claim} {value}: {:?}", answer.body);
    }
    world.provider.straight();
    // Signed by somebody else under the same name, and with what everybody can see.
    let right = world.provider.key.lock().unwrap().clone();
    let stranger = ec_key(right.kid);
    let public = right.shown["n"].as_str().unwrap().as_bytes();
    let hmac = EncodingKey::from_secret(public);
    for (algorithm, signs) in [(Algorithm::ES256, stranger.signs), (Algorithm::HS256, hmac)] {
        let forger = super::provider::Key { algorithm, signs, ..right.clone() };
        *world.provider.key.lock().unwrap() = forger;
        world.login().await.expect(401);
    }
    *world.provider.key.lock().unwrap() = right;
    world.login().await.expect(200);
    let audit = loop {
        let audit = node_audit(&world.node).await;
        if audit.contains("its signature is wrong") {
            break audit;
        }
        tokio::task::yield_now().await;
    };
    assert!(audit.contains("login.refused"), "{audit}");
    assert!(!audit.contains("code-0") && !audit.contains(SECRET));
}

#[tokio::test]
async fn new_keys_of_the_provider_are_found() {
    let world = World::new().await;
    world.login().await.expect(200);
    let new = ec_key("ec-2");
    *world.provider.key.lock().unwrap() = new.clone();
    world.login().await.expect(401);
    *world.provider.shown.lock().unwrap() = vec![new.shown];
    world.login().await.expect(200);
}

#[tokio::test]
async fn without_a_provider_there_is_no_such_login() {
    let node = Node::start().await;
    for path in ["/auth/oidc/login", "/auth/oidc/callback?code=x&state=y"] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        assert_eq!(node.send(request).await.expect(404).code(), "not-found");
    }
    // Nothing listens there, and no test can come to listen there.
    let oidc = Oidc::new(options("http://127.0.0.1:1/realm")).unwrap();
    let node = Node::start_with(|rest| rest.oidc = Some(oidc)).await;
    let request = Request::get("/auth/oidc/login").body(Body::empty()).unwrap();
    let answer = node.send(request).await.expect(503);
    assert!(answer.json()["detail"].as_str().unwrap().contains("login provider"));
    node.login("admin").await;
}

#[tokio::test]
async fn a_login_that_begins_in_the_page_ends_where_it_began_with_the_session_of_the_page() {
    let world = World::new().await;
    let index = world.ask("/", None).await.expect(200).json();
    assert_eq!(index["provider"], "/auth/oidc/login", "the page is told that there is one");
    let there = "/ui/jobs/etl-1?at=2027-01-01T00:00:00Z&tab=runs";
    let encoded = there.replace('?', "%3F").replace('&', "%26");
    let begin = format!("/auth/oidc/login?return_to={encoded}");
    let (query, cookie) = world.visit_at(&begin).await;
    let done = world.finish(&query, &cookie).await.expect(303);
    assert_eq!(done.header("location"), there);
    let set: Vec<&str> =
        done.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
    let session = set.iter().find(|cookie| cookie.starts_with("cronapi_session=")).unwrap();
    for part in ["HttpOnly", "SameSite=Strict", "Secure", "Path=/auth/session"] {
        assert!(session.contains(part), "{part} in {session}");
    }
    assert!(set.iter().any(|cookie| cookie.starts_with("cronapi_login=;")), "{set:?}");
    assert!(
        !String::from_utf8_lossy(&done.body).contains("token"),
        "nothing in the address or body"
    );
    let kept = session.split(';').next().unwrap().to_owned();
    let renew = Request::put("/auth/session").header("x-cronapi-page", "1").header("cookie", kept);
    let token = world.node.send(renew.body(Body::empty()).unwrap()).await;
    assert_eq!(world.me(token).await["user"], "ann");

    // The same answer does not come twice, and whoever gets in nowhere is told so by the page.
    let again = world.finish(&query, &cookie).await.expect(303);
    assert_eq!(again.header("location"), format!("{there}#refused=unauthenticated"));
    world.is(json!({"sub": "1", "preferred_username": "ann", "groups": ["x"]}));
    let (query, cookie) = world.visit_at(&begin).await;
    let refused = world.finish(&query, &cookie).await.expect(303);
    assert_eq!(refused.header("location"), format!("{there}#refused=forbidden"));
    assert!(!format!("{:?}", refused.headers).contains("cronapi_session"));
}

#[tokio::test]
async fn a_login_leads_nowhere_but_into_the_page() {
    let world = World::new().await;
    for place in [
        "https://evil.example/",
        "//evil.example/ui/",
        "/%2Fevil.example",
        "/ui",
        "/jobs",
        "/ui/%5C%5Cevil.example",
        "/ui/a%23b",
        "/ui/a%0D%0ALocation:x",
        "/ui/%20",
    ] {
        let path = format!("/auth/oidc/login?return_to={place}");
        let refused = world.ask(&path, None).await;
        assert!(refused.status.is_client_error(), "{place}: {}", refused.status);
        assert_eq!(refused.header("set-cookie"), "", "{place}");
    }
    // What never began, or took too long: a person gets the page, a program the problem.
    let (query, _) = world.visit().await;
    let path = format!("/auth/oidc/callback?{query}");
    world.ask(&path, None).await.expect(401);
    let browser = Request::get(&path).header("accept", "text/html,*/*;q=0.8");
    let lost = world.node.send(browser.body(Body::empty()).unwrap()).await.expect(303);
    assert_eq!(lost.header("location"), "/ui/#refused=unauthenticated");
}
