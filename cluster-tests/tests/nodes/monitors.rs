//! Monitors on real processes: the lines that scripts have, a leader that is killed at a deadline,
//! and a cluster that was away over one.

use std::collections::BTreeSet;
use std::time::Duration;

use cluster_tests::harness::cluster::Shape;
use cluster_tests::harness::sink::{Sink, Told};
use cluster_tests::harness::{Cluster, Sandbox, skipped};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

/// How long a message may take to come, with a fail-over in between.
const PATIENCE: Duration = Duration::from_secs(30);

/// A cluster whose monitor `m` tells the sink; and where its pings go.
async fn listening(sandbox: &Sandbox, nodes: usize, mut monitor: Value) -> (Cluster, Sink, String) {
    let cluster = Cluster::make(sandbox, Shape::loopback(nodes)).expect("loopback is everywhere");
    cluster.start().await;
    cluster.wait_whole().await;
    let sink = Sink::start(cluster.own_address()).await;
    let channel = json!({"type": "webhook", "config": {"url": sink.url()}});
    let client = cluster.client();
    client.write(Method::PUT, "/channels/ops", Some(&channel), "").await.expect("written");
    monitor["name"] = json!("m");
    monitor["notify"] = json!({"channels": ["ops"]});
    let made = client.write(Method::POST, "/monitors", Some(&monitor), "m").await.expect("made");
    let path = made.body["ping_path"].as_str().expect("told once").to_owned();
    (cluster, sink, path)
}

async fn ping(cluster: &Cluster, node: usize, path: &str) -> Instant {
    let answer = reqwest::get(format!("{}{path}", cluster.url(node))).await.expect("answered");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text().await.expect("a text"), "OK");
    Instant::now()
}

fn of(kind: &str) -> impl Fn(&Told) -> bool + '_ {
    move |told| told.body["kind"] == kind
}

fn keys(sink: &Sink) -> BTreeSet<String> {
    sink.told().into_iter().filter(of("monitor_down")).map(|told| told.key).collect()
}

#[tokio::test]
async fn a_leader_killed_at_the_deadline_tells_once_and_soon() {
    let sandbox = Sandbox::new();
    let monitor = json!({"every": "1d", "grace": "1s", "max_duration": "3s"});
    let (cluster, sink, path) = listening(&sandbox, 3, monitor).await;
    let leader = cluster.leader().await.expect("it is whole");
    let begun = ping(&cluster, (leader + 1) % 3, &format!("{path}/start")).await;
    let deadline = begun + Duration::from_secs(3);
    sleep_until(deadline - Duration::from_millis(50)).await;
    cluster.kill(leader).await;
    sink.next(0, PATIENCE, of("monitor_down")).await.expect("it is told");
    let late = Instant::now().saturating_duration_since(deadline);
    println!("told {late:?} after the deadline, with a fail-over in between");
    // Two seconds beside an election, which takes its time where many tests share a processor.
    assert!(late < Duration::from_secs(8), "{late:?}");
    cluster.up(leader).await;
    cluster.wait_whole().await;
    ping(&cluster, leader, &path).await;
    sink.next(0, PATIENCE, of("monitor_up")).await.expect("it is told");
    assert_eq!(keys(&sink).len(), 1, "one notice: {:#?}", sink.told());
}

#[tokio::test]
async fn a_deadline_while_the_cluster_was_down_is_excused_and_then_judged() {
    let sandbox = Sandbox::new();
    let monitor = json!({"every": "1d", "grace": "3s", "max_duration": "2s"});
    let (cluster, sink, path) = listening(&sandbox, 1, monitor).await;
    ping(&cluster, 0, &format!("{path}/start")).await;
    cluster.kill(0).await;
    // Longer than any election, and over the deadline: nobody could have heard the end.
    sleep(Duration::from_secs(6)).await;
    cluster.up(0).await;
    let up = Instant::now();
    let shown = cluster.client().get("/monitors/m").await.expect("shown");
    assert_eq!(shown["status"], "started", "{shown}");
    assert!(shown["excused_until"].is_string(), "{shown}");
    assert!(sink.told().is_empty(), "nobody was told");
    sink.next(0, PATIENCE, of("monitor_down")).await.expect("then it is judged");
    println!("judged {:?} after the start", up.elapsed());
    assert_eq!(keys(&sink).len(), 1);
}

/// The lines in the manual, as they stand: only the host and the key are others.
#[tokio::test]
async fn the_lines_of_healthchecks_work() {
    let sandbox = Sandbox::new();
    let (cluster, sink, path) = listening(&sandbox, 1, json!({"every": "1d"})).await;
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/monitors.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let (_, rest) = page.split_once("```bash\n").expect("lines");
    let (lines, _) = rest.split_once("```").expect("an end");
    let place = format!("{}{path}", cluster.url(0));
    let lines = lines.replace("https://hc-ping.com/your-uuid-here", &place);
    let mut bash = tokio::process::Command::new("bash");
    let Ok(done) = bash.args(["-euc", &lines]).kill_on_drop(true).output().await else {
        return skipped("the lines in docs/monitors.md", "there is no bash");
    };
    let wrote = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{lines}\n{wrote}");
    let pings: Vec<Value> = cluster.client().list("/monitors/m/pings").await.expect("listed");
    let kinds: Vec<&str> = pings.iter().rev().filter_map(|ping| ping["kind"].as_str()).collect();
    let done = "success";
    assert_eq!(kinds, [done, "start", done, "fail", "start", done, "log"], "{pings:#?}");
    let bodies: Vec<&str> = pings.iter().filter_map(|ping| ping["body"].as_str()).collect();
    assert_eq!(bodies, ["half way", "disk full"]);
    sink.next(0, PATIENCE, of("monitor_down")).await.expect("the failure is told");
    sink.next(0, PATIENCE, of("monitor_up")).await.expect("and its end");
}
