//! Sinks of the type `mongodb`: documents are the runs and the nominal times that there were,
//! whoever is killed, whatever becomes of the database.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use cluster_tests::harness::{Cluster, Mongo, Sandbox, skipped};
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::rows::{JOBS, by_hand, jobs, only_one, plain, quiet};
use super::{PATIENCE, Shape, caught_up, caught_up_to_now, fault, holder, kills, of, sink, told};

fn unable() {
    skipped("sinks of the type mongodb", "nx-27017 is not there, and can't be installed");
}

/// A time of the API, or a date of a document, in milliseconds.
fn millis(time: &Value) -> String {
    let text = time.as_str().or_else(|| time["$date"].as_str()).unwrap_or_default();
    if text.is_empty() {
        assert!(time.is_null(), "{time} is no time");
        return String::new();
    }
    DateTime::parse_from_rfc3339(text).expect("a time").timestamp_millis().to_string()
}

/// The values of the fields, each as text; those that begin with `@` are times.
fn row(of: &Value, fields: &[&str]) -> String {
    let texts = fields.iter().map(|field| match field.strip_prefix('@') {
        Some(field) => millis(&of[field]),
        None => plain(&of[*field]),
    });
    texts.collect::<Vec<_>>().join("|")
}

/// Of runs; as the API and documents both call them.
const RUNS: &[&str] = &[
    "id",
    "job",
    "job_uid",
    "version",
    "trigger",
    "status",
    "@nominal_time",
    "@fired_at",
    "@started_at",
    "@finished_at",
    "node",
    "exit_code",
    "error",
    "result",
    "requested_by",
    "log_bytes",
];
/// Of nominal times.
const LEDGER: &[&str] = &["@nominal_time", "outcome", "reason", "run_id", "@decided_at"];

fn run_as_row(run: &Value, attempts: &str) -> String {
    let n = plain(&run["parameters"]["n"]);
    let text = plain(&run["parameters"]["text"]).replace('\0', "\u{fffd}");
    [row(run, RUNS), plain(&run[attempts]), n, text].join("|")
}

/// The documents are what the API tells of. Gives how many there are of runs and nominal times.
async fn same(cluster: &Cluster, mongo: &Mongo) -> (usize, usize) {
    caught_up(cluster, "rows").await;
    let runs = cluster.client().list::<Value>("/runs").await.expect("a list");
    let runs: BTreeSet<String> = runs.iter().map(|run| run_as_row(run, "attempt")).collect();
    let documents = mongo.find("runs", &json!({})).expect("they are there");
    for document in &documents {
        let id = format!("{}/{}", plain(&document["cluster"]), plain(&document["id"]));
        assert_eq!(document["_id"], id);
    }
    let there: BTreeSet<String> =
        documents.iter().map(|document| run_as_row(document, "attempts")).collect();
    assert_eq!(only_one(&runs, &there), None, "a run that is no document, of {}", runs.len());
    assert_eq!(only_one(&there, &runs), None, "a document that is no run, of {}", runs.len());
    assert_eq!(documents.len(), there.len());
    let mut times = 0;
    for (job, _) in JOBS {
        let ledger = cluster.client().list::<Value>(&format!("/jobs/{job}/ledger")).await;
        let ledger = ledger.expect("a list").into_iter().filter(|row| row["reason"] != "paused");
        let ledger: BTreeSet<String> = ledger.map(|time| row(&time, LEDGER)).collect();
        let documents = mongo.find("ledger", &json!({ "job": job })).expect("they are there");
        let there: BTreeSet<String> = documents.iter().map(|time| row(time, LEDGER)).collect();
        assert_eq!(only_one(&ledger, &there), None, "a time of {job} that is no document");
        assert_eq!(only_one(&there, &ledger), None, "a document that is no time of {job}");
        assert_eq!(documents.len(), there.len());
        times += there.len();
    }
    (runs.len(), times)
}

#[tokio::test]
async fn documents_are_the_runs_that_there_were_whoever_is_killed() {
    let (sandbox, kills) = (Sandbox::new(), kills(6));
    let Some(mut mongo) = Mongo::start(&sandbox) else { return unable() };
    let cluster = of(&sandbox, Shape::loopback(3)).await;
    jobs(&cluster).await;
    let stop = Arc::new(AtomicBool::new(false));
    let load = by_hand(&cluster, &stop);
    // What ended before there was a sink is copied.
    cluster.client().run_to_end("odd", "").await.expect("it is run");
    // The first host does not answer, and the next one does.
    let url = mongo.url().replace("127.0.0.1", "127.0.0.1:1,127.0.0.1");
    sink(&cluster, "rows", json!({ "type": "mongodb", "config": { "url": url } })).await;
    for round in 0..kills {
        let node = holder(&cluster, "rows").await;
        // Now between documents, now before the position, now after it.
        sleep(Duration::from_millis(137 * (round as u64 % 7))).await;
        cluster.kill(node).await;
        cluster.up(node).await;
        if round == kills / 2 {
            mongo.kill();
            fault(&cluster, "rows", "refused").await;
            mongo.again();
            caught_up_to_now(&cluster, "rows").await;
            // It stands still for longer than a call may take.
            mongo.signal(Signal::STOP);
            fault(&cluster, "rows", "within 5s").await;
            mongo.signal(Signal::CONT);
            caught_up_to_now(&cluster, "rows").await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    load.await.expect("it ends");
    quiet(&cluster).await;
    let (runs, times) = same(&cluster, &mongo).await;
    println!("{kills} kills of the holder, one of the server: {runs} runs, {times} times");
}

/// Changes the sink's document behind its back.
fn set_fence(mongo: &Mongo, fence: u64) {
    let update = json!({ "q": {}, "u": { "$set": { "fence": fence } } });
    let done = mongo.told(&json!({ "update": "positions", "updates": [update] }));
    assert_eq!(done["n"], 1, "{done}");
}

#[tokio::test]
async fn an_old_holder_is_refused_and_collections_that_are_gone_are_filled_again() {
    let sandbox = Sandbox::new();
    let Some(mongo) = Mongo::start(&sandbox) else { return unable() };
    let cluster = of(&sandbox, Shape::loopback(3)).await;
    jobs(&cluster).await;
    sink(&cluster, "rows", json!({ "type": "mongodb", "config": { "url": mongo.url() } })).await;
    caught_up_to_now(&cluster, "rows").await;
    // A holder that stands still for longer than its lease wakes up to find another one.
    let old = holder(&cluster, "rows").await;
    cluster.freeze(old, true).await;
    let deadline = Instant::now() + PATIENCE;
    while holder(&cluster, "rows").await == old {
        assert!(Instant::now() < deadline, "nobody else takes it");
        sleep(Duration::from_millis(50)).await;
    }
    caught_up_to_now(&cluster, "rows").await;
    cluster.freeze(old, false).await;
    cluster.wait_whole().await;
    // Somebody with a newer fence than any here: whoever holds the sink is the old one.
    set_fence(&mongo, 1_000_000);
    fault(&cluster, "rows", "a newer holder writes this sink, under the fence 1000000").await;
    let there = mongo.find("positions", &json!({})).expect("it is there");
    sleep(Duration::from_secs(1)).await;
    let still = mongo.find("positions", &json!({})).expect("it is there");
    assert_eq!(there[0]["entry"], still[0]["entry"], "it is not moved");
    assert_eq!(still[0]["fence"], 1_000_000);
    set_fence(&mongo, 0);
    caught_up_to_now(&cluster, "rows").await;
    quiet(&cluster).await;
    let (runs, times) = same(&cluster, &mongo).await;
    assert!(runs > 5 && times > 5, "{runs} runs, {times} times");
    queries(&mongo);
    // All of it is dropped: what the history has is written again, and that is told.
    mongo.told(&json!({ "dropDatabase": 1 }));
    fault(&cluster, "rows", "the collections have nothing of this sink any more").await;
    refilled(&cluster, &mongo, runs).await;
    assert_eq!(same(&cluster, &mongo).await, (runs, times));
    // One of them: its index says that it is not the one that was made.
    mongo.told(&json!({ "drop": "runs" }));
    refilled(&cluster, &mongo, runs).await;
    assert_eq!(same(&cluster, &mongo).await, (runs, times));
    // Documents that are deleted are not missed, until the sink is set back.
    for collection in ["runs", "ledger"] {
        let all = json!({ "q": {}, "limit": 0 });
        mongo.told(&json!({ "delete": collection, "deletes": [all] }));
    }
    let rewind = cluster.client().write(Method::POST, "/sinks/rows/rewind", None, "").await;
    rewind.expect("it is set back");
    refilled(&cluster, &mongo, runs).await;
    assert_eq!(same(&cluster, &mongo).await, (runs, times));
}

async fn refilled(cluster: &Cluster, mongo: &Mongo, runs: usize) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let there = mongo.find("runs", &json!({})).unwrap_or_default().len();
        let positions = mongo.find("positions", &json!({})).unwrap_or_default();
        let filled = positions.first().is_some_and(|position| position.get("filling").is_none());
        if there == runs && filled {
            return;
        }
        let sink = told(cluster, "rows").await;
        assert!(Instant::now() < deadline, "{there} of {runs}, {positions:?}, {sink}");
        sleep(Duration::from_millis(100)).await;
    }
}

/// Those of docs/sinks.md answer, and with something.
fn queries(mongo: &Mongo) {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/sinks.md");
    let page = std::fs::read_to_string(page).expect("it is there");
    let queries: Vec<&str> =
        page.split("```js\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(queries.len(), 5);
    for query in queries {
        let call = query.trim().strip_prefix("db.").expect("it is of the database");
        let (collection, call) = call.split_once(".aggregate(").expect("all of them aggregate");
        let mut stages = call.trim_end_matches(");").to_owned();
        // What a shell reckons.
        while let Some((before, rest)) = stages.split_once("new Date(Date.now() - ") {
            let (back, after) = rest.split_once(')').expect("it ends");
            let back = chrono::Duration::milliseconds(back.parse().expect("a number"));
            let date = (Utc::now() - back).to_rfc3339_opts(SecondsFormat::Millis, true);
            stages = format!("{before}{}{after}", json!({ "$date": date }));
        }
        let stages: Value = serde_json::from_str(&stages).expect(query);
        let told =
            mongo.told(&json!({ "aggregate": collection, "pipeline": stages, "cursor": {} }));
        let found = told["cursor"]["firstBatch"].as_array().map(Vec::len).unwrap_or_default();
        assert!(found > 0, "nothing: {query}");
    }
}

#[tokio::test]
async fn an_address_where_requests_may_not_go_is_refused() {
    let sandbox = Sandbox::new();
    let Some(mongo) = Mongo::start(&sandbox) else { return unable() };
    let cluster = Cluster::make(&sandbox, Shape::loopback(1)).expect("loopback is everywhere");
    cluster.env("CRONAPI_HTTP_DENY", "127.0.0.0/8").await;
    cluster.start().await;
    cluster.wait_whole().await;
    for (name, url) in [
        ("rows", mongo.url()),
        ("metadata", "mongodb://169.254.169.254/reports".to_owned()),
        // Also by a name, and where another one may be reached.
        ("several", format!("mongodb://localhost:{},169.254.169.254/reports", mongo.port)),
    ] {
        sink(&cluster, name, json!({ "type": "mongodb", "config": { "url": url } })).await;
        fault(&cluster, name, "is denied").await;
    }
    assert!(mongo.find("runs", &json!({})).expect("it answers").is_empty());
}

/// How many documents a second: `CRONAPI_TEST_SINK_ROWS` says of how many runs.
#[tokio::test]
async fn documents_that_waited_are_written_at_once() {
    let sandbox = Sandbox::new();
    let Some(mongo) = Mongo::start(&sandbox) else { return unable() };
    let wanted = std::env::var("CRONAPI_TEST_SINK_ROWS").ok();
    let wanted: usize = wanted.and_then(|wanted| wanted.parse().ok()).unwrap_or(100);
    let cluster = of(&sandbox, Shape::loopback(3)).await;
    sink(&cluster, "rows", json!({ "type": "mongodb", "config": { "url": mongo.url() } })).await;
    cluster.client().write(Method::POST, "/sinks/rows/pause", None, "").await.expect("paused");
    let flow = json!({ "name": "many", "tasks": [{ "name": "one", "over": { "count": wanted },
        "max_parallel": 64, "runner": { "type": "shell", "argv": ["true"] } }] });
    cluster.client().create(&flow, "").await.expect("made");
    cluster.client().write(Method::POST, "/jobs/many/run", None, "").await.expect("it is run");
    let deadline = Instant::now() + PATIENCE * 5;
    while cluster.client().list::<Value>("/runs?status=succeeded").await.expect("a list").is_empty()
    {
        assert!(Instant::now() < deadline, "they do not end");
        sleep(Duration::from_millis(200)).await;
    }
    let begun = Instant::now();
    cluster.client().write(Method::POST, "/sinks/rows/resume", None, "").await.expect("resumed");
    loop {
        let there = mongo.find("runs", &json!({})).unwrap_or_default();
        if there.len() == wanted + 1 {
            let tasks =
                there.iter().filter(|run| run["task"] == "one" && run.get("task_index").is_some());
            assert_eq!(tasks.count(), wanted);
            break;
        }
        assert!(Instant::now() < deadline, "{} of {wanted}", there.len());
        sleep(Duration::from_millis(20)).await;
    }
    let took = begun.elapsed();
    println!("{wanted} documents in {took:?}: {:.0} a second", wanted as f64 / took.as_secs_f64());
}
