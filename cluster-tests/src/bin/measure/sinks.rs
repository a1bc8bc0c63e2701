//! Live fires beside sinks that are up and frozen, and what a sink takes in a second: one node.

use std::sync::Arc;
use std::time::Duration;

use cluster_tests::harness::{Client, Cluster, Postgres, Redis, Sandbox, Shape};
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::lateness::Lateness;
use super::{Failure, PATIENCE, conditions, late};

/// What is measured.
#[derive(clap::Args)]
pub struct Flags {
    /// Jobs that fire each second.
    #[arg(long, default_value_t = 1_000)]
    live: usize,
    /// How long each state of the sinks lasts, in seconds.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
}

const LOOK: Duration = Duration::from_millis(20);
/// Definitions in one request.
const CHUNK: usize = 500;

/// Prints the tables.
pub async fn run(flags: &Flags) -> Result<(), Failure> {
    println!("{}", conditions());
    let sandbox = Sandbox::new();
    let redis = Redis::start(&sandbox);
    let redis = redis.ok_or_else(|| Failure::NotHere("there is no redis-server".into()))?;
    let postgres = Postgres::start();
    let postgres = postgres.ok_or_else(|| Failure::NotHere("there is no PostgreSQL".into()))?;
    let cluster = Cluster::make(&sandbox, Shape::loopback(1)).map_err(Failure::NotHere)?;
    cluster.start().await;
    let bed = Bed { client: Arc::new(cluster.client()), redis, postgres };
    let done = bed.measure(flags).await;
    bed.redis.signal(Signal::CONT);
    bed.postgres.signal(Signal::CONT);
    cluster.kill(0).await;
    println!("{}", conditions());
    done
}

struct Bed {
    client: Arc<Client>,
    redis: Redis,
    postgres: Postgres,
}

impl Bed {
    async fn measure(&self, flags: &Flags) -> Result<(), Failure> {
        let live: Vec<Value> = (0..flags.live)
            .map(|at| {
                json!({"name": format!("live-{at}"), "expr": "* * * * * *", "jitter": "999ms",
                    "retention": {"count": 200}})
            })
            .collect();
        for chunk in live.chunks(CHUNK) {
            self.client.write(Method::POST, "/apply", Some(&json!(chunk)), "").await?;
        }
        sleep(Duration::from_secs(3)).await;
        let long = Duration::from_secs(flags.seconds);
        println!("| {} fires a second beside | p50 | p99 at most |", flags.live);
        println!("|---|---|---|");
        self.row("no sink", long).await?;
        let redis = json!({"type": "redis", "what": ["events", "state"],
            "config": {"url": format!("redis://127.0.0.1:{}", self.redis.port)}});
        self.sink("events", &redis).await?;
        self.sink("rows", &json!({"type": "postgres", "config": {"url": self.postgres.url()}}))
            .await?;
        self.caught_up("events").await?;
        self.caught_up("rows").await?;
        self.row("Redis and PostgreSQL, up", long).await?;
        for signal in [Signal::STOP, Signal::CONT] {
            self.redis.signal(signal);
            self.postgres.signal(signal);
            if signal == Signal::STOP {
                self.row("both, frozen", long).await?;
            }
        }
        let began = Instant::now();
        for name in ["events", "rows"] {
            self.caught_up(name).await?;
            println!("| {name}: all there again after {:.1?} | | |", began.elapsed());
        }
        println!("\n| what waited | written | time | a second |\n|---|---|---|---|");
        for name in ["events", "rows"] {
            self.catch_up(name, long * 3).await?;
        }
        Ok(())
    }

    async fn row(&self, what: &str, long: Duration) -> Result<(), Failure> {
        let before = Lateness::read(&self.client).await?;
        sleep(long).await;
        let [half, most] = Lateness::read(&self.client).await?.since(&before);
        println!("| {what} | ≤ {half} ms | ≤ {most} ms |");
        Ok(())
    }

    /// The cluster comes to its format by itself, soon after its start.
    async fn sink(&self, name: &str, body: &Value) -> Result<(), Failure> {
        let (path, deadline) = (format!("/sinks/{name}"), Instant::now() + PATIENCE);
        while self.client.send(Method::PUT, &path, Some(body), None).await?.status >= 300 {
            late(deadline, "the format")?;
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Waits until it lacks no more than what comes meanwhile.
    async fn caught_up(&self, name: &str) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let sink = self.client.get(&format!("/sinks/{name}")).await?;
            let behind = sink["behind"].as_u64().unwrap_or(u64::MAX);
            if behind < 5_000 && sink["fault"].is_null() {
                return Ok(());
            }
            late(deadline, &format!("the end of what {name} lacks: {sink}"))?;
            sleep(LOOK).await;
        }
    }

    async fn sent(&self, name: &str) -> Result<f64, Failure> {
        let page = self.client.send(Method::GET, "/metrics", None, None).await?.text;
        let series = format!("cronapi_sink_sent_total{{sink=\"{name}\"}} ");
        let found = page.lines().find_map(|line| line.strip_prefix(&series)?.trim().parse().ok());
        Ok(found.unwrap_or_default())
    }

    /// What came while it was paused, as fast as it takes it, while more comes.
    async fn catch_up(&self, name: &str, long: Duration) -> Result<(), Failure> {
        for verb in ["pause", "resume"] {
            let path = format!("/sinks/{name}/{verb}");
            self.client.write(Method::POST, &path, Some(&json!({})), "").await?;
            if verb == "pause" {
                sleep(long).await;
            }
        }
        let (began, before) = (Instant::now(), self.sent(name).await?);
        self.caught_up(name).await?;
        let (took, sent) = (began.elapsed(), self.sent(name).await? - before);
        println!("| {name} | {sent} | {took:.1?} | {:.0} |", sent / took.as_secs_f64());
        Ok(())
    }
}
