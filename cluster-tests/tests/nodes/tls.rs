//! Redis, PostgreSQL and MongoDB over TLS: sinks and locks reach a server whose certificate the
//! authorities of the node vouch for, and no other.

use std::path::Path;

use base64::Engine;
use cluster_tests::harness::cluster::Shape;
use cluster_tests::harness::{Cluster, Mongo, Postgres, Redis, Sandbox, mongo, skipped};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;
use tokio::time::{Duration, Instant, sleep};

use super::duties::{PATIENCE, defined, fault, told};

/// 32 bytes of one.
const SECRETS_KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// The authority's certificate, and that of `localhost` with its key: text that a file has.
fn certificates() -> [String; 3] {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(params, key).expect("signed");
    let key = KeyPair::generate().expect("a key");
    let names = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let server = names.signed_by(&key, &authority).expect("signed");
    let pem = |what: &str, der: &[u8]| {
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN {what}-----\n{text}\n-----END {what}-----\n")
    };
    [
        pem("CERTIFICATE", authority.der()),
        pem("CERTIFICATE", server.der()),
        pem("PRIVATE KEY", &key.serialize_der()),
    ]
}

async fn trusting(sandbox: &Sandbox, authority: &Path) -> Cluster {
    let cluster = Cluster::make(sandbox, Shape::loopback(1)).expect("loopback is everywhere");
    cluster.env("SSL_CERT_FILE", authority.to_str().expect("UTF-8")).await;
    cluster.env("SSL_CERT_DIR", "/no/such").await;
    cluster.env("CRONAPI_SECRETS_KEY", SECRETS_KEY).await;
    cluster.start().await;
    cluster.wait_whole().await;
    cluster
}

async fn served(cluster: &Cluster, path: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let sink = told(cluster, path).await;
        if sink["behind"] == 0 && sink["fault"].is_null() && !sink["node"].is_null() {
            return;
        }
        assert!(Instant::now() < deadline, "{sink}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sinks_and_locks_go_over_tls_to_whom_the_authorities_vouch_for() {
    let sandbox = Sandbox::new();
    let [authority, certificate, key] = certificates();
    let file = sandbox.path().join("authority.pem");
    std::fs::write(&file, authority).expect("the sandbox is writable");
    let Some(redis) = Redis::start_tls(&sandbox, &certificate, &key) else {
        return skipped("Redis over TLS", "there is no redis-server");
    };
    let Some(postgres) = Postgres::start_tls(&certificate, &key) else {
        return skipped("PostgreSQL over TLS", "there is no PostgreSQL");
    };
    let cluster = trusting(&sandbox, &file).await;
    let stream = |host: &str| format!("rediss://{host}:{}", redis.tls_port);
    // Without sslmode it is TLS.
    let tables = |host: &str| format!("postgres://postgres@{host}:{}/postgres", postgres.port);
    for (name, kind, url) in [
        ("events", "redis", stream("localhost")),
        ("rows", "postgres", tables("localhost")),
        // The certificate names no address.
        ("no-events", "redis", stream("127.0.0.1")),
        ("no-rows", "postgres", tables("127.0.0.1")),
    ] {
        let body = json!({"type": kind, "config": {"url": url}});
        defined(&cluster, &format!("/sinks/{name}"), &body).await;
    }
    let job = json!({"runner": {"type": "shell", "command": "true"},
        "lock": {"key": "k", "redis": stream("localhost")}});
    defined(&cluster, "/jobs/locked", &job).await;
    let run = cluster.client().run_to_end("locked", "once").await.expect("it is run");
    assert_eq!(run["status"], "succeeded", "{run}");
    for name in ["events", "rows"] {
        served(&cluster, &format!("/sinks/{name}")).await;
    }
    for name in ["no-events", "no-rows"] {
        fault(&cluster, &format!("/sinks/{name}"), "TLS with 127.0.0.1 failed").await;
    }
    let key = told(&cluster, "/system/status").await["cluster_id"].as_str().map(str::to_owned);
    let key = format!("cronapi:{}:events", key.unwrap_or_default());
    assert!(redis.ids(&key).len() > 1, "events came over TLS");
    let rows = postgres.told("SELECT status FROM cronapi.runs");
    assert_eq!(rows, ["succeeded"], "and so did the run");
    cluster.terminate_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_go_over_tls_with_a_login_and_no_password_is_told() {
    let sandbox = Sandbox::new();
    let [authority, certificate, key] = certificates();
    let file = sandbox.path().join("authority.pem");
    std::fs::write(&file, authority).expect("the sandbox is writable");
    let Some(server) = Mongo::start(&sandbox) else {
        return skipped("MongoDB over TLS", "nx-27017 is not there, and can't be installed");
    };
    let doors = ["primary", "secondary"].map(|role| server.door(&certificate, &key, role));
    let [door, other] = [doors[0].port, doors[1].port];
    let cluster = trusting(&sandbox, &file).await;
    let [user, password] = mongo::USER;
    let right = password.replace('@', "%40").replace(':', "%3A");
    let options = "authSource=admin&authMechanism=SCRAM-SHA-256";
    let url = |password: &str, hosts: &str, rest: &str| {
        format!("mongodb://{user}:{password}@{hosts}/reports?{options}{rest}")
    };
    let (host, secondary) = (format!("localhost:{door}"), format!("localhost:{other}"));
    let both = format!("{secondary},{host}");
    for (name, url, why) in [
        ("documents", url(&right, &host, "&tls=true"), ""),
        // The one that takes writes is found.
        ("several", url(&right, &both, "&tls=true"), ""),
        ("secondary", url(&right, &secondary, "&tls=true"), "is not the primary"),
        ("set", url(&right, &host, "&tls=true&replicaSet=rs0"), "not of the replica set rs0"),
        ("wrong", url("pa55word", &host, "&tls=true"), "MongoDB refuses the login"),
        // The certificate names no address.
        ("unknown", url(&right, &format!("127.0.0.1:{door}"), "&tls=true"), "TLS with 127.0.0.1"),
        ("open", url(&right, &host, ""), "MongoDB"),
    ] {
        let (secret, path) = (format!("/secrets/{name}"), format!("/sinks/{name}"));
        defined(&cluster, &secret, &json!({"value": url, "scope": {}})).await;
        let body = json!({"type": "mongodb", "config": {"url": {"secret": name}}});
        defined(&cluster, &path, &body).await;
        if why.is_empty() {
            served(&cluster, &path).await;
            continue;
        }
        fault(&cluster, &path, why).await;
        let told = told(&cluster, &path).await.to_string();
        assert!(!told.contains("pa55word") && !told.contains(&right), "{told}");
    }
    let job = json!({"runner": {"type": "shell", "command": "true"}});
    defined(&cluster, "/jobs/plain", &job).await;
    cluster.client().run_to_end("plain", "once").await.expect("it is run");
    for name in ["documents", "several"] {
        served(&cluster, &format!("/sinks/{name}")).await;
    }
    // Both write the same document.
    let runs = server.find("runs", &json!({})).expect("it answers");
    assert_eq!(runs.len(), 1, "{runs:?}");
    assert_eq!(runs[0]["status"], "succeeded");
    let positions = server.find("positions", &json!({})).expect("it answers");
    assert_eq!(positions.len(), 2, "{positions:?}");
    cluster.terminate_all().await;
}
