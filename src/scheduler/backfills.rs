//! Leads backfills on: which of their times need a run stands in the schedule and in the history,
//! which only the leader reads; `apply` makes the runs, and refuses what was worked out at another
//! place than the one it has reached.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::machine::State;
use crate::machine::past::Past;
use crate::machine::plan::backfill::{self, Ahead};
use crate::machine::prepare::timing::Timing;
use crate::machine::state::{Backfill, Job};
use crate::model::{BackfillId, BackfillStatus, JobNo, Timestamp};
use crate::storage::{Direction, Error, Scan};

use super::Term;

/// Between two looks at least, and at most.
const PAUSE: Duration = Duration::from_millis(20);
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Rows read at a time.
const ROWS: usize = 256;

/// Compiled schedules of the backfills that go on.
type Timings = BTreeMap<BackfillId, Arc<Timing>>;

/// Runs until the term ends.
pub(super) async fn run(duties: &Term) {
    let mut applied = duties.consensus.applied();
    let mut timings = Timings::new();
    loop {
        applied.borrow_and_update();
        let state = duties.consensus.state();
        let open: Vec<BackfillId> = state.backfills.open.iter().map(|(_, id)| *id).collect();
        timings.retain(|id, _| open.contains(id));
        drop(state);
        for id in open {
            if let Err(error) = lead_on(duties, &mut timings, id).await {
                tracing::warn!(%error, backfill = id, "a backfill could not read the history");
            }
        }
        // Rates and clocks move without an entry too.
        let _ = tokio::time::timeout(LOOK_EVERY, applied.changed()).await;
        tokio::time::sleep(PAUSE).await;
    }
}

async fn lead_on(duties: &Term, timings: &mut Timings, id: BackfillId) -> Result<(), Error> {
    let state = duties.consensus.state();
    let Some(backfill) = state.backfills.all.get(&id).cloned() else { return Ok(()) };
    let Some(job) = state.jobs.get(&backfill.no).cloned() else { return Ok(()) };
    let now = duties.clock.now();
    let room = backfill.room(now.max(state.last_at));
    if backfill.status != BackfillStatus::Running || backfill.is_exhausted() || room == 0 {
        return Ok(());
    }
    let Some(timing) = timing(timings, &backfill, &job) else { return Ok(()) };
    let ahead = backfill::ahead(&backfill, &timing);
    let past = past(duties, &state, &job, &ahead, now).await?;
    let Some(op) = backfill::step(&backfill, &timing, &past, &ahead, (room, now)) else {
        return Ok(());
    };
    let command = duties.command(op);
    if let Err(error) = duties.consensus.propose(duties.term, vec![command]).await {
        tracing::debug!(%error, backfill = id, "a step of a backfill comes later");
    }
    Ok(())
}

fn timing(timings: &mut Timings, backfill: &Backfill, job: &Job) -> Option<Arc<Timing>> {
    if let Some(timing) = timings.get(&backfill.id) {
        return Some(timing.clone());
    }
    let spec = backfill.spec.as_deref()?;
    let timing = Arc::new(Timing::compile(spec, job.created_at).ok().flatten()?);
    timings.insert(backfill.id, timing.clone());
    Some(timing)
}

/// What became of those times.
async fn past(
    duties: &Term,
    state: &State,
    job: &Job,
    ahead: &Ahead,
    now: Timestamp,
) -> Result<Past, Error> {
    let mut past = Past::of(state, job, now);
    let Some((from, to)) = ahead.range() else { return Ok(past) };
    read(duties, job.no, from, to, &mut past).await?;
    Ok(past)
}

async fn read(
    duties: &Term,
    no: JobNo,
    from: Timestamp,
    to: Timestamp,
    past: &mut Past,
) -> Result<(), Error> {
    for (from, to) in Past::asks(no, from, to) {
        let mut scan = Scan { from, to, direction: Direction::Forward, limit: ROWS };
        loop {
            let rows = duties.consensus.history().scan(scan.clone()).await?;
            for (key, value) in &rows {
                // Left out, a time that was fired would look like one that is missing.
                past.take(key, value).map_err(|error| Error::Damaged {
                    what: "a row of the history".to_owned(),
                    reason: error.to_string(),
                })?;
            }
            match rows.last() {
                Some((last, _)) if rows.len() == ROWS => scan = scan.after(last),
                _ => break,
            }
        }
    }
    Ok(())
}
