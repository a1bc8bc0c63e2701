//! The history: rows written behind the machine, read through what is not yet durable.
//!
//! `record` puts rows in memory at once; `persist` writes what gathered as a few batches with one
//! flush. A crash loses only rows that re-applying the log writes again, under the same keys.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, watch};

use super::history_scan::{self, Scan};
use super::kv::{Kv, Pair, Writes};
use super::off_thread::off_thread;
use super::overlay::{Overlay, Rows};
use super::{Error, Fatal, rows};

/// Rows wait at most this long before they are written.
const WRITE_EVERY: Duration = Duration::from_millis(250);
/// Rows that are written sooner than that.
const WRITE_ROWS: usize = 10_000;
/// Above this many bytes not yet durable, the machine waits.
const OVERLAY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// One batch. The engine's lock is held for a batch, and the log's flush waits for it.
const BATCH_ROWS: usize = 512;
const BATCH_BYTES: usize = 256 * 1024;

struct Shared {
    kv: Arc<dyn Kv>,
    overlay: Mutex<Overlay>,
    /// Held by the one write that may be under way.
    writing: Mutex<()>,
    /// Complete and durable up to this index.
    durable: watch::Sender<Option<u64>>,
    wanted: Notify,
    fatal: Fatal,
}

/// The history of a node. Cheap to clone.
#[derive(Clone)]
pub struct History {
    shared: Arc<Shared>,
}

impl History {
    /// Opens the history in a Kv.
    ///
    /// # Errors
    /// The engine failed, or its mark is damaged.
    pub fn open(kv: Arc<dyn Kv>, fatal: Fatal) -> Result<Self, Error> {
        let durable = watch::Sender::new(rows::applied(kv.as_ref())?);
        let (overlay, writing, wanted) = Default::default();
        Ok(Self { shared: Arc::new(Shared { kv, overlay, writing, durable, wanted, fatal }) })
    }

    /// Records the rows of the entry at `index`; they are visible at once. Entries that the
    /// durable history already covers are ignored: they are being applied again after a restart.
    ///
    /// # Errors
    /// A row can't be stored; nothing was recorded.
    pub fn record(&self, index: u64, new: Vec<(Vec<u8>, Option<Vec<u8>>)>) -> Result<(), Error> {
        if *self.shared.durable.borrow() >= Some(index) {
            return Ok(());
        }
        for (key, value) in &new {
            rows::check(key, value.as_deref())?;
        }
        let mut overlay = self.overlay();
        overlay.record(index, new.into_iter().map(|(key, value)| (key, value.map(Bytes::from))));
        if overlay.waiting() >= WRITE_ROWS || overlay.bytes() >= OVERLAY_BYTES_MAX / 4 {
            self.shared.wanted.notify_one();
        }
        Ok(())
    }

    /// Waits until there is room for more rows: the bound on memory.
    ///
    /// # Errors
    /// Writing failed, so there will never be room again.
    pub async fn room(&self) -> Result<(), Error> {
        let mut durable = self.shared.durable.subscribe();
        loop {
            if self.shared.fatal.is_raised() {
                return Err(Error::Stopped);
            }
            durable.borrow_and_update();
            if self.overlay().bytes() < OVERLAY_BYTES_MAX {
                return Ok(());
            }
            self.shared.wanted.notify_one();
            // The bound covers a failure between the check and the wait.
            let _ = tokio::time::timeout(WRITE_EVERY, durable.changed()).await;
        }
    }

    /// The index that the durable history is complete up to.
    pub fn durable_index(&self) -> Option<u64> {
        *self.shared.durable.borrow()
    }

    /// Bytes of rows that are not yet durable.
    pub fn waiting_bytes(&self) -> usize {
        self.overlay().bytes()
    }

    /// The Kv that holds it.
    pub fn kv(&self) -> &Arc<dyn Kv> {
        &self.shared.kv
    }

    /// Returns once everything recorded so far is durable.
    ///
    /// # Errors
    /// Writing failed; [`Fatal`] is raised.
    pub async fn persist(&self) -> Result<(), Error> {
        self.off_thread("write the history", |shared| shared.persist(true)).await
    }

    /// Declares the history complete up to `index`, after a checkpoint from a leader replaced
    /// the machine. Rows before it that this node never saw are not here.
    ///
    /// # Errors
    /// Writing failed; [`Fatal`] is raised.
    pub async fn jump_to(&self, index: u64) -> Result<(), Error> {
        self.overlay().record(index, std::iter::empty());
        self.persist().await
    }

    /// Writes what gathers, until `stop` turns true. Run it as a task of its own.
    pub async fn write_behind(self, mut stop: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                () = self.shared.wanted.notified() => {}
                () = tokio::time::sleep(WRITE_EVERY) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            if self.overlay().waiting() == 0 {
                continue;
            }
            if self.off_thread("write the history", |shared| shared.persist(false)).await.is_err() {
                return;
            }
        }
    }

    /// A row by its key.
    ///
    /// # Errors
    /// The engine failed, or the row is damaged.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        if let Some(known) = self.overlay().get(key) {
            return Ok(known);
        }
        let key = key.to_vec();
        self.off_thread("read the history", move |shared| rows::get(shared.kv.as_ref(), &key)).await
    }

    /// Rows of a range, in its order.
    ///
    /// # Errors
    /// The engine failed, or a row is damaged.
    pub async fn scan(&self, scan: Scan) -> Result<Vec<Pair>, Error> {
        let read = move |shared: &Shared| {
            let slice = {
                let Scan { from, to, direction, limit } = &scan;
                shared.overlay().slice(from, to, *direction, *limit)
            };
            history_scan::scan(scan, slice, shared.kv.as_ref())
        };
        self.off_thread("read the history", read).await
    }

    fn overlay(&self) -> MutexGuard<'_, Overlay> {
        self.shared.overlay()
    }

    async fn off_thread<T: Send + 'static>(
        &self,
        op: &'static str,
        work: impl FnOnce(&Shared) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let shared = Arc::clone(&self.shared);
        off_thread(self.shared.kv.blocks(), op, move || work(&shared)).await
    }
}

impl Shared {
    fn overlay(&self) -> MutexGuard<'_, Overlay> {
        self.overlay.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what gathered. `always`: also the index alone, when there is no row.
    fn persist(&self, always: bool) -> Result<(), Error> {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.fatal.is_raised() {
            return Err(Error::Stopped);
        }
        let (rows, applied) = {
            let mut overlay = self.overlay();
            let nothing = overlay.waiting() == 0;
            if overlay.applied().is_none() || (nothing && !always) {
                return Ok(());
            }
            (overlay.begin_writing(), overlay.applied())
        };
        let index = applied.max(*self.durable.borrow());
        if rows.is_empty() && index == *self.durable.borrow() {
            return Ok(());
        }
        if let Err(error) = self.write(&rows, index) {
            self.fatal.raise(format!("writing the history: {error}"));
            return Err(error);
        }
        self.overlay().written();
        self.durable.send_replace(index);
        Ok(())
    }

    fn write(&self, rows: &Rows, index: Option<u64>) -> Result<(), Error> {
        let mut writes = Writes::default();
        for (key, value) in rows {
            match value {
                Some(value) => rows::put(&mut writes, key, value),
                None => rows::delete(self.kv.as_ref(), &mut writes, key)?,
            }
            if writes.len() >= BATCH_ROWS || writes.bytes() >= BATCH_BYTES {
                self.kv.write(std::mem::take(&mut writes))?;
            }
        }
        // The index goes last: a crash before it re-applies entries whose rows are half here.
        if let Some(index) = index {
            rows::put_applied(&mut writes, index);
        }
        self.kv.write(writes)?;
        self.kv.flush_durable()
    }
}
