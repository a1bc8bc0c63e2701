//! The type `postgres`: run history and ledger as rows.
//!
//! One transaction moves the sink's row of `cronapi.positions`, where its fence is not newer
//! and its place is the one that this node left, and writes the rows of what happened in between.
//! Rows are keyed by what they tell of: the same ones written again change nothing. A batch whose
//! answer was lost is seen in the place, and what is set back is simply written once more.
//!
//! Owns: the connection, the statements, who may write. What is written is read by `sinks/rows`,
//! the tables are in `schema`.
//!
//! To add a column: a line in `schema.sql` and what alters older tables, the next version in
//! `schema`, its place in `rows/row.rs`. A view: `schema.sql`, `schema`, docs/sinks.md.

mod address;
mod schema;
mod upsert;

use tokio::task::JoinHandle;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row, Transaction};

use self::upsert::{array, upsert};
use super::line::Line;
use super::rows::{
    LEDGER, PIECE, Piece, Place, Plan, RUNS, Reader, Rows, There, Words, begin, signed,
};
use crate::adapters::connect::bounded;
use crate::causes;
use crate::executor::runner::RunnerEnv;
use crate::machine::state::{Duty, EventRows};
use crate::model::{Name, Position};

/// As faults call it.
const WHO: &str = "PostgreSQL";
const WORDS: Words = Words { rows: "the tables", position: "the sink's row of cronapi.positions" };

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

type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// A connection to the tables; it is dropped after any fault.
pub(super) struct Tables {
    client: Client,
    driver: JoinHandle<()>,
    reader: Reader,
    cluster: String,
    sink: String,
    fence: i64,
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
    pub reader: Reader,
    pub url: String,
    pub sink: Name,
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
        let cluster = wanted.reader.consensus.status().cluster_id;
        let mut tables = Tables {
            client,
            driver,
            reader: wanted.reader,
            cluster,
            sink: wanted.sink.to_string(),
            fence: signed(duty.fence),
            filling: None,
            upserts: [
                upsert("runs", RUNS, 1, true),
                upsert("runs", RUNS, 1, false),
                upsert("ledger", LEDGER, 2, true),
            ],
        };
        schema::ensure(&mut tables.client).await?;
        let Plan { at, lost, filling } = tables.take(duty, events).await?;
        tables.filling = filling;
        Ok((tables, at, lost))
    }

    async fn take(&mut self, duty: &Duty, events: EventRows) -> Result<Plan, String> {
        let fence = self.fence;
        let alone = ask(self.client.transaction()).await?;
        let me: [Parameter<'_>; 3] =
            [(&self.cluster, Type::TEXT), (&self.sink, Type::TEXT), (&fence, Type::INT8)];
        let there = ask(alone.query_typed(THERE, &me[..2])).await?;
        let there = there.first().map(read).transpose()?;
        let consensus = &self.reader.consensus;
        let plan = begin(consensus, there.as_ref(), duty, events, &WORDS).await?;
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
        let Piece { rows, next } = self.reader.piece(&done).await?;
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

    /// Writes what events tell of; from then on everything up to `up_to` is there. Gives how many
    /// rows that were.
    pub async fn add(&mut self, from: Place, lines: &[Line], up_to: Place) -> Result<u64, String> {
        // What is gone as an event may still be there as a run.
        let anew = lines.iter().any(Line::is_gap);
        let times = self.reader.times(lines).await?;
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
        let ended: Vec<&Line> = lines.iter().filter(|line| line.ended().is_some()).collect();
        for piece in ended.chunks(PIECE) {
            let (rows, gone) = self.reader.ended(piece).await?;
            count += rows.len() + gone.len() as u64;
            put(&alone, &self.cluster, &rows, kept).await?;
            if !gone.is_empty() {
                write(&alone, &upserts[1], &self.cluster, &array(gone.iter())).await?;
            }
        }
        ask(alone.commit()).await?;
        if anew {
            self.filling = Some(Vec::new());
        }
        Ok(count)
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
    let (of_runs, of_times) = (array(rows.runs()), array(rows.ledger_rows()));
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

/// What the sink's row of `cronapi.positions` says.
fn read(row: &Row) -> Result<There, String> {
    let number = |n: usize| row.try_get::<_, i64>(n).map_err(|e| told(&e));
    let (entry, sub) = (number(1)?, number(2)?);
    let place = u64::try_from(entry).ok().zip(u32::try_from(sub).ok());
    let place = place.ok_or_else(|| format!("cronapi.positions has {entry}-{sub}: not ours"))?;
    let filling = row.try_get(3).map_err(|e| told(&e))?;
    Ok(There { fence: number(0)?, place, filling })
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
