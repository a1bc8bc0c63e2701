//! HTTP jobs, against a real server on this machine.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use cronapi::executor::runner::{Ended, HttpSign, RunnerEnv, Spec, What};
use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::bench::*;
use crate::skip::skipped;

/// A server that tells what it was asked, and some that misbehave.
async fn server() -> SocketAddr {
    let moved = |to: &'static str| get(move || async move { found(to) });
    let app = Router::new()
        .route("/echo", any(echo))
        .route("/echo/{*rest}", any(echo))
        .route("/status/{code}", any(status))
        .route("/text", get(|| async { "line one\nline two\n" }))
        .route("/bytes", get(|| async { vec![0xff_u8; 3] }))
        .route("/large", get(|| async { axum::Json("x".repeat(100_000)) }))
        .route("/bad-json", get(|| async { ([("content-type", "application/json")], "{") }))
        .route("/problem", get(|| async { ([("content-type", "application/a+json")], "[1]") }))
        .route("/never", get(never))
        .route("/endless", get(endless))
        .route("/broken", get(broken))
        .route("/moved", moved("/echo"))
        .route("/loop", moved("/loop"))
        .route("/away", moved("http://elsewhere.test/"))
        .route("/metadata", moved("http://169.254.169.254/latest"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("known");
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn echo(method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> axum::Json<Value> {
    let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into();
    let headers: BTreeMap<String, String> =
        headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let body = String::from_utf8_lossy(&body);
    axum::Json(json!({
        "method": method.as_str(), "uri": uri.to_string(), "headers": headers, "body": body,
    }))
}

async fn status(axum::extract::Path(code): axum::extract::Path<u16>) -> Response {
    (StatusCode::from_u16(code).expect("a status"), format!("this is {code}")).into_response()
}

fn found(to: &str) -> Response {
    (StatusCode::FOUND, [("location", to.to_owned())]).into_response()
}

async fn never() -> Response {
    std::future::pending().await
}

async fn endless() -> Response {
    let lines = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>("again\n"));
    let paced = lines.then(|line| async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        line
    });
    Body::from_stream(paced).into_response()
}

async fn broken() -> Response {
    let parts = futures_util::stream::iter([Ok("half"), Err(std::io::Error::other("broken"))]);
    let paced = parts.then(|part| async {
        if part.is_err() {
            // The first half must be on its way, or there is no response at all.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        part
    });
    Body::from_stream(paced).into_response()
}

struct Asked {
    method: &'static str,
    url: String,
    headers: Vec<(&'static str, &'static str)>,
    body: Option<&'static str>,
    expect_status: Vec<(u16, u16)>,
    sign: Option<&'static str>,
    params: Value,
}

fn get_from(url: String) -> Asked {
    let (headers, expect_status) = (Vec::new(), Vec::new());
    Asked { method: "GET", url, headers, body: None, expect_status, sign: None, params: json!({}) }
}

impl Asked {
    fn spec(self) -> Spec {
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let what = What::Http {
            method: self.method.to_owned(),
            url: self.url,
            headers: self.headers.into_iter().map(own).collect(),
            body: self.body.map(str::to_owned),
            expect_status: self.expect_status,
            sign: self.sign.map(|secret| HttpSign { secret: secret.to_owned() }),
        };
        spec(what, self.params)
    }

    async fn run(self) -> Ran {
        attempt(self.spec()).await
    }
}

#[tokio::test]
async fn a_secret_header_is_sent_as_it_is_and_masked_in_what_comes_back() {
    let url = format!("http://{}/echo", server().await);
    let mut asked = get_from(url).spec();
    asked.filled.headers.insert("authorization".into(), "Bearer {{s3cr3t}}-v4lue".into());
    asked.filled.masked.push("{{s3cr3t}}-v4lue".into());
    let ran = attempt(asked).await;
    let seen = ran.outcome.result.clone().expect("JSON");
    assert_eq!(seen["headers"]["authorization"], "Bearer ***", "{ran:?}");
    assert!(!format!("{ran:?}").contains("s3cr3t"));
}

#[tokio::test]
async fn a_request_tells_what_the_attempt_is() {
    let url = format!("http://{}/echo", server().await);
    let mut asked = get_from(url.clone()).spec();
    asked.context.traceparent = Some(TRACE.into());
    asked.context.lock_fence = Some(7);
    let ran = attempt(asked).await;
    assert_eq!(ran.outcome.ended, Ended::Succeeded, "{ran:?}");
    assert_eq!((ran.outcome.http_status, ran.outcome.exit_code, ran.pid), (Some(200), None, None));
    let seen = ran.outcome.result.clone().expect("JSON");
    assert_eq!((&seen["method"], &seen["body"]), (&json!("GET"), &json!("")));
    for (name, value) in [
        ("x-cronapi-job", "nightly"),
        ("x-cronapi-run-id", "run-1"),
        ("x-cronapi-attempt", "2"),
        ("x-cronapi-fence", "42"),
        ("x-cronapi-lock-fence", "7"),
        ("traceparent", TRACE),
        ("x-cronapi-nominal-time", "2026-01-02T03:04:05Z"),
        ("idempotency-key", "run-1:2"),
        ("user-agent", concat!("cronapi/", env!("CARGO_PKG_VERSION"))),
    ] {
        assert_eq!(seen["headers"][name], value);
    }
    assert_eq!(serde_json::from_str::<Value>(&ran.out()).expect("the body"), seen);
    assert_eq!(ran.notes(), "HTTP 200 OK\n");
    let mut asked = get_from(url).spec();
    asked.context.nominal_time = None;
    let seen = attempt(asked).await.outcome.result.expect("JSON");
    assert!(seen["headers"].get("x-cronapi-nominal-time").is_none());
}

#[tokio::test]
async fn parameters_are_the_body_unless_there_is_another() {
    let url = format!("http://{}/echo", server().await);
    for (method, sent) in [("POST", true), ("PUT", true), ("PATCH", true), ("DELETE", false)] {
        let params = json!({"a": [1]});
        let ran = Asked { method, params, ..get_from(url.clone()) }.run().await;
        let seen = ran.outcome.result.expect("JSON");
        assert_eq!(seen["method"], method);
        assert_eq!(seen["body"], if sent { "{\"a\":[1]}" } else { "" });
        let kind = seen["headers"].get("content-type").cloned();
        assert_eq!(kind, sent.then(|| json!("application/json")));
    }
}

#[tokio::test]
async fn templates_in_headers_body_and_url() {
    let address = server().await;
    let ran = Asked {
        method: "POST",
        headers: vec![
            ("X-Who", "{{params.who}}/{{run_id}}"),
            ("Content-Type", "text/plain"),
            ("User-Agent", "mine"),
        ],
        body: Some("{\"n\":{{params.n}},\"at\":\"{{nominal_time}}\",\"f\":{{fence}}}"),
        params: json!({"who": "é", "n": {"x": [1]}, "p": "a/b?c"}),
        ..get_from(format!("http://{address}/echo/{{{{params.p}}}}?q={{{{params.who}}}}"))
    }
    .run()
    .await;
    let seen = ran.outcome.result.clone().unwrap_or_else(|| panic!("{ran:?}"));
    assert_eq!(seen["uri"], "/echo/a%2Fb%3Fc?q=%C3%A9");
    assert_eq!(seen["headers"]["x-who"], "é/run-1");
    assert_eq!(seen["headers"]["content-type"], "text/plain");
    assert_eq!(seen["headers"]["user-agent"], "mine");
    assert_eq!(seen["body"], "{\"n\":{\"x\":[1]},\"at\":\"2026-01-02T03:04:05Z\",\"f\":42}");
}

#[tokio::test]
async fn requests_that_cannot_be_sent_are_explained() {
    let url = format!("http://{}/echo", server().await);
    let base = || get_from(url.clone());
    let with_header = |name, value| Asked { headers: vec![(name, value)], ..base() };
    let inject = json!({"x": "a\r\nX-Evil: 1"});
    for (asked, error) in [
        (Asked { method: "G T", ..base() }, "method \"G T\" is not a method"),
        (get_from("not a url".to_owned()), "URL \"not a url\" can't be used"),
        (get_from("ftp://x/".to_owned()), "the URL's scheme is ftp"),
        (get_from("http://{{params.x}}/".to_owned()), "the URL: placeholders are allowed after"),
        (with_header("bad name", "x"), "header \"bad name\": not a header name"),
        (with_header("X-A", "a\nb"), "header X-A: its value holds a line end"),
        (with_header("X-CronAPI-Fence", "1"), "header X-CronAPI-Fence: names with X-CronAPI-"),
        (with_header("Transfer-Encoding", "x"), "header Transfer-Encoding belongs to the"),
        (with_header("X-A", "{{params.y}}"), "header X-A: parameter y is not given"),
        (
            Asked { params: inject, ..with_header("X-A", "{{params.x}}") },
            "header X-A: its value holds a line end",
        ),
        (Asked { body: Some("{{nope}}"), ..base() }, "the body: {{nope}} is not known"),
    ] {
        let ran = asked.run().await;
        assert_eq!(ran.outcome.ended, Ended::Failed);
        assert!(ran.error().starts_with(error), "{error}: {ran:?}");
        assert!(ran.outcome.http_status.is_none());
    }
}

#[tokio::test]
async fn statuses() {
    let address = server().await;
    let at = |code: u16| get_from(format!("http://{address}/status/{code}"));
    let ran = at(503).run().await;
    assert_eq!((ran.outcome.ended, ran.outcome.http_status), (Ended::Failed, Some(503)));
    assert_eq!(ran.error(), "HTTP status 503 Service Unavailable");
    assert_eq!(ran.out(), "this is 503");
    for (code, expect, ended) in [
        (204, vec![], Ended::Succeeded),
        (304, vec![], Ended::Failed),
        (404, vec![(200, 299), (404, 404)], Ended::Succeeded),
        (201, vec![(200, 200)], Ended::Failed),
        (299, vec![(200, 299)], Ended::Succeeded),
    ] {
        let ran = Asked { expect_status: expect, ..at(code) }.run().await;
        assert_eq!((ran.outcome.ended, ran.outcome.http_status), (ended, Some(code)));
    }
}

#[tokio::test]
async fn responses_become_output_and_results() {
    let address = server().await;
    for (path, length, result, note) in [
        ("text", 18, None, ""),
        ("bytes", 3, None, ""),
        ("large", 100_002, None, "no result: the response has more than 32768 bytes\n"),
        ("bad-json", 1, None, "no result: the response is not JSON"),
        ("problem", 3, Some(json!([1])), ""),
    ] {
        let ran = get_from(format!("http://{address}/{path}")).run().await;
        assert_eq!(ran.outcome.ended, Ended::Succeeded, "{ran:?}");
        assert_eq!((ran.outcome.result.clone(), ran.outcome.output_bytes), (result, length));
        assert!(ran.notes().contains(note), "{path}: {}", ran.notes());
    }
    let ran = get_from(format!("http://{address}/broken")).run().await;
    assert_eq!((ran.outcome.ended, ran.outcome.http_status), (Ended::Failed, Some(200)));
    assert!(ran.error().starts_with("the response broke off: "), "{ran:?}");
    assert_eq!(ran.out(), "half");
}

#[tokio::test]
async fn redirects_stay_with_the_host() {
    let address = server().await;
    let ran = get_from(format!("http://{address}/moved")).run().await;
    assert_eq!(ran.outcome.result.expect("JSON")["uri"], "/echo");
    let ran = get_from(format!("http://{address}/loop")).run().await;
    assert!(ran.error().ends_with(": more than 5 redirects"), "{ran:?}");
    let ran = get_from(format!("http://{address}/away")).run().await;
    assert_eq!(ran.outcome.http_status, Some(302));
    let error = "HTTP status 302 Found: the redirect to http://elsewhere.test/ is not followed";
    assert_eq!(ran.error(), error);
    let ran = get_from(format!("http://{address}/metadata")).run().await;
    assert_eq!(ran.error(), "address 169.254.169.254 is denied to HTTP jobs on this node");
}

#[tokio::test]
async fn denied_addresses_are_not_reached() {
    for url in ["http://169.254.169.254/", "http://[::ffff:169.254.1.1]/", "http://0.0.0.0:1/"] {
        let ran = get_from(url.to_owned()).run().await;
        assert!(ran.error().contains("is denied to HTTP jobs on this node"), "{ran:?}");
    }
    // A name is judged by what it resolves to.
    static NODE: OnceLock<RunnerEnv> = OnceLock::new();
    let node = NODE.get_or_init(|| {
        let mut node = RunnerEnv::detect();
        node.http_deny = vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        node
    });
    let port = server().await.port();
    let by_name = || get_from(format!("http://localhost:{port}/text"));
    let ran = start_on(node, by_name().spec()).end().await;
    assert!(ran.error().contains("is denied to HTTP jobs on this node"), "{ran:?}");
    assert_eq!(by_name().run().await.outcome.http_status, Some(200), "allowed by default");
}

#[tokio::test]
async fn network_failures_are_told_apart() {
    // Nothing listens there, and no test can come to listen there.
    let closed = "127.0.0.1:1";
    let ran = get_from(format!("http://{closed}/secret?token=x")).run().await;
    assert_eq!(ran.error(), format!("connection to {closed} refused"));
    let ran = get_from("http://no-such-host.invalid/".to_owned()).run().await;
    assert!(ran.error().starts_with("DNS: the name of no-such-host.invalid:80"), "{ran:?}");
    let plain = server().await;
    let ran = get_from(format!("https://{plain}/")).run().await;
    assert!(ran.error().starts_with(&format!("can't connect to {plain}: ")), "{ran:?}");
}

#[tokio::test]
async fn timeout_and_cancel_abort_the_request() {
    let address = server().await;
    let mut asked = get_from(format!("http://{address}/never")).spec();
    asked.timeout = Some(Duration::from_millis(150));
    let ran = attempt(asked).await;
    assert_eq!((ran.outcome.ended, ran.error()), (Ended::TimedOut, "timed out after 150ms"));
    assert!(ran.took < Duration::from_secs(2));
    let mut running = start(get_from(format!("http://{address}/endless")).spec());
    running.until("again\nagain\n").await;
    running.cancel();
    let ran = running.end().await;
    assert_eq!((ran.outcome.ended, ran.error()), (Ended::Cancelled, "cancelled"));
    assert!(ran.out().starts_with("again\nagain\n"));
}

#[tokio::test]
async fn bodies_are_signed() {
    let url = format!("http://{}/echo", server().await);
    let asked = || Asked { method: "POST", sign: Some("s3cret"), ..get_from(url.clone()) };
    let ran = asked().run().await;
    let seen = ran.outcome.result.expect("JSON");
    let header = seen["headers"]["x-cronapi-signature"].as_str().expect("signed").to_owned();
    let (time, signature) = header.split_once(",v1=").expect("two parts");
    let seconds: i64 = time.strip_prefix("t=").expect("a time").parse().expect("seconds");
    assert!((now_micros() / 1_000_000 - seconds).abs() <= 2);
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"s3cret").expect("any length");
    mac.update(format!("{seconds}.{{}}").as_bytes());
    let bytes = mac.finalize().into_bytes();
    let expected: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(signature, expected);
    assert!(!format!("{:?}", asked().spec()).contains("s3cret"), "the secret is not printed");
}

#[test]
fn certificates_are_verified() {
    use std::process::{Command, Stdio};
    let folder = tempfile::tempdir().expect("made");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (ca, ca_key) = (path("ca.pem"), path("ca-key.pem"));
    let (key, certificate) = (path("key.pem"), path("cert.pem"));
    let config = path("config");
    std::fs::write(&config, "[req]\ndistinguished_name=dn\n[dn]\n").expect("written");
    let make = |more: &[&str]| {
        let mut make = Command::new("openssl");
        make.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]);
        let made = make.args(["-config", &config]).args(more).output();
        made.is_ok_and(|made| made.status.success())
    };
    let is_ca = "basicConstraints=critical,CA:TRUE";
    let named = "subjectAltName=DNS:localhost";
    let made = make(&["-subj", "/CN=ca", "-addext", is_ca, "-keyout", &ca_key, "-out", &ca])
        && make(&[
            "-subj",
            "/CN=x",
            "-addext",
            named,
            "-CA",
            &ca,
            "-CAkey",
            &ca_key,
            "-keyout",
            &key,
            "-out",
            &certificate,
        ]);
    if !made {
        skipped("certificates_are_verified", "there is no openssl 3 to make a certificate");
        return;
    }
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        listener.local_addr().expect("known").port().to_string()
    };
    let mut server = Command::new("openssl");
    server.args(["s_server", "-www", "-quiet", "-accept", &port, "-key", &key]);
    server.args(["-cert", &certificate]).stdin(Stdio::null());
    server.stdout(Stdio::null()).stderr(Stdio::null());
    let mut server = Server(server.spawn().expect("started"));
    while std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_err() {
        assert!(server.0.try_wait().expect("known").is_none(), "the TLS server has ended");
        std::thread::yield_now();
    }
    let url = format!("https://localhost:{port}/");
    let ask = |trusted: &str, wanted: &str| {
        let env = [
            ("ASKED_URL", url.as_str()),
            ("SSL_CERT_FILE", trusted),
            ("SSL_CERT_DIR", "/no/such"),
            ("WANTED", wanted),
        ];
        alone("http::over_tls", &env);
    };
    ask(&ca, "");
    ask("/no/such", "invalid peer certificate");
    ask("/no/such", "; this node has no CA certificates");
}

/// Ends with its test, whichever way that ends.
struct Server(std::process::Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Run by `certificates_are_verified` in a process of its own.
#[tokio::test]
async fn over_tls() {
    if !is_alone() {
        return;
    }
    let variable = |name| std::env::var(name).expect("set");
    let ran = get_from(variable("ASKED_URL")).run().await;
    let wanted = variable("WANTED");
    if wanted.is_empty() {
        assert_eq!(ran.outcome.http_status, Some(200), "{ran:?}");
    } else {
        assert!(ran.error().contains(&wanted), "{wanted}: {ran:?}");
    }
}
