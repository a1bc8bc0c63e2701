//! Locks of jobs: of two clusters one at a time works, though the nodes of one are killed, and a
//! run waits or is skipped while another holds its lock.

use std::time::Duration;

use cluster_tests::harness::cluster::Shape;
use cluster_tests::harness::{Cluster, Redis, Sandbox, skipped};
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::duties::{PATIENCE, defined};

/// Starts that are looked at.
const STARTS: usize = 8;
const TTL: &str = "3s";

async fn one_node(sandbox: &Sandbox) -> Cluster {
    let cluster = Cluster::make(sandbox, Shape::loopback(1)).expect("loopback is everywhere");
    cluster.start().await;
    cluster.wait_whole().await;
    cluster
}

fn redis(sandbox: &Sandbox) -> Option<Redis> {
    let redis = Redis::start(sandbox);
    if redis.is_none() {
        skipped("locks of jobs", "there is no redis-server");
    }
    redis
}

fn lock(redis: &Redis, on_busy: &str) -> Value {
    let url = format!("redis://127.0.0.1:{}", redis.port);
    json!({"key": "nightly", "redis": url, "ttl": TTL, "on_busy": on_busy})
}

/// Takes the lock as a program beside us would.
fn occupy(redis: &Redis) {
    redis.ask(&["SET", "cronapi:lock:nightly", "somebody else"]);
}

fn free(redis: &Redis) {
    redis.ask(&["DEL", "cronapi:lock:nightly"]);
}

async fn begin(cluster: &Cluster) -> String {
    let client = cluster.client();
    let run = client.write(Method::POST, "/jobs/locked/run", Some(&json!({})), "").await;
    run.expect("begun").body["id"].as_str().expect("an id").to_owned()
}

/// The run, once it is as wanted.
async fn seen(cluster: &Cluster, run: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let told = cluster.client().get(&format!("/runs/{run}")).await.expect("told");
        if wanted(&told) {
            return told;
        }
        assert!(Instant::now() < deadline, "{told}");
        sleep(Duration::from_millis(20)).await;
    }
}

fn has(run: &Value, status: &str) -> bool {
    run["status"] == status
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_clusters_one_at_a_time_works() {
    let (sandbox, beside) = (Sandbox::new(), Sandbox::new());
    let Some(redis) = redis(&sandbox) else { return };
    let mark = sandbox.path().join("ran");
    let (one, other) = (one_node(&sandbox).await, one_node(&beside).await);
    for (no, cluster) in [&one, &other].into_iter().enumerate() {
        // A short line is appended whole.
        let line = |word: &str| {
            format!("echo {word} {no} $CRONAPI_LOCK_FENCE $(date +%s%6N) >> {}", mark.display())
        };
        let command = format!("{}; sleep 0.3; {}", line("start"), line("end"));
        let job = json!({"expr": "@every 1s", "overlap": "skip", "lock": lock(&redis, "wait"),
            "runner": {"type": "shell", "command": command}});
        defined(cluster, "/jobs/locked", &job).await;
    }
    let deadline = Instant::now() + PATIENCE * 2;
    let lines = || std::fs::read_to_string(&mark).unwrap_or_default();
    let of = |no: usize| lines().matches(&format!("start {no} ")).count();
    let mut killed = false;
    while of(0) < STARTS || of(1) < STARTS {
        assert!(Instant::now() < deadline, "{}", lines());
        if !killed && of(0) + of(1) >= STARTS {
            one.kill(0).await;
            one.spawn(0).await;
            killed = true;
        }
        sleep(Duration::from_millis(20)).await;
    }
    let mut fence = 0;
    let mut working: Option<u64> = None;
    for line in lines().lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [word, _, its, _] = words[..] else { panic!("{line:?} is no mark") };
        let its: u64 = its.parse().expect("a fence");
        if word == "start" {
            assert!(its > fence, "a start under fence {its}, after {fence}:\n{}", lines());
            fence = its;
            working = Some(its);
        } else {
            assert_eq!(working, Some(its), "another began before {its} was over:\n{}", lines());
        }
    }
    for cluster in [one, other] {
        cluster.terminate_all().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_waits_or_is_skipped_while_another_holds_its_lock() {
    let sandbox = Sandbox::new();
    let Some(redis) = redis(&sandbox) else { return };
    let cluster = one_node(&sandbox).await;
    let job = |on_busy: &str| {
        json!({"lock": lock(&redis, on_busy), "overlap": "allow",
            "runner": {"type": "shell", "command": "echo fence $CRONAPI_LOCK_FENCE"}})
    };
    defined(&cluster, "/jobs/locked", &job("wait")).await;
    occupy(&redis);
    let run = begin(&cluster).await;
    let waits = seen(&cluster, &run, |run| has(run, "waiting")).await;
    let why = "for its lock: nightly is held by somebody else";
    assert_eq!(waits["reason"], why, "{waits}");
    assert_eq!(waits["attempt"], 0, "none has begun: {waits}");
    // One that nobody waits for any more ends at once.
    let given_up = begin(&cluster).await;
    seen(&cluster, &given_up, |run| has(run, "waiting")).await;
    let path = format!("/runs/{given_up}/cancel");
    cluster.client().write(Method::POST, &path, Some(&json!({})), "").await.expect("cancelled");
    seen(&cluster, &given_up, |run| has(run, "cancelled")).await;
    free(&redis);
    let ended = seen(&cluster, &run, |run| !run["finished_at"].is_null()).await;
    assert!(has(&ended, "succeeded") && ended["attempt"] == 1, "{ended}");
    assert_eq!(redis.ask(&["EXISTS", "cronapi:lock:nightly"]), 0, "it is free again");
    // The same, when Redis does not answer.
    redis.signal(Signal::STOP);
    let run = begin(&cluster).await;
    let waits = seen(&cluster, &run, |run| has(run, "waiting")).await;
    let why = waits["reason"].as_str().unwrap_or_default();
    assert!(why.contains("nightly can't be asked for: Redis did not answer within 5s"), "{why}");
    redis.signal(Signal::CONT);
    seen(&cluster, &run, |run| has(run, "succeeded")).await;
    // And one that would rather not run at all.
    defined(&cluster, "/jobs/locked", &job("skip")).await;
    occupy(&redis);
    let run = begin(&cluster).await;
    let skipped = seen(&cluster, &run, |run| has(run, "skipped")).await;
    assert_eq!((&skipped["skip"], &skipped["attempt"]), (&json!("lock_busy"), &json!(0)));
    assert_eq!(skipped["error"], "nightly is held by somebody else", "{skipped}");
    cluster.terminate_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_whose_lock_is_lost_is_stopped_if_its_job_wants_that() {
    let sandbox = Sandbox::new();
    let Some(redis) = redis(&sandbox) else { return };
    let cluster = one_node(&sandbox).await;
    let job = |on_lease_lost: &str, secs: u32| {
        json!({"lock": lock(&redis, "wait"), "on_lease_lost": on_lease_lost,
            "runner": {"type": "shell", "command": format!("sleep {secs}")}})
    };
    defined(&cluster, "/jobs/locked", &job("kill", 60)).await;
    let run = begin(&cluster).await;
    seen(&cluster, &run, |run| has(run, "running")).await;
    occupy(&redis);
    let lost = seen(&cluster, &run, |run| !run["finished_at"].is_null()).await;
    assert!(has(&lost, "lost"), "{lost}");
    assert_eq!(lost["error"], "its lock was lost: another may hold it", "{lost}");
    let theirs = redis.ask(&["GET", "cronapi:lock:nightly"]);
    assert_eq!(theirs, "somebody else", "what is another's is not freed");
    free(&redis);
    defined(&cluster, "/jobs/locked", &job("continue", 3)).await;
    let run = begin(&cluster).await;
    seen(&cluster, &run, |run| has(run, "running")).await;
    occupy(&redis);
    seen(&cluster, &run, |run| has(run, "succeeded")).await;
    cluster.terminate_all().await;
}
