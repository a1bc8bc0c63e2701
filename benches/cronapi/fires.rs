//! Fires: how many a second, and how late.

use std::path::Path;
use std::time::{Duration, Instant};

use cronapi::machine::history::{self, unpack};
use cronapi::model::{Run, Timestamp};
use cronapi::storage::{Direction, Scan};
use hdrhistogram::Histogram;
use serde_json::json;

use crate::Failure;
use crate::node::{Node, create_all, spec};

const MEASURED: Duration = Duration::from_secs(20);

/// Jobs without a runner that are due every second: each fire is a decision, a run, a row of
/// history. Sustained means that the scheduler keeps up: lateness does not grow.
pub fn rate(path: &Path) -> Result<(), Failure> {
    println!(
        "{:>10} {:>12} {:>10} {:>10} {:>10}",
        "due/s", "fired/s", "p50 ms", "p99 ms", "max ms"
    );
    for due in [1_000, 5_000, 10_000, 20_000, 40_000] {
        let runtime = tokio::runtime::Runtime::new()?;
        let figures = runtime.block_on(sustained(&path.join(due.to_string()), due))?;
        println!("{due:>10} {figures}");
    }
    Ok(())
}

async fn sustained(path: &Path, jobs: u64) -> Result<String, Failure> {
    let node = Node::open(path, 4).await?;
    let specs = (0..jobs).filter_map(|n| {
        spec(json!({"name": format!("noop-{n}"), "expr": "* * * * * *", "jitter": "999ms"})).ok()
    });
    create_all(&node.consensus, specs).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = node.consensus.state().totals.fired;
    let (start, from) = (Instant::now(), cronapi::clock::now());
    tokio::time::sleep(MEASURED).await;
    let fired = node.consensus.state().totals.fired - before;
    let seconds = start.elapsed().as_secs_f64();
    let late = fired_late(&node, from).await?;
    node.stop().await?;
    Ok(format!("{:>12.0} {}", fired as f64 / seconds, quantiles(&late)))
}

/// From due to decided, of runs without a runner, from the newest rows of the feed.
async fn fired_late(node: &Node, from: Timestamp) -> Result<Histogram<u64>, Failure> {
    let mut late = Histogram::new(3)?;
    let state = node.consensus.state();
    for job in state.jobs.values().take(500) {
        let share = job.live.next.map_or(0, |next| next.due.micros() - next.nominal.micros());
        for run in runs(node, job.no).await? {
            let Some(nominal) = run.nominal_time.filter(|nominal| *nominal >= from) else {
                continue;
            };
            late.record((run.fired_at.micros() - nominal.micros() - share).max(0) as u64)?;
        }
    }
    Ok(late)
}

async fn runs(node: &Node, no: u32) -> Result<Vec<Run>, Failure> {
    let scan = Scan::prefix(&history::runs_prefix(no), Direction::Forward, 1_000);
    let rows = node.consensus.history().scan(scan).await?;
    rows.iter().map(|(_, value)| Ok(unpack(value)?)).collect()
}

fn quantiles(late: &Histogram<u64>) -> String {
    let ms = |quantile| late.value_at_quantile(quantile) as f64 / 1000.0;
    format!("{:>10.2} {:>10.2} {:>10.2}", ms(0.5), ms(0.99), late.max() as f64 / 1000.0)
}

/// 1,000 jobs a second, spread over each second, decided; and shell jobs, to their start.
pub fn lateness(path: &Path) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new()?;
    println!("{:>28} {:>10} {:>10} {:>10}", "", "p50 ms", "p99 ms", "max ms");
    let decided = runtime.block_on(sustained(&path.join("decided"), 1_000))?;
    let quantiles = decided.split_whitespace().skip(1).collect::<Vec<_>>();
    println!("{:>28} {}", "1,000 no-op/s, to decided", quantiles.join("       "));
    let started = runtime.block_on(shell_starts(&path.join("started"), 100))?;
    println!("{:>28} {started}", "100 shell/s, to started");
    Ok(())
}

/// From due to the start of the process.
async fn shell_starts(path: &Path, jobs: u64) -> Result<String, Failure> {
    let node = Node::open(path, 64).await?;
    let specs = (0..jobs).filter_map(|n| {
        spec(json!({
            "name": format!("shell-{n}"), "expr": "* * * * * *", "jitter": "999ms",
            "runner": {"type": "shell", "command": ":"},
        }))
        .ok()
    });
    create_all(&node.consensus, specs).await?;
    let from = cronapi::clock::now();
    tokio::time::sleep(MEASURED).await;
    let mut late = Histogram::<u64>::new(3)?;
    let state = node.consensus.state();
    for job in state.jobs.values() {
        let share = job.live.next.map_or(0, |next| next.due.micros() - next.nominal.micros());
        for run in runs(&node, job.no).await? {
            let (Some(nominal), Some(started)) = (run.nominal_time, run.started_at) else {
                continue;
            };
            if nominal >= from {
                late.record((started.micros() - nominal.micros() - share).max(0) as u64)?;
            }
        }
    }
    node.stop().await?;
    Ok(quantiles(&late))
}
