//! Sinks: every event is there once, or is a repeat that is known by its position, none is missing,
//! and they stand in the order of the log, whoever is killed.

#[path = "sinks/mirror.rs"]
mod mirror;
#[path = "sinks/mongodb.rs"]
mod mongodb;
#[path = "sinks/postgres.rs"]
mod postgres;
#[path = "sinks/rows.rs"]
mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cluster_tests::harness::cluster::Shape;
use cluster_tests::harness::{Cluster, Redis, Sandbox, skipped};
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::duties::{self, PATIENCE};

/// Kills of whoever writes: as many as fit, or as `CRONAPI_TEST_SINK_KILLS` says.
fn kills(few: usize) -> usize {
    let told = std::env::var("CRONAPI_TEST_SINK_KILLS").ok();
    told.and_then(|told| told.parse().ok()).unwrap_or(few)
}

type Place = (u64, u64);

fn place(position: &str) -> Place {
    let (index, sub) = position.split_once('-').expect("two numbers");
    (index.parse().expect("a number"), sub.parse().expect("a number"))
}

/// Three nodes that have a folder for files.
async fn started(sandbox: &Sandbox) -> Cluster {
    of(sandbox, Shape { sinks: true, ..Shape::loopback(3) }).await
}

async fn of(sandbox: &Sandbox, shape: Shape) -> Cluster {
    let cluster = Cluster::make(sandbox, shape).expect("loopback is everywhere");
    cluster.start().await;
    cluster.wait_whole().await;
    cluster
}

/// A sink, and the place where it begins.
async fn sink(cluster: &Cluster, name: &str, body: Value) -> Place {
    let made = duties::defined(cluster, &format!("/sinks/{name}"), &body).await;
    place(made["position"].as_str().expect("it says where it is"))
}

async fn told(cluster: &Cluster, name: &str) -> Value {
    duties::told(cluster, &format!("/sinks/{name}")).await
}

/// The node that writes a sink.
async fn holder(cluster: &Cluster, name: &str) -> usize {
    duties::holder(cluster, &format!("/sinks/{name}")).await
}

/// Changes without end, until it is told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    task: JoinHandle<u64>,
}

impl Load {
    fn begin(cluster: &Cluster) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let (client, stopped) = (cluster.client(), Arc::clone(&stop));
        let task = tokio::spawn(async move {
            let mut count = 0;
            while !stopped.load(Ordering::Relaxed) {
                let job = json!({ "description": format!("change {count}"),
                    "runner": { "type": "shell", "command": "true" } });
                let path = format!("/jobs/job-{}", count % 7);
                client.write(Method::PUT, &path, Some(&job), "").await.expect("written");
                count += 1;
            }
            count
        });
        Load { stop, task }
    }

    async fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("it ends")
    }
}

/// Waits until a sink has everything; gives its position.
async fn caught_up(cluster: &Cluster, name: &str) -> Place {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let sink = told(cluster, name).await;
        if sink["behind"] == 0 && sink["fault"].is_null() {
            return place(sink["position"].as_str().expect("it says where it is"));
        }
        assert!(Instant::now() < deadline, "it is still {sink}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// The events after a place, by every node: the same on all, though each was killed and began anew.
async fn events(cluster: &Cluster, begin: Place, until: Place) -> Vec<Value> {
    let mut all: Option<Vec<Value>> = None;
    for node in 0..cluster.size() {
        let after = format!("{}.{}", begin.0, begin.1);
        let told = cluster.client_of(node).events(&after, until).await.expect("they are kept");
        if let Some(known) = &all {
            assert!(known == &told, "node {node} tells others");
        }
        all = Some(told);
    }
    all.unwrap_or_default()
}

fn key(event: &Value) -> String {
    format!("{}-{}", event["index"], event["sub"])
}

/// The file of a sink on each node that has one.
fn files(sandbox: &Sandbox, name: &str) -> Vec<PathBuf> {
    let folders = (0..3).map(|node| sandbox.path().join(format!("node{node}-sinks")));
    let clusters = folders.filter_map(|folder| std::fs::read_dir(folder).ok()).flatten();
    let files = clusters.map(|entry| entry.expect("readable").path().join(format!("{name}.jsonl")));
    files.filter(|file| file.exists()).collect()
}

#[tokio::test]
async fn every_event_is_in_a_file_whoever_is_killed() {
    let kills = kills(8);
    let sandbox = Sandbox::new();
    let cluster = started(&sandbox).await;
    let begin = sink(&cluster, "audit", json!({ "type": "file" })).await;
    let load = Load::begin(&cluster);
    for round in 0..kills {
        let node = holder(&cluster, "audit").await;
        // Now in the middle of a batch, now just before a position is recorded.
        sleep(Duration::from_millis(137 * (round as u64 % 7))).await;
        cluster.kill(node).await;
        cluster.up(node).await;
    }
    let changes = load.end().await;
    let until = caught_up(&cluster, "audit").await;
    let events = events(&cluster, begin, until).await;
    let (mut lines, mut stints, mut whole) = (BTreeMap::new(), 0, 0);
    for file in files(&sandbox, "audit") {
        let (text, mut last) = (std::fs::read_to_string(&file).expect("readable"), (0, 0));
        assert!(text.ends_with('\n'), "{} ends in half a line", file.display());
        for line in text.lines() {
            let read: Value = serde_json::from_str(line).expect("each line is JSON");
            let position = read["position"].as_str().expect("it has a position");
            whole += 1;
            if place(position) <= last {
                stints += 1;
                assert!(lines.contains_key(position), "{position} comes late, and not as a repeat");
            }
            last = place(position);
            let before = lines.insert(position.to_owned(), line.to_owned());
            assert!(before.is_none_or(|before| before == line), "{position} is two things");
        }
    }
    let known: BTreeSet<String> = events.iter().map(key).collect();
    let written: BTreeSet<String> = lines.keys().cloned().collect();
    let missing: Vec<_> = known.difference(&written).collect();
    assert!(missing.is_empty(), "{} are missing, such as {:?}", missing.len(), missing.first());
    assert_eq!(written.difference(&known).next(), None, "one that never was");
    for event in &events {
        let line: Value = serde_json::from_str(&lines[&key(event)]).expect("JSON");
        assert_eq!((&line["type"], &line["at"]), (&event["type"], &event["at"]));
    }
    // As docs/sinks.md has it.
    let mut sort = Command::new("sort");
    sort.args(["-t", "\"", "-k", "4,4V", "-u"]).args(files(&sandbox, "audit"));
    let merged = sort.env("LC_ALL", "C").output().expect("coreutils are everywhere").stdout;
    let merged = String::from_utf8_lossy(&merged);
    let merged = merged.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let merged: Vec<String> =
        merged.map(|line| line["position"].as_str().unwrap_or_default().to_owned()).collect();
    assert_eq!(merged, events.iter().map(key).collect::<Vec<_>>());
    println!(
        "{kills} kills of the holder, {changes} changes: {} events, {} repeats in {stints} places",
        events.len(),
        whole - events.len()
    );
}

/// Waits until a sink has a fault with this in it.
async fn fault(cluster: &Cluster, name: &str, wanted: &str) {
    duties::fault(cluster, &format!("/sinks/{name}"), wanted).await;
}

#[tokio::test]
async fn a_stream_of_redis_has_each_event_once_whatever_happens_to_it() {
    let sandbox = Sandbox::new();
    let Some(mut redis) = Redis::start(&sandbox) else {
        return skipped("sinks of the type redis", "there is no redis-server");
    };
    let cluster = started(&sandbox).await;
    let url = format!("redis://127.0.0.1:{}", redis.port);
    let body = json!({ "type": "redis", "config": { "url": url, "key": "events" } });
    let begin = sink(&cluster, "stream", body).await;
    let load = Load::begin(&cluster);
    for round in 0..kills(3) {
        let node = holder(&cluster, "stream").await;
        sleep(Duration::from_millis(137 * (round as u64 % 7))).await;
        cluster.kill(node).await;
        cluster.up(node).await;
    }
    // Redis dies, and comes back with what it had.
    redis.kill();
    fault(&cluster, "stream", "refused").await;
    redis.again();
    caught_up_to_now(&cluster, "stream").await;
    // It stands still for longer than a call may take.
    redis.signal(Signal::STOP);
    fault(&cluster, "stream", "within 5s").await;
    redis.signal(Signal::CONT);
    caught_up_to_now(&cluster, "stream").await;
    let changes = load.end().await;
    let until = caught_up(&cluster, "stream").await;
    let known: Vec<String> = events(&cluster, begin, until).await.iter().map(key).collect();
    let there = redis.ids("events");
    let missing = known.iter().filter(|id| !there.contains(id)).count();
    let counts = (there.len(), known.len(), missing);
    assert!(there == known, "in the stream, in the log, missing: {counts:?}");
    // It forgets everything: what is kept is added again, and that is told.
    redis.ask(&["FLUSHALL"]);
    fault(&cluster, "stream", "added again").await;
    let until = caught_up(&cluster, "stream").await;
    let known: Vec<String> = events(&cluster, begin, until).await.iter().map(key).collect();
    let deadline = Instant::now() + PATIENCE;
    while redis.ids("events").len() < known.len() {
        assert!(Instant::now() < deadline, "it is not filled again");
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(redis.ids("events")[..known.len()], known[..]);
    println!("{changes} changes: {} events in the stream, each once", known.len());
}

#[tokio::test]
async fn what_a_replica_of_redis_did_not_have_is_added_again() {
    let sandbox = Sandbox::new();
    let Some(mut redis) = Redis::start(&sandbox) else {
        return skipped("a fail-over of Redis", "there is no redis-server");
    };
    let cluster = of(&sandbox, Shape::loopback(1)).await;
    let url = format!("redis://127.0.0.1:{}", redis.port);
    let config = json!({ "url": url, "key": "events" });
    let body = json!({ "type": "redis", "config": config, "what": ["events", "state"] });
    let begin = sink(&cluster, "stream", body).await;
    let load = Load::begin(&cluster);
    let replica = redis.replica(&sandbox);
    caught_up_to_now(&cluster, "stream").await;
    // It hears no more of it, and falls behind.
    replica.ask(&["REPLICAOF", "NO", "ONE"]);
    let last = replica.ids("events").last().map_or((0, 0), |id| place(id));
    let deadline = Instant::now() + PATIENCE;
    // What is recorded is what can be missed.
    while place(told(&cluster, "stream").await["position"].as_str().expect("it has one")) <= last {
        assert!(Instant::now() < deadline, "it does not go on");
        sleep(Duration::from_millis(50)).await;
    }
    redis.kill();
    redis.replaced_by(replica);
    fault(&cluster, "stream", "lost what came after").await;
    caught_up_to_now(&cluster, "stream").await;
    load.end().await;
    let until = caught_up(&cluster, "stream").await;
    let known: Vec<String> = events(&cluster, begin, until).await.iter().map(key).collect();
    let deadline = Instant::now() + PATIENCE;
    while redis.ids("events").len() < known.len() {
        assert!(Instant::now() < deadline, "what was lost is not added again");
        sleep(Duration::from_millis(50)).await;
    }
    assert!(redis.ids("events") == known, "each once, in order");
}

/// Waits until a sink has no fault and has moved.
async fn caught_up_to_now(cluster: &Cluster, name: &str) {
    let deadline = Instant::now() + PATIENCE;
    let from = told(cluster, name).await["position"].clone();
    loop {
        let sink = told(cluster, name).await;
        if sink["fault"].is_null() && sink["position"] != from {
            return;
        }
        assert!(Instant::now() < deadline, "it is still {sink}");
        sleep(Duration::from_millis(20)).await;
    }
}
