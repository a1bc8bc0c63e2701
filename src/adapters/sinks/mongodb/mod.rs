//! The type `mongodb`: run history and ledger as documents.
//!
//! ```text
//! Rows ─> documents ─> update, upsert by `_id` (runs, ledger) ─> update of the position, filtered
//! driver ─> unix socket of this process ─> relay ─> connect::tcp, tls ─> the primary
//! ```
//!
//! There is no transaction, so that a server alone will do. A batch is upserted first; when all of
//! it is acknowledged, the sink's document of `positions` is moved, where its fence is not newer
//! and its place is the one that this node left. Killed in between, whoever follows writes the
//! batch again, from the place that the log has, which never leads what is there; and the same rows
//! are the same documents.
//!
//! A holder of before may wake late and upsert what it had in its hands. It does no harm: it writes
//! only of runs that ended and nominal times that were decided, by entries that are committed;
//! those do not change any more, so what it writes is what is there, or will be. Its move is
//! refused by the fence, and it is told so.
//!
//! A write counts when the majority of a replica set has it. Rows come before the position in the
//! order of the set, so one that falls back to an earlier time has no position without its rows.
//!
//! Owns: what is written in which order, who may write. What is written is read by `sinks/rows`,
//! documents are made in `document`, indexes in `indexes`; `store` speaks with the server, over
//! `relay`.
//!
//! To add a field: as `postgres/mod.rs` says. An index: `indexes`, docs/sinks.md.

mod address;
mod document;
mod indexes;
mod relay;
mod store;

use std::sync::Arc;

use mongodb::bson::{Bson, DateTime, Document, doc};
use serde_json::Value;

use self::document::{document, from_hex};
use self::store::Store;
use super::line::Line;
use super::rows::{
    LEDGER, PIECE, Piece, Place, Plan, RUNS, Reader, Rows, There, Words, begin, signed,
};
use crate::clock::Clock;
use crate::executor::runner::RunnerEnv;
use crate::machine::chain::hex;
use crate::machine::state::{Duty, EventRows};
use crate::model::{Name, Position};

const WORDS: Words =
    Words { rows: "the collections", position: "the sink's document of the collection positions" };

/// How many fields of a row make its `_id`, beside the cluster.
const RUN_KEYS: usize = 1;
const LEDGER_KEYS: usize = 2;

/// A connection to the collections; it is dropped after any fault.
pub(super) struct Collections {
    store: Store,
    reader: Reader,
    clock: Arc<dyn Clock>,
    cluster: String,
    sink: String,
    fence: i64,
    /// Where it was left.
    at: Place,
    /// The last key of the history of before that was copied; none: all of it is there.
    filling: Option<Vec<u8>>,
}

/// What a sink is written with.
pub(super) struct Wanted {
    pub reader: Reader,
    pub url: String,
    pub sink: Name,
    pub clock: Arc<dyn Clock>,
}

impl Collections {
    /// Connects, makes what is missing, and takes the sink. Gives where it goes on, and what people
    /// should know.
    pub async fn open(
        wanted: Wanted,
        env: &Arc<RunnerEnv>,
        duty: &Duty,
        events: EventRows,
    ) -> Result<(Self, Position, Option<String>), String> {
        let store = Store::open(&wanted.url, env).await?;
        indexes::ensure(&store).await?;
        let mut collections = Collections {
            store,
            cluster: wanted.reader.consensus.status().cluster_id,
            reader: wanted.reader,
            clock: wanted.clock,
            sink: wanted.sink.to_string(),
            fence: signed(duty.fence),
            at: duty.position.place(),
            filling: None,
        };
        let Plan { at, lost, filling } = collections.take(duty, events).await?;
        (collections.at, collections.filling) = (at.place(), filling);
        Ok((collections, at, lost))
    }

    async fn take(&self, duty: &Duty, events: EventRows) -> Result<Plan, String> {
        let there = self.store.find("positions", doc! { "_id": self.id() }).await?;
        let there = there.as_ref().map(read).transpose()?;
        let consensus = &self.reader.consensus;
        let plan = begin(consensus, there.as_ref(), duty, events, &WORDS).await?;
        let taken = self.position(plan.at.place(), plan.filling.as_deref());
        match there {
            None => self.store.insert("positions", taken).await?,
            Some(there) => {
                let (entry, sub) = numbers(there.place);
                let left = doc! { "fence": there.fence, "entry": entry, "sub": sub };
                self.replace(left, taken).await?;
            }
        }
        Ok(plan)
    }

    /// The `_id` of the sink's document.
    fn id(&self) -> String {
        format!("{}/{}", self.cluster, self.sink)
    }

    /// The sink's document, when it is at this place.
    fn position(&self, at: Place, filling: Option<&[u8]>) -> Document {
        let (entry, sub) = numbers(at);
        let mut position = doc! {
            "_id": self.id(),
            "cluster": &self.cluster,
            "sink": &self.sink,
            "fence": self.fence,
            "entry": entry,
            "sub": sub,
            "moved_at": DateTime::from_millis(self.clock.now().micros() / 1000),
        };
        if let Some(key) = filling {
            position.insert("filling", hex(key));
        }
        position
    }

    /// Replaces the sink's document, where it is as it was left.
    async fn replace(&self, mut left: Document, position: Document) -> Result<(), String> {
        left.insert("_id", self.id());
        let update = doc! { "q": left, "u": position };
        match self.store.update("positions", vec![update]).await? {
            1 => Ok(()),
            _ => Err(format!("{} is not as it was left", WORDS.position)),
        }
    }

    /// Copies a piece of the history of before; none: there is nothing to copy.
    pub async fn fill(&mut self) -> Result<Option<u64>, String> {
        let Some(done) = self.filling.clone() else { return Ok(None) };
        let Piece { rows, next } = self.reader.piece(&done).await?;
        self.put(&rows).await?;
        let (entry, sub) = numbers(self.at);
        let mut left = doc! { "fence": { "$lte": self.fence }, "entry": entry, "sub": sub };
        left.insert("filling", hex(&done));
        self.replace(left, self.position(self.at, next.as_deref())).await?;
        self.filling = next;
        Ok(Some(rows.len()))
    }

    /// Writes what events tell of; from then on everything up to `up_to` is there. Gives how many
    /// rows that were.
    pub async fn add(&mut self, from: Place, lines: &[Line], up_to: Place) -> Result<u64, String> {
        let times = self.reader.times(lines).await?;
        self.put(&times).await?;
        let mut count = times.len();
        let ended: Vec<&Line> = lines.iter().filter(|line| line.ended().is_some()).collect();
        for piece in ended.chunks(PIECE) {
            let (rows, gone) = self.reader.ended(piece).await?;
            count += rows.len() + gone.len() as u64;
            self.put(&rows).await?;
            let gone = gone.iter().map(|row| self.unless_there(row)).collect();
            self.store.update("runs", gone).await?;
        }
        // What is gone as an event may still be there as a run.
        let anew = lines.iter().any(Line::is_gap);
        let filling = if anew { Some(Vec::new()) } else { self.filling.clone() };
        let (entry, sub) = numbers(from);
        let left = doc! { "fence": { "$lte": self.fence }, "entry": entry, "sub": sub };
        self.replace(left, self.position(up_to, filling.as_deref())).await?;
        (self.at, self.filling) = (up_to, filling);
        Ok(count)
    }

    /// Whether what is needed is there, and this sink where it was left.
    pub async fn check(&mut self, at: Place) -> Result<(), String> {
        let (entry, sub) = numbers(at);
        let left = doc! { "_id": self.id(), "fence": self.fence, "entry": entry, "sub": sub };
        if self.store.find("positions", left).await?.is_none() {
            return Err(format!("{} is not as it was left", WORDS.position));
        }
        match indexes::missing(&self.store).await?.first() {
            Some(gone) => Err(format!("the collection {} is not as it was made", gone.collection)),
            None => Ok(()),
        }
    }

    async fn put(&self, rows: &Rows) -> Result<(), String> {
        let runs = rows.runs().map(|row| upsert(document(&self.cluster, row, RUNS, RUN_KEYS)));
        self.store.update("runs", runs.collect()).await?;
        let times = rows.ledger_rows();
        let times = times.map(|row| upsert(document(&self.cluster, row, LEDGER, LEDGER_KEYS)));
        self.store.update("ledger", times.collect()).await.map(drop)
    }

    /// Writes a row of a run where there is none: it knows less than one that may be there.
    fn unless_there(&self, row: &Value) -> Document {
        let mut row = document(&self.cluster, row, RUNS, RUN_KEYS);
        let id = row.remove("_id").unwrap_or(Bson::Null);
        doc! { "q": { "_id": id }, "u": { "$setOnInsert": row }, "upsert": true }
    }
}

/// Writes a row, whatever is there before.
fn upsert(row: Document) -> Document {
    let id = row.get("_id").cloned().unwrap_or(Bson::Null);
    doc! { "q": { "_id": id }, "u": row, "upsert": true }
}

/// What the sink's document says.
fn read(position: &Document) -> Result<There, String> {
    let number = |field: &str| match position.get(field) {
        Some(Bson::Int64(number)) => Some(*number),
        Some(Bson::Int32(number)) => Some(i64::from(*number)),
        _ => None,
    };
    let place = || {
        let entry = u64::try_from(number("entry")?).ok()?;
        Some((number("fence")?, (entry, u32::try_from(number("sub")?).ok()?)))
    };
    let filling = match position.get("filling") {
        None | Some(Bson::Null) => Some(None),
        Some(Bson::String(key)) => from_hex(key).map(Some),
        Some(_) => None,
    };
    let (Some((fence, place)), Some(filling)) = (place(), filling) else {
        return Err(format!("{} is not one of ours", WORDS.position));
    };
    Ok(There { fence, place, filling })
}

fn numbers((index, sub): Place) -> (i64, i64) {
    (signed(index), i64::from(sub))
}
