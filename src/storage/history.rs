//! The history: rows written behind the machine, read through what is not yet durable.
//!
//! `record` puts rows in memory at once; `persist` writes what gathered as a few batches with one
//! flush. A crash loses only rows that re-applying the log writes again, under the same keys.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, watch};

use super::generation::Generation;
use super::history_scan::{self, Scan};
use super::image::{Image, Notes};
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

/// What readers take together, so that all they see is of one generation.
struct Live {
    generation: Generation,
    overlay: Overlay,
    /// What an image wants noted; it is gone with the image.
    notes: Weak<Notes>,
}

struct Shared {
    live: Mutex<Live>,
    /// Whether its Kv is on a disk.
    blocks: bool,
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
    /// Opens the history in a generation.
    ///
    /// # Errors
    /// The engine failed, or its mark is damaged.
    pub fn open(generation: Generation, fatal: Fatal) -> Result<Self, Error> {
        let durable = watch::Sender::new(generation.applied()?);
        let blocks = generation.kv().blocks();
        let overlay = Overlay::default();
        let live = Mutex::new(Live { generation, overlay, notes: Weak::new() });
        let (writing, wanted) = Default::default();
        Ok(Self { shared: Arc::new(Shared { live, blocks, writing, durable, wanted, fatal }) })
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
        let live = &mut *self.shared.live();
        if let Some(notes) = live.notes.upgrade() {
            notes.record(index, &new, &live.overlay);
        }
        let overlay = &mut live.overlay;
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
            if self.waiting_bytes() < OVERLAY_BYTES_MAX {
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
        self.shared.live().overlay.bytes()
    }

    /// Begins an image of it; none: another one is under way.
    pub fn image(&self) -> Option<Image> {
        let live = &mut *self.shared.live();
        if live.notes.strong_count() > 0 {
            return None;
        }
        let notes = Arc::new(Notes::default());
        live.notes = Arc::downgrade(&notes);
        let least = live.overlay.applied().max(*self.shared.durable.borrow());
        Some(Image::new(notes, live.generation.clone(), least.unwrap_or_default()))
    }

    /// The Kv that holds it now.
    pub fn kv(&self) -> Arc<dyn Kv> {
        Arc::clone(self.shared.live().generation.kv())
    }

    /// The generation it is now.
    pub fn generation(&self) -> Generation {
        self.shared.live().generation.clone()
    }

    /// Returns once everything recorded so far is durable.
    ///
    /// # Errors
    /// Writing failed; [`Fatal`] is raised.
    pub async fn persist(&self) -> Result<(), Error> {
        self.off_thread("write the history", |shared| shared.persist(true)).await
    }

    /// Goes on with another generation, which is complete up to a later index. Readers see all of
    /// the old one or all of the new one; what was not written yet is dropped, for the new one
    /// holds it. Returns the old one.
    ///
    /// # Errors
    /// The engine failed, or the generation is not complete.
    pub async fn switch_to(&self, generation: Generation) -> Result<Generation, Error> {
        self.off_thread("switch the history", |shared| shared.switch_to(generation)).await
    }

    /// Writes what gathers, until `stop` turns true. Run it as a task of its own.
    pub async fn write_behind(self, mut stop: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                () = self.shared.wanted.notified() => {}
                () = tokio::time::sleep(WRITE_EVERY) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            if self.shared.live().overlay.waiting() == 0 {
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
        let kv = {
            let live = self.shared.live();
            if let Some(known) = live.overlay.get(key) {
                return Ok(known);
            }
            Arc::clone(live.generation.kv())
        };
        let key = key.to_vec();
        self.off_thread("read the history", move |_| rows::get(kv.as_ref(), &key)).await
    }

    /// The rows of some keys, in the order of the keys.
    ///
    /// # Errors
    /// The engine failed, or a row is damaged.
    pub async fn get_all(&self, keys: Arc<[Vec<u8>]>) -> Result<Vec<Option<Bytes>>, Error> {
        let read = move |shared: &Shared| {
            let (known, kv) = {
                let live = shared.live();
                let known: Vec<_> = keys.iter().map(|key| live.overlay.get(key)).collect();
                (known, Arc::clone(live.generation.kv()))
            };
            let of = |(key, known): (&Vec<u8>, Option<Option<Bytes>>)| {
                known.map_or_else(|| rows::get(kv.as_ref(), key), Ok)
            };
            keys.iter().zip(known).map(of).collect()
        };
        self.off_thread("read the history", read).await
    }

    /// Rows of a range, in its order.
    ///
    /// # Errors
    /// The engine failed, or a row is damaged.
    pub async fn scan(&self, scan: Scan) -> Result<Vec<Pair>, Error> {
        let read = move |shared: &Shared| {
            let (slice, kv) = {
                let live = shared.live();
                let Scan { from, to, direction, limit } = &scan;
                let slice = live.overlay.slice(from, to, *direction, *limit);
                (slice, Arc::clone(live.generation.kv()))
            };
            history_scan::scan(scan, slice, kv.as_ref())
        };
        self.off_thread("read the history", read).await
    }

    async fn off_thread<T: Send + 'static>(
        &self,
        op: &'static str,
        work: impl FnOnce(&Shared) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let shared = Arc::clone(&self.shared);
        off_thread(self.shared.blocks, op, move || work(&shared)).await
    }
}

impl Shared {
    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn switch_to(&self, generation: Generation) -> Result<Generation, Error> {
        let _nothing_is_written = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(index) = generation.applied()? else {
            let what = format!("the history's generation {}", generation.number());
            return Err(Error::Damaged { what, reason: "it is not complete".to_owned() });
        };
        // An image goes on reading the old one, which nobody writes any more.
        let (overlay, notes) = (Overlay::default(), Weak::new());
        let new = Live { generation, overlay, notes };
        let old = std::mem::replace(&mut *self.live(), new);
        self.durable.send_replace(Some(index));
        Ok(old.generation)
    }

    /// Writes what gathered. `always`: also the index alone, when there is no row.
    fn persist(&self, always: bool) -> Result<(), Error> {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.fatal.is_raised() {
            return Err(Error::Stopped);
        }
        let (rows, applied, kv, notes) = {
            let Live { generation, overlay, notes } = &mut *self.live();
            let nothing = overlay.waiting() == 0;
            if overlay.applied().is_none() || (nothing && !always) {
                return Ok(());
            }
            let kv = Arc::clone(generation.kv());
            (overlay.begin_writing(), overlay.applied(), kv, notes.upgrade())
        };
        let index = applied.max(*self.durable.borrow());
        if rows.is_empty() && index == *self.durable.borrow() {
            return Ok(());
        }
        let noted = notes.map_or(Ok(()), |notes| notes.before_write(kv.as_ref(), &rows));
        if let Err(error) = noted.and_then(|()| write(kv.as_ref(), &rows, index)) {
            self.fatal.raise(format!("writing the history: {error}"));
            return Err(error);
        }
        self.live().overlay.written();
        self.durable.send_replace(index);
        Ok(())
    }
}

fn write(kv: &dyn Kv, rows: &Rows, index: Option<u64>) -> Result<(), Error> {
    let mut writes = Writes::default();
    for (key, value) in rows {
        match value {
            Some(value) => rows::put(&mut writes, key, value),
            None => rows::delete(kv, &mut writes, key)?,
        }
        if writes.is_full() {
            kv.write(std::mem::take(&mut writes))?;
        }
    }
    // The index goes last: a crash before it re-applies entries whose rows are half here.
    if let Some(index) = index {
        rows::put_applied(&mut writes, index);
    }
    kv.write(writes)?;
    kv.flush_durable()
}
