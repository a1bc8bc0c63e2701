//! Locks of jobs: a run whose lock is held by another waits and tries again, or is skipped.
//!
//! Who holds a lock is known to Redis alone, and asked by the node that is to begin the attempt.
//! Here is decided what follows when it is not to be had.

use crate::machine::reply::{Answer, Reply};
use crate::machine::state::Wait;
use crate::model::lock::OnBusy;
use crate::model::{Fence, RunId, RunStatus, SkipReason, Span, limits};

use super::Cx;

impl Cx<'_> {
    /// A node did not begin an attempt, for it could not have the lock of its job.
    pub(super) fn lock_busy(
        &mut self,
        (id, attempt, fence): (RunId, u32, Fence),
        held: bool,
        why: &str,
    ) -> Answer {
        let open = self.held(id, attempt, fence)?;
        if open.ahead.is_some_and(|ahead| self.at < ahead.start_at || ahead.withdrawn) {
            // By the log it is not due yet, or not wanted any more.
            return self.unbegun(id, attempt, fence);
        }
        let open = self.not_begun(id, attempt, fence)?;
        let skips = open.spec.lock.as_deref().is_some_and(|lock| lock.on_busy() == OnBusy::Skip);
        if open.cancel {
            self.close(id, RunStatus::Cancelled, None);
        } else if held && skips {
            self.edit_run(id, |open| open.run.error = Some(why.to_owned()));
            self.close_skipped(id, SkipReason::LockBusy);
            return Ok(Reply::Skipped(SkipReason::LockBusy));
        } else {
            let waited = self.at.since(open.run.fired_at).millis() / 4;
            let (least, most) = (limits::LOCK_RETRY_MIN, limits::LOCK_RETRY_MAX);
            let until = self.at.plus(Span::from_millis(waited).clamp(least, most));
            let why = format!("for its lock: {why}");
            self.wait(id, Wait::Retry { until }, &why);
        }
        Ok(Reply::Run { id })
    }
}
