//! Edits, pauses, deletions and runs by hand while the clock runs and faults happen.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::mixed::{LOOSE, loose};
use super::{Definition, Record};
use crate::harness::client::Error;
use crate::moment::Moment;
use crate::random::Random;

/// Does operations on some of the loose jobs, one after the other, until `until`. Gives how
/// many were acknowledged.
///
/// # Errors
/// One was not acknowledged, although the cluster was up for long enough.
pub async fn operate(
    record: Arc<Record>,
    names: Vec<String>,
    mut random: Random,
    pace: Duration,
    until: Moment,
) -> Result<u64, Error> {
    let mut done = 0;
    let names: Vec<String> = names.into_iter().filter(|name| name.starts_with(LOOSE)).collect();
    while !names.is_empty() && Moment::now() < until {
        one(&record, random.of(&names).clone(), &mut random).await?;
        done += 1;
        // The pace of the workload, not a wait for something.
        let pause = pace.mul_f64(random.within(20, 180) as f64 / 100.0);
        sleep(pause.min(until.ahead())).await;
    }
    Ok(done)
}

async fn one(record: &Record, name: String, random: &mut Random) -> Result<(), Error> {
    let Some(now) = record.current(&name) else { return again(record, &name, random).await };
    if !now.enabled {
        return record.set_enabled(&now, true).await;
    }
    match random.within(0, 9) {
        0..=2 => record.update(edited(&now, record.generation(&name) + 1, random)).await,
        3..=4 => record.set_enabled(&now, false).await,
        5 => {
            record.delete(&name).await?;
            match random.chance(60) {
                true => again(record, &name, random).await,
                false => Ok(()),
            }
        }
        _ => record.trigger(&name).await,
    }
}

/// Half of the edits leave the schedule as it is. What the rules of overlap and retries
/// hang on stays, so that a run can be judged by its own version.
fn edited(now: &Definition, generation: u32, random: &mut Random) -> Definition {
    let drawn = loose(random, 0);
    Definition {
        schedule: if random.chance(50) { drawn.schedule } else { now.schedule },
        work: drawn.work,
        lasts_ms: now.lasts_ms.min(drawn.lasts_ms),
        misfire: drawn.misfire,
        window_s: drawn.window_s,
        priority: drawn.priority,
        generation,
        ..now.clone()
    }
}

async fn again(record: &Record, name: &str, random: &mut Random) -> Result<(), Error> {
    let generation = record.generation(name) + 1;
    record.create(Definition { name: name.to_string(), generation, ..loose(random, 0) }).await
}
