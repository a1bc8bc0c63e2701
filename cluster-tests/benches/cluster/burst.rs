//! 50,000 jobs that are due in the same second.

use std::time::Duration;

use cluster_tests::moment::Moment;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::bed::Bed;
use crate::{Failure, Scale, jobs, late};

const JOBS: usize = 50_000;
/// How long definitions may take, and how long runs.
const LEAD: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(300);

/// Once without a runner, and once as processes (fewer of them for a look).
pub async fn run(scale: Scale) -> Result<(), Failure> {
    println!("{:>24} {:>12} {:>12} {:>12}", "due at once", "decided, s", "started, s", "closed, s");
    let none = |_: usize| Value::Null;
    one(scale, JOBS, "jobs without a runner", none).await?;
    let shell = |_: usize| json!({"type": "shell", "command": ":"});
    one(scale, scale.pick(JOBS / 10, JOBS), "processes", shell).await
}

/// Prints when the last of them was decided, started and closed.
async fn one(
    scale: Scale,
    count: usize,
    what: &str,
    runner: impl Fn(usize) -> Value,
) -> Result<(), Failure> {
    let bed = Bed::start(scale).await?;
    let nominal = Moment::secs(Moment::now().whole() + LEAD.as_secs() as i64);
    let definition = |number: usize| {
        let mut job = json!({"name": format!("burst-{number}"), "expr": format!("@at {nominal}")});
        if !runner(number).is_null() {
            job["runner"] = runner(number);
        }
        job
    };
    jobs::apply(&bed.client, (0..count).map(definition)).await?;
    if Moment::now() > nominal {
        return Err(format!("definitions took longer than {LEAD:?}").into());
    }
    sleep(nominal.ahead()).await;
    let deadline = Instant::now() + PATIENCE;
    loop {
        sleep(Duration::from_millis(100)).await;
        let leader = bed.leader().await?;
        let totals = bed.status(leader).await?["totals"].clone();
        let closed = ["succeeded", "failed", "cancelled", "lost", "skipped"];
        let closed: u64 = closed.iter().filter_map(|name| totals[*name].as_u64()).sum();
        if closed >= count as u64 {
            break;
        }
        if Instant::now() > deadline {
            return Err(format!("not all are closed after {PATIENCE:?}: {totals}").into());
        }
    }
    let runs = late::fired(&bed.client, (nominal, Moment::now())).await?;
    let last = |of: fn(&late::Run) -> Option<Moment>| {
        let last = runs.iter().filter_map(of).max();
        last.map_or("-".into(), |last| format!("{:.2}", last.ms_since(nominal) as f64 / 1_000.0))
    };
    println!(
        "{:>24} {:>12} {:>12} {:>12}",
        format!("{} {what}", runs.len()),
        last(|run| Some(run.fired_at)),
        last(|run| run.started_at),
        last(|run| run.finished_at),
    );
    bed.end().await;
    Ok(())
}
