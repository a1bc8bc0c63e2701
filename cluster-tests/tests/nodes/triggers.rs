//! Triggers: each entry of a stream starts one run, whoever is killed, frozen or taken for dead.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use cluster_tests::harness::cluster::Shape;
use cluster_tests::harness::{Cluster, Redis, Sandbox, skipped};
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::duties::{PATIENCE, defined, fault, holder, told};

const TRIGGER: &str = "/triggers/orders";
const STREAM: &str = "orders";
/// Kills of whoever reads; more when `CRONAPI_TEST_SINK_KILLS` says so.
const KILLS: usize = 4;

fn kills() -> usize {
    let told = std::env::var("CRONAPI_TEST_SINK_KILLS").ok();
    told.and_then(|told| told.parse().ok()).unwrap_or(KILLS)
}

async fn started(sandbox: &Sandbox) -> Option<(Cluster, Redis)> {
    let Some(redis) = Redis::start(sandbox) else {
        skipped("triggers of the type redis_stream", "there is no redis-server");
        return None;
    };
    let cluster = Cluster::make(sandbox, Shape::loopback(3)).expect("loopback is everywhere");
    cluster.start().await;
    cluster.wait_whole().await;
    // No runner: a run ends as it begins.
    let job = json!({ "retention": { "count": 100_000 } });
    defined(&cluster, "/jobs/pack", &job).await;
    let url = format!("redis://127.0.0.1:{}", redis.port);
    let config = json!({ "url": url, "stream": STREAM });
    let body = json!({ "type": "redis_stream", "config": config, "job": "pack" });
    defined(&cluster, TRIGGER, &body).await;
    Some((cluster, redis))
}

/// Waits until the entry of this id is the last that was taken.
async fn taken(cluster: &Cluster, id: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let trigger = told(cluster, TRIGGER).await;
        if trigger["position"] == id && trigger["fault"].is_null() {
            return;
        }
        assert!(Instant::now() < deadline, "{id} is not taken: {trigger}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// How many runs each entry has, by its number.
async fn runs(cluster: &Cluster) -> BTreeMap<u64, usize> {
    let all: Vec<Value> = cluster.client().list("/jobs/pack/runs").await.expect("told");
    let mut counts = BTreeMap::new();
    for run in all {
        let n = run["parameters"]["n"].as_u64().expect("each has its number");
        *counts.entry(n).or_insert(0) += 1;
    }
    counts
}

/// Pauses the trigger, lets it go on, or has it begin anew.
async fn ask(cluster: &Cluster, what: &str) {
    let path = format!("{TRIGGER}/{what}");
    let done = cluster.client().write(Method::POST, &path, Some(&json!({})), "").await;
    done.expect("it does");
}

/// Adds an entry; its id.
fn add(redis: &Redis, n: usize) -> String {
    let parameters = json!({ "n": n }).to_string();
    let id = redis.ask(&["XADD", STREAM, "*", "parameters", &parameters]);
    id.as_str().expect("Redis is there").to_owned()
}

/// Adds some; the id of the last.
fn add_all(redis: &Redis, numbers: Range<usize>) -> String {
    let ids: Vec<String> = numbers.map(|n| add(redis, n)).collect();
    ids.last().expect("some were added").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_entry_starts_one_run_whoever_is_killed() {
    let sandbox = Sandbox::new();
    let Some((cluster, mut redis)) = started(&sandbox).await else { return };
    let kills = kills();
    let (stop, added) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let adding = {
        let (stop, added, port) = (Arc::clone(&stop), Arc::clone(&added), redis.port);
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let n = added.load(Ordering::Relaxed);
                let parameters = json!({ "n": n }).to_string();
                let words = ["XADD", STREAM, "*", "parameters", &parameters];
                if Redis::asked(port, &words).is_string() {
                    added.store(n + 1, Ordering::Relaxed);
                }
            }
        })
    };
    for round in 0..kills {
        let node = holder(&cluster, TRIGGER).await;
        sleep(Duration::from_millis(137 * (round as u64 % 7))).await;
        cluster.kill(node).await;
        cluster.up(node).await;
    }
    stop.store(true, Ordering::Relaxed);
    adding.join().expect("it ends");
    // Redis dies, and comes back with what it had.
    redis.kill();
    fault(&cluster, TRIGGER, "refused").await;
    redis.again();
    let count = added.load(Ordering::Relaxed);
    let last = redis.ids(STREAM).pop().expect("some were added");
    taken(&cluster, &last).await;
    let found = runs(&cluster).await;
    let twice: Vec<_> = found.iter().filter(|(_, runs)| **runs != 1).collect();
    assert!(twice.is_empty(), "started more than once: {twice:?}");
    // The answer of Redis may have been lost, never an entry.
    let missing: Vec<_> = (0..count as u64).filter(|n| !found.contains_key(n)).collect();
    assert!(missing.is_empty(), "no run: {missing:?} of {count}");
    println!("{kills} kills of the reader: {count} entries, a run each");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_was_taken_for_dead_starts_nothing_again() {
    let sandbox = Sandbox::new();
    let Some((cluster, redis)) = started(&sandbox).await else { return };
    taken(&cluster, &add(&redis, 0)).await;
    let before = holder(&cluster, TRIGGER).await;
    // It stands still; what is added meanwhile another one takes.
    cluster.freeze(before, true).await;
    let last = add_all(&redis, 1..50);
    taken(&cluster, &last).await;
    cluster.freeze(before, false).await;
    cluster.wait_whole().await;
    let last = add_all(&redis, 50..60);
    taken(&cluster, &last).await;
    assert_eq!(runs(&cluster).await, (0..60).map(|n| (n, 1)).collect());
    // One that nobody can read is told of, and the next one is taken.
    redis.ask(&["XADD", STREAM, "*", "parameters", "none"]);
    let last = add(&redis, 60);
    taken(&cluster, &last).await;
    let trigger = told(&cluster, TRIGGER).await;
    let why = trigger["last_refused"].as_str().unwrap_or_default();
    assert!(trigger["refused"] == 1 && why.contains("is no JSON"), "{trigger}");
    // More waits than fits in one entry of the log.
    ask(&cluster, "pause").await;
    let large = json!({ "n": 70, "pad": "x".repeat(25_000) }).to_string();
    for n in 70..82 {
        let parameters = large.replacen("70", &n.to_string(), 1);
        redis.ask(&["XADD", STREAM, "*", "parameters", &parameters]);
    }
    let last = redis.ids(STREAM).pop().expect("they are there");
    ask(&cluster, "resume").await;
    taken(&cluster, &last).await;
    let found = runs(&cluster).await;
    assert!((70..82).all(|n| found.get(&n) == Some(&1)), "{found:?}");
    // Redis stands still for longer than a call may take.
    redis.signal(Signal::STOP);
    fault(&cluster, TRIGGER, "within 5s").await;
    redis.signal(Signal::CONT);
    taken(&cluster, &add(&redis, 61)).await;
    // Made anew with lower ids, the stream is not read by mistake.
    redis.ask(&["DEL", STREAM]);
    redis.ask(&["XADD", STREAM, "5-0", "parameters", "{\"n\": 62}"]);
    fault(&cluster, TRIGGER, "made anew").await;
    assert!(!runs(&cluster).await.contains_key(&62));
    ask(&cluster, "rewind").await;
    taken(&cluster, "5-0").await;
    assert_eq!(runs(&cluster).await.get(&62), Some(&1));
}
