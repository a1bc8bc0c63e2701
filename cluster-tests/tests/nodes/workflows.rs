//! Workflows on three nodes whose leader is killed again and again: each task and each item of a
//! run starts once, and what succeeded did all of it.

use std::collections::BTreeMap;
use std::time::Duration;

use cluster_tests::harness::cluster::Shape;
use cluster_tests::harness::{Cluster, Sandbox};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

const ITEMS: usize = 4;
/// How long runs are fired, and how far apart the kills are.
const LENGTH: Duration = Duration::from_secs(24);
const BETWEEN: Duration = Duration::from_secs(4);

fn definition(mark: &str) -> Value {
    let told = format!("echo $CRONAPI_FLOW $CRONAPI_TASK-$ITEM $CRONAPI_RUN_ID >> {mark}");
    let runner = |item: &str| {
        let env = json!({ "ITEM": item });
        json!({ "type": "shell", "command": told, "env": env })
    };
    json!({ "name": "w", "expr": "* * * * * *", "overlap": "allow", "tasks": [
        { "name": "a", "runner": runner("0") },
        { "name": "b", "after": ["a"], "over": { "count": ITEMS }, "max_parallel": 2,
            "runner": runner("{{item}}") },
        { "name": "z", "after": ["b"], "runner": runner("0") }
    ] })
}

#[tokio::test]
async fn each_task_starts_once_though_the_leader_is_killed_again_and_again() {
    let sandbox = Sandbox::new();
    let cluster = Cluster::make(&sandbox, Shape::loopback(3)).expect("loopback is everywhere");
    cluster.start().await;
    cluster.wait_whole().await;
    let client = cluster.client();
    let mark = sandbox.path().join("started");
    client.create(&definition(&mark.display().to_string()), "w").await.expect("created");
    let until = Instant::now() + LENGTH;
    let mut kills = 0;
    while Instant::now() < until {
        sleep(BETWEEN).await;
        if let Some(leader) = cluster.leader().await {
            cluster.kill(leader).await;
            kills += 1;
            cluster.up(leader).await;
        }
    }
    cluster.heal().await;
    client.write(Method::POST, "/jobs/w/pause", None, "pause").await.expect("paused");
    let deadline = Instant::now() + Duration::from_secs(40);
    let runs: Vec<Value> = loop {
        let runs: Vec<Value> = client.list("/jobs/w/runs").await.expect("it answers");
        let open = runs.iter().filter(|run| run["finished_at"].is_null()).count();
        if open == 0 {
            break runs;
        }
        assert!(Instant::now() < deadline, "{open} runs do not end");
        sleep(Duration::from_millis(200)).await;
    };
    let text = std::fs::read_to_string(&mark).expect("something has started");
    let mut starts: BTreeMap<(String, String), usize> = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [flow, task, _] = words[..] else { panic!("{line}") };
        *starts.entry((flow.to_owned(), task.to_owned())).or_default() += 1;
    }
    let twice: Vec<_> = starts.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "started twice: {twice:?}");
    let mut whole = 0;
    for run in runs.iter().filter(|run| run["status"] == "succeeded") {
        let id = run["id"].as_str().expect("an id");
        let began = starts.range((id.to_owned(), String::new())..);
        let began = began.take_while(|((flow, _), _)| flow == id).count();
        assert_eq!(began, ITEMS + 2, "{id} succeeded without all of its tasks");
        whole += 1;
    }
    println!("{kills} kills, {} runs, {whole} of them whole, {} starts", runs.len(), starts.len());
    assert!(kills >= 3 && whole >= 5, "{kills} kills, {whole} whole runs: it proves little");
}
