//! Values that reach the work of a real node without becoming code, and secrets that only the work
//! sees.

use std::time::Duration;

use cluster_tests::harness::cluster::PASSWORD;
use cluster_tests::harness::{Client, Daemon, Launch, Sandbox};
use reqwest::Method;
use serde_json::{Value, json};

use super::secrets::{files_with, output};

const STOP_MAX: Duration = Duration::from_secs(30);
const VALUE: &str = "correct-battery-staple";
/// 32 bytes of one.
const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

async fn node(sandbox: &Sandbox) -> (Daemon, Client) {
    let launch = Launch::new(sandbox, "node").env("CRONAPI_ADMIN_PASSWORD", PASSWORD);
    let daemon = launch.env("CRONAPI_SECRETS_KEY", KEY).start().await;
    let client = Client::at(&daemon.url().expect("it is ready"), "admin", PASSWORD);
    let body = json!({"value": VALUE, "scope": {}});
    let raised = async {
        // A new cluster comes to its format by and by.
        loop {
            let answer = client.send(Method::PUT, "/secrets/db", Some(&body), None).await;
            match answer.expect("an answer").status {
                200 => return,
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    tokio::time::timeout(STOP_MAX, raised).await.expect("the format is raised");
    (daemon, client)
}

async fn run(client: &Client, job: &str, parameters: Value, key: &str) -> Value {
    let (path, body) = (format!("/jobs/{job}/run?wait=30s"), json!({"parameters": parameters}));
    client.write(Method::POST, &path, Some(&body), key).await.expect("it ends").body
}

/// Acceptance 1 of parameters: one argument, one variable, one folder.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_is_one_argument_and_one_variable() {
    let sandbox = Sandbox::new();
    let (mut daemon, client) = node(&sandbox).await;
    let job = json!({"name": "show", "runner": {"type": "shell", "cwd": "/{{params.dir}}",
        "argv": ["sh", "-c", "printf '%s|' \"$#\" \"$1\" \"$2\" \"$V\" \"$PWD\"", "sh",
            "{{params.x}}", "{{nominal_time | default(\"never\")}}-{{attempt}}"],
        "env": {"V": "{{params.list | json}}"}}});
    client.create(&job, "show").await.expect("created");
    let given = json!({"x": "x; rm -rf / $(id) '\"`", "dir": "tmp", "list": ["a b", 1]});
    let ran = run(&client, "show", given, "1").await;
    assert_eq!(ran["status"], "succeeded", "{ran}");
    let logs = output(&client, &ran).await;
    let shown =
        serde_json::to_string("2|x; rm -rf / $(id) '\"`|never-1|[\"a b\",1]|/tmp|").unwrap();
    assert!(logs.contains(shown.trim_matches('"')), "{logs}");
    let ran = run(&client, "show", json!({"x": 1, "dir": "tmp/../etc", "list": 0}), "2").await;
    assert_eq!(ran["status"], "failed", "{ran}");
    assert!(ran["error"].as_str().is_some_and(|why| why.contains("go up")), "{ran}");
    let hole = json!({"name": "bad", "runner": {"type": "shell", "command": "echo {{params.x}}"}});
    let refused = client.send(Method::POST, "/jobs", Some(&hole), None).await.expect("an answer");
    assert_eq!(
        (refused.status, &refused.body["errors"][0]["pointer"]),
        (422, &json!("/runner/command"))
    );
    assert!(daemon.terminate(STOP_MAX).await.success());
}

/// Acceptance 3 and 4 of parameters: a secret reaches the work, by name down a chain, and stands
/// nowhere else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_parameter_reaches_the_work_and_nothing_else() {
    let sandbox = Sandbox::new();
    let (mut daemon, client) = node(&sandbox).await;
    let schema =
        json!({"properties": {"pw": {"type": "string", "x-secret": true}}, "required": ["pw"]});
    // The definition is on disk, so it must not hold the value as one.
    let line = "read -r given; test \"$given\" = '{\"pw\":\"correct-battery'-staple'\"}' \
        && test \"$(cat \"$CRONAPI_PARAMS_FILE\")\" = \"$given\" \
        && test \"$(cat \"$CRONAPI_PARAMS_FILE\")\" = \"$given\" \
        && test \"$CRONAPI_PARAMS\" = '{\"pw\":{\"secret\":\"db\"}}' && ! env | grep -q staple \
        && echo \"it is $given\"; echo \"{\\\"r\\\": $given}\" > \"$CRONAPI_RESULT\"";
    let chain = json!([{"job": "python", "parameters": {"pw": "${parameters.pw}"}}]);
    let shell = json!({"name": "shell", "runner": {"type": "shell", "command": line},
        "parameters_schema": schema, "on_success": chain});
    let code =
        "def job_function(pw):\n    assert pw == 'correct-battery' + '-staple', pw\n    return pw";
    let python = json!({"name": "python", "code": code, "parameters_schema": schema});
    for job in [&python, &shell] {
        client.create(job, job["name"].as_str().unwrap()).await.expect("created");
    }
    let ran = run(&client, "shell", json!({"pw": {"secret": "db"}}), "1").await;
    let logs = output(&client, &ran).await;
    assert_eq!(ran["status"], "succeeded", "{ran} {logs}");
    assert!(logs.contains("it is") && logs.contains("***"), "{logs}");
    assert_eq!(ran["parameters"], json!({"pw": {"secret": "db"}}));
    let path = "/jobs/python/runs?status=succeeded,failed,skipped";
    let chained = async {
        loop {
            let runs = client.get(path).await.expect("runs");
            if let Some(run) = runs["items"].get(0) {
                return run.clone();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let chained = tokio::time::timeout(STOP_MAX, chained).await.expect("it runs");
    assert_eq!(
        (&chained["status"], &chained["result"]),
        (&json!("succeeded"), &json!("***")),
        "{chained}"
    );
    let body = json!({"parameters": {"pw": "hunter2-hunter2"}});
    let refused = client.send(Method::POST, "/jobs/shell/run", Some(&body), None).await;
    let refused = refused.expect("an answer");
    assert_eq!(refused.status, 422, "{}", refused.text);
    assert!(!refused.text.contains("hunter2") && refused.text.contains("/parameters/pw"));
    let audit = client.get("/audit").await.expect("the audit").to_string();
    assert!(!audit.contains("hunter2") && !audit.contains(VALUE));
    assert!(daemon.terminate(STOP_MAX).await.success());
    for text in [VALUE, "hunter2-hunter2"] {
        assert_eq!(files_with(sandbox.path(), text), [""; 0], "on disk, the node's log included");
    }
}
