//! A node starts with much behind it, and one that lost everything gets it from the others.

use std::time::Duration;

use bytes::Bytes;
use cluster_tests::harness::Client;
use hyper::Method;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::bed::Bed;
use crate::{Failure, Scale, jobs};

/// Jobs that fire every second until there are enough run records.
const FIRING: usize = 5_000;
const PATIENCE: Duration = Duration::from_secs(900);
/// Between two of the writes that go on meanwhile.
const PACE: Duration = Duration::from_millis(5);

/// Fills a cluster, then restarts a follower, kills it, and takes its disk away.
pub async fn run(scale: Scale) -> Result<(), Failure> {
    let (idle, records) = (scale.pick(20_000, 100_000), scale.pick(100_000, 1_000_000));
    let bed = Bed::start(scale).await?;
    fill(&bed, idle, records).await?;
    let leader = bed.leader().await?;
    let node = (leader + 1) % bed.cluster.size();
    bed.cluster.terminate(node).await;
    start(&bed, node, "after a stop").await?;
    bed.cluster.kill(node).await;
    start(&bed, node, "after kill -9").await?;
    let (stop, stopped) = watch::channel(false);
    let mut line = bed.line(leader).await?;
    let writes = tokio::spawn(async move {
        let (mut count, mut longest) = (0_u64, Duration::ZERO);
        while !*stopped.borrow() {
            let body = Bytes::from(format!(r#"{{"description": "{count}"}}"#));
            let begin = Instant::now();
            let written = line.done(Method::PUT, "/jobs/written", body).await;
            written.map_err(|error| error.to_string())?;
            (count, longest) = (count + 1, longest.max(begin.elapsed()));
            sleep(PACE).await;
        }
        Ok::<_, String>((count, longest.as_millis()))
    });
    bed.cluster.kill(node).await;
    bed.cluster.wipe(node).await;
    start(&bed, node, "with an empty disk").await?;
    stop.send_replace(true);
    let (count, longest) = writes.await??;
    println!("{count} writes went on meanwhile; the longest took {longest} ms");
    bed.end().await;
    Ok(())
}

async fn fill(bed: &Bed, idle: usize, records: u64) -> Result<(), Failure> {
    let begin = Instant::now();
    let definition = |number: usize| {
        json!({
            "name": format!("idle-{number}"), "expr": format!("{} 3 1 1 *", number % 60),
            "runner": {"type": "shell", "command": format!("/usr/local/bin/task {number}")},
            "tags": ["bench"], "timeout": "5m",
        })
    };
    jobs::apply(&bed.client, (0..idle).map(definition)).await?;
    let created = begin.elapsed().as_secs_f64();
    let noops = |enabled: bool| {
        (0..FIRING).map(move |number| {
            let mut job = jobs::noop(number, true);
            job["enabled"] = json!(enabled);
            job
        })
    };
    jobs::apply(&bed.client, noops(true)).await?;
    let deadline = begin + PATIENCE;
    let leader = bed.leader().await?;
    let mut closed = 0;
    while closed < records && Instant::now() < deadline {
        sleep(Duration::from_millis(500)).await;
        closed = bed.status(leader).await?["totals"]["succeeded"].as_u64().unwrap_or_default();
    }
    jobs::apply(&bed.client, noops(false)).await?;
    let took = begin.elapsed().as_secs_f64();
    let disk = bed.status(leader).await?["storage"].clone();
    println!(
        "{idle} idle jobs in {created:.1} s; {FIRING} firing ones and {closed} run records after \
         {took:.0} s; disk of the leader {disk}"
    );
    Ok(())
}

/// Starts a node and prints how long it takes until it is ready, and until it has all.
async fn start(bed: &Bed, node: usize, what: &str) -> Result<(), Failure> {
    let leader = bed.leader().await?;
    let goal = bed.status(leader).await?;
    let client: Client = bed.cluster.client_of(node);
    let begin = Instant::now();
    bed.cluster.up(node).await;
    let ready = begin.elapsed().as_secs_f64();
    let whole = loop {
        let path = "/system/status";
        let status: Value = client.get(path).await?;
        if status["applied_index"].as_u64() >= goal["applied_index"].as_u64()
            && status["jobs"] == goal["jobs"]
        {
            break begin.elapsed().as_secs_f64();
        }
        if begin.elapsed() > PATIENCE {
            return Err(format!("node {node} is still behind: {status}").into());
        }
        sleep(Duration::from_millis(20)).await;
    };
    println!("{what}: ready after {ready:.2} s, has everything after {whole:.2} s");
    Ok(())
}
