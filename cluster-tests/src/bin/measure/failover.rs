//! The leader is killed, again and again, while links or disks are slow.

use std::time::Duration;

use cluster_tests::harness::{Client, Cluster, Place, Sandbox, Shape};
use cluster_tests::moment::Moment;
use reqwest::Method;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{Failure, conditions};

/// What is measured.
#[derive(clap::Args)]
pub struct Flags {
    /// Kills for each row.
    #[arg(long, default_value_t = 10)]
    kills: usize,
    /// Milliseconds of a round trip, a row each.
    #[arg(long, value_delimiter = ',', default_value = "1,20,60,120,200")]
    trips: Vec<u16>,
    /// Packets of a hundred that are lost with them.
    #[arg(long, default_value_t = 2)]
    loss: u8,
    /// Milliseconds that each sync takes more, a row each.
    #[arg(long, value_delimiter = ',', default_value = "60,120,500")]
    flushes: Vec<u64>,
}

/// Jobs that fire every second, spread over it: a fire every 20 ms or so.
const JOBS: usize = 50;
/// Until the nodes know how slow it is.
const SETTLE: Duration = Duration::from_secs(8);
/// Between two kills, once the node is back.
const REST: Duration = Duration::from_secs(2);
/// No fire after so long: it does not converge.
const CONVERGED: Duration = Duration::from_secs(120);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// What is slow.
#[derive(Clone, Copy)]
enum Slow {
    Trip { ms: u16, loss: u8 },
    Flush(Duration),
}

/// What one kill cost, in milliseconds from when the process had ended.
struct Outage {
    /// Until a node that stayed had applied a fire of the new leader.
    fire: u128,
    /// Until a write that was asked for there at once was acknowledged.
    write: u128,
}

/// Prints a row each.
pub async fn run(flags: &Flags) -> Result<(), Failure> {
    println!("{}, {} kills a row, in ms", conditions(), flags.kills);
    println!("| | next fire, median | worst | write elsewhere, median | worst | terms a kill |");
    println!("|---|---|---|---|---|---|");
    let trips = flags.trips.iter().map(|ms| Slow::Trip { ms: *ms, loss: flags.loss });
    let flushes = flags.flushes.iter().map(|ms| Slow::Flush(Duration::from_millis(*ms)));
    for slow in trips.chain(flushes) {
        row(slow, flags.kills).await?;
    }
    println!("{}", conditions());
    Ok(())
}

async fn row(slow: Slow, kills: usize) -> Result<(), Failure> {
    let sandbox = Sandbox::new();
    let shape = match slow {
        Slow::Trip { .. } => Shape { place: Place::Lab, ..Shape::loopback(3) },
        Slow::Flush(_) => Shape { shim: true, ..Shape::loopback(3) },
    };
    let cluster = Cluster::make(&sandbox, shape).map_err(Failure::NotHere)?;
    cluster.start().await;
    cluster.wait_whole().await;
    let jobs: Vec<_> = (0..JOBS)
        .map(|n| json!({"name": format!("job-{n}"), "expr": "* * * * * *", "jitter": "999ms"}))
        .collect();
    cluster.client().write(Method::POST, "/apply", Some(&json!(jobs)), "").await?;
    let what = match slow {
        Slow::Trip { ms, loss } => {
            cluster.lab().far_apart(ms, loss).map_err(Failure::NotHere)?;
            format!("round trip of {ms} ms, {loss} % lost")
        }
        Slow::Flush(pause) => {
            for node in cluster.indexes() {
                cluster.set_sync_pause(node, pause).await;
            }
            format!("a sync takes {} ms more", pause.as_millis())
        }
    };
    sleep(SETTLE).await;
    let before = term(&cluster).await;
    let mut outages = Vec::new();
    for _ in 0..kills {
        let outage = kill(&cluster).await.map_err(|why| Failure::Failed(format!("{what}: {why}")));
        outages.push(outage?);
    }
    let terms = (term(&cluster).await - before) as f64 / kills as f64;
    let (fire, write) = (spread(&outages, |it| it.fire), spread(&outages, |it| it.write));
    println!("| {what} | {} | {} | {} | {} | {terms:.1} |", fire.0, fire.1, write.0, write.1);
    for node in cluster.indexes() {
        cluster.kill(node).await;
    }
    Ok(())
}

async fn term(cluster: &Cluster) -> u64 {
    let mut newest = 0;
    for node in cluster.indexes() {
        let status = cluster.tells(node, "/system/status?consistency=local").await;
        newest = status.and_then(|told| told["term"].as_u64()).unwrap_or(0).max(newest);
    }
    newest
}

/// Kills whoever leads, looks from another node, and has it back.
async fn kill(cluster: &Cluster) -> Result<Outage, String> {
    let deadline = Instant::now() + CONVERGED;
    let leader = loop {
        match cluster.leader().await {
            Some(leader) => break leader,
            None if Instant::now() > deadline => return Err("nobody leads".to_owned()),
            None => sleep(LOOK).await,
        }
    };
    let stays = (leader + 1) % cluster.size();
    let (looks, writes) = (cluster.client_of(stays), cluster.client_of(stays));
    for client in [&looks, &writes] {
        client.prepare().await?;
    }
    cluster.kill(leader).await;
    let (began, at) = (Instant::now(), Moment::now());
    let (fire, write) = tokio::join!(next_fire(&looks, at, began), write(&writes, began));
    let outage = Outage { fire: fire?, write: write? };
    cluster.up(leader).await;
    cluster.wait_whole().await;
    sleep(REST).await;
    Ok(outage)
}

/// A fire that was decided after a time, as the node itself has applied it.
async fn next_fire(client: &Client, after: Moment, began: Instant) -> Result<u128, String> {
    let path = format!("/runs?after={after}&limit=1&consistency=local");
    loop {
        let answer = client.attempt(&Method::GET, &path, None, &[]).await;
        let last = match answer {
            Ok(answer) if answer.body["items"].as_array().is_some_and(|it| !it.is_empty()) => {
                return Ok(began.elapsed().as_millis());
            }
            other => format!("{other:?}"),
        };
        if began.elapsed() > CONVERGED {
            return Err(format!("no fire within {CONVERGED:?}: {last}"));
        }
        sleep(LOOK).await;
    }
}

async fn write(client: &Client, began: Instant) -> Result<u128, String> {
    let text = format!("{:?}", Moment::now());
    let (body, path) = (json!({"description": text}), "/jobs/written");
    loop {
        let last = match client.attempt(&Method::PUT, path, Some(&body), &[]).await {
            Ok(answer) if (200..300).contains(&answer.status) => {
                return Ok(began.elapsed().as_millis());
            }
            other => format!("{other:?}"),
        };
        if began.elapsed() > CONVERGED {
            return Err(format!("no write within {CONVERGED:?}: {last}"));
        }
        sleep(LOOK).await;
    }
}

/// The median and the worst.
fn spread(outages: &[Outage], pick: impl Fn(&Outage) -> u128) -> (u128, u128) {
    let mut values: Vec<u128> = outages.iter().map(pick).collect();
    values.sort_unstable();
    let at = |at: usize| values.get(at).copied().unwrap_or_default();
    (at(values.len() / 2), at(values.len().saturating_sub(1)))
}
