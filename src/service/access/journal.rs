//! Logins, denials and uses of tokens on their way into the log: a bounded queue, emptied
//! in batches, so that nobody waits for it and a flood of denials costs a bounded amount.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::clock::Clock;
use crate::consensus;
use crate::machine::command::AuditNote;
use crate::machine::state::FORMAT_OF_ACCESS;
use crate::machine::{Command, Op};
use crate::model::limits::USERS_MAX;
use crate::model::{Actor, Span, Timestamp};

/// Notes that wait at most.
const QUEUE: usize = 1_024;
/// Notes in one command.
const BATCH: usize = 128;
/// Uses of a token are noted this far apart.
pub(super) const USE_NOTED_EVERY: Span = Span::from_secs(60);
/// How long a batch gathers.
const GATHER: Duration = Duration::from_millis(100);
/// Tries to write a batch, and the pause between two.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);

enum Entry {
    Note(Box<AuditNote>),
    Used(Uuid),
}

/// The way in.
pub(super) struct Journal {
    queue: mpsc::Sender<Entry>,
    /// When the use of a token was queued last.
    noted: Mutex<HashMap<Uuid, Timestamp>>,
    dropped: Arc<AtomicU64>,
}

impl Journal {
    /// Starts the writer; it ends when the journal is dropped.
    pub(super) fn start(consensus: consensus::Handle, clock: Arc<dyn Clock>) -> Self {
        let (queue, entries) = mpsc::channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let writer = Writer { consensus, clock, dropped: Arc::clone(&dropped) };
        tokio::spawn(writer.run(entries));
        Journal { queue, noted: Mutex::default(), dropped }
    }

    /// Queues a note; when there is no room it is counted instead.
    pub(super) fn note(&self, note: AuditNote) {
        if self.queue.try_send(Entry::Note(Box::new(note))).is_err() {
            self.skip();
        }
    }

    /// Counts a note that is not kept.
    pub(super) fn skip(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Queues the use of a token, unless that was done a short while ago: the log sees one
    /// use a minute and token, however many there are.
    pub(super) fn used(&self, token: Uuid, now: Timestamp) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.get(&token).is_some_and(|last| now.since(*last) < USE_NOTED_EVERY && *last <= now)
        {
            return;
        }
        if noted.len() >= USERS_MAX {
            // What is forgotten is noted once too often.
            noted.clear();
        }
        if self.queue.try_send(Entry::Used(token)).is_ok() {
            noted.insert(token, now);
        }
    }
}

struct Writer {
    consensus: consensus::Handle,
    clock: Arc<dyn Clock>,
    dropped: Arc<AtomicU64>,
}

impl Writer {
    async fn run(self, mut entries: mpsc::Receiver<Entry>) {
        let mut batch = Vec::with_capacity(BATCH);
        while entries.recv_many(&mut batch, BATCH).await > 0 {
            tokio::time::sleep(GATHER).await;
            while batch.len() < BATCH
                && let Ok(entry) = entries.try_recv()
            {
                batch.push(entry);
            }
            self.write(std::mem::take(&mut batch)).await;
        }
    }

    async fn write(&self, batch: Vec<Entry>) {
        let (mut notes, mut used) = (Vec::new(), BTreeSet::new());
        for entry in batch {
            match entry {
                Entry::Note(note) => notes.push(*note),
                Entry::Used(token) => {
                    used.insert(token);
                }
            }
        }
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            notes.push(self.gap(dropped));
        }
        let count = notes.len() as u64;
        if count > 0 && !self.submit(Op::Note { entries: notes }).await {
            self.dropped.fetch_add(count - u64::from(dropped > 0) + dropped, Ordering::Relaxed);
        }
        let uses = used.into_iter();
        let uses: Vec<Op> = if self.consensus.state().format() < FORMAT_OF_ACCESS {
            uses.map(|id| Op::TokenUsed { id }).collect()
        } else {
            let ids: Vec<Uuid> = uses.collect();
            Some(ids)
                .filter(|ids| !ids.is_empty())
                .map(|ids| Op::TokensUsed { ids })
                .into_iter()
                .collect()
        };
        for op in uses {
            self.submit(op).await;
        }
    }

    /// Says in the audit that notes are missing from it.
    fn gap(&self, count: u64) -> AuditNote {
        AuditNote {
            at: self.clock.now(),
            actor: Actor { name: "system".into(), from: None, request_id: None, trace: None },
            action: "audit.dropped".into(),
            target: "audit".into(),
            change: json!({ "count": count }),
        }
    }

    async fn submit(&self, op: Op) -> bool {
        for _ in 0..TRIES {
            let command =
                Command { at: self.clock.now(), actor: None, request: None, op: op.clone() };
            match self.consensus.submit(command).await {
                Ok(_) => return true,
                // Written twice is worse than counted as missing: it may be there.
                Err(error) if !error.retryable() || error.ambiguous() => return false,
                Err(consensus::SubmitError::Stopping) => return false,
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        false
    }
}
