//! Rates of a queue while leaders are killed: three nodes. Shares of a queue, and quiet tenants
//! beside one with very much: one node.

use std::sync::Arc;
use std::time::Duration;

use cluster_tests::harness::{Client, Cluster, Sandbox, Shape};
use cluster_tests::history::Run;
use cluster_tests::moment::Moment;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::{Failure, PATIENCE, conditions, late};

/// What is measured.
#[derive(clap::Args)]
pub struct Flags {
    /// Leaders that are killed while a queue holds its rates; 0: no such part.
    #[arg(long, default_value_t = 10)]
    kills: usize,
    /// Runs of one tenant that wait beside the quiet ones; 0: no such part.
    #[arg(long, default_value_t = 100_000)]
    waiting: usize,
    /// Runs that go through a queue as fast as they can, asked for by many clients.
    #[arg(long, default_value_t = 10_000)]
    jobs: usize,
    /// How long shares and waits are looked at, in seconds.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
}

/// Starts in a window, and its length in milliseconds.
const RATES: [(usize, i64); 2] = [(50, 1_000), (300, 10_000)];
/// Between two kills, once the node is back.
const REST: Duration = Duration::from_secs(2);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// Clients that ask for runs.
const CONNECTIONS: usize = 32;
/// Runs of one job that may be open.
const PER_JOB: usize = 1_000;
/// Places of the queue that tenants share, and what an attempt in one takes, in seconds.
const PLACES: usize = 16;
const TAKES: &str = "0.1";
/// Tenants that ask now and then, and how long each waits between two runs.
const QUIET: usize = 9;
const BETWEEN: Duration = Duration::from_millis(200);

/// Prints the tables.
pub async fn run(flags: &Flags) -> Result<(), Failure> {
    println!("{}", conditions());
    if flags.kills > 0 {
        with(3, async |bed| bed.rates(flags.kills).await).await?;
    }
    println!("\n| each job | jobs | time | a second |\n|---|---|---|---|");
    for process in [false, true] {
        with(1, async |bed| bed.through(process, flags.jobs).await).await?;
    }
    println!("\n| fair | what | starts | |\n|---|---|---|---|");
    let long = Duration::from_secs(flags.seconds);
    with(1, async |bed| bed.even(long).await).await?;
    for fair in [true, false] {
        if flags.waiting > 0 {
            with(1, async |bed| bed.quiet(fair, flags.waiting, long).await).await?;
        }
    }
    println!("{}", conditions());
    Ok(())
}

/// A cluster of its own for each part.
async fn with(
    nodes: usize,
    part: impl AsyncFn(&Bed) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let sandbox = Sandbox::new();
    let mut shape = Shape::loopback(nodes);
    shape.slots = 64;
    let cluster = Cluster::make(&sandbox, shape).map_err(Failure::NotHere)?;
    cluster.start().await;
    let client = Arc::new(cluster.client());
    let bed = Bed { cluster, client };
    let done = part(&bed).await;
    for node in bed.cluster.indexes() {
        bed.cluster.kill(node).await;
    }
    done
}

struct Bed {
    cluster: Cluster,
    client: Arc<Client>,
}

impl Bed {
    /// The cluster comes to its format by itself, soon after its start.
    async fn queue(&self, body: &Value) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let put = self.client.send(Method::PUT, "/queues/q", Some(body), None).await?;
            if put.status < 300 {
                return Ok(());
            }
            late(deadline, "the format")?;
            sleep(LOOK).await;
        }
    }

    async fn jobs(
        &self,
        names: &[String],
        tenant: &str,
        command: Option<&str>,
    ) -> Result<(), Failure> {
        let job = |name: &String| {
            let mut job = json!({"name": name, "queue": "q", "overlap": "allow", "tags": [tenant],
                "retry": {"max_attempts": 5, "delay": "100ms", "on": ["lost"]},
                "retention": {"count": 100_000}});
            if let Some(command) = command {
                job["runner"] = json!({"type": "shell", "command": command});
            }
            job
        };
        let jobs: Vec<Value> = names.iter().map(job).collect();
        self.client.write(Method::POST, "/apply", Some(&json!(jobs)), "").await?;
        Ok(())
    }

    /// Asks for so many runs of each job, as many clients at a time as one has.
    async fn ask(&self, names: &[String], runs: usize) -> Result<(), Failure> {
        let mut asking = JoinSet::new();
        for own in 0..CONNECTIONS {
            let (client, names) = (Arc::clone(&self.client), names.to_vec());
            asking.spawn(async move {
                for name in &names {
                    for n in (own..runs).step_by(CONNECTIONS) {
                        let (path, key) = (format!("/jobs/{name}/run"), format!("{name}-{n}"));
                        client.write(Method::POST, &path, Some(&json!({})), &key).await?;
                    }
                }
                Ok::<_, cluster_tests::harness::client::Error>(())
            });
        }
        for done in asking.join_all().await {
            done?;
        }
        Ok(())
    }

    /// The most starts in any window of each length.
    async fn rates(&self, kills: usize) -> Result<(), Failure> {
        self.cluster.wait_whole().await;
        let rates: Vec<Value> = RATES
            .iter()
            .map(|(limit, per)| json!({"limit": limit, "per": format!("{per}ms")}))
            .collect();
        self.queue(&json!({"rates": rates})).await?;
        let names: Vec<String> = (0..4).map(|n| format!("job-{n}")).collect();
        self.jobs(&names, "all", Some("true")).await?;
        self.ask(&names, PER_JOB).await?;
        let began = Instant::now();
        for _ in 0..kills {
            let deadline = Instant::now() + PATIENCE;
            let leader = loop {
                match self.cluster.leader().await {
                    Some(leader) => break leader,
                    None => late(deadline, "a leader")?,
                }
                sleep(LOOK).await;
            };
            self.cluster.kill(leader).await;
            self.cluster.up(leader).await;
            self.cluster.wait_whole().await;
            sleep(REST).await;
        }
        let took = began.elapsed();
        let mut starts = Vec::new();
        for name in &names {
            let runs: Vec<Run> = self.client.list(&format!("/jobs/{name}/runs")).await?;
            let attempts = runs.iter().flat_map(|run| &run.attempts);
            starts.extend(attempts.map(|attempt| attempt.assigned_at));
        }
        starts.sort_unstable();
        println!("{} starts, {kills} kills of the leader in {took:.0?}", starts.len());
        println!("| at most | in any | most seen |\n|---|---|---|");
        for (limit, per) in RATES {
            let seen = most_in(&starts, per);
            println!("| {limit} | {per} ms | {seen} |");
            if seen > limit {
                return Err(Failure::Failed(format!("{seen} starts in {per} ms, of {limit}")));
            }
        }
        Ok(())
    }

    /// From the first run that is asked for to the end of the last.
    async fn through(&self, process: bool, runs: usize) -> Result<(), Failure> {
        self.queue(&json!({"concurrency": 64})).await?;
        let names: Vec<String> = (0..runs.div_ceil(PER_JOB)).map(|n| format!("job-{n}")).collect();
        self.jobs(&names, "all", process.then_some("true")).await?;
        let (each, began) = (runs / names.len().max(1), Instant::now());
        self.ask(&names, each).await?;
        let deadline = Instant::now() + PATIENCE;
        let all = (names.len() * each) as u64;
        while self.client.get("/system/status").await?["totals"]["succeeded"] != all {
            late(deadline, "the end of all runs")?;
            sleep(LOOK).await;
        }
        let took = began.elapsed();
        let what = if process { "a process" } else { "nothing" };
        let rate = all as f64 / took.as_secs_f64();
        println!("| {what} | {all} | {took:.2?} | {rate:.0} |");
        Ok(())
    }

    /// Ten that all have much waiting.
    async fn even(&self, long: Duration) -> Result<(), Failure> {
        self.queue(&json!({"concurrency": PLACES, "fair_by": "job"})).await?;
        let names: Vec<String> = (0..=QUIET).map(|n| format!("tenant-{n}")).collect();
        self.jobs(&names, "all", Some(&format!("sleep {TAKES}"))).await?;
        self.ask(&names, PER_JOB).await?;
        let (from, until) = (Moment::now(), Moment::now().plus_ms(long.as_millis() as i64));
        sleep(long).await;
        let mut counts = Vec::new();
        for name in &names {
            let runs: Vec<Run> = self.client.list(&format!("/jobs/{name}/runs")).await?;
            let of = runs.iter().flat_map(|run| &run.attempts).map(|it| it.assigned_at);
            counts.push(of.filter(|at| from <= *at && *at < until).count() as f64);
        }
        let (sum, squares) =
            (counts.iter().sum::<f64>(), counts.iter().map(|n| n * n).sum::<f64>());
        let jain = sum * sum / (counts.len() as f64 * squares);
        println!("| yes | ten that all have much waiting | {sum} | Jain {jain:.4} |");
        Ok(())
    }

    /// Quiet ones beside one that has very much waiting.
    async fn quiet(&self, fair: bool, waiting: usize, long: Duration) -> Result<(), Failure> {
        let mut queue = json!({"concurrency": PLACES});
        if fair {
            queue["fair_by"] = json!("tag:tenant");
        }
        self.queue(&queue).await?;
        let command = format!("sleep {TAKES}");
        let loud: Vec<String> = (0..waiting.div_ceil(PER_JOB)).map(|n| format!("l-{n}")).collect();
        self.jobs(&loud, "tenant-loud", Some(&command)).await?;
        let quiet: Vec<String> = (0..QUIET).map(|n| format!("quiet-{n}")).collect();
        for name in &quiet {
            self.jobs(std::slice::from_ref(name), &format!("tenant-{name}"), Some(&command))
                .await?;
        }
        self.ask(&loud, PER_JOB).await?;
        let mut asking = JoinSet::new();
        for name in quiet.clone() {
            let client = Arc::clone(&self.client);
            asking.spawn(async move {
                let (began, path) = (Instant::now(), format!("/jobs/{name}/run"));
                let mut at = 0;
                while began.elapsed() < long {
                    at += 1;
                    let key = format!("{name}-{at}");
                    client.write(Method::POST, &path, Some(&json!({})), &key).await?;
                    sleep(BETWEEN).await;
                }
                Ok::<_, cluster_tests::harness::client::Error>(())
            });
        }
        for done in asking.join_all().await {
            done?;
        }
        let (mut waits, mut asked) = (Vec::new(), 0);
        for name in &quiet {
            let runs: Vec<Run> = self.client.list(&format!("/jobs/{name}/runs")).await?;
            asked += runs.len();
            let first = |run: &Run| Some(run.attempts.first()?.assigned_at.ms_since(run.fired_at));
            waits.extend(runs.iter().filter_map(first));
        }
        waits.sort_unstable();
        let at = |share: usize| waits.get(waits.len() * share / 100).copied();
        let ms = |ms: Option<i64>| ms.map_or("-".to_owned(), |ms| ms.to_string());
        println!(
            "| {} | nine quiet ones beside {waiting} of another | {} of {asked} | p50 {} ms, p99 \
             {} ms |",
            if fair { "yes" } else { "no" },
            waits.len(),
            ms(at(50)),
            ms(at(99)),
        );
        Ok(())
    }
}

/// The most of these times, which are in order, in any half open window of a length.
fn most_in(times: &[Moment], per_ms: i64) -> usize {
    let (mut first, mut most) = (0, 0);
    for (last, at) in times.iter().enumerate() {
        while times[first].plus_ms(per_ms) <= *at {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    most
}
