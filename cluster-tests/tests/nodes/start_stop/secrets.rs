//! No secret of the node reaches its logs, or the environment of a child.

use std::fs;
use std::net::Ipv4Addr;
use std::time::Duration;

use cluster_tests::harness::cluster::PASSWORD;
use cluster_tests::harness::{Client, Launch, Receiver, Sandbox};
use reqwest::Method;
use serde_json::json;

const HMAC: &str = "hmac-secret-of-a-job-0123456789";

#[tokio::test]
async fn secrets_stay_out_of_logs_and_children() {
    let sandbox = Sandbox::new();
    let receiver = Receiver::start(Ipv4Addr::LOCALHOST, sandbox.witness()).await;
    let launch = Launch::new(&sandbox, "node")
        .env("CRONAPI_ADMIN_PASSWORD", PASSWORD)
        .env("CRONAPI_CLUSTER_KEY", "key-of-the-cluster-0123456789")
        .env("AWS_SECRET_ACCESS_KEY", "secret-of-the-operator-0123456789")
        .set("--log", "trace");
    let mut daemon = launch.start().await;
    let client = Client::at(&daemon.url().expect("ready"), "admin", PASSWORD);
    let (_, token) = client.login().await.expect("it answers");
    let token = token.expect("a token");

    // A child writes down its environment, and that of its own process as the system sees it.
    let seen = sandbox.path().join("seen");
    let line = format!("env > '{0}'; tr '\\0' '\\n' < /proc/$$/environ >> '{0}'", seen.display());
    let shell = json!({"name": "looks", "runner": {"type": "shell", "command": line}});
    client.create(&shell, "shell").await.expect("created");
    let run = client.run_to_end("looks", "look").await.expect("accepted");
    assert_eq!(run["status"], "succeeded", "{run}");
    let url = format!("{}/work/signed?generation=1", receiver.url());
    let runner = json!({"type": "http", "method": "POST", "url": url, "hmac_secret": HMAC});
    client.create(&json!({"name": "signed", "runner": runner}), "http").await.expect("created");
    let run = client.run_to_end("signed", "sign").await.expect("accepted");
    assert_eq!(run["status"], "succeeded", "{run}");
    let api_token = json!({"name": "reader", "role": "viewer"});
    let made = client.send(Method::POST, "/tokens", Some(&api_token), Some("t")).await;
    let made = made.expect("it answers").text;
    assert!(daemon.terminate(Duration::from_secs(30)).await.success());

    let environment = fs::read_to_string(&seen).expect("the child wrote it");
    assert!(environment.contains("CRONAPI_RUN_ID"), "{environment}");
    let logs = format!("{}{}", daemon.stdout(), daemon.stderr());
    assert!(logs.len() > 1_000, "a log at this level says something");
    let mut secrets = vec![
        ("password", PASSWORD.to_string()),
        ("access token", token),
        ("cluster key", "key-of-the-cluster-0123456789".into()),
        ("operator's secret", "secret-of-the-operator-0123456789".into()),
        ("HMAC secret", HMAC.into()),
    ];
    let words = made.split(['"', ' ']).filter(|word| word.starts_with("crn_"));
    secrets.extend(words.map(|word| ("API token", word.to_string())));
    for (what, secret) in secrets {
        assert!(!environment.contains(&secret), "the {what} is in a child's environment");
        if let Some(at) = logs.find(&secret) {
            let line = logs[..at].rfind('\n').map_or(0, |start| start + 1);
            panic!("the {what} is in the log: {}", &logs[line..(line + 300).min(logs.len())]);
        }
    }
    for name in ["CRONAPI_ADMIN_PASSWORD", "CRONAPI_CLUSTER_KEY", "AWS_SECRET_ACCESS_KEY"] {
        assert!(!environment.contains(name), "{name} is in a child's environment");
    }
}
