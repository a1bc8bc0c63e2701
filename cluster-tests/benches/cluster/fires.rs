//! Fires: how many a second three nodes keep up with, and how late they are.

use std::time::{Duration, Instant};

use cluster_tests::moment::Moment;
use serde_json::json;
use tokio::time::sleep;

use crate::bed::Bed;
use crate::late::{self, To};
use crate::stats::{QUANTILES, quantiles};
use crate::{Failure, Scale, conditions, jobs};

/// Jobs whose runs are looked at.
const SAMPLE: usize = 200;
/// From the last definition to the first measured fire.
const SETTLE: Duration = Duration::from_secs(3);

/// Jobs without a runner that are due every second, spread over it: as many on each new cluster.
pub async fn rate(scale: Scale) -> Result<(), Failure> {
    println!("{:>8} {:>9} {QUANTILES}   to the decision; cores of nodes", "due/s", "fired/s");
    for due in [2_000, 5_000, 10_000, 15_000] {
        let bed = Bed::start(scale).await?;
        // All at once: what fires already would hold the others up.
        let begin = Moment::secs(Moment::now().whole() + 10 + due as i64 / 1_000);
        let definition = |number| {
            let mut job = jobs::noop(number, true);
            job["start_at"] = json!(begin.to_string());
            job
        };
        jobs::apply(&bed.client, (0..due).map(definition)).await?;
        sleep(begin.ahead()).await;
        let told = window(&bed, due, true, scale).await?;
        println!("{due:>8} {told}");
        bed.end().await;
    }
    Ok(())
}

/// The line of a table: what fired in a while, how late, and the cores that took.
async fn window(bed: &Bed, due: usize, spread: bool, scale: Scale) -> Result<String, Failure> {
    let length = Duration::from_secs(scale.pick(8, 30));
    sleep(SETTLE).await;
    let leader = bed.leader().await?;
    let before = bed.status(leader).await?["totals"].clone();
    let (start, from, used) = (Instant::now(), Moment::now(), conditions::used(&bed.sandbox).1);
    sleep(length).await;
    let after = bed.status(leader).await?["totals"].clone();
    let (seconds, until) = (start.elapsed().as_secs_f64(), Moment::now());
    let used = (conditions::used(&bed.sandbox).1 - used).as_secs_f64();
    let grown = |name: &str| {
        let count = |totals: &serde_json::Value| totals[name].as_f64().unwrap_or_default();
        count(&after) - count(&before)
    };
    let names = (0..due).step_by((due / SAMPLE).max(1)).map(jobs::noop_name);
    let late = late::of_jobs(&bed.client, names, spread, To::Fired, (from, until)).await?;
    let (rate, cores) = (grown("fired") / seconds, used / seconds);
    let mut told = format!("{rate:>9.0} {} {cores:>8.2}", quantiles(&late));
    let left_out = grown("skipped") + grown("ranges") + grown("lost");
    if left_out > 0.0 {
        told.push_str(&format!("  {left_out} skipped or lost"));
    }
    Ok(told)
}

/// A thousand a second: spread over the second, all at its beginning, and as processes.
pub async fn lateness(scale: Scale) -> Result<(), Failure> {
    println!("{:>36} {:>9} {QUANTILES}", "", "fired/s");
    for (spread, name) in
        [(true, "1,000 spread over a second, decided"), (false, "1,000 at a time, decided")]
    {
        let bed = Bed::start(scale).await?;
        jobs::apply(&bed.client, (0..1_000).map(|number| jobs::noop(number, spread))).await?;
        println!("{name:>36} {}", window(&bed, 1_000, spread, scale).await?);
        bed.end().await;
    }
    let bed = Bed::start(scale).await?;
    let shell = |number: usize| {
        let mut job = jobs::noop(number, true);
        job["runner"] = json!({"type": "shell", "command": ":"});
        job
    };
    const SHELLS: usize = 100;
    jobs::apply(&bed.client, (0..SHELLS).map(shell)).await?;
    sleep(SETTLE).await;
    let from = Moment::now();
    sleep(Duration::from_secs(scale.pick(8, 30))).await;
    let span = (from, Moment::now());
    let names = (0..SHELLS).map(jobs::noop_name);
    let late = late::of_jobs(&bed.client, names, true, To::Started, span).await?;
    let rate = late.len() as f64 / (span.1.ms_since(span.0) as f64 / 1_000.0);
    println!("{:>36} {rate:>9.0} {}", "100 processes, started", quantiles(&late));
    bed.end().await;
    Ok(())
}
