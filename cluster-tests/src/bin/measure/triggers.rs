//! Entries of a stream of Redis beside the same runs asked for over REST: one node.

use std::sync::Arc;
use std::time::Duration;

use cluster_tests::harness::{Client, Cluster, Redis, Sandbox, Shape};
use cluster_tests::moment::Moment;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::{Failure, PATIENCE, conditions, late};

/// What is measured.
#[derive(clap::Args)]
pub struct Flags {
    /// Entries that wait in the stream; and runs asked for over REST.
    #[arg(long, default_value_t = 20_000)]
    entries: usize,
    /// Entries that are added one by one, to see how long each waits.
    #[arg(long, default_value_t = 200)]
    single: usize,
}

/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);
/// Clients that ask over REST.
const CONNECTIONS: usize = 32;
/// Between two entries that are added one by one: no whole number of looks of the reader.
const APART: Duration = Duration::from_millis(83);
const STREAM: &str = "orders";
const TRIGGER: &str = "/triggers/orders";
/// Adds entries within Redis: what is measured is not how they come in.
const FILL: &str = "for n = 1, ARGV[1] do \
                    redis.call('XADD', KEYS[1], '*', 'parameters', '{\"n\":' .. n .. '}') end";

/// Prints the tables.
pub async fn run(flags: &Flags) -> Result<(), Failure> {
    println!("{}", conditions());
    let sandbox = Sandbox::new();
    let redis = Redis::start(&sandbox);
    let redis = redis.ok_or_else(|| Failure::NotHere("there is no redis-server".into()))?;
    let cluster = Cluster::make(&sandbox, Shape::loopback(1)).map_err(Failure::NotHere)?;
    cluster.start().await;
    let client = Arc::new(cluster.client());
    let done = measure(flags, &client, &redis).await;
    cluster.kill(0).await;
    println!("{}", conditions());
    done
}

async fn measure(flags: &Flags, client: &Arc<Client>, redis: &Redis) -> Result<(), Failure> {
    let job = json!({ "name": "pack", "retention": { "count": 1_000_000 } });
    client.create(&job, "").await?;
    redis.ask(&["EVAL", FILL, "1", STREAM, &flags.entries.to_string()]);
    let last = redis.ids(STREAM).pop().unwrap_or_default();
    let url = format!("redis://127.0.0.1:{}", redis.port);
    let body = json!({ "type": "redis_stream", "job": "pack",
        "config": { "url": url, "stream": STREAM } });
    put(client, &body).await?;
    let began = Instant::now();
    taken(client, &last).await?;
    let took = began.elapsed();
    // A run each: what was only passed over would be fast.
    let ended = client.get("/system/status").await?["totals"]["succeeded"].as_u64();
    if ended != Some(flags.entries as u64) {
        return Err(Failure::Failed(format!("{ended:?} runs of {} entries", flags.entries)));
    }
    println!("| what | runs | time | a second |\n|---|---|---|---|");
    row("entries of a stream", flags.entries, took);
    let began = Instant::now();
    plain(client, flags.entries).await?;
    row(&format!("`POST /jobs/pack/run`, {CONNECTIONS} clients"), flags.entries, began.elapsed());
    let mut waits = single(flags.single, client, redis).await?;
    waits.sort_unstable();
    let at = |share: usize| waits[(waits.len() * share / 100).min(waits.len() - 1)];
    println!(
        "\nfrom an entry to its run, of {} one by one: p50 {} ms, p99 {} ms",
        waits.len(),
        at(50),
        at(99)
    );
    Ok(())
}

fn row(what: &str, runs: usize, took: Duration) {
    let rate = runs as f64 / took.as_secs_f64();
    println!("| {what} | {runs} | {took:.2?} | {rate:.0} |");
}

/// The cluster comes to its format by itself, soon after its start.
async fn put(client: &Client, body: &Value) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    while client.send(Method::PUT, TRIGGER, Some(body), None).await?.status >= 300 {
        late(deadline, "the format")?;
        sleep(LOOK).await;
    }
    Ok(())
}

async fn taken(client: &Client, id: &str) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    while client.get(TRIGGER).await?["position"] != id {
        late(deadline, "an entry")?;
        sleep(LOOK).await;
    }
    Ok(())
}

async fn plain(client: &Arc<Client>, runs: usize) -> Result<(), Failure> {
    let mut asking = JoinSet::new();
    for own in 0..CONNECTIONS {
        let client = Arc::clone(client);
        asking.spawn(async move {
            for n in (own..runs).step_by(CONNECTIONS) {
                let body = json!({ "parameters": { "n": n } });
                let key = format!("plain-{n}");
                client.write(Method::POST, "/jobs/pack/run", Some(&body), &key).await?;
            }
            Ok::<_, cluster_tests::harness::client::Error>(())
        });
    }
    for done in asking.join_all().await {
        done?;
    }
    Ok(())
}

/// From each entry, by its id, to the run that it started, in milliseconds.
async fn single(count: usize, client: &Client, redis: &Redis) -> Result<Vec<i64>, Failure> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let id = redis.ask(&["XADD", STREAM, "*", "parameters", "{\"single\": true}"]);
        ids.push(id.as_str().unwrap_or_default().to_owned());
        sleep(APART).await;
    }
    taken(client, ids.last().map_or("", String::as_str)).await?;
    let mut waits = Vec::new();
    let runs: Vec<Value> = client.list("/jobs/pack/runs").await?;
    for run in runs.iter().filter(|run| run["parameters"]["single"] == true) {
        let by = run["requested_by"].as_str().and_then(|by| by.rsplit_once('/'));
        let added = by.and_then(|(_, id)| id.split_once('-')?.0.parse::<i64>().ok());
        let began = run["fired_at"].as_str().and_then(Moment::parse);
        let (Some(added), Some(began)) = (added, began) else { continue };
        waits.push(began.ms_since(Moment(added * 1_000)));
    }
    if waits.is_empty() {
        return Err(Failure::Failed("no run of an entry was found".into()));
    }
    Ok(waits)
}
