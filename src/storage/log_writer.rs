//! The one writer of the log: takes writes in order, makes them durable, then says so.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::log::{Log, Write};
use super::{Error, Fatal};

/// Writes waiting for the writer; the consensus core rarely has two outstanding.
const QUEUE: usize = 256;
/// Writes made durable by one flush at most.
const GROUP: usize = 256;
/// Without a write for this long, it is noted how far all is durable.
const QUIET: Duration = Duration::from_millis(200);

/// Called once with the outcome, on the writer's thread: it must be quick.
pub type Done = Box<dyn FnOnce(Result<(), Error>) + Send>;

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
    /// `flushed` counts how often all was made durable.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start(
        log: Log,
        purged: Option<u64>,
        fatal: Fatal,
        flushed: &Arc<AtomicU64>,
    ) -> std::io::Result<Self> {
        if let Some(upto) = purged {
            log.purged_before(upto);
        }
        let (blocks, delay) = (log.blocks(), log.delay());
        let (untidy, unsettled, stopped, last) = (true, true, false, Vec::new());
        let flushed = Arc::clone(flushed);
        let writer = Writer { log, untidy, unsettled, fatal, stopped, last, flushed };
        if !blocks && delay.is_none() {
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
                writer.tidy_all();
                for done in std::mem::take(&mut writer.last) {
                    done(Ok(()));
                }
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

/// Wakes the writer's thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// What was waited for.
enum Next {
    Request(Request),
    Nothing,
    Closed,
}

/// The next request, waited for until `end`, or for ever.
fn wait(receiver: &mut mpsc::Receiver<Request>, end: Option<Instant>) -> Next {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match receiver.poll_recv(&mut context) {
            Poll::Ready(Some(request)) => return Next::Request(request),
            Poll::Ready(None) => return Next::Closed,
            Poll::Pending => {}
        }
        match end.map(|end| end.saturating_duration_since(Instant::now())) {
            None => thread::park(),
            Some(Duration::ZERO) => return Next::Nothing,
            Some(left) => thread::park_timeout(left),
        }
    }
}

struct Writer {
    log: Log,
    /// There may be something purged to remove.
    untidy: bool,
    /// Something was written since it was last noted how far all is durable.
    unsettled: bool,
    fatal: Fatal,
    stopped: bool,
    /// Who waits for the end. They are told when the log is let go: another process may wait too.
    last: Vec<Done>,
    flushed: Arc<AtomicU64>,
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
            // No one writes any more.
            self.settle();
        });
        if catch_unwind(body).is_err() {
            return fatal.raise("the storage engine panicked while writing the log");
        }
        self.end();
    }

    fn end(self) {
        let Self { log, last, .. } = self;
        drop(log);
        for done in last {
            done(Ok(()));
        }
    }

    /// The same without a thread: what is written waits for its flush as long as the disk
    /// takes, and a crash meanwhile loses it.
    async fn run_as_task(mut self, mut receiver: mpsc::Receiver<Request>) {
        while let Some(first) = receiver.recv().await {
            let written = self.write(grouped(first, &mut receiver));
            tokio::time::sleep(self.log.delay().unwrap_or_default()).await;
            self.finish(written);
            self.tidy_all();
            if self.stopped {
                break;
            }
        }
        self.end();
    }

    /// The next request; tidies while there is none, and settles once there was none for a while.
    fn next(&mut self, receiver: &mut mpsc::Receiver<Request>) -> Option<Request> {
        while self.untidy {
            match receiver.try_recv() {
                Ok(request) => return Some(request),
                Err(_) => self.tidy(),
            }
        }
        if self.unsettled {
            match wait(receiver, Some(Instant::now() + QUIET)) {
                Next::Request(request) => return Some(request),
                Next::Closed => return None,
                Next::Nothing => self.settle(),
            }
        }
        match wait(receiver, None) {
            Next::Request(request) => Some(request),
            Next::Nothing | Next::Closed => None,
        }
    }

    fn commit(&mut self, group: Vec<Request>) {
        let written = self.write(group);
        self.finish(written);
    }

    /// Hands the writes to the log.
    fn write(&mut self, group: Vec<Request>) -> Written {
        let mut waiting = Vec::with_capacity(group.len());
        let mut writes = Vec::with_capacity(group.len());
        for Request { write, done } in group {
            waiting.extend(done);
            self.stopped |= matches!(write, Write::Stop);
            self.untidy |= matches!(write, Write::Purge { .. });
            writes.push(write);
        }
        self.unsettled = true;
        let outcome = match self.fatal.is_raised() {
            true => Err(Error::Stopped),
            false => self.log.write(writes),
        };
        Written { waiting, outcome }
    }

    /// Makes them durable, if anyone waits for that, and says so.
    fn finish(&mut self, written: Written) {
        let Written { waiting, mut outcome } = written;
        if !waiting.is_empty() {
            outcome = outcome.and_then(|()| self.log.sync());
            self.flushed.fetch_add(1, Ordering::Relaxed);
        }
        if self.stopped {
            outcome = outcome.and_then(|()| self.log.settle());
        }
        if let Err(error) = &outcome {
            self.fatal.raise(error.to_string());
            // Nothing may be acknowledged any more, whatever a later flush would say.
            self.stopped = true;
        } else if self.stopped {
            return self.last.extend(waiting);
        }
        for done in waiting {
            done(if outcome.is_ok() { Ok(()) } else { Err(Error::Stopped) });
        }
    }

    fn settle(&mut self) {
        if self.unsettled && !self.fatal.is_raised() {
            self.unsettled = false;
            let settled = self.log.settle();
            self.check(settled);
        }
    }

    fn tidy_all(&mut self) {
        while self.untidy {
            self.tidy();
        }
    }

    fn tidy(&mut self) {
        let more = self.log.tidy();
        self.untidy = *more.as_ref().unwrap_or(&false);
        self.check(more.map(drop));
    }

    fn check(&self, outcome: Result<(), Error>) {
        if let Err(error) = outcome {
            self.fatal.raise(error.to_string());
        }
    }
}
