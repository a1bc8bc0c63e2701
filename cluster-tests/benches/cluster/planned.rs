//! How late attempts start while leaders are killed, with starts planned ahead and without.

use std::time::Duration;

use cluster_tests::moment::Moment;
use serde_json::json;
use tokio::time::sleep;

use crate::bed::Bed;
use crate::{Failure, Scale, jobs, late, stats};

/// Jobs that start a process every second, spread over it.
const JOBS: usize = 40;
/// What is looked at before and after a kill.
const BEFORE: Duration = Duration::from_millis(500);
const AFTER: Duration = Duration::from_secs(2);
/// Between two kills, once the node is back and has caught up.
const REST: Duration = Duration::from_millis(700);
/// What nobody would call on time.
const LATE_MS: i64 = 100;

/// Kills the leader, again and again: all fires when they are due, then planned ahead.
pub async fn run(scale: Scale) -> Result<(), Failure> {
    let kills = scale.pick(5, 100);
    println!(
        "{kills} kills of the leader each {:>10} {} {:>12} {:>6}",
        "starts",
        stats::QUANTILES,
        "> 100 ms",
        "lost"
    );
    for (name, ahead) in [("when due", false), ("planned ahead", true)] {
        through_kills(scale, name, ahead, kills).await?;
    }
    Ok(())
}

async fn through_kills(scale: Scale, name: &str, ahead: bool, kills: usize) -> Result<(), Failure> {
    let bed = Bed::start_with(scale, ahead).await?;
    jobs::apply(&bed.client, (0..JOBS).map(starting)).await?;
    sleep(AFTER).await;
    let (mut all, mut late, mut lost) = (stats::histogram(), 0, 0);
    for _ in 0..kills {
        let leader = bed.leader().await?;
        let at = Moment::now();
        bed.cluster.kill(leader).await;
        sleep(AFTER).await;
        bed.cluster.up(leader).await;
        bed.whole().await?;
        sleep(REST).await;
        let millis = |span: Duration| span.as_millis() as i64;
        let span = (at.plus_ms(-millis(BEFORE)), at.plus_ms(millis(AFTER)));
        for run in late::fired(&bed.client, span).await? {
            let Some(nominal) = run.nominal_time else { continue };
            match run.started_at {
                Some(started) => {
                    let micros = started.0 - nominal.0 - jobs::share(&run.job);
                    late += usize::from(micros > LATE_MS * 1_000);
                    stats::record(&mut all, micros);
                }
                None => lost += 1,
            }
        }
    }
    println!("{name:>24} {:>17} {} {late:>12} {lost:>6}", all.len(), stats::quantiles(&all));
    bed.end().await;
    Ok(())
}

fn starting(number: usize) -> serde_json::Value {
    let mut job = jobs::noop(number, true);
    job["runner"] = json!({"type": "shell", "command": "true"});
    job
}
