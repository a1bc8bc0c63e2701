//! The one writer of the log: takes writes in order, makes them durable, then says so.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::kv::{Kv, Writes};
use super::log::{self, Mark};
use super::{Error, Fatal};

/// Writes waiting for the writer; the consensus core rarely has two outstanding.
const QUEUE: usize = 256;
/// Writes made durable by one flush at most.
const GROUP: usize = 256;
/// Purged keys removed at a time, between writes, so that no write waits long for it.
const SWEEP: usize = 128;

/// Called once with the outcome, on the writer's thread: it must be quick.
pub type Done = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// One write to the log.
pub enum Write {
    /// Adds entries at the end.
    Append {
        /// Index and record of each, ascending.
        entries: Vec<(u64, Bytes)>,
    },
    /// Sets a mark.
    Mark(Mark, Bytes),
    /// Removes the entries from this index on.
    Truncate {
        /// The first to go.
        since: u64,
    },
    /// Forgets the entries up to this index; their bytes are removed later, bit by bit.
    Purge {
        /// The last to go.
        upto: u64,
        /// The purge mark.
        mark: Bytes,
    },
    /// Makes durable what came before, and ends the writer.
    Stop,
}

struct Request {
    write: Write,
    /// `None`: nobody waits, so the write may become durable with the next one.
    done: Option<Done>,
}

/// Sends writes to the writer. Cheap to clone.
#[derive(Clone)]
pub enum LogWriter {
    /// A thread of its own, or a task where a simulation plays the disk: writes that arrive
    /// while it flushes share the next flush.
    Queue(#[doc(hidden)] Sender),
    /// In the caller, for a Kv in memory that is flushed at once.
    Inline(#[doc(hidden)] Arc<Inline>),
}

#[doc(hidden)]
#[derive(Clone)]
pub struct Sender(mpsc::Sender<Request>);

#[doc(hidden)]
pub struct Inline(Mutex<Writer>);

impl LogWriter {
    /// Starts the writer. `purged` is the last purged index: what is left of it is swept.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start(kv: Arc<dyn Kv>, purged: Option<u64>, fatal: Fatal) -> std::io::Result<Self> {
        let blocks = kv.blocks();
        let writer = Writer { kv, sweep: purged, fatal, stopped: false };
        if !blocks && writer.kv.delay().is_none() {
            return Ok(Self::Inline(Arc::new(Inline(Mutex::new(writer)))));
        }
        let (sender, receiver) = mpsc::channel(QUEUE);
        if !blocks {
            tokio::spawn(writer.run_as_task(receiver));
            return Ok(Self::Queue(Sender(sender)));
        }
        let body = move || writer.run(receiver);
        thread::Builder::new().name("log-writer".to_owned()).spawn(body)?;
        Ok(Self::Queue(Sender(sender)))
    }

    /// Hands a write over and returns at once; `done` is called when it is durable, or failed.
    pub async fn write(&self, write: Write, done: Option<Done>) {
        let request = Request { write, done };
        match self {
            Self::Queue(Sender(sender)) => {
                if let Err(refused) = sender.send(request).await
                    && let Some(done) = refused.0.done
                {
                    done(Err(Error::Stopped));
                }
            }
            Self::Inline(inline) => {
                let mut writer = inline.0.lock().unwrap_or_else(PoisonError::into_inner);
                writer.commit(vec![request]);
                writer.sweep();
            }
        }
    }
}

/// Writes that are not durable yet.
struct Written {
    waiting: Vec<Done>,
    outcome: Result<(), Error>,
}

/// What waits, with `first`.
fn grouped(first: Request, receiver: &mut mpsc::Receiver<Request>) -> Vec<Request> {
    let mut group = vec![first];
    while group.len() < GROUP
        && let Ok(request) = receiver.try_recv()
    {
        group.push(request);
    }
    group
}

struct Writer {
    kv: Arc<dyn Kv>,
    sweep: Option<u64>,
    fatal: Fatal,
    stopped: bool,
}

impl Writer {
    fn run(mut self, mut receiver: mpsc::Receiver<Request>) {
        let fatal = self.fatal.clone();
        let body = AssertUnwindSafe(|| {
            while let Some(first) = self.next(&mut receiver) {
                self.commit(grouped(first, &mut receiver));
                if self.stopped {
                    break;
                }
            }
        });
        if catch_unwind(body).is_err() {
            fatal.raise("the storage engine panicked while writing the log");
        }
    }

    /// The same without a thread: what is written waits for its flush as long as the disk
    /// takes, and a crash meanwhile loses it.
    async fn run_as_task(mut self, mut receiver: mpsc::Receiver<Request>) {
        while let Some(first) = receiver.recv().await {
            let written = self.write(grouped(first, &mut receiver));
            tokio::time::sleep(self.kv.delay().unwrap_or_default()).await;
            self.finish(written);
            self.sweep();
            if self.stopped {
                break;
            }
        }
    }

    /// The next request; sweeps while there is none.
    fn next(&mut self, receiver: &mut mpsc::Receiver<Request>) -> Option<Request> {
        while self.sweep.is_some() {
            match receiver.try_recv() {
                Ok(request) => return Some(request),
                Err(_) => self.sweep_some(),
            }
        }
        receiver.blocking_recv()
    }

    fn commit(&mut self, group: Vec<Request>) {
        let written = self.write(group);
        self.finish(written);
    }

    /// Hands the writes to the Kv.
    fn write(&mut self, group: Vec<Request>) -> Written {
        let mut waiting = Vec::with_capacity(group.len());
        let mut pending = Writes::default();
        let mut outcome = if self.fatal.is_raised() { Err(Error::Stopped) } else { Ok(()) };
        for request in group {
            waiting.extend(request.done);
            outcome = outcome.and_then(|()| self.prepare(request.write, &mut pending));
        }
        if !pending.is_empty() {
            outcome = outcome.and_then(|()| self.kv.write(pending));
        }
        Written { waiting, outcome }
    }

    /// Makes them durable, if anyone waits for that, and says so.
    fn finish(&mut self, written: Written) {
        let Written { waiting, mut outcome } = written;
        if !waiting.is_empty() {
            outcome = outcome.and_then(|()| self.kv.flush_durable());
        }
        if let Err(error) = &outcome {
            self.fatal.raise(error.to_string());
            // Nothing may be acknowledged any more, whatever a later flush would say.
            self.stopped = true;
        }
        for done in waiting {
            done(if outcome.is_ok() { Ok(()) } else { Err(Error::Stopped) });
        }
    }

    fn prepare(&mut self, write: Write, pending: &mut Writes) -> Result<(), Error> {
        match write {
            Write::Append { entries } => {
                for (index, record) in entries {
                    log::put_entry(pending, index, &record);
                }
            }
            Write::Mark(mark, bytes) => pending.put(mark.key(), bytes),
            Write::Truncate { since } => {
                // It must see the entries that are still pending.
                self.kv.write(std::mem::take(pending))?;
                let keys = self.kv.keys(&log::key(since, 0), &log::end(), usize::MAX)?;
                keys.into_iter().for_each(|key| pending.delete(key));
            }
            Write::Purge { upto, mark } => {
                pending.put(Mark::Purged.key(), mark);
                self.sweep = self.sweep.max(Some(upto));
            }
            Write::Stop => self.stopped = true,
        }
        Ok(())
    }

    fn sweep(&mut self) {
        while self.sweep.is_some() {
            self.sweep_some();
        }
    }

    /// Removes some of what was purged. A crash loses nothing: the mark alone decides.
    fn sweep_some(&mut self) {
        let Some(upto) = self.sweep else { return };
        let end = log::key(upto.saturating_add(1), 0);
        let swept = self.kv.keys(&log::key(0, 0), &end, SWEEP).and_then(|mut keys| {
            let more = keys.len() == SWEEP;
            if more && let Some(last) = keys.last().cloned() {
                // Parts of the last entry may be missing from this page: it goes with the next.
                keys.retain(|key| !log::same_entry(key, &last));
            }
            let mut writes = Writes::default();
            keys.into_iter().for_each(|key| writes.delete(key));
            self.kv.write(writes).map(|()| more)
        });
        match swept {
            Ok(true) => {}
            Ok(false) => self.sweep = None,
            Err(error) => {
                self.sweep = None;
                self.fatal.raise(error.to_string());
            }
        }
    }
}
