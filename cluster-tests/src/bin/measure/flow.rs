//! Workflows beside plain jobs, items and backfills beside live fires: one node.

use std::sync::Arc;
use std::time::Duration;

use cluster_tests::harness::{Client, Cluster, Sandbox, Shape};
use cluster_tests::moment::Moment;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::lateness::Lateness;
use super::{Failure, PATIENCE, conditions, late};

/// What is measured.
#[derive(clap::Args)]
pub struct Flags {
    /// Tasks of a workflow, and plain jobs beside it.
    #[arg(long, default_value_t = 1_000)]
    tasks: usize,
    /// Items of a task, 50 at a time; 0: none.
    #[arg(long, default_value_t = 10_000)]
    items: usize,
    /// Times of a backfill; 0: none.
    #[arg(long, default_value_t = 100_000)]
    times: usize,
    /// Jobs that fire each second beside items and backfill.
    #[arg(long, default_value_t = 1_000)]
    live: usize,
}

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// How long live fires are looked at alone.
const ALONE: Duration = Duration::from_secs(20);
/// Tasks one after the other, at most.
const DEPTH: usize = 128;
/// Clients that start plain jobs.
const CONNECTIONS: usize = 32;
/// Definitions in one request.
const CHUNK: usize = 500;

struct Bed {
    cluster: Cluster,
    client: Arc<Client>,
}

/// Prints the tables.
pub async fn run(flags: &Flags) -> Result<(), Failure> {
    println!("{}", conditions());
    let sandbox = Sandbox::new();
    let mut shape = Shape::loopback(1);
    shape.slots = 64;
    let cluster = Cluster::make(&sandbox, shape).map_err(Failure::NotHere)?;
    cluster.start().await;
    let client = Arc::new(cluster.client());
    let bed = Bed { cluster, client };
    bed.ready().await?;
    let done = bed.measure(flags).await;
    bed.cluster.kill(0).await;
    done
}

fn shell(name: &str) -> Value {
    json!({"name": name, "runner": {"type": "shell", "command": "true"}})
}

impl Bed {
    /// The cluster comes to its format by itself, soon after its start.
    async fn ready(&self) -> Result<(), Failure> {
        let body = json!({"concurrency": 1, "rates": [{"limit": 1, "per": "1s"}]});
        let deadline = Instant::now() + PATIENCE;
        loop {
            let put = self.client.send(Method::PUT, "/queues/probe", Some(&body), None).await?;
            if put.status < 300 {
                return Ok(());
            }
            late(deadline, "the format")?;
            sleep(LOOK).await;
        }
    }

    async fn measure(&self, flags: &Flags) -> Result<(), Failure> {
        println!("| what | runs | from trigger to last start | to the end | entries |");
        println!("|---|---|---|---|---|");
        let wide = (0..flags.tasks).map(|at| shell(&format!("t{at}"))).collect();
        self.flow("wide", wide).await?;
        let deep = (0..flags.tasks.min(DEPTH)).map(|at| {
            let mut task = shell(&format!("t{at}"));
            if at > 0 {
                task["after"] = json!([format!("t{}", at - 1)]);
            }
            task
        });
        self.flow("deep", deep.collect()).await?;
        self.plain(flags.tasks).await?;
        if flags.live > 0 {
            self.beside(flags).await?;
        }
        println!("{}", conditions());
        Ok(())
    }

    /// The end of the log. Its bytes say nothing of so little: it takes room ahead.
    async fn log(&self) -> Result<u64, Failure> {
        let status = self.client.get("/system/status").await?;
        Ok(status["applied_index"].as_u64().unwrap_or_default())
    }

    async fn flow(&self, name: &str, tasks: Vec<Value>) -> Result<(), Failure> {
        let count = tasks.len();
        self.create("/workflows", &json!({"name": name, "tasks": tasks})).await?;
        let before = self.log().await?;
        let path = format!("/jobs/{name}/run");
        let began = Moment::now();
        let run = self.client.write(Method::POST, &path, Some(&json!({})), name).await?;
        let id = run.body["id"].as_str().unwrap_or_default().to_owned();
        let run = self.ended(&id).await?;
        let runs: Vec<Value> = self.client.list(&format!("/runs?flow={id}")).await?;
        self.row(name, count, began, before, (&run, &runs)).await
    }

    async fn plain(&self, jobs: usize) -> Result<(), Failure> {
        let names: Vec<String> = (0..jobs).map(|at| format!("plain-{at}")).collect();
        let definitions: Vec<Value> = names.iter().map(|name| shell(name)).collect();
        self.apply(&definitions).await?;
        let before = self.log().await?;
        let began = Moment::now();
        // As a client with many connections does.
        let mut asking = tokio::task::JoinSet::new();
        for own in names.chunks(names.len().div_ceil(CONNECTIONS).max(1)) {
            let (client, own) = (Arc::clone(&self.client), own.to_vec());
            asking.spawn(async move {
                let mut ids = Vec::new();
                for name in own {
                    let path = format!("/jobs/{name}/run");
                    let run = client.write(Method::POST, &path, Some(&json!({})), &name).await?;
                    ids.push(run.body["id"].as_str().unwrap_or_default().to_owned());
                }
                Ok::<_, cluster_tests::harness::client::Error>(ids)
            });
        }
        let mut runs = Vec::new();
        for ids in asking.join_all().await {
            for id in ids? {
                runs.push(self.ended(&id).await?);
            }
        }
        let last = runs.last().cloned().unwrap_or_default();
        self.row("plain jobs", jobs, began, before, (&last, &runs)).await
    }

    async fn row(
        &self,
        name: &str,
        count: usize,
        began: Moment,
        before: u64,
        (run, runs): (&Value, &[Value]),
    ) -> Result<(), Failure> {
        let time = |run: &Value, field: &str| run[field].as_str().and_then(Moment::parse);
        let started = runs.iter().filter_map(|run| time(run, "started_at")).max();
        let ended = runs.iter().chain([run]).filter_map(|run| time(run, "finished_at")).max();
        let after = self.log().await?;
        let ms = |at: Option<Moment>| at.map_or(0, |at| at.ms_since(began));
        println!(
            "| {name} | {} of {count} | {} ms | {} ms | {} |",
            runs.len(),
            ms(started),
            ms(ended),
            after - before
        );
        Ok(())
    }

    /// Live fires alone, beside items, beside a backfill.
    async fn beside(&self, flags: &Flags) -> Result<(), Failure> {
        let live: Vec<Value> = (0..flags.live)
            .map(|at| {
                json!({"name": format!("live-{at}"), "expr": "* * * * * *", "jitter": "999ms",
                    "retention": {"count": 2}})
            })
            .collect();
        self.apply(&live).await?;
        sleep(Duration::from_secs(3)).await;
        println!("| beside {} fires a second | took | p50 | p99 at most |", flags.live);
        println!("|---|---|---|---|");
        let before = self.lateness().await?;
        sleep(ALONE).await;
        self.told("nothing", ALONE, &before).await?;
        if flags.items > 0 {
            let task = json!({"name": "many", "over": {"count": flags.items}, "max_parallel": 50,
                "runner": {"type": "shell", "command": "true"}});
            self.create("/workflows", &json!({"name": "fan", "tasks": [task]})).await?;
            let (before, began) = (self.lateness().await?, Instant::now());
            let (path, body) = ("/jobs/fan/run", json!({}));
            let run = self.client.write(Method::POST, path, Some(&body), "fan").await?;
            self.ended(run.body["id"].as_str().unwrap_or_default()).await?;
            self.told(&format!("{} items, 50 at a time", flags.items), began.elapsed(), &before)
                .await?;
        }
        if flags.times > 0 {
            let past = json!({"name": "past", "expr": "* * * * *", "retention": {"count": 2}});
            self.create("/jobs", &past).await?;
            let (before, began) = (self.lateness().await?, Instant::now());
            let to = Moment::now();
            let from = to.plus_ms(-60_000 * i64::try_from(flags.times).unwrap_or_default());
            let body = json!({"from": from.to_string(), "to": to.to_string(), "which": "all",
                "max_concurrent": 100});
            let path = "/jobs/past/backfills";
            let made = self.client.write(Method::POST, path, Some(&body), "past").await?;
            let path = format!("/backfills/{}", made.body["id"]);
            let deadline = Instant::now() + PATIENCE;
            while self.client.get(&path).await?["status"] != "done" {
                late(deadline, "the backfill")?;
                sleep(LOOK * 10).await;
            }
            self.told(&format!("{} times", flags.times), began.elapsed(), &before).await?;
        }
        Ok(())
    }

    async fn lateness(&self) -> Result<Lateness, Failure> {
        Lateness::read(&self.client).await
    }

    async fn told(&self, what: &str, took: Duration, before: &Lateness) -> Result<(), Failure> {
        let [half, most] = self.lateness().await?.since(before);
        println!("| {what} | {took:.1?} | ≤ {half} ms | ≤ {most} ms |");
        Ok(())
    }

    async fn create(&self, path: &str, body: &Value) -> Result<(), Failure> {
        let key = format!("made-{}", body["name"]);
        self.client.write(Method::POST, path, Some(body), &key).await?;
        Ok(())
    }

    async fn apply(&self, definitions: &[Value]) -> Result<(), Failure> {
        for chunk in definitions.chunks(CHUNK) {
            self.client.write(Method::POST, "/apply", Some(&json!(chunk)), "").await?;
        }
        Ok(())
    }

    async fn ended(&self, id: &str) -> Result<Value, Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let run = self.client.get(&format!("/runs/{id}")).await?;
            if !run["finished_at"].is_null() {
                return Ok(run);
            }
            late(deadline, "the end of a run")?;
            sleep(LOOK).await;
        }
    }
}
