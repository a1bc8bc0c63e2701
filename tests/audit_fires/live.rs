//! A real node, and what its jobs did.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::stub::audit_fires_as;

const PASSWORD: &str = "correct horse";
/// For busy machines.
const PATIENCE: Duration = Duration::from_secs(60);

struct Node {
    _process: Child,
    url: String,
    http: reqwest::Client,
    token: String,
}

impl Node {
    async fn start(data: &Path) -> Node {
        let mut process = Command::new(env!("CARGO_BIN_EXE_cronapi"))
            .args(["serve", "--listen", "127.0.0.1:0", "--cluster-listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .env("CRONAPI_ADMIN_PASSWORD", PASSWORD)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap()).lines();
        let url = timeout(PATIENCE, async {
            loop {
                let line = said.next_line().await.unwrap().expect("it tells where it listens");
                if let Some(at) = line.find("http://") {
                    return line[at..].trim().to_owned();
                }
            }
        });
        let url = url.await.unwrap();
        let roots = rustls::RootCertStore::empty();
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let http = reqwest::Client::builder().tls_backend_preconfigured(tls).build().unwrap();
        let mut node = Node { _process: process, url, http, token: String::new() };
        let login = json!({"username": "admin", "password": PASSWORD});
        let issued = node.send("POST", "/auth/token", login).await;
        node.token = issued["access_token"].as_str().unwrap().to_owned();
        node
    }

    async fn send(&self, method: &str, path: &str, body: Value) -> Value {
        let method = method.parse::<reqwest::Method>().unwrap();
        let request = self.http.request(method, format!("{}{path}", self.url));
        let request = request.header("authorization", format!("Bearer {}", self.token));
        let request = request.header("content-type", "application/json").body(body.to_string());
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default()
    }

    /// Waits until `count` runs of a job are closed.
    async fn closed(&self, job: &str, count: usize) {
        let path = format!("/jobs/{job}/runs?status=succeeded,failed");
        let reached = timeout(PATIENCE, async {
            loop {
                let runs: Value = {
                    let request = self.http.get(format!("{}{path}", self.url));
                    let request = request.header("authorization", format!("Bearer {}", self.token));
                    let answer = request.send().await.unwrap().bytes().await.unwrap();
                    serde_json::from_slice(&answer).unwrap()
                };
                if runs["items"].as_array().unwrap().len() >= count {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        reached.await.unwrap();
    }
}

#[tokio::test]
async fn a_real_node_is_sound() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(&folder.path().join("data")).await;
    let every_second = json!({"name": "tick", "expr": "* * * * * *"});
    let fails = json!({"name": "fails", "expr": "@every 1s", "overlap": "queue_all",
        "runner": {"type": "shell", "command": "exit 1"},
        "retry": {"max_attempts": 2, "delay": "10ms"}});
    let few = json!({"name": "few", "expr": "* * * * * *", "max_runs": 1});
    for definition in [every_second, fails, few] {
        node.send("POST", "/jobs", definition).await;
    }
    node.closed("tick", 2).await;
    node.send("POST", "/jobs/tick/pause", json!({})).await;
    node.closed("fails", 3).await;
    node.send("POST", "/jobs/tick/resume", json!({})).await;
    node.send("PATCH", "/jobs/fails", json!({"expr": "*/2 * * * * *"})).await;
    node.closed("tick", 5).await;
    node.closed("fails", 5).await;

    let env = [("CRONAPI_PASSWORD", PASSWORD)];
    let again = format!("{},{}/v1", node.url, node.url);
    let said = audit_fires_as(&again, &env, &["--user", "admin", "--output", "json"]).await;
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    let report = said.json();
    let checked = &report["checked"];
    let at_least = [("jobs", 3), ("nominal_times", 5), ("runs", 4), ("audit_records", 7)];
    for (what, least) in at_least {
        assert!(checked[what].as_u64().unwrap() >= least, "{what} of {report}");
    }
    assert_eq!(report["unchecked"], json!([]));
}
