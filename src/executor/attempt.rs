//! One attempt: order, run, report.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};

use crate::clock::Clock;
use crate::machine::Op;
use crate::machine::command::{End, OutputChunk};
use crate::machine::state::OpenRun;
use crate::model::{Fence, RunId, RunStatus, Timestamp, Usage};

use super::begun::{Left, StopFor};
use super::lease::{self, Lease};
use super::order::{Here, order};
use super::parts::Parts;
use super::report::report;
use super::runner::{self, Chunk, Ended, Outcome, Stream};

/// An attempt that ends sooner does not report its start on its own: the end tells it.
const START_REPORT_AFTER: Duration = Duration::from_millis(20);
/// Output that comes this shortly before the end is told with it.
const LAST_OUTPUT_WITHIN: Duration = Duration::from_millis(10);
/// Batches of output between the runner and the log.
const OUTPUT_BATCHES: usize = 8;

/// The numbers that make a report count.
#[derive(Clone, Copy)]
struct Held {
    run: RunId,
    attempt: u32,
    fence: Fence,
}

/// Carries out the open attempt of `open` and reports it, unless it must not begin now.
pub(super) async fn carry_out(
    parts: Arc<Parts>,
    open: Arc<OpenRun>,
    stop: watch::Receiver<StopFor>,
) -> Left {
    let Some(last) = open.run.attempts.last() else { return Left::Over };
    let held = Held { run: open.run.id, attempt: last.attempt, fence: last.fence };
    let here = Here { node: &parts.node_name, boot_tag: &parts.boot_tag };
    let started = Arc::new(Started::default());
    let (mut outcome, output) = match order(&open, &here) {
        Some(spec) => run(&parts, spec, held, &started, stop.clone()).await,
        None => (None, Vec::new()),
    };
    if started.refused() {
        if matches!(*stop.borrow(), StopFor::Nothing | StopFor::LeaseLost) {
            tracing::debug!(run = %held.run, attempt = held.attempt, "held back: no lease");
            return Left::Untouched;
        }
        let error = Some("stopped before it began".to_string());
        outcome = outcome.map(|outcome| Outcome { ended: Ended::Cancelled, error, ..outcome });
    }
    let finished_at = parts.clock.now();
    let end = End { output, ..end_of(outcome, started.at(), finished_at, *stop.borrow()) };
    tracing::debug!(run = %held.run, attempt = held.attempt, status = end.status.as_str(), "ended");
    let op =
        Op::Ended { run: held.run, attempt: held.attempt, fence: held.fence, end: Box::new(end) };
    if let Some(Err(refused)) = report(&parts.consensus, &*parts.clock, op).await {
        tracing::warn!(run = %held.run, %refused, "the end of an attempt came too late");
    }
    Left::Over
}

/// When the attempt started, once it has.
#[derive(Default)]
struct Started {
    micros: AtomicI64,
    known: Notify,
    refused: AtomicBool,
}

impl Started {
    fn at(&self) -> Option<Timestamp> {
        match self.micros.load(Ordering::Acquire) {
            0 => None,
            micros => Some(Timestamp::from_micros(micros)),
        }
    }

    /// It was not allowed to.
    fn refused(&self) -> bool {
        self.refused.load(Ordering::Acquire)
    }
}

/// Lets the attempt begin while the lease holds and nobody wants it stopped.
pub struct Gate {
    clock: Arc<dyn Clock>,
    lease: Lease,
    stop: watch::Receiver<StopFor>,
    started: Arc<Started>,
}

impl runner::Start for Gate {
    fn may(&self) -> bool {
        let may = lease::holds(&self.lease) && *self.stop.borrow() == StopFor::Nothing;
        self.started.refused.store(!may, Ordering::Release);
        may
    }

    fn begun(self, _process: Option<u32>) {
        self.started.micros.store(self.clock.now().micros(), Ordering::Release);
        self.started.known.notify_one();
    }
}

async fn run(
    parts: &Parts,
    spec: runner::Spec,
    held: Held,
    started: &Arc<Started>,
    stop: watch::Receiver<StopFor>,
) -> (Option<Outcome>, Vec<OutputChunk>) {
    let (send, receive) = mpsc::channel(OUTPUT_BATCHES);
    let (cancel, cancelled) = watch::channel(false);
    let (lease, started_here) = (parts.lease.clone(), started.clone());
    let (clock, stopped) = (parts.clock.clone(), stop.clone());
    let gate = Gate { clock, lease, stop: stopped, started: started_here };
    let attempt = parts.work.carry_out(spec, cancelled, send, gate);
    let beside = async {
        tokio::join!(report_start(parts, held, started), pass_on(stop, cancel));
        std::future::pending().await
    };
    let attempt = async {
        // Neither ends by itself; both are over when the attempt is.
        tokio::select! {
            outcome = attempt => outcome,
            never = beside => never,
        }
    };
    let (outcome, last) = tokio::join!(attempt, report_output(parts, held, receive));
    (Some(outcome), last)
}

/// Turns the node's wish into the runner's token.
async fn pass_on(mut stop: watch::Receiver<StopFor>, cancel: watch::Sender<bool>) {
    if stop.wait_for(|stop| *stop != StopFor::Nothing).await.is_ok() {
        cancel.send_replace(true);
    }
    // Dropping the sender would say that the attempt can't be cancelled any more.
    cancel.closed().await;
}

async fn report_start(parts: &Parts, held: Held, started: &Started) {
    started.known.notified().await;
    tokio::time::sleep(START_REPORT_AFTER).await;
    if let Some(started_at) = started.at() {
        let Held { run, attempt, fence } = held;
        report(&parts.consensus, &*parts.clock, Op::Started { run, attempt, fence, started_at })
            .await;
    }
}

/// Reports output as it comes; gives back what came last, to be told with the end. Each batch
/// waits a moment for that: most attempts are over by then, and cost one command less.
async fn report_output(
    parts: &Parts,
    held: Held,
    mut receive: mpsc::Receiver<Vec<Chunk>>,
) -> Vec<OutputChunk> {
    let Held { run, attempt, fence } = held;
    let mut waiting: Option<Vec<OutputChunk>> = None;
    loop {
        let next = match &waiting {
            None => Ok(receive.recv().await),
            Some(_) => tokio::time::timeout(LAST_OUTPUT_WITHIN, receive.recv()).await,
        };
        let next = match next {
            Ok(None) => return waiting.unwrap_or_default(),
            Ok(Some(batch)) => Some(batch.into_iter().map(chunk).collect()),
            Err(_) => None,
        };
        if let Some(chunks) = std::mem::replace(&mut waiting, next) {
            let op = Op::Output { run, attempt, fence, chunks };
            if let Some(Err(refused)) = report(&parts.consensus, &*parts.clock, op).await {
                tracing::debug!(%run, %refused, "output came too late");
            }
        }
    }
}

fn chunk(chunk: Chunk) -> OutputChunk {
    OutputChunk {
        seq: chunk.seq,
        stream: match chunk.stream {
            Stream::Stdout => 'o',
            Stream::Stderr => 'e',
            Stream::System => 's',
        },
        at: Timestamp::from_micros(chunk.at_micros),
        bytes: chunk.bytes.to_vec(),
    }
}

fn lost(why: &str) -> (RunStatus, Option<String>) {
    (RunStatus::Lost, Some(why.to_string()))
}

fn end_of(
    outcome: Option<Outcome>,
    started_at: Option<Timestamp>,
    finished_at: Timestamp,
    stop: StopFor,
) -> End {
    let Some(outcome) = outcome else {
        return End {
            status: RunStatus::Failed,
            started_at,
            finished_at,
            exit_code: None,
            signal: None,
            http_status: None,
            error: Some("the definition names nothing that can be carried out".into()),
            result: None,
            usage: None,
            output: Vec::new(),
        };
    };
    let (status, error) = match outcome.ended {
        Ended::Succeeded => (RunStatus::Succeeded, outcome.error),
        Ended::Failed => (RunStatus::Failed, outcome.error),
        Ended::TimedOut => (RunStatus::TimedOut, outcome.error),
        Ended::Cancelled => match stop {
            StopFor::Shutdown => lost("its node was stopped while it ran"),
            StopFor::LeaseLost => lost("its node lost its lease"),
            StopFor::Nothing | StopFor::Cancel => (RunStatus::Cancelled, outcome.error),
        },
    };
    let usage = match (outcome.cpu_ms, outcome.peak_rss_bytes) {
        (None, None) => None,
        (cpu, peak) => Some(Usage {
            cpu_ms: cpu.unwrap_or_default(),
            peak_memory_bytes: peak.unwrap_or_default(),
        }),
    };
    End {
        status,
        started_at,
        finished_at,
        exit_code: outcome.exit_code,
        signal: outcome.signal,
        http_status: outcome.http_status,
        error,
        result: outcome.result,
        output: Vec::new(),
        usage,
    }
}
