//! Failures that are told while whoever sends and whoever leads is killed: three nodes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cluster_tests::harness::sink::{Sink, Told};
use cluster_tests::harness::{Client, Cluster, Sandbox, Shape};
use cluster_tests::moment::Moment;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{Failure, PATIENCE, conditions, late};

/// What is measured.
#[derive(clap::Args)]
pub struct Flags {
    /// Jobs that fail, each once, while nothing else happens.
    #[arg(long, default_value_t = 1_000)]
    quiet: usize,
    /// The same, while nodes are killed.
    #[arg(long, default_value_t = 2_000)]
    failures: usize,
    /// Kills, of whoever sends and whoever leads in turns.
    #[arg(long, default_value_t = 40)]
    kills: usize,
}

const LOOK: Duration = Duration::from_millis(20);
/// Definitions in one request.
const CHUNK: usize = 500;
/// Between two failures.
const APART: Duration = Duration::from_millis(50);

/// Prints the table.
pub async fn run(flags: &Flags) -> Result<(), Failure> {
    println!("{}", conditions());
    let sandbox = Sandbox::new();
    let cluster = Cluster::make(&sandbox, Shape::loopback(3)).map_err(Failure::NotHere)?;
    cluster.start().await;
    cluster.wait_whole().await;
    let sink = Sink::start(cluster.own_address()).await;
    let done = measure(flags, &cluster, &sink).await;
    for node in cluster.indexes() {
        cluster.kill(node).await;
    }
    println!("{}", conditions());
    done
}

async fn measure(flags: &Flags, cluster: &Cluster, sink: &Sink) -> Result<(), Failure> {
    let client = Arc::new(cluster.client());
    let (path, deadline) = ("/channels/ops", Instant::now() + PATIENCE);
    let body = json!({"type": "webhook", "config": {"url": sink.url()}});
    while client.send(Method::PUT, path, Some(&body), None).await?.status >= 300 {
        late(deadline, "the format")?;
        sleep(LOOK).await;
    }
    println!("| failures | kills | told | lost | twice | from the end of the run, p50 | p99 |");
    println!("|---|---|---|---|---|---|---|");
    for (prefix, count, kills) in
        [("quiet", flags.quiet, 0), ("killed", flags.failures, flags.kills)]
    {
        let names: Vec<String> = (0..count).map(|n| format!("{prefix}-{n}")).collect();
        jobs(&client, &names).await?;
        let failing = tokio::spawn(fail(Arc::clone(&client), names.clone()));
        for no in 0..kills {
            kill(cluster, sink, no).await?;
        }
        let failing = failing.await.map_err(|error| Failure::Failed(error.to_string()))?;
        failing?;
        all_sent(&client).await?;
        row(&client, sink, &names, kills).await?;
    }
    Ok(())
}

async fn jobs(client: &Client, names: &[String]) -> Result<(), Failure> {
    let job = |name: &String| {
        json!({"name": name, "runner": {"type": "shell", "command": "exit 3"},
            "notify": {"channels": ["ops"], "on": ["failed"]}})
    };
    let jobs: Vec<Value> = names.iter().map(job).collect();
    for chunk in jobs.chunks(CHUNK) {
        client.write(Method::POST, "/apply", Some(&json!(chunk)), "").await?;
    }
    Ok(())
}

async fn fail(client: Arc<Client>, names: Vec<String>) -> Result<(), Failure> {
    for name in names {
        let (path, key) = (format!("/jobs/{name}/run"), format!("fail-{name}"));
        client.write(Method::POST, &path, Some(&json!({})), &key).await?;
        sleep(APART).await;
    }
    Ok(())
}

/// Kills whoever sent last, or whoever leads.
async fn kill(cluster: &Cluster, sink: &Sink, no: usize) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    let node = loop {
        // Without a public address its links begin with the sender's own.
        let told = sink.told().pop();
        let link = told.as_ref().and_then(|told| told.body["link"].as_str()?.split("/ui/").next());
        let sender = link.and_then(|base| cluster.index_of(base));
        match if no.is_multiple_of(2) { sender } else { cluster.leader().await } {
            Some(node) => break node,
            None => late(deadline, "somebody to kill")?,
        }
        sleep(LOOK).await;
    };
    cluster.kill(node).await;
    cluster.up(node).await;
    cluster.wait_whole().await;
    Ok(())
}

async fn all_sent(client: &Client) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    let open = "/runs?status=waiting,queued,assigned,running&limit=1";
    loop {
        let runs = client.get(open).await?["items"].as_array().map_or(0, Vec::len);
        let waiting: Vec<Value> = client.list("/notices?state=pending").await?;
        if runs + waiting.len() == 0 {
            return Ok(());
        }
        late(deadline, "the last of the notices")?;
        sleep(LOOK).await;
    }
}

async fn row(client: &Client, sink: &Sink, names: &[String], kills: usize) -> Result<(), Failure> {
    let mut told: BTreeMap<String, Vec<Told>> = BTreeMap::new();
    for one in sink.told() {
        let job = one.body["job"].as_str().unwrap_or_default().to_owned();
        told.entry(job).or_default().push(one);
    }
    let (mut lost, mut twice, mut waits) = (0, 0, Vec::new());
    for name in names {
        let Some(told) = told.get(name) else {
            lost += 1;
            continue;
        };
        twice += told.len() - 1;
        let runs: Vec<Value> = client.list(&format!("/jobs/{name}/runs")).await?;
        let ended = runs.first().and_then(|run| Moment::parse(run["finished_at"].as_str()?));
        waits.extend(ended.map(|ended| told[0].at.ms_since(ended)));
        if told.iter().any(|other| other.key != told[0].key) {
            return Err(Failure::Failed(format!("{name} was told under two keys")));
        }
    }
    waits.sort_unstable();
    let at = |share: usize| waits.get(waits.len() * share / 100).copied().unwrap_or_default();
    println!(
        "| {} | {kills} | {} | {lost} | {twice} | {} ms | {} ms |",
        names.len(),
        waits.len(),
        at(50),
        at(99)
    );
    Ok(())
}
