//! Pushes: a browser is told, encrypted and signed, whoever is killed; one that is gone is told no
//! more, nor is one whose user may not see the job.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cluster_tests::harness::cluster::Shape;
use cluster_tests::harness::{Client, Cluster, Sandbox};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use web_push_native::p256::SecretKey;
use web_push_native::p256::elliptic_curve::sec1::ToEncodedPoint;
use web_push_native::{Auth, decrypt};

/// Kills of whoever sends.
const KILLS: usize = 8;
/// How long anything may take, with a fail-over in between.
const PATIENCE: Duration = Duration::from_secs(60);
const AUTH: [u8; 16] = [7; 16];

/// A browser's keys, and what its push service got for it.
struct Browser {
    address: SocketAddr,
    secret: SecretKey,
    came: Mutex<Vec<Value>>,
    count: watch::Sender<usize>,
    /// What is answered; none: the answer is held back until it is another.
    answer: watch::Sender<Option<u16>>,
}

impl Browser {
    async fn start(cluster: &Cluster) -> Arc<Browser> {
        let listener = TcpListener::bind((cluster.own_address(), 0)).await.expect("a free port");
        let browser = Arc::new(Browser {
            address: listener.local_addr().expect("bound"),
            secret: SecretKey::from_slice(&[5; 32]).expect("a key"),
            came: Mutex::default(),
            count: watch::Sender::new(0),
            answer: watch::Sender::new(Some(201)),
        });
        let router = Router::new().route("/{*path}", post(take)).with_state(Arc::clone(&browser));
        tokio::spawn(async move { axum::serve(listener, router).await });
        browser
    }

    fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    fn subscription(&self, on: &[&str]) -> Value {
        let public = self.secret.public_key().to_encoded_point(false);
        json!({
            "endpoint": format!("{}/phone", self.origin()),
            "keys": {
                "p256dh": URL_SAFE_NO_PAD.encode(public.as_bytes()),
                "auth": URL_SAFE_NO_PAD.encode(AUTH),
            },
            "on": on,
            "label": "phone",
        })
    }

    fn all(&self) -> Vec<Value> {
        self.came.lock().expect("whole").clone()
    }

    /// The next push about that job, after `from` that came.
    async fn next(&self, from: usize, job: &str) -> Value {
        let mut count = self.count.subscribe();
        let look = async {
            loop {
                count.borrow_and_update();
                let tag = format!("job:{job}");
                if let Some(found) = self.all().into_iter().skip(from).find(|it| it["tag"] == tag) {
                    return found;
                }
                count.changed().await.expect("it goes on");
            }
        };
        timeout(PATIENCE, look).await.unwrap_or_else(|_| panic!("{job} is not told"))
    }
}

/// Verifies who sends and opens what is sent, as RFC 8292 and RFC 8291 have it.
fn opened(browser: &Browser, headers: &HeaderMap, body: &[u8]) -> Value {
    let head = |name: &str| headers[name].to_str().expect("text").to_owned();
    assert_eq!(head("content-encoding"), "aes128gcm");
    let signed = head("authorization");
    let (token, key) = signed
        .strip_prefix("vapid t=")
        .and_then(|rest| rest.split_once(", k="))
        .expect("it is signed");
    let point = URL_SAFE_NO_PAD.decode(key).expect("base64url");
    let part = |from: usize| URL_SAFE_NO_PAD.encode(&point[from..from + 32]);
    let key = DecodingKey::from_ec_components(&part(1), &part(33)).expect("a point");
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_audience(&[browser.origin()]);
    jsonwebtoken::decode::<Value>(token, &key, &validation).expect("the signature holds");
    let text = decrypt(body.to_vec(), &browser.secret, &Auth::from(AUTH)).expect("it opens");
    serde_json::from_slice(&text).expect("JSON")
}

async fn take(
    State(browser): State<Arc<Browser>>,
    Path(_): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let value = opened(&browser, &headers, &body);
    browser.came.lock().expect("whole").push(value);
    browser.count.send_modify(|count| *count += 1);
    let mut answer = browser.answer.subscribe();
    let held = answer.wait_for(Option::is_some);
    // Whoever asks is killed meanwhile, or waits for no longer.
    let status = match timeout(Duration::from_secs(8), held).await {
        Ok(Ok(status)) => status.unwrap_or(201),
        _ => 500,
    };
    StatusCode::from_u16(status).expect("a status")
}

async fn started(sandbox: &Sandbox, nodes: usize) -> (Cluster, Arc<Browser>) {
    let cluster = Cluster::make(sandbox, Shape::loopback(nodes)).expect("loopback is everywhere");
    let browser = Browser::start(&cluster).await;
    cluster.env("CRONAPI_PUSH_ALLOW", &browser.origin()).await;
    cluster.start().await;
    cluster.wait_whole().await;
    (cluster, browser)
}

/// The key is made as soon as all nodes are known to read it.
async fn subscribed(cluster: &Cluster, browser: &Browser, on: &[&str]) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let key = cluster.client().get("/push/key").await;
        if key.is_ok() {
            break;
        }
        assert!(Instant::now() < deadline, "{key:?}");
        sleep(Duration::from_millis(50)).await;
    }
    let body = browser.subscription(on);
    let made = cluster.client().write(Method::POST, "/push/subscriptions", Some(&body), "").await;
    made.expect("subscribed").body
}

async fn fails(cluster: &Cluster, job: &str) {
    let spec = json!({"name": job, "runner": {"type": "shell", "command": "exit 3"}});
    cluster.client().create(&spec, job).await.expect("created");
    let path = format!("/jobs/{job}/runs");
    cluster.client().write(Method::POST, &path, Some(&json!({})), "").await.expect("started");
}

/// The node that sends pushes: who was given that last.
async fn sender(cluster: &Cluster) -> usize {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status: Value = cluster.client().get("/push/subscriptions").await.expect("told");
        let node = status["node"].as_u64().map(|node| node.to_string());
        let members = cluster.members().await;
        if let Some((_, index)) = members.iter().find(|(id, _)| Some(id) == node.as_ref()) {
            return *index;
        }
        assert!(Instant::now() < deadline, "nobody sends: {status}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_push_outlives_whoever_sends_it() {
    let sandbox = Sandbox::new();
    let (cluster, browser) = started(&sandbox, 3).await;
    subscribed(&cluster, &browser, &["failed"]).await;
    for round in 0..KILLS {
        let (job, seen) = (format!("fails-{round}"), browser.all().len());
        let node = sender(&cluster).await;
        // Whoever sends dies between the push and its record.
        browser.answer.send_replace(None);
        fails(&cluster, &job).await;
        let first = browser.next(seen, &job).await;
        let seen = browser.all().len();
        cluster.kill(node).await;
        browser.answer.send_replace(Some(201));
        // Its next boot does not have the duty of the one before: somebody is given it anew.
        cluster.up(node).await;
        let second = browser.next(seen, &job).await;
        assert_eq!(first, second, "it is the same one");
        assert_eq!(first["title"], format!("{job} failed"));
        assert!(first["body"].as_str().is_some_and(|body| body.contains("status 3")), "{first}");
    }
    let mut told: BTreeMap<String, usize> = BTreeMap::new();
    for push in browser.all() {
        *told.entry(push["tag"].to_string()).or_default() += 1;
    }
    assert_eq!(told.len(), KILLS, "each trouble is told");
    assert!(told.values().all(|times| *times == 2), "once more for a kill: {told:#?}");
}

#[tokio::test]
async fn many_at_once_are_told_in_a_few_pushes() {
    let sandbox = Sandbox::new();
    let (cluster, browser) = started(&sandbox, 1).await;
    subscribed(&cluster, &browser, &["failed"]).await;
    // What comes while the first is under way waits.
    browser.answer.send_replace(None);
    fails(&cluster, "first").await;
    browser.next(0, "first").await;
    for n in 0..12 {
        fails(&cluster, &format!("more-{n}")).await;
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let told: Value = cluster.client().get("/push/subscriptions").await.expect("told");
        if told["items"][0]["waiting"] == 13 {
            break;
        }
        assert!(Instant::now() < deadline, "{told}");
        sleep(Duration::from_millis(20)).await;
    }
    browser.answer.send_replace(Some(201));
    let mut count = browser.count.subscribe();
    let two = count.wait_for(|count| *count >= 2);
    timeout(PATIENCE, two).await.expect("in time").expect("it goes on");
    let second = browser.all()[1].clone();
    assert_eq!(second["title"], "12 notices", "{second}");
}

#[tokio::test]
async fn who_is_gone_and_who_may_not_see_it_is_told_no_more() {
    let sandbox = Sandbox::new();
    let (cluster, browser) = started(&sandbox, 1).await;
    let admin = cluster.client();
    let ann = json!({"name": "ann", "password": "a password of ann", "role": "viewer"});
    admin.write(Method::POST, "/users", Some(&ann), "").await.expect("made");
    let phone = Client::at(cluster.url(0), "ann", "a password of ann");
    let key: Value = admin.get("/push/key").await.expect("there");
    assert!(key["key"].is_string());
    let body = browser.subscription(&["failed"]);
    let path = "/push/subscriptions";
    phone.write(Method::POST, path, Some(&body), "").await.expect("subscribed");
    fails(&cluster, "seen").await;
    browser.next(0, "seen").await;
    // Her role counts for other jobs from here on.
    let role = json!({"role": "viewer", "scope": {"jobs": ["seen"]}});
    admin.write(Method::PUT, "/users/ann/role", Some(&role), "").await.expect("written");
    let hidden = json!({"name": "hidden", "runner": {"type": "shell", "command": "exit 3"}});
    admin.create(&hidden, "").await.expect("created");
    let run = admin.run_to_end("hidden", "").await.expect("it ends");
    assert_eq!(run["status"], "failed");
    let role = json!({"role": "viewer", "scope": {"jobs": ["seen*"]}});
    admin.write(Method::PUT, "/users/ann/role", Some(&role), "").await.expect("written");
    fails(&cluster, "seen-2").await;
    browser.next(0, "seen-2").await;
    let tags: BTreeSet<String> = browser.all().iter().map(|it| it["tag"].to_string()).collect();
    assert!(!tags.contains("\"job:hidden\""), "{tags:?}");
    // The browser says that it wants no more.
    browser.answer.send_replace(Some(410));
    fails(&cluster, "seen-3").await;
    browser.next(0, "seen-3").await;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let own: Value = phone.get(path).await.expect("told");
        if own["items"] == json!([]) {
            break;
        }
        assert!(Instant::now() < deadline, "{own}");
        sleep(Duration::from_millis(20)).await;
    }
}
