//! Messages to channels, against real receivers on this machine.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use cronapi::adapters::{Courier, Delivered, Fault, Opened};
use cronapi::clock;
use cronapi::executor::runner::{RunnerEnv, sign};
use cronapi::metrics::Metrics;
use cronapi::model::{Kind, Message, MessageKind, Name, RunId, Spec, Timestamp};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::bench::*;
use crate::skip::skipped;

const SECRET: &str = "s3cret-value";

/// What a receiver was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Sent {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("valid JSON")
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }
}

/// A receiver that keeps what it is sent, and answers by the path.
#[derive(Clone, Default)]
struct Receiver(Arc<Mutex<Vec<Sent>>>);

impl Receiver {
    async fn start() -> (Receiver, String) {
        let receiver = Receiver::default();
        let app = Router::new().route("/{*path}", post(take)).route("/", post(take));
        let app = app.with_state(receiver.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("known");
        tokio::spawn(async move { axum::serve(listener, app).await });
        (receiver, format!("http://{address}"))
    }

    fn all(&self) -> Vec<Sent> {
        self.0.lock().expect("not poisoned").clone()
    }

    fn last(&self) -> Sent {
        self.all().pop().expect("something was sent")
    }
}

async fn take(
    State(receiver): State<Receiver>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path().to_owned();
    receiver.0.lock().expect("not poisoned").push(Sent { path: path.clone(), headers, body });
    match path.as_str() {
        "/500" => (StatusCode::INTERNAL_SERVER_ERROR, "broken").into_response(),
        "/429" => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "7")], "slower").into_response(),
        "/400" => (StatusCode::BAD_REQUEST, format!("no such key {SECRET}\r\n")).into_response(),
        "/moved" => (StatusCode::FOUND, [("location", "/taken")]).into_response(),
        "/never" => std::future::pending().await,
        "/endless" => {
            let more = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>("again\n"));
            Body::from_stream(more).into_response()
        }
        _ => "ok".into_response(),
    }
}

fn message(kind: MessageKind) -> Message {
    Message {
        key: "prod-on-call-17".into(),
        kind,
        cluster: "prod".into(),
        incident: Some("nightly/nightly-dump/3".into()),
        rule: Name::parse("nightly").ok(),
        group: Some("nightly-dump".into()),
        job: Name::parse("nightly-dump").ok(),
        monitor: None,
        node: None,
        sink: None,
        run_id: Some(RunId(uuid::Uuid::nil())),
        nominal_time: Some(Timestamp::from_secs(1_767_225_600)),
        at: Timestamp::from_secs(1_767_225_660),
        reason: "The run ended with exit code 1.".into(),
        error: Some(
            "\"quoted\" \\ 'ü' <!channel> {{ job }}\r\nBcc: eve@example.org\n\u{1b}[31m".into(),
        ),
        count: 2,
        since: Some(Timestamp::from_secs(1_767_139_200)),
        link: Some("https://cron.example.org/ui/jobs/nightly-dump".into()),
    }
}

fn opened(channel: Value, secret: &str) -> Opened {
    let mut map = channel.as_object().cloned().expect("an object");
    map.insert("name".into(), "on-call".into());
    let spec = Kind::Channel.read(map).unwrap_or_else(|faults| panic!("{faults:?}"));
    let Spec::Channel(spec) = spec else { panic!("a channel") };
    let value = |place: &cronapi::model::SecretRef| match place.secret.as_str() {
        "missing" => Err("there is no secret missing".to_owned()),
        _ => Ok(format!("{}{secret}", place.prefix)),
    };
    Opened::new(spec, value).expect("secrets")
}

fn courier_of(env: RunnerEnv) -> (Courier, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new(0).expect("metrics"));
    (Courier::new(Arc::new(env), Arc::new(clock::System), metrics.clone()), metrics)
}

async fn send(channel: Value, secret: &str, kind: MessageKind) -> Result<Delivered, Fault> {
    let (courier, _) = courier_of(RunnerEnv::detect());
    courier.deliver(&opened(channel, secret), &message(kind)).await
}

fn webhook(url: &str) -> Value {
    let token = json!({ "secret": "key", "prefix": "Bearer " });
    json!({ "type": "webhook", "config": { "url": url, "sign": { "secret": "key" },
        "headers": { "Authorization": token, "X-Team": "db" } } })
}

#[tokio::test]
async fn a_webhook_gets_all_facts_signed_and_with_the_key() {
    let (receiver, url) = Receiver::start().await;
    let done = send(webhook(&format!("{url}/in")), SECRET, MessageKind::Failed).await.unwrap();
    assert_eq!(done.detail, "HTTP 200 OK");
    let sent = receiver.last();
    let body = sent.json();
    assert_eq!((sent.path.as_str(), &body["version"]), ("/in", &json!(1)));
    assert_eq!(body["error"], "\"quoted\" \\ 'ü' <!channel> {{ job }}\nBcc: eve@example.org\n[31m");
    let facts = json!({
        "key": "prod-on-call-17", "kind": "failed", "cluster": "prod", "rule": "nightly",
        "group": "nightly-dump", "job": "nightly-dump", "count": 2,
        "incident": "nightly/nightly-dump/3",
        "nominal_time": "2026-01-01T00:00:00Z", "since": "2025-12-31T00:00:00Z",
        "run_id": "00000000-0000-0000-0000-000000000000",
        "reason": "The run ended with exit code 1.",
        "subject": "nightly-dump failed (2 times)",
        "link": "https://cron.example.org/ui/jobs/nightly-dump",
    });
    for (name, value) in facts.as_object().unwrap() {
        assert_eq!(&body[name], value, "{name}");
    }
    assert_eq!(sent.header("idempotency-key"), "prod-on-call-17");
    assert_eq!(sent.header("content-type"), "application/json");
    assert_eq!(
        (sent.header("authorization"), sent.header("x-team")),
        ("Bearer s3cret-value", "db")
    );
    let signature = sent.header("x-cronapi-signature");
    let at = signature.strip_prefix("t=").and_then(|rest| rest.split_once(',')).unwrap().0;
    assert_eq!(sign(SECRET, at.parse().unwrap(), &sent.body).unwrap(), signature);
}

#[tokio::test]
async fn what_an_answer_means() {
    let (receiver, url) = Receiver::start().await;
    let at = |path: &str| send(webhook(&format!("{url}{path}")), SECRET, MessageKind::Failed);
    let fault = at("/500").await.unwrap_err();
    assert_eq!((fault.retry, fault.after), (true, None));
    assert_eq!(fault.detail, "HTTP 500 Internal Server Error: broken");
    let fault = at("/429").await.unwrap_err();
    assert_eq!((fault.retry, fault.after.map(|after| after.as_secs())), (true, Some(7)));
    let fault = at("/400").await.unwrap_err();
    assert_eq!(fault.detail, "HTTP 400 Bad Request: no such key ***", "no secret is told");
    assert!(!fault.retry);
    let before = receiver.all().len();
    let fault = at("/moved").await.unwrap_err();
    assert!(!fault.retry && fault.detail.contains("a redirect is not followed"), "{fault:?}");
    assert_eq!(receiver.all().len(), before + 1);
    at("/endless").await.unwrap();
    let (courier, metrics) = courier_of(RunnerEnv::detect());
    let channel = opened(webhook(&format!("{url}/500")), SECRET);
    courier.deliver(&channel, &message(MessageKind::Late)).await.unwrap_err();
    courier.deliver(&channel, &message(MessageKind::Late)).await.unwrap_err();
    let keys: Vec<Sent> = receiver.all().into_iter().rev().take(2).collect();
    assert_eq!(keys[0].header("idempotency-key"), keys[1].header("idempotency-key"));
    let page = metrics.page(&cronapi::metrics::Gauges::default()).expect("a page");
    let counted = "cronapi_channel_sends_total{outcome=\"failed\",type=\"webhook\"} 2";
    assert!(page.contains(counted), "{page}");
}

#[tokio::test]
async fn a_receiver_that_says_nothing_is_given_up() {
    let (_receiver, url) = Receiver::start().await;
    let fault = send(webhook(&format!("{url}/never")), SECRET, MessageKind::Failed).await;
    let fault = fault.unwrap_err();
    assert!(fault.retry && fault.detail.contains("within 10s"), "{fault:?}");
}

#[tokio::test]
async fn denied_addresses_are_not_reached_and_an_operator_denies_more() {
    let fault = send(webhook("http://169.254.169.254/in"), SECRET, MessageKind::Failed).await;
    assert!(!fault.clone().unwrap_err().retry, "{fault:?}");
    assert!(fault.unwrap_err().detail.contains("is denied"));
    let (receiver, url) = Receiver::start().await;
    let mut env = RunnerEnv::detect();
    env.http_deny.push("127.0.0.0/8".parse().expect("a network"));
    let (courier, _) = courier_of(env);
    let port = url.rsplit_once(':').expect("a port").1;
    let mail = |host: &str| {
        json!({ "type": "email", "config": { "host": host, "port": port.parse::<u16>().unwrap(),
            "tls": "none", "from": "a@b.org", "to": ["a@b.org"] } })
    };
    for channel in [
        webhook(&url),
        webhook(&format!("http://localhost:{port}/")),
        mail("127.0.0.1"),
        mail("localhost"),
    ] {
        let message = message(MessageKind::Failed);
        let fault = courier.deliver(&opened(channel, SECRET), &message).await.unwrap_err();
        assert!(!fault.retry && fault.detail.contains("is denied"), "{fault:?}");
    }
    assert!(receiver.all().is_empty());
}

#[tokio::test]
async fn slack_and_teams_get_what_they_show() {
    let (receiver, url) = Receiver::start().await;
    let hook = |kind: &str| json!({ "type": kind, "config": { "url": { "secret": "hook" } } });
    let secret = format!("{url}/services/T0/B0/{SECRET}");
    send(hook("slack"), &secret, MessageKind::Failed).await.unwrap();
    let sent = receiver.last();
    assert_eq!(sent.path, format!("/services/T0/B0/{SECRET}"));
    let body = sent.json();
    assert_eq!(body["text"], "nightly-dump failed (2 times)");
    let text = body["blocks"][1]["text"].clone();
    assert_eq!(text["type"], "plain_text");
    assert!(text["text"].as_str().unwrap().contains("\"quoted\" \\ 'ü' <!channel>"));
    send(hook("teams"), &secret, MessageKind::Recovered).await.unwrap();
    let body = receiver.last().json();
    let card = &body["attachments"][0];
    assert_eq!(body["type"], "message");
    assert_eq!(card["contentType"], "application/vnd.microsoft.card.adaptive");
    assert_eq!(card["content"]["type"], "AdaptiveCard");
    assert_eq!(card["content"]["body"][0]["inlines"][0]["color"], "Good");
    assert_eq!(card["content"]["actions"][0]["type"], "Action.OpenUrl");
    let fault = send(hook("slack"), "http://127.0.0.1:1/s3cret-path", MessageKind::Failed).await;
    let fault = fault.unwrap_err();
    assert!(fault.retry && !fault.detail.contains("s3cret"), "{fault:?}");
    assert_eq!(fault.detail, "connection to 127.0.0.1:1 refused");
}

#[tokio::test]
async fn pagerduty_opens_and_closes_under_one_key_and_ntfy_has_its_fields() {
    let (receiver, url) = Receiver::start().await;
    let pager = json!({ "type": "pagerduty", "config": { "url": url, "severity": "critical",
        "routing_key": { "secret": "key" } } });
    send(pager.clone(), SECRET, MessageKind::Failed).await.unwrap();
    send(pager.clone(), SECRET, MessageKind::Recovered).await.unwrap();
    send(pager.clone(), SECRET, MessageKind::Test).await.unwrap();
    send(pager, SECRET, MessageKind::BackfillDone).await.unwrap();
    let all: Vec<Value> = receiver.all().iter().map(Sent::json).collect();
    let actions: Vec<&str> = all.iter().map(|it| it["event_action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["trigger", "resolve"].repeat(3), "what is done pages nobody for long");
    assert_eq!(all[0]["dedup_key"], "cronapi/prod/nightly/nightly-dump/3");
    assert!(all.iter().all(|it| it["dedup_key"] == all[0]["dedup_key"]));
    assert_eq!(
        (&all[0]["routing_key"], &all[0]["payload"]["severity"]),
        (&json!(SECRET), &json!("critical"))
    );
    assert_eq!(all[0]["payload"]["summary"], "nightly-dump failed (2 times)");
    assert_eq!(all[2]["payload"]["severity"], "info");
    assert_eq!(all[4]["payload"]["severity"], "info");
    let ntfy = json!({ "type": "ntfy", "config": { "url": url, "topic": "cron",
        "token": { "secret": "key" } },
        "template": { "subject": "{{ job|upper }}", "body": "{{ error }}" } });
    send(ntfy, SECRET, MessageKind::Missed).await.unwrap();
    let (sent, body) = (receiver.last(), receiver.last().json());
    assert_eq!(sent.header("authorization"), "Bearer s3cret-value");
    assert_eq!((&body["topic"], &body["title"]), (&json!("cron"), &json!("NIGHTLY-DUMP")));
    assert_eq!((&body["priority"], &body["tags"]), (&json!(4), &json!(["warning"])));
    assert!(
        body["message"].as_str().unwrap().starts_with("\"quoted\" \\ 'ü' <!channel> {{ job }}")
    );
}

#[tokio::test]
async fn a_template_that_fails_is_not_what_is_sent_and_that_is_told() {
    let (receiver, url) = Receiver::start().await;
    let mut channel = webhook(&url);
    let endless = "{% for a in error %}{% for b in body %}{% for c in body %}{% for d in body %}x\
                   {% endfor %}{% endfor %}{% endfor %}{% endfor %}";
    channel["template"] = json!({ "subject": "{{ job }}", "body": endless });
    // With the short texts of the check at writing it ends; with long ones it does not.
    let Some(spec) = Kind::Channel
        .read({
            let mut map = channel.as_object().cloned().unwrap();
            map.insert("name".into(), "c".into());
            map
        })
        .err()
    else {
        panic!("it was taken")
    };
    assert_eq!(spec[0].pointer, "/template/body");
    assert!(spec[0].detail.contains("too many steps"), "{spec:?}");
    let nested = "{% for a in error %}{% for b in error %}x{% endfor %}{% endfor %}";
    channel["template"] = json!({ "subject": "{{ job }}", "body": nested });
    let (courier, _) = courier_of(RunnerEnv::detect());
    let mut long = message(MessageKind::Failed);
    long.error = Some("e".repeat(5_000));
    let done = courier.deliver(&opened(channel, SECRET), &long).await.unwrap();
    assert!(done.detail.contains("the plain text was sent, not the template"), "{done:?}");
    let body = receiver.last().json();
    assert_eq!(body["subject"], "nightly-dump failed (2 times)");
    assert!(
        body["text"].as_str().unwrap().contains("could not be used: line 1: it takes too many")
    );
}

/// Where the mail server of the tests is installed; none: it can't be.
fn python() -> Option<std::path::PathBuf> {
    let venv = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/ci/smtp");
    let python = venv.join("bin/python");
    let quiet = |command: &mut std::process::Command| {
        use std::process::Stdio;
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let ready = |python: &std::path::Path| {
        quiet(std::process::Command::new(python).args(["-c", "import aiosmtpd"]))
    };
    if !ready(&python) {
        let wanted = concat!(env!("CARGO_MANIFEST_DIR"), "/ci/smtp.txt");
        quiet(std::process::Command::new("python3").args(["-m", "venv"]).arg(&venv));
        quiet(
            std::process::Command::new(&python).args(["-m", "pip", "install", "-q", "-r", wanted]),
        );
    }
    ready(&python).then_some(python)
}

#[test]
fn mail_is_handed_over_by_starttls_and_by_tls_with_a_login() {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    let Some(python) = python() else {
        skipped("mail", "there is no aiosmtpd, and it can't be installed");
        return;
    };
    let folder = tempfile::tempdir().expect("made");
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let server = names.signed_by(&key, &authority).unwrap();
    let file = |name: &str, what: &str, der: &[u8]| {
        use base64::Engine;
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        let path = folder.path().join(name);
        let pem = format!("-----BEGIN {what}-----\n{text}\n-----END {what}-----\n");
        std::fs::write(&path, pem).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let ca = file("ca.pem", "CERTIFICATE", authority.der());
    let cert = file("cert.pem", "CERTIFICATE", server.der());
    let key = file("key.pem", "PRIVATE KEY", &key.serialize_der());
    let python = python.to_str().expect("UTF-8").to_owned();
    let env = [
        ("SSL_CERT_FILE", ca.as_str()),
        ("SSL_CERT_DIR", "/no/such"),
        ("MAIL_PYTHON", &python),
        ("MAIL_CERT", &cert),
        ("MAIL_KEY", &key),
    ];
    alone("channels::by_mail", &env);
}

/// A mail server of its own.
struct MailServer {
    process: std::process::Child,
    lines: std::io::Lines<std::io::BufReader<std::process::ChildStdout>>,
    port: u16,
}

impl MailServer {
    fn start(mode: &str) -> MailServer {
        use std::io::BufRead;
        let variable = |name| std::env::var(name).expect("set");
        let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/runners/mail.py");
        let mut command = std::process::Command::new(variable("MAIL_PYTHON"));
        command.arg(script).args([mode, &variable("MAIL_CERT"), &variable("MAIL_KEY")]);
        let mut process = command.stdout(std::process::Stdio::piped()).spawn().expect("started");
        let mut lines = std::io::BufReader::new(process.stdout.take().unwrap()).lines();
        let port = lines.next().expect("a port").expect("read").parse().expect("a port");
        MailServer { process, lines, port }
    }

    fn next(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().expect("a mail").expect("read")).expect("JSON")
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Run by `mail_is_handed_over_by_starttls_and_by_tls_with_a_login` in a process of its own.
#[tokio::test]
async fn by_mail() {
    if !is_alone() {
        return;
    }
    const PASSWORD: &str = "pa ss-wörd";
    let channel = |host: &str, port: u16, tls: &str, to: &[&str]| {
        json!({ "type": "email", "config": { "host": host, "port": port, "tls": tls,
            "username": "cron", "password": { "secret": "mail" },
            "from": "Cron Jörg <cron@example.org>", "to": to } })
    };
    let to = ["Ann <ann@example.org>", "nobody@example.org", "bob@example.org"];
    for tls in ["starttls", "tls"] {
        let mut server = MailServer::start(tls);
        let mut mail = channel("localhost", server.port, tls, &to);
        mail["template"] = json!({ "subject": "{{ job }} ü\r\nBcc: eve@example.org" });
        let done = send(mail, PASSWORD, MessageKind::Failed).await.unwrap();
        assert!(done.detail.starts_with("2 of 3 addresses: 250 taken as 7; nobody@"), "{done:?}");
        let mail = server.next();
        assert_eq!((&mail["tls"], &mail["login"]), (&json!(true), &json!(true)));
        assert_eq!(mail["to"], json!(["ann@example.org", "bob@example.org"]));
        assert_eq!(mail["from"], "cron@example.org");
        let headers = &mail["headers"];
        assert_eq!(headers["subject"], "nightly-dump ü Bcc: eve@example.org");
        assert!(headers["bcc"].is_null(), "{headers}");
        assert_eq!(headers["message-id"], "<prod-on-call-17@example.org>");
        assert_eq!(headers["auto-submitted"], "auto-generated");
        assert_eq!(headers["from"], "Cron Jörg <cron@example.org>");
        let body = mail["body"].as_str().unwrap().replace("\r\n", "\n");
        assert!(body.contains("\"quoted\" \\ 'ü' <!channel> {{ job }}\nBcc: eve@"), "{body}");
        let refused =
            send(channel("localhost", server.port, tls, &to), "wrong one", MessageKind::Failed);
        let refused = refused.await.unwrap_err();
        assert!(!refused.retry && refused.detail.contains("the login was refused"), "{refused:?}");
        let busy = channel("localhost", server.port, tls, &["busy@example.org"]);
        let busy = send(busy, PASSWORD, MessageKind::Failed).await.unwrap_err();
        assert!(busy.retry && busy.detail.contains("451"), "{busy:?}");
        let lost = channel("localhost", server.port, tls, &["nobody@example.org"]);
        let lost = send(lost, PASSWORD, MessageKind::Failed).await.unwrap_err();
        assert!(!lost.retry && lost.detail.contains("550"), "{lost:?}");
        // The certificate is for another name.
        let other = channel("127.0.0.1", server.port, tls, &to);
        let other = send(other, PASSWORD, MessageKind::Failed).await.unwrap_err();
        assert!(other.detail.contains("certificate"), "{other:?}");
    }
    let mut plain = MailServer::start("plain");
    let with_login = channel("localhost", plain.port, "starttls", &to);
    let fault = send(with_login, PASSWORD, MessageKind::Failed).await.unwrap_err();
    assert!(!fault.retry && fault.detail.contains("does not offer STARTTLS"), "{fault:?}");
    let open = json!({ "type": "email", "config": { "host": "localhost", "port": plain.port,
        "tls": "none", "from": "cron@example.org", "to": ["ann@example.org"] } });
    send(open, PASSWORD, MessageKind::Recovered).await.unwrap();
    let mail = plain.next();
    assert_eq!((&mail["tls"], &mail["login"]), (&json!(false), &json!(false)));
    assert_eq!(mail["headers"]["subject"], "nightly-dump is well again (2 times)");
}
