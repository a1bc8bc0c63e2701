//! Secrets of a real node: they reach the process, and nothing that is kept or shown has them.

use std::path::Path;
use std::time::Duration;

use cluster_tests::harness::cluster::PASSWORD;
use cluster_tests::harness::{Client, Daemon, Launch, Sandbox};
use reqwest::Method;
use serde_json::{Value, json};

const STOP_MAX: Duration = Duration::from_secs(30);
const VALUE: &str = "correct-battery-staple";
/// 32 bytes of one, and of two.
const ONE: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const TWO: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

fn launch(sandbox: &Sandbox, keys: &str) -> Launch {
    let launch = Launch::new(sandbox, "node").env("CRONAPI_ADMIN_PASSWORD", PASSWORD);
    launch.env("CRONAPI_SECRETS_KEY", keys)
}

fn client(daemon: &Daemon) -> Client {
    Client::at(&daemon.url().expect("it is ready"), "admin", PASSWORD)
}

/// Gives the secret a value, as soon as the new cluster has come to its format.
async fn give(client: &Client, body: &Value) {
    let given = async {
        loop {
            let path = "/secrets/token";
            let answer = client.send(Method::PUT, path, Some(body), None).await.expect("an answer");
            match answer.status {
                200 => return,
                409 if answer.body["code"] == "upgrade-needed" => {}
                other => panic!("{other}: {}", answer.text),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(STOP_MAX, given).await.expect("the format is raised");
}

async fn make(client: &Client, name: &str, secret: &str) {
    let line = "test ${#TOKEN} = 22 && echo \"it is [$TOKEN]\"";
    let job = json!({"name": name, "runner": {"type": "shell", "command": line,
        "env": {"TOKEN": {"secret": secret}}}});
    client.create(&job, name).await.expect("created");
}

/// What a run wrote.
pub(crate) async fn output(client: &Client, run: &Value) -> String {
    let id = run["id"].as_str().expect("an id");
    client.get(&format!("/runs/{id}/logs")).await.expect("output").to_string()
}

/// The files in which a text stands.
pub(crate) fn files_with(path: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if let Ok(bytes) = std::fs::read(&path)
            && bytes.windows(text.len()).any(|window| window == text.as_bytes())
        {
            found.push(path.display().to_string());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_reaches_its_job_and_nothing_else_through_rotation_and_restart() {
    let sandbox = Sandbox::new();
    let mut daemon = launch(&sandbox, ONE).start().await;
    let admin = client(&daemon);
    give(&admin, &json!({"value": VALUE, "scope": {"jobs": ["mine*"]}})).await;
    make(&admin, "mine", "token").await;
    make(&admin, "mine-missing", "nowhere").await;
    let run = admin.run_to_end("mine", "1").await.expect("it ends");
    assert_eq!(run["status"], "succeeded", "{run}");
    assert!(output(&admin, &run).await.contains("it is [***]"));
    let run = admin.run_to_end("mine-missing", "2").await.expect("it ends");
    assert_eq!(run["status"], "failed", "{run}");
    assert!(run["error"].as_str().is_some_and(|why| why.contains("no secret nowhere")), "{run}");
    assert!(daemon.terminate(STOP_MAX).await.success());

    // A new key beside the old one, then alone.
    let mut daemon = launch(&sandbox, &format!("{TWO},{ONE}")).start().await;
    let admin = client(&daemon);
    let body = json!({});
    let rotated = admin.write(Method::POST, "/secrets/rotate", Some(&body), "").await;
    assert_eq!(rotated.expect("rotated").body["resealed"], 1);
    assert!(daemon.terminate(STOP_MAX).await.success());
    let mut daemon = launch(&sandbox, TWO).start().await;
    let run = client(&daemon).run_to_end("mine", "3").await.expect("it ends");
    assert_eq!(run["status"], "succeeded", "{run}");
    assert!(daemon.terminate(STOP_MAX).await.success());

    // With the old key alone nothing that is sealed can be read, what tokens are signed with
    // included: nobody comes in, and is told why.
    let mut daemon = launch(&sandbox, ONE).start().await;
    let (status, why) = client(&daemon).login_told().await.expect("an answer");
    assert!(status == 503 && why.contains("CRONAPI_SECRETS_KEY"), "{status} {why}");
    assert!(daemon.terminate(STOP_MAX).await.success());
    assert_eq!(files_with(sandbox.path(), VALUE), [""; 0], "on disk, the node's log included");
}
