//! The hashes beside a stream of Redis: every job and every open run, as they are now, whoever is
//! killed, whatever becomes of Redis.

use std::collections::BTreeMap;
use std::time::Duration;

use cluster_tests::harness::{Cluster, Redis, Sandbox, skipped};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{PATIENCE, fault, holder, kills, sink, started};

type Hash = BTreeMap<String, Value>;

fn hash(redis: &Redis, part: &str) -> Hash {
    let told = redis.ask(&["HGETALL", &format!("{{events}}:{part}")]);
    let fields = told.as_object().cloned().unwrap_or_default();
    let read = |text: Value| serde_json::from_str(text.as_str().unwrap_or_default());
    fields.into_iter().map(|(name, text)| (name, read(text).expect("JSON"))).collect()
}

/// What the API tells of jobs and open runs, as the hashes have it.
async fn wanted(cluster: &Cluster) -> (Hash, Hash) {
    let client = cluster.client();
    let jobs: Vec<Value> = client.list("/jobs").await.expect("a list");
    let open = "/runs?status=waiting,queued,assigned,running";
    let runs: Vec<Value> = client.list(open).await.expect("a list");
    let part = |of: &Value, fields: &[&str]| {
        let mut part = serde_json::Map::new();
        for field in fields {
            part.insert((*field).to_owned(), of[*field].clone());
        }
        Value::Object(part)
    };
    let of_job = ["uid", "version", "enabled", "next_fire_at", "last_run", "open_runs"];
    let of_run = ["job", "status", "trigger", "nominal_time", "fired_at", "started_at", "node"];
    let named = |of: &Value, field: &str| of[field].as_str().unwrap_or_default().to_owned();
    (
        jobs.iter().map(|job| (named(job, "name"), part(job, &of_job))).collect(),
        runs.iter().map(|run| (named(run, "id"), part(run, &of_run))).collect(),
    )
}

/// Without what only the hashes have.
fn plain(hash: Hash) -> Hash {
    let plain = hash.into_iter().map(|(name, mut value)| {
        let page = value["page"].take();
        assert!(page.as_str().is_some_and(|page| page.contains("/ui/")), "{name}: {page}");
        if let Some(fields) = value.as_object_mut() {
            fields.remove("page");
            fields.remove("attempt");
        }
        (name, value)
    });
    plain.collect()
}

/// Waits until the hashes are what the API tells.
async fn same(cluster: &Cluster, redis: &Redis) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let there = (plain(hash(redis, "jobs")), plain(hash(redis, "runs")));
        let wanted = wanted(cluster).await;
        if there == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{there:#?} is not {wanted:#?}");
        sleep(Duration::from_millis(50)).await;
    }
}

async fn job(cluster: &Cluster, name: &str, command: &str, expr: Option<&str>) {
    let mut job = json!({ "runner": { "type": "shell", "command": command } });
    if let Some(expr) = expr {
        job["expr"] = json!(expr);
    }
    let path = format!("/jobs/{name}");
    cluster.client().write(Method::PUT, &path, Some(&job), "").await.expect("written");
}

#[tokio::test]
async fn hashes_are_the_jobs_and_runs_that_there_are() {
    let sandbox = Sandbox::new();
    let Some(redis) = Redis::start(&sandbox) else {
        return skipped("the state in Redis", "there is no redis-server");
    };
    let cluster = started(&sandbox).await;
    job(&cluster, "before", "true", None).await;
    // Left by somebody: they are no jobs and no runs of this cluster.
    redis.ask(&["HSET", "{events}:jobs", "stray", r#"{"page": "/ui/"}"#]);
    redis.ask(&["HSET", "{events}:runs", "stray", r#"{"page": "/ui/"}"#]);
    let url = format!("redis://127.0.0.1:{}", redis.port);
    let config = json!({ "url": url, "key": "events" });
    let body = json!({ "type": "redis", "config": config, "what": ["events", "state"] });
    sink(&cluster, "stream", body).await;
    same(&cluster, &redis).await;
    for n in 0..20 {
        job(&cluster, &format!("often-{n}"), "true", Some("@every 1s")).await;
    }
    job(&cluster, "long", "sleep 3600", None).await;
    cluster.client().write(Method::POST, "/jobs/long/run", None, "").await.expect("started");
    for round in 0..kills(3) {
        let node = holder(&cluster, "stream").await;
        sleep(Duration::from_millis(137 * (round as u64 % 7))).await;
        cluster.kill(node).await;
        cluster.up(node).await;
    }
    // Made again under its name, and gone.
    for name in ["often-0", "often-1"] {
        let path = format!("/jobs/{name}");
        cluster.client().write(Method::DELETE, &path, None, "").await.expect("deleted");
    }
    job(&cluster, "often-0", "true", None).await;
    for n in 2..20 {
        let path = format!("/jobs/often-{n}/pause");
        cluster.client().write(Method::POST, &path, None, "").await.expect("paused");
    }
    same(&cluster, &redis).await;
    let state = redis.ask(&["HGETALL", "{events}:state"]);
    assert!(state["fence"].is_string() && state["entry"].is_string(), "{state}");
    // It forgets everything.
    redis.ask(&["FLUSHALL"]);
    fault(&cluster, "stream", "added again").await;
    same(&cluster, &redis).await;
    // Somebody writes it who was given the duty later.
    redis.ask(&["HSET", "{events}:state", "fence", "999999999"]);
    job(&cluster, "after", "true", None).await;
    fault(&cluster, "stream", "a newer holder writes").await;
    assert!(!hash(&redis, "jobs").contains_key("after"));
    redis.ask(&["HSET", "{events}:state", "fence", "0", "cluster", "another"]);
    fault(&cluster, "stream", "another cluster writes").await;
    redis.ask(&["HDEL", "{events}:state", "cluster"]);
    same(&cluster, &redis).await;
}
