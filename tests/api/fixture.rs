//! A node to send requests to. Every answer is checked for what all answers promise.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use cronapi::adapters::PushPlaces;
use cronapi::api;
use cronapi::clock::{Clock, Manual};
use cronapi::consensus::{self, Handle};
use cronapi::executor::runner::RunnerEnv;
use cronapi::machine::command::Place;
use cronapi::machine::state::FORMAT;
use cronapi::machine::{Command, Op};
use cronapi::metrics::Metrics;
use cronapi::model::{Name, Role, Scope, Timestamp, User};
use cronapi::service::access::{hash_password, new_signing_key};
use cronapi::service::{Deps, NodeLocal, Service};
use cronapi::storage::{Identity, MemoryDisk};
use cronapi::vault::Vault;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tower::ServiceExt;
use uuid::Uuid;

pub const PASSWORD: &str = "correct horse";
/// 32 bytes of one.
pub const SECRETS_KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
/// The start of every test's clock.
pub const NOW: i64 = 1_800_000_000;

/// Hashing takes a while: every test has the same password.
pub fn hash() -> String {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| hash_password(PASSWORD).unwrap()).clone()
}

/// Push services that nodes started from here on know.
pub static PUSH_SERVICES: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn push_places() -> PushPlaces {
    let allow = PUSH_SERVICES.lock().unwrap().clone();
    PushPlaces { allow, contact: Some("https://cron.example.org".into()) }
}

pub struct Node {
    pub router: Router,
    pub service: Service,
    pub consensus: Handle,
    pub clock: Arc<Manual>,
    pub stop: watch::Sender<bool>,
    /// The admin's access token.
    pub admin: String,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("not JSON: {:?}", String::from_utf8_lossy(&self.body)))
    }

    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status.as_u16(), status, "{text:.600}");
        self
    }
}

fn next_uid() -> Uuid {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    Uuid::from_u128(NEXT.fetch_add(1, Ordering::Relaxed).into())
}

pub fn user(name: &str, role: Role) -> User {
    User {
        uid: next_uid(),
        name: Name::parse(name).unwrap(),
        role,
        scope: Scope::default(),
        password: hash(),
        external: None,
        epoch: 0,
        created_at: Timestamp::ZERO,
        updated_at: Timestamp::ZERO,
    }
}

impl Node {
    pub async fn start() -> Node {
        Node::start_with(|_| {}).await
    }

    pub async fn start_with(tune: impl FnOnce(&mut api::Options)) -> Node {
        Node::start_as(FORMAT, tune).await
    }

    /// One whose cluster has this format.
    pub async fn start_as(format: u32, tune: impl FnOnce(&mut api::Options)) -> Node {
        let mut node = Node::open(|_| {}, tune).await;
        node.bootstrap(format).await;
        node
    }

    /// Begins the cluster.
    pub async fn bootstrap(&mut self, format: u32) {
        let admin = Box::new(user("admin", Role::Admin));
        self.submit(Op::Bootstrap { signing_key: new_signing_key().unwrap(), admin }).await;
        if format > self.consensus.state().format() {
            self.submit(Op::RaiseFormat { to: format }).await;
        }
        self.admin = self.login("admin").await;
    }

    /// One as it is when it is new, or has joined others.
    pub async fn open(
        place: impl FnOnce(&mut consensus::Options),
        tune: impl FnOnce(&mut api::Options),
    ) -> Node {
        let clock = Arc::new(Manual::at(Timestamp::from_secs(NOW)));
        let mut options = consensus::Options::new("unused", clock.now().millis());
        options.clock = clock.clone();
        let identity = Identity::generate(clock.now().millis()).unwrap();
        options.in_memory = Some(MemoryDisk::new(identity));
        place(&mut options);
        let metrics = Arc::new(Metrics::new(2).unwrap());
        options.metrics = Some(Arc::clone(&metrics));
        let consensus = consensus::open(options).await.unwrap();
        until_followed(&consensus).await;
        let (stop, stopped) = watch::channel(false);
        let local = NodeLocal {
            version: "test".into(),
            started_at: clock.now(),
            labels: Default::default(),
            slots: 4,
            push_places: push_places(),
        };
        let service = Service::new(Deps {
            consensus: consensus.clone(),
            clock: clock.clone(),
            runners: runners(),
            vault: Some(Arc::new(Vault::parse(SECRETS_KEY).unwrap())),
            local,
            metrics: Arc::clone(&metrics),
        });
        let mut options = api::Options::new(stopped);
        tune(&mut options);
        let router = api::router(service.clone(), options);
        Node { router, service, consensus, clock, stop, admin: String::new() }
    }

    pub async fn submit(&self, op: Op) {
        let command = Command { at: self.clock.now(), actor: None, request: None, op };
        self.consensus.submit(command).await.unwrap().answer.unwrap();
    }

    /// The leader's part in a run of a workflow, which nobody here does: its first tasks start.
    pub async fn begin(&self, run: &str) {
        let run = serde_json::from_value(run.into()).expect("an id");
        let place = Place { node: 0, boot: Uuid::nil() };
        self.submit(Op::Assign { run, attempt: 1, place }).await;
    }

    /// A user of that name, and its access token.
    pub async fn with_user(&self, name: &str, role: Role) -> String {
        self.submit(Op::CreateUser { user: Box::new(user(name, role)), session: None }).await;
        self.login(name).await
    }

    pub async fn login(&self, name: &str) -> String {
        let body = format!("grant_type=password&username={name}&password={PASSWORD}");
        let request = Request::post("/auth/token")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(body.replace(' ', "+")))
            .unwrap();
        let answer = self.send(request).await.expect(200);
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let answer = Answer { status: parts.status, headers: parts.headers, body };
        promises(&answer);
        answer
    }

    pub async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.call_as(&self.admin, method, path, body).await
    }

    pub async fn call_as(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        self.send(request(token, method, path, &[], body)).await
    }

    pub async fn with_headers(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Answer {
        self.send(request(&self.admin, method, path, headers, body)).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path, Some(body)).await
    }

    /// A job that only gates: its runs succeed at once.
    pub async fn with_job(&self, name: &str) -> Value {
        self.post("/jobs", json!({ "name": name })).await.expect(201).json()
    }
}

pub fn request(
    token: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<Value>,
) -> Request<Body> {
    let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap());
    request = request.uri(path).header("authorization", format!("Bearer {token}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    match body {
        None => request.body(Body::empty()).unwrap(),
        Some(body) => {
            if !headers.iter().any(|(name, _)| *name == "content-type") {
                request = request.header("content-type", "application/json");
            }
            request.body(Body::from(body.to_string())).unwrap()
        }
    }
}

/// What every answer promises.
fn promises(answer: &Answer) {
    assert!(!answer.header("x-request-id").is_empty());
    assert!(!answer.header("x-cronapi-version").is_empty());
    assert!(!answer.header("x-cronapi-index").is_empty());
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    if !answer.status.is_client_error() && !answer.status.is_server_error() {
        return;
    }
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert_ne!(answer.status.as_u16(), 500, "{text}");
    assert_eq!(answer.header("content-type"), "application/problem+json", "{text}");
    let body = answer.json();
    for member in ["type", "title", "detail", "instance", "code"] {
        assert!(!body[member].as_str().unwrap().is_empty(), "{member} in {body}");
    }
    assert_eq!(body["type"], format!("/problems/{}", answer.code()));
    assert_eq!(body["status"], answer.status.as_u16());
    assert_eq!(body["instance"], answer.header("x-request-id"));
    assert!(body["errors"].is_array());
    match answer.status.as_u16() {
        401 => assert!(answer.header("www-authenticate").starts_with("Bearer")),
        405 => assert!(!answer.header("allow").is_empty()),
        429 | 503 => {
            assert!(answer.code() == "not-ready" || !answer.header("retry-after").is_empty())
        }
        _ => {}
    }
}

fn runners() -> Arc<RunnerEnv> {
    static FOUND: OnceLock<Arc<RunnerEnv>> = OnceLock::new();
    Arc::clone(FOUND.get_or_init(|| Arc::new(RunnerEnv::detect())))
}

/// Until the node knows that a majority follows it: itself.
async fn until_followed(consensus: &Handle) {
    let mut lease = consensus.lease();
    let good = lease.wait_for(|until| *until > Instant::now());
    timeout(Duration::from_secs(10), good).await.expect("nobody follows").unwrap();
}
