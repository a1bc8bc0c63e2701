//! One attempt: order, run, report.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::machine::command::{End, OutputChunk};
use crate::machine::state::OpenRun;
use crate::machine::{Op, Rejection};
use crate::model::{Fence, RunId, RunStatus, Span as Wait, Timestamp, Usage};
use crate::storage::Pressure;
use crate::trace;

use super::begun::{Left, StopFor};
use super::busy::One;
use super::fill::fill;
use super::last_check::{LastCheck, Started, come};
use super::left_out::LeftOut;
use super::lock::{self, Locked, NoLock};
use super::order::{Here, order};
use super::parts::Parts;
use super::report::report;
use super::runner::{self, Chunk, Ended, Outcome, Spec};

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
    one: One,
) -> Left {
    let (run, job, attempt) = (open.run.id, open.run.job.as_str(), open.run.attempt);
    let span = tracing::info_span!(
        "run",
        run_id = %run,
        job,
        attempt,
        otel.name = format!("run {job}"),
        otel.status_code = Empty,
    );
    trace::under(&span, open.run.traceparent.as_ref());
    attempt_in(parts, Arc::clone(&open), stop, one).instrument(span).await
}

async fn attempt_in(
    parts: Arc<Parts>,
    open: Arc<OpenRun>,
    mut stop: watch::Receiver<StopFor>,
    one: One,
) -> Left {
    let Some(last) = open.run.attempts.last() else { return Left::Over };
    let held = Held { run: open.run.id, attempt: last.attempt, fence: last.fence };
    let trace = trace::place(&Span::current(), open.run.traceparent.clone());
    let here = Here { node: &parts.node_name, boot_tag: &parts.boot_tag, trace };
    let started = Arc::new(Started::default());
    let mut locked = None;
    let (outcome, output) = if !come(&open, &*parts.clock, &mut stop).await {
        started.refuse();
        (None, Vec::new())
    } else {
        match ordered(&parts, &open, &here) {
            Ok(Some(mut spec)) => match lock::take(&parts, &open, &mut spec).await {
                Ok(lock) => {
                    let done = run(&parts, spec, held, &started, stop.clone(), &lock).await;
                    locked = lock;
                    done
                }
                Err(NoLock::Never(why)) => (Some(Outcome::failed(why)), Vec::new()),
                Err(NoLock::Busy { held: by_other, why }) => {
                    drop(one);
                    return lock_busy(&parts, held, by_other, why).await;
                }
            },
            Ok(None) => (None, Vec::new()),
            Err(why) => (Some(Outcome::failed(why)), Vec::new()),
        }
    };
    let finished_at = parts.clock.now();
    let lost_lock = locked.as_ref().is_some_and(Locked::is_lost);
    if let Some(lock) = locked {
        lock.free().await;
    }
    // What follows is only told.
    drop(one);
    let why = *stop.borrow();
    if started.refused() {
        return unbegun(&parts, held, why).await;
    }
    let end = End { output, ..end_of(outcome, started.at(), finished_at, (why, lost_lock)) };
    if end.status != RunStatus::Succeeded {
        Span::current().record("otel.status_code", "ERROR");
    }
    tracing::debug!(status = end.status.as_str(), "ended");
    let op =
        Op::Ended { run: held.run, attempt: held.attempt, fence: held.fence, end: Box::new(end) };
    if let Some(Err(refused)) = report(&parts.consensus, &*parts.clock, op).await {
        tracing::warn!(%refused, "the end of an attempt came too late");
    }
    Left::Over
}

/// What to carry out, with what this node alone fills in.
///
/// # Errors
/// A sentence for the run.
fn ordered(parts: &Parts, open: &OpenRun, here: &Here<'_>) -> Result<Option<Spec>, String> {
    let Some(mut spec) = order(open, here)? else { return Ok(None) };
    let state = parts.consensus.state();
    fill(&mut spec, open, &state, parts.vault.as_deref())?;
    Ok(Some(spec))
}

/// The attempt was not begun: it may be later, or the log is told that it never will be.
async fn unbegun(parts: &Parts, held: Held, why: StopFor) -> Left {
    let Held { run, attempt, fence } = held;
    if matches!(why, StopFor::Nothing | StopFor::LeaseLost) {
        tracing::debug!("not begun yet");
        return Left::Untouched;
    }
    report(&parts.consensus, &*parts.clock, Op::Unbegun { run, attempt, fence }).await;
    Left::Over
}

/// The attempt was not begun, for its lock is another's or can't be asked for.
async fn lock_busy(parts: &Parts, held: Held, by_other: bool, why: String) -> Left {
    let Held { run, attempt, fence } = held;
    tracing::debug!(why, "not begun: its lock is busy");
    let op = Op::LockBusy { run, attempt, fence, held: by_other, why };
    report(&parts.consensus, &*parts.clock, op).await;
    Left::Over
}

async fn run(
    parts: &Parts,
    spec: runner::Spec,
    held: Held,
    started: &Arc<Started>,
    stop: watch::Receiver<StopFor>,
    lock: &Option<Locked>,
) -> (Option<Outcome>, Vec<OutputChunk>) {
    let (send, receive) = mpsc::channel(OUTPUT_BATCHES);
    let (cancel, cancelled) = watch::channel(false);
    let Held { run, fence, .. } = held;
    let last_check = LastCheck {
        lease: &parts.lease,
        consensus: &parts.consensus,
        clock: &*parts.clock,
        run,
        fence,
        stop: stop.clone(),
        started: started.clone(),
    };
    let attempt = parts.work.carry_out(spec, cancelled, send, last_check);
    let keep = async {
        if let Some(lock) = lock {
            lock.watch(&cancel).await;
        }
    };
    let beside = async {
        tokio::join!(report_start(parts, held, started), pass_on(stop, &cancel), keep);
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

/// Turns what the node wants of an attempt into the runner's token.
async fn pass_on(mut stop: watch::Receiver<StopFor>, cancel: &watch::Sender<bool>) {
    if stop.wait_for(|stop| stop.ends()).await.is_ok() {
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
/// waits a moment for that: most attempts are over by then, and cost one command less. What
/// there is no room for, here or at the leader, is left out, and a line says so.
async fn report_output(
    parts: &Parts,
    held: Held,
    mut receive: mpsc::Receiver<Vec<Chunk>>,
) -> Vec<OutputChunk> {
    let Held { run, attempt, fence } = held;
    let space = parts.consensus.space();
    let short = || *space.borrow() >= Pressure::Output;
    let mut waiting: Option<Vec<OutputChunk>> = None;
    let mut left_out = LeftOut::default();
    loop {
        let next = match &waiting {
            None => Ok(receive.recv().await),
            Some(_) => tokio::time::timeout(LAST_OUTPUT_WITHIN, receive.recv()).await,
        };
        let next = match next {
            Ok(None) => {
                let mut last = waiting.unwrap_or_default();
                if short() {
                    left_out.add(&std::mem::take(&mut last));
                }
                return left_out.tell(&last);
            }
            Ok(Some(batch)) => Some(batch.into_iter().map(chunk).collect()),
            Err(_) => None,
        };
        if let Some(chunks) = std::mem::replace(&mut waiting, next) {
            if short() {
                left_out.add(&chunks);
                continue;
            }
            let op = Op::Output { run, attempt, fence, chunks: left_out.tell(&chunks) };
            match report(&parts.consensus, &*parts.clock, op).await {
                Some(Err(Rejection::Limit { .. })) => {
                    left_out.add(&chunks);
                    continue;
                }
                Some(Err(refused)) => tracing::debug!(%run, %refused, "output came too late"),
                Some(Ok(_)) | None => {}
            }
            left_out = LeftOut::default();
        }
    }
}

fn chunk(chunk: Chunk) -> OutputChunk {
    OutputChunk {
        seq: chunk.seq,
        stream: chunk.stream,
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
    (stop, lost_lock): (StopFor, bool),
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
            retry_after: None,
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
            StopFor::Nothing if lost_lock => lost("its lock was lost: another may hold it"),
            StopFor::Nothing | StopFor::NotBegin | StopFor::Cancel => {
                (RunStatus::Cancelled, outcome.error)
            }
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
        retry_after: outcome.retry_after.map(|wait| Wait::from_secs(wait.as_secs())),
        output: Vec::new(),
        usage,
    }
}
