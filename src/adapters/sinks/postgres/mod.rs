//! The type `postgres`: run history and ledger as rows.
//!
//! One transaction moves the sink's row of `cronapi.positions`, where its fence is not newer
//! and its place is the one that this node left, and writes the rows of what happened in between.
//! Rows are keyed by what they tell of: the same ones written again change nothing. A batch whose
//! answer was lost is seen in the place, and what is set back is simply written once more.
//!
//! Owns: the connection, who may write, the copy of the history of before. The rows themselves are
//! in `rows`, the tables in `schema`.
//!
//! To add a column: a line in `schema.sql` and what alters older tables, the next version in
//! `schema`, its place in `rows`. A view: `schema.sql`, `schema`, docs/sinks.md.

mod address;
mod begin;
mod rows;
mod schema;

use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Transaction};

use self::begin::{Plan, There};
use self::rows::Rows;
use super::line::Line;
use crate::adapters::connect::bounded;
use crate::adapters::kept::position_of;
use crate::causes;
use crate::consensus::Handle;
use crate::executor::runner::RunnerEnv;
use crate::machine::State;
use crate::machine::history::{ledger_key, run_key, unpack};
use crate::machine::state::{Duty, EventRows};
use crate::model::{JobNo, JobUid, LedgerRow, Name, Position, Run, RunId};
use crate::storage::{Direction, Pair, Scan};

/// As faults call it.
const WHO: &str = "PostgreSQL";
/// Rows of the history that are read and written at a time: each may have a large result.
const PIECE: usize = 128;

/// Takes the sink, unless a newer fence has it.
const THERE: &str = "SELECT fence, entry, sub, filling FROM cronapi.positions \
    WHERE cluster = $1 AND sink = $2 FOR UPDATE";
const TAKE: &str = "INSERT INTO cronapi.positions (cluster, sink, fence, entry, sub, filling) \
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (cluster, sink) DO UPDATE SET \
    fence = excluded.fence, entry = excluded.entry, sub = excluded.sub, \
    filling = excluded.filling, moved_at = now()";
const MOVE: &str = "UPDATE cronapi.positions SET fence = $3, entry = $6, sub = $7, \
    filling = CASE WHEN $8 THEN ''::bytea ELSE filling END, moved_at = now() \
    WHERE cluster = $1 AND sink = $2 AND fence <= $3 AND entry = $4 AND sub = $5";
const FILL: &str = "UPDATE cronapi.positions SET fence = $3, filling = $5, moved_at = now() \
    WHERE cluster = $1 AND sink = $2 AND fence <= $3 AND filling = $4";
const CHECK: &str = "SELECT FROM cronapi.positions WHERE cluster = $1 AND sink = $2 \
    AND fence = $3 AND entry = $4 AND sub = $5 \
    AND to_regclass('cronapi.runs') IS NOT NULL AND to_regclass('cronapi.ledger') IS NOT NULL";

/// The place of an event.
type Place = (u64, u32);
type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// A connection to the tables; it is dropped after any fault.
pub(super) struct Tables {
    client: Client,
    driver: JoinHandle<()>,
    consensus: Handle,
    cluster: String,
    sink: String,
    fence: i64,
    /// Only of these jobs; empty: of all.
    jobs: Vec<String>,
    /// What addresses of pages begin with.
    pages: String,
    /// The last key of the history of before that was copied; none: all of it is there.
    filling: Option<Vec<u8>>,
    /// How rows are written: of runs, of runs that are gone, of the ledger.
    upserts: [String; 3],
}

impl Drop for Tables {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// What a sink is written with.
pub(super) struct Wanted {
    pub consensus: Handle,
    pub url: String,
    pub sink: Name,
    pub jobs: Vec<String>,
    pub pages: String,
}

impl Tables {
    /// Connects, makes the tables where they are not, and takes the sink. Gives where it goes on,
    /// and what people should know.
    pub async fn open(
        wanted: Wanted,
        env: &RunnerEnv,
        duty: &Duty,
        events: EventRows,
    ) -> Result<(Self, Position, Option<String>), String> {
        let (client, driver) = bounded(WHO, address::connect(&wanted.url, env)).await?;
        let cluster = wanted.consensus.status().cluster_id;
        let mut tables = Tables {
            client,
            driver,
            consensus: wanted.consensus,
            cluster,
            sink: wanted.sink.to_string(),
            fence: signed(duty.fence),
            jobs: wanted.jobs,
            pages: wanted.pages,
            filling: None,
            upserts: [
                rows::upsert("runs", rows::RUNS, 1, true),
                rows::upsert("runs", rows::RUNS, 1, false),
                rows::upsert("ledger", rows::LEDGER, 2, true),
            ],
        };
        schema::ensure(&mut tables.client).await?;
        let Plan { at, lost, filling } = tables.take(duty, events).await?;
        tables.filling = filling;
        Ok((tables, at, lost))
    }

    async fn take(&mut self, duty: &Duty, events: EventRows) -> Result<Plan, String> {
        let applied = *self.consensus.applied().borrow();
        let (consensus, fence) = (self.consensus.clone(), self.fence);
        let alone = ask(self.client.transaction()).await?;
        let me: [Parameter<'_>; 3] =
            [(&self.cluster, Type::TEXT), (&self.sink, Type::TEXT), (&fence, Type::INT8)];
        let there = ask(alone.query_typed(THERE, &me[..2])).await?;
        let there = there.first().map(There::read).transpose()?;
        let mut plan = begin::plan(there.as_ref(), duty, events, applied)?;
        if events.covers(plan.at.place()) && plan.at.number == 0 {
            let at = position_of(consensus.history(), plan.at.place(), events.last).await;
            plan.at = at.map_err(|e| format!("the history can't be read: {e}"))?;
        }
        let (entry, sub) = numbers(plan.at.place());
        let [cluster, sink, fence] = me;
        let place = [(&entry as &(dyn ToSql + Sync), Type::INT8), (&sub, Type::INT8)];
        let [entry, sub] = place;
        let taken = [cluster, sink, fence, entry, sub, (&plan.filling, Type::BYTEA)];
        ask(alone.query_typed(TAKE, &taken)).await?;
        ask(alone.commit()).await?;
        Ok(plan)
    }

    /// Copies a piece of the history of before; none: there is nothing to copy.
    pub async fn fill(&mut self) -> Result<Option<u64>, String> {
        let Some(done) = self.filling.clone() else { return Ok(None) };
        // Rows of the ledger come first, as their letter does.
        let of_runs = done.first() == Some(&b'r');
        let prefix: &[u8] = if of_runs { b"r" } else { b"l" };
        let mut scan = Scan::prefix(prefix, Direction::Forward, PIECE);
        if !done.is_empty() {
            scan = scan.after(&done);
        }
        let found = self.consensus.history().scan(scan).await;
        let found = found.map_err(|e| format!("the history can't be read: {e}"))?;
        let next = match found.last() {
            Some((last, _)) if found.len() == PIECE => Some(last.clone()),
            _ if of_runs => None,
            _ => Some(b"r".to_vec()),
        };
        let rows = self.rows_of(&found, of_runs)?;
        let alone = ask(self.client.transaction()).await?;
        let values: [Parameter<'_>; 5] = [
            (&self.cluster, Type::TEXT),
            (&self.sink, Type::TEXT),
            (&self.fence, Type::INT8),
            (&done, Type::BYTEA),
            (&next, Type::BYTEA),
        ];
        moved(ask(alone.execute_typed(FILL, &values)).await?)?;
        put(&alone, &self.cluster, &rows, [&self.upserts[0], &self.upserts[2]]).await?;
        ask(alone.commit()).await?;
        self.filling = next;
        Ok(Some(rows.len()))
    }

    fn rows_of(&self, found: &[Pair], of_runs: bool) -> Result<Rows, String> {
        let state = self.consensus.state();
        let mut rows = Rows::default();
        for (key, value) in found {
            if of_runs {
                let run: Run = read(value)?;
                if self.takes(&run.job) {
                    rows.run(&run, &self.pages);
                }
            } else {
                let no = key.get(1..5).and_then(|no| no.try_into().ok()).map(u32::from_be_bytes);
                let job = no.and_then(|no| job_of(&state, no));
                if let Some((uid, name)) = job.filter(|(_, name)| self.takes(name)) {
                    rows.ledger(uid, &name, &read(value)?);
                }
            }
        }
        Ok(rows)
    }

    fn takes(&self, job: &Name) -> bool {
        self.jobs.is_empty() || self.jobs.iter().any(|wanted| wanted == job.as_str())
    }

    /// Writes what events tell of; from then on everything up to `up_to` is there. Gives how many
    /// rows that were.
    pub async fn add(&mut self, from: Place, lines: &[Line], up_to: Place) -> Result<u64, String> {
        // What is gone as an event may still be there as a run.
        let anew = lines.iter().any(Line::is_gap);
        let times = self.times(lines).await?;
        let (from, to) = (numbers(from), numbers(up_to));
        let alone = ask(self.client.transaction()).await?;
        let values: [Parameter<'_>; 8] = [
            (&self.cluster, Type::TEXT),
            (&self.sink, Type::TEXT),
            (&self.fence, Type::INT8),
            (&from.0, Type::INT8),
            (&from.1, Type::INT8),
            (&to.0, Type::INT8),
            (&to.1, Type::INT8),
            (&anew, Type::BOOL),
        ];
        moved(ask(alone.execute_typed(MOVE, &values)).await?)?;
        let (kept, upserts) = ([&self.upserts[0], &self.upserts[2]], &self.upserts);
        put(&alone, &self.cluster, &times, kept).await?;
        let mut count = times.len();
        let ended: Vec<(RunId, &Line)> =
            lines.iter().filter_map(|line| Some((line.ended()?, line))).collect();
        for piece in ended.chunks(PIECE) {
            let keys: Vec<Vec<u8>> = piece.iter().map(|(id, _)| run_key(*id)).collect();
            let found = self.consensus.history().get_all(Arc::from(keys)).await;
            let found = found.map_err(|e| format!("the history can't be read: {e}"))?;
            let (mut rows, mut gone) = (Rows::default(), Vec::new());
            for ((_, line), value) in piece.iter().zip(found) {
                match value {
                    Some(value) => rows.run(&read(&value)?, &self.pages),
                    // Retention was faster: what the event says is all that is known.
                    None => gone.push(line.of_run()),
                }
            }
            count += rows.len() + gone.len() as u64;
            put(&alone, &self.cluster, &rows, kept).await?;
            if !gone.is_empty() {
                write(&alone, &upserts[1], &self.cluster, &rows::array(gone.iter())).await?;
            }
        }
        ask(alone.commit()).await?;
        if anew {
            self.filling = Some(Vec::new());
        }
        Ok(count)
    }

    /// Rows of nominal times that were skipped.
    async fn times(&self, lines: &[Line]) -> Result<Rows, String> {
        let state = self.consensus.state();
        let mut keys = Vec::new();
        for (name, at) in lines.iter().filter_map(Line::skipped) {
            // One of several jobs that had the name, if it was given again.
            let present = state.job(name.as_str()).map(|job| (job.no, job.uid));
            let before = state.graves.named(name).map(|grave| (grave.no, grave.uid));
            for (no, uid) in present.into_iter().chain(before) {
                keys.push((ledger_key(no, at), uid, name, at));
            }
        }
        drop(state);
        let wanted: Vec<Vec<u8>> = keys.iter().map(|(key, ..)| key.clone()).collect();
        let found = self.consensus.history().get_all(Arc::from(wanted)).await;
        let found = found.map_err(|e| format!("the history can't be read: {e}"))?;
        let mut rows = Rows::default();
        for ((_, uid, name, at), value) in keys.into_iter().zip(found) {
            let Some(value) = value else { continue };
            let row: LedgerRow = read(&value)?;
            if row.nominal_time == at {
                rows.ledger(uid, name, &row);
            }
        }
        Ok(rows)
    }

    /// Whether the tables are there, and this sink where it was left.
    pub async fn check(&mut self, at: Place) -> Result<(), String> {
        let (entry, sub) = numbers(at);
        let values: [Parameter<'_>; 5] = [
            (&self.cluster, Type::TEXT),
            (&self.sink, Type::TEXT),
            (&self.fence, Type::INT8),
            (&entry, Type::INT8),
            (&sub, Type::INT8),
        ];
        let there = ask(self.client.query_typed(CHECK, &values)).await?;
        moved(there.len() as u64)
    }
}

/// Whether the sink's row was as it was left.
fn moved(rows: u64) -> Result<(), String> {
    if rows == 1 {
        return Ok(());
    }
    Err("the sink's row of cronapi.positions is not as it was left".to_owned())
}

async fn put(
    alone: &Transaction<'_>,
    cluster: &str,
    rows: &Rows,
    [runs, ledger]: [&String; 2],
) -> Result<(), String> {
    let (of_runs, of_times) = rows.as_json();
    for (upsert, rows) in [(runs, of_runs), (ledger, of_times)] {
        if rows != "[]" {
            write(alone, upsert, cluster, &rows).await?;
        }
    }
    Ok(())
}

async fn write(
    alone: &Transaction<'_>,
    upsert: &str,
    cluster: &str,
    rows: &str,
) -> Result<(), String> {
    let values: [Parameter<'_>; 2] = [(&cluster, Type::TEXT), (&rows, Type::TEXT)];
    ask(alone.execute_typed(upsert, &values)).await.map(drop)
}

/// The identity and the name of a job, also of one that was deleted.
fn job_of(state: &State, no: JobNo) -> Option<(JobUid, Name)> {
    let present = state.jobs.get(&no).map(|job| (job.uid, job.spec.name.clone()));
    present.or_else(|| state.graves.by_no.get(&no).map(|grave| (grave.uid, grave.name.clone())))
}

fn read<T: serde::de::DeserializeOwned>(value: &[u8]) -> Result<T, String> {
    unpack(value).map_err(|e| format!("a row of the history can't be read: {e}"))
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn numbers((index, sub): Place) -> (i64, i64) {
    (signed(index), i64::from(sub))
}

async fn ask<T>(call: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, String> {
    bounded(WHO, async { call.await.map_err(|error| told(&error)) }).await
}

fn told(error: &tokio_postgres::Error) -> String {
    if let Some(error) = error.as_db_error() {
        return format!("{WHO}: {} ({})", error.message(), error.code().code());
    }
    format!("{WHO}: {}", causes::told(error))
}
