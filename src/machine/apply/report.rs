//! What nodes report of their attempts: starts, output, ends. A report counts only with
//! the fence of the open attempt, so late ones change nothing.

use std::sync::Arc;

use crate::machine::command::{End, OutputChunk};
use crate::machine::history::output_key;
use crate::machine::reply::{Answer, Rejection, Reply};
use crate::machine::state::{OpenRun, Wait};
use crate::model::{Fact, Fence, RetryOn, RunId, RunStatus, Span, Timestamp, Trigger, limits};

use super::Cx;

impl Cx<'_> {
    pub(super) fn held(
        &self,
        id: RunId,
        attempt: u32,
        fence: Fence,
    ) -> Result<Arc<OpenRun>, Rejection> {
        let open = self.s.runs.get(&id).ok_or(Rejection::Fenced)?;
        match open.held() {
            Some((held, _)) if held == fence && open.run.attempt == attempt => Ok(open.clone()),
            _ => Err(Rejection::Fenced),
        }
    }

    pub(super) fn started(
        &mut self,
        id: RunId,
        attempt: u32,
        fence: Fence,
        started_at: Timestamp,
    ) -> Answer {
        let open = self.held(id, attempt, fence)?;
        self.no_longer_ahead(&open);
        self.begun(&open, Some(started_at));
        self.watch_begun(id, started_at);
        self.edit_run(id, |open| {
            open.run.status = RunStatus::Running;
            open.run.started_at = Some(started_at);
            if let Some(last) = open.run.attempts.last_mut() {
                last.started_at = Some(started_at);
                last.status = RunStatus::Running;
            }
        });
        self.event("run.running", Some(&open.run.job), Some((id, RunStatus::Running)));
        Ok(Reply::Done)
    }

    /// Counts the start of an attempt, the first time that it is told.
    fn begun(&mut self, open: &OpenRun, started_at: Option<Timestamp>) {
        if let Some(ahead) = open.ahead {
            let late = started_at.map_or(0, |at| at.micros_since(ahead.start_at));
            self.out.facts.push(Fact::Fired { late });
        }
        let told = open.run.attempts.last().is_none_or(|attempt| attempt.started_at.is_some());
        let Some(at) = started_at.filter(|_| !told) else { return };
        let ready = open.queued_at.max(open.ahead.map(|ahead| ahead.start_at));
        if let Some(queued) = open.queued_at.filter(|_| open.task.is_some()) {
            self.out.facts.push(Fact::Step { took: at.micros_since(queued) });
        }
        let scheduled = open.run.trigger == Trigger::Schedule && open.run.attempt == 1;
        self.out.facts.push(Fact::Started {
            waited: ready.map(|ready| at.micros_since(ready)),
            late: open.run.nominal_time.filter(|_| scheduled).map(|due| at.micros_since(due)),
        });
    }

    pub(super) fn output(
        &mut self,
        id: RunId,
        attempt: u32,
        fence: Fence,
        chunks: &[OutputChunk],
    ) -> Answer {
        let open = self.held(id, attempt, fence)?;
        let bytes: usize = chunks.iter().map(|chunk| chunk.bytes.len()).sum();
        let most = limits::OUTPUT_BYTES_MAX as u64 * u64::from(attempt) + 64 * 1024;
        if open.run.log_bytes + bytes as u64 > most {
            return Err(Rejection::Limit { what: "captured output".into(), most });
        }
        self.edit_run(id, |open| open.run.log_bytes += bytes as u64);
        if let Some(first) = chunks.first() {
            self.out.put(output_key(id, attempt, first.seq), chunks);
        }
        Ok(Reply::Done)
    }

    pub(super) fn ended(&mut self, id: RunId, attempt: u32, fence: Fence, end: &End) -> Answer {
        self.held(id, attempt, fence)?;
        // `skipped` is the scheduler's word for a run that never started.
        if !end.status.is_terminal() || end.status == RunStatus::Skipped {
            return Err(Rejection::Fenced);
        }
        if !end.output.is_empty() {
            // Output past its bound is left out; the end counts all the same.
            let _ = self.output(id, attempt, fence, &end.output);
        }
        self.conclude(id, end);
        Ok(Reply::Run { id })
    }

    /// Ends the open attempt of a run: another attempt follows, or the run is closed.
    pub(super) fn conclude(&mut self, id: RunId, end: &End) {
        let Some(open) = self.s.runs.get(&id).cloned() else { return };
        self.free_place(&open);
        let planned = self.lost_ahead(&open, end.status);
        self.no_longer_ahead(&open);
        self.begun(&open, end.started_at);
        if let Some(started_at) = end.started_at {
            self.watch_begun(id, started_at);
        }
        self.edit_run(id, |open| {
            let run = &mut open.run;
            run.started_at = end.started_at.or(run.started_at);
            run.exit_code = end.exit_code;
            run.http_status = end.http_status;
            run.error = end.error.clone();
            run.result = end.result.clone();
            if let Some(last) = run.attempts.last_mut() {
                last.started_at = end.started_at.or(last.started_at);
                last.finished_at = Some(end.finished_at);
                last.status = end.status;
                last.exit_code = end.exit_code;
                last.signal = end.signal;
                last.http_status = end.http_status;
                last.error = end.error.clone();
                last.usage = end.usage;
            }
        });
        // Builds before format 5 do not know of it, and all must decide alike.
        let asked = end.retry_after.filter(|_| self.s.format() >= 5);
        match retry_delay(&open, end.status, asked) {
            Some(delay) => {
                let until = self.at.plus(delay).max(planned.unwrap_or(Timestamp::ZERO));
                self.wait(id, Wait::Retry { until }, "to be attempted again");
            }
            None => self.close(id, end.status, None),
        }
    }
}

/// How long to the next attempt; none: there is none. `asked` is what a server asked for.
fn retry_delay(open: &OpenRun, status: RunStatus, asked: Option<Span>) -> Option<Span> {
    let retry = open.spec.retry.as_deref()?;
    let on = match status {
        RunStatus::Failed => RetryOn::Failed,
        RunStatus::TimedOut => RetryOn::TimedOut,
        RunStatus::Lost => RetryOn::Lost,
        _ => return None,
    };
    let more = open.run.attempt < retry.max_attempts.min(limits::ATTEMPTS_MAX);
    let wanted = more && !open.cancel && !open.orphan && retry.on.contains(&on);
    let asked = asked.unwrap_or(Span::ZERO).min(retry.max_delay);
    wanted.then(|| retry.delay_after(open.run.attempt, salt(open)).max(asked))
}

/// Spreads the jitter of retries: a function of the run and the attempt (SplitMix64's
/// finalizer).
fn salt(open: &OpenRun) -> u64 {
    let mut z = open.seq.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(open.run.attempt);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
