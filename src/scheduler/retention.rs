//! Lets history go: closed runs beyond a job's retention (their ledger rows stay until they
//! are old enough), what deleted jobs left, feed
//! blocks of which no run is left. In small steps, and never in the way of a fire.

use std::sync::Arc;
use std::time::Duration;

use crate::machine::command::TrimKey;
use crate::machine::history::{self, unpack};
use crate::machine::state::{FORMAT_OF_GUARDS, Grave, Job};
use crate::machine::{Op, State};
use crate::model::{Backfilled, JobNo, LedgerRow, Retention, Run, RunId, Timestamp, limits};
use crate::storage::{Direction, Error, Scan};

use super::Term;

mod alerts;
mod events;

/// From the end of one round over all jobs to the next.
const ROUND_EVERY: Duration = Duration::from_secs(30);
/// Between two jobs, so that a round is no burst.
const JOB_PAUSE: Duration = Duration::from_millis(2);
/// Rows in one command.
const ROWS_MAX: usize = 200;
/// Rows of output in one command; each takes up to 11 bytes of it.
const OUTPUTS_MAX: usize = 10_000;
/// Versions of a definition that are kept.
const VERSIONS_MAX: u64 = 100;

/// Runs until the term ends.
pub(super) async fn run(duties: &Term) {
    loop {
        tokio::time::sleep(ROUND_EVERY).await;
        if let Err(error) = round(duties).await {
            tracing::warn!(%error, "retention could not read the history");
        }
    }
}

async fn round(duties: &Term) -> Result<(), Error> {
    let state = duties.consensus.state();
    for no in state.deleted.iter() {
        gone(duties, *no).await?;
    }
    for no in state.graves.by_no.keys() {
        buried(duties, *no).await?;
    }
    for no in state.jobs.keys() {
        // The others come in the next step: what is held at once stays small.
        while let Some(job) = duties.consensus.state().jobs.get(no).map(Kept::of) {
            let keys = excess(duties, &job).await?;
            let more = keys.iter().map(rows_of).sum::<usize>() > OUTPUTS_MAX;
            let done = trim(duties, keys).await;
            tokio::time::sleep(JOB_PAUSE).await;
            if !done || !more {
                break;
            }
        }
        tasks(duties, *no).await?;
    }
    feed(duties, &state).await?;
    alerts::round(duties).await?;
    events::round(duties).await
}

/// What a deleted job left stays as long as it would have, had it been kept. Once all of it is
/// older than that, the job is forgotten, and the next round removes what is left.
async fn buried(duties: &Term, no: JobNo) -> Result<(), Error> {
    loop {
        let state = duties.consensus.state();
        let Some(grave) = state.graves.by_no.get(&no) else { return Ok(()) };
        let horizon = duties.clock.now().minus(grave.retention.age);
        let over = grave.deleted_at < horizon && state.open_of(no).next().is_none();
        let last = grave.live.last_run.map_or(grave.deleted_at, |run| run.finished_at);
        if over && last < horizon {
            trim(duties, vec![TrimKey::Forget { no }]).await;
            return Ok(());
        }
        let keys = excess(duties, &Kept::of_deleted(grave)).await?;
        let more = keys.iter().map(rows_of).sum::<usize>() > OUTPUTS_MAX;
        let done = trim(duties, keys).await;
        tokio::time::sleep(JOB_PAUSE).await;
        if !done || !more {
            return tasks(duties, no).await;
        }
    }
}

/// Runs of tasks go with the workflow's run that they were a part of: those that are older than all
/// of its runs that are left, since a task is not there before its workflow's run has its time.
async fn tasks(duties: &Term, no: JobNo) -> Result<(), Error> {
    let state = duties.consensus.state();
    let Some(tasks) = state.task_numbers.of_job.get(&no).copied() else { return Ok(()) };
    let closed = runs(duties, no, 1).await?.first().map(|run| run.id.millis());
    let open = state.open_of(no).map(|open| open.run.id.millis()).min();
    let begun = duties.clock.now().minus(limits::MISFIRE_GRACE).millis();
    let oldest = closed.into_iter().chain(open).chain([begun]).min().unwrap_or(begun);
    loop {
        let (mut keys, mut rows) = (Vec::new(), 0);
        for run in runs(duties, tasks, ROWS_MAX).await? {
            if run.id.millis() >= oldest || rows > OUTPUTS_MAX {
                break;
            }
            let outputs = outputs(duties, run.id).await?;
            rows += outputs.len();
            keys.push(TrimKey::Run { id: run.id, outputs, ledger: None });
        }
        if keys.is_empty() || !trim(duties, keys).await {
            return Ok(());
        }
        tokio::time::sleep(JOB_PAUSE).await;
    }
}

/// What is kept of a job, and how much may be.
struct Kept {
    no: JobNo,
    version: u64,
    /// Closed runs.
    runs: u64,
    retention: Retention,
}

impl Kept {
    fn of(job: &Arc<Job>) -> Self {
        let (no, version, runs) = (job.no, job.version, job.live.kept);
        Kept { no, version, runs, retention: job.spec.retention() }
    }

    fn of_deleted(grave: &Grave) -> Self {
        let (no, version, runs) = (grave.no, grave.version, grave.live.kept);
        Kept { no, version, runs, retention: grave.retention.clone() }
    }
}

/// Whether all of them are removed. What is not is found again in the next round.
async fn trim(duties: &Term, keys: Vec<TrimKey>) -> bool {
    let format = duties.consensus.state().format();
    for part in parts(keys, format) {
        let command = duties.command(Op::Trim { keys: part });
        if let Err(error) = duties.consensus.submit(command).await {
            tracing::debug!(%error, "history could not be let go");
            return false;
        }
    }
    true
}

/// Rows that a key removes.
fn rows_of(key: &TrimKey) -> usize {
    match key {
        TrimKey::Run { outputs: rows, .. } | TrimKey::Output { rows, .. } => 1 + rows.len(),
        TrimKey::Events { rows, .. } => 1 + rows.len(),
        TrimKey::Backfilled { runs } => runs.len(),
        TrimKey::Alerts { notices, incidents } => 1 + notices.len() + incidents.len(),
        _ => 1,
    }
}

/// Cuts keys into commands that fit the log.
fn parts(keys: Vec<TrimKey>, format: u32) -> Vec<Vec<TrimKey>> {
    let mut parts: Vec<Vec<TrimKey>> = Vec::new();
    let mut rows = 0;
    for key in keys.into_iter().flat_map(|key| pages(key, format)) {
        let own = rows_of(&key);
        match parts.last_mut() {
            Some(part) if part.len() < ROWS_MAX && rows + own <= OUTPUTS_MAX => {
                rows += own;
                part.push(key);
            }
            _ => {
                rows = own;
                parts.push(vec![key]);
            }
        }
    }
    parts
}

/// A run with more output than one command can name, in several. The run goes with the last:
/// what a leader leaves undone is found by it.
fn pages(key: TrimKey, format: u32) -> Vec<TrimKey> {
    let (id, outputs, ledger) = match key {
        TrimKey::Run { id, outputs, ledger } if outputs.len() > OUTPUTS_MAX => {
            (id, outputs, ledger)
        }
        key => return vec![key],
    };
    let mut pages: Vec<Vec<_>> = outputs.chunks(OUTPUTS_MAX).map(<[_]>::to_vec).collect();
    if format < FORMAT_OF_GUARDS {
        let page = |outputs| TrimKey::Run { id, outputs, ledger: ledger.clone() };
        return pages.into_iter().map(page).collect();
    }
    let last = pages.pop().unwrap_or_default();
    let before = pages.into_iter().map(|rows| TrimKey::Output { id, rows });
    before.chain([TrimKey::Run { id, outputs: last, ledger }]).collect()
}

/// Rows of a job that its retention no longer wants.
async fn excess(duties: &Term, job: &Kept) -> Result<Vec<TrimKey>, Error> {
    let retention = &job.retention;
    let horizon = duties.clock.now().minus(retention.age);
    let surplus = job.runs.saturating_sub(u64::from(retention.count)) as usize;
    let (mut keys, mut rows) = (Vec::new(), 0);
    let oldest = runs(duties, job.no, surplus.clamp(ROWS_MAX, 2_000)).await?;
    let mut bytes_over = bytes_over(duties, job, retention.bytes).await?;
    for (at, run) in oldest.iter().enumerate() {
        let old = run.finished_at.is_some_and(|finished| finished < horizon);
        if (at >= surplus && !old && bytes_over == 0) || rows > OUTPUTS_MAX {
            break;
        }
        bytes_over = bytes_over.saturating_sub(run.log_bytes);
        let ledger = history::ledger_of(run).map(Box::new);
        let outputs = outputs(duties, run.id).await?;
        rows += outputs.len();
        keys.push(TrimKey::Run { id: run.id, outputs, ledger });
    }
    keys.extend(ledger(duties, job.no, horizon).await?);
    keys.extend(backfilled(duties, job.no, horizon).await?);
    let versions = job.version.saturating_sub(VERSIONS_MAX);
    let prefix = history::versions_prefix(job.no);
    let first = scan(duties, &prefix, 1).await?.first().and_then(|(key, _)| version_of(key));
    if let Some(first) = first {
        let range = first..=versions;
        keys.extend(range.map(|version| TrimKey::Version { no: job.no, version }));
    }
    Ok(keys)
}

fn version_of(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(5..13)?.try_into().ok()?))
}

async fn bytes_over(duties: &Term, job: &Kept, most: Option<u64>) -> Result<u64, Error> {
    let Some(most) = most else { return Ok(0) };
    let kept: u64 = runs(duties, job.no, 10_000).await?.iter().map(|run| run.log_bytes).sum();
    Ok(kept.saturating_sub(most))
}

async fn runs(duties: &Term, no: JobNo, most: usize) -> Result<Vec<Run>, Error> {
    let rows = scan(duties, &history::runs_prefix(no), most).await?;
    Ok(rows.iter().filter_map(|(_, value)| unpack(value).ok()).collect())
}

async fn outputs(duties: &Term, id: RunId) -> Result<Vec<(u32, u32)>, Error> {
    let prefix = history::output_prefix(id);
    let (mut found, mut last): (Vec<_>, Option<Vec<u8>>) = (Vec::new(), None);
    loop {
        let mut asked = Scan::prefix(&prefix, Direction::Forward, OUTPUTS_MAX);
        if let Some(last) = &last {
            asked = asked.after(last);
        }
        let rows = duties.consensus.history().scan(asked).await?;
        found.extend(rows.iter().filter_map(|(key, _)| history::output_key_parts(key)));
        match rows.last() {
            Some((key, _)) if rows.len() == OUTPUTS_MAX => last = Some(key.to_vec()),
            _ => return Ok(found),
        }
    }
}

async fn ledger(duties: &Term, no: JobNo, horizon: Timestamp) -> Result<Vec<TrimKey>, Error> {
    let rows = scan(duties, &history::ledger_prefix(no), ROWS_MAX).await?;
    let old = rows
        .iter()
        .filter_map(|(_, value)| unpack::<LedgerRow>(value).ok())
        .take_while(|row| row.until.unwrap_or(row.nominal_time) < horizon)
        .map(|row| TrimKey::Ledger { no, nominal: row.nominal_time });
    Ok(old.collect())
}

/// What is kept of runs that backfills made and that ended before `horizon`. Their order is that of
/// the times they ran for, so all of them are walked over, some in each round.
async fn backfilled(
    duties: &Term,
    no: JobNo,
    horizon: Timestamp,
) -> Result<Option<TrimKey>, Error> {
    let mut scan = Scan::prefix(&history::backfilled_prefix(no), Direction::Forward, OUTPUTS_MAX);
    loop {
        let rows = duties.consensus.history().scan(scan.clone()).await?;
        let read = rows.iter().filter_map(|(_, value)| unpack::<Backfilled>(value).ok());
        let old = read.filter(|row| row.at < horizon).map(|row| row.run_id);
        let runs: Vec<RunId> = old.take(10 * ROWS_MAX).collect();
        if !runs.is_empty() {
            return Ok(Some(TrimKey::Backfilled { runs }));
        }
        match rows.last() {
            Some((last, _)) if rows.len() == OUTPUTS_MAX => scan = scan.after(last),
            _ => return Ok(None),
        }
    }
}

/// What a deleted job left.
async fn gone(duties: &Term, no: JobNo) -> Result<(), Error> {
    let state = duties.consensus.state();
    let tasks = state.task_numbers.of_job.get(&no).copied();
    loop {
        let (mut keys, mut rows) = (Vec::new(), 0);
        let mut left = match tasks {
            Some(tasks) => runs(duties, tasks, ROWS_MAX).await?,
            None => Vec::new(),
        };
        if left.is_empty() {
            left = runs(duties, no, ROWS_MAX).await?;
        }
        for run in left {
            let outputs = outputs(duties, run.id).await?;
            rows += outputs.len();
            keys.push(TrimKey::Run { id: run.id, outputs, ledger: None });
            // The others come in the next step: what is held at once stays small.
            if rows > OUTPUTS_MAX {
                break;
            }
        }
        keys.extend(ledger(duties, no, Timestamp::MAX).await?);
        keys.extend(backfilled(duties, no, Timestamp::MAX).await?);
        let versions = scan(duties, &history::versions_prefix(no), ROWS_MAX).await?;
        let numbers = versions.iter().filter_map(|(key, _)| version_of(key));
        keys.extend(numbers.map(|version| TrimKey::Version { no, version }));
        if keys.is_empty() {
            trim(duties, vec![TrimKey::Gone { no }]).await;
            return Ok(());
        }
        if !trim(duties, keys).await {
            return Ok(());
        }
        tokio::time::sleep(JOB_PAUSE).await;
    }
}

/// Blocks of the feed of which no run is left, oldest first.
async fn feed(duties: &Term, _state: &State) -> Result<(), Error> {
    let mut keys = Vec::new();
    for (key, value) in scan(duties, b"f", ROWS_MAX).await? {
        let ids: Vec<RunId> = unpack(&value).unwrap_or_default();
        for id in ids {
            if duties.consensus.history().get(&history::run_key(id)).await?.is_some() {
                trim(duties, keys).await;
                return Ok(());
            }
        }
        keys.extend(history::block_first(&key).map(|first| TrimKey::Feed { first }));
    }
    trim(duties, keys).await;
    Ok(())
}

async fn scan(
    duties: &Term,
    prefix: &[u8],
    limit: usize,
) -> Result<Vec<(Vec<u8>, Vec<u8>)>, Error> {
    let scan = Scan::prefix(prefix, Direction::Forward, limit);
    let rows = duties.consensus.history().scan(scan).await?;
    Ok(rows.into_iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Command;

    #[test]
    fn what_is_let_go_fits_the_log_however_much_was_written() {
        // 250 runs of an hour each that wrote all the time, and one of a day.
        let run = |n: u64, rows: u32| TrimKey::Run {
            id: RunId::new(Timestamp::from_secs(1), 7, n),
            outputs: (0..rows).map(|row| (1, row * 20_000)).collect(),
            ledger: None,
        };
        let mut keys: Vec<TrimKey> = (0..250).map(|n| run(n, 7_200)).collect();
        keys.push(run(250, 172_800));
        let all: usize = 250 * 7_200 + 172_800;
        let (mut seen, mut runs) = (0, 0);
        for part in parts(keys, FORMAT_OF_GUARDS) {
            for key in &part {
                match key {
                    TrimKey::Run { .. } => runs += 1,
                    TrimKey::Output { .. } => assert_eq!(runs, 250, "the run goes last"),
                    other => panic!("{other:?}"),
                }
                seen += rows_of(key) - 1;
            }
            let op = Op::Trim { keys: part };
            let command = Command { at: Timestamp::from_secs(1), actor: None, request: None, op };
            let bytes = rmp_serde::to_vec_named(&command).unwrap().len();
            assert!(bytes <= 200 * 1024, "{bytes} bytes");
        }
        assert_eq!((seen, runs), (all, 251));
    }
}
