//! Runs that people start and stop.

use serde_json::json;

use crate::machine::command::TriggerRun;
use crate::machine::reply::{Answer, Rejection, Reply};
use crate::model::{EntryId, RunId, RunStatus, SkipReason, Trigger, limits};

use super::Cx;
use super::admit::NewRun;

impl Cx<'_> {
    pub(super) fn trigger(&mut self, trigger: &TriggerRun) -> Answer {
        self.trigger_by(trigger, None).map(|id| Reply::Run { id })
    }

    /// Starts a run, for an entry of a stream or for whoever the command is of.
    pub(super) fn trigger_by(
        &mut self,
        trigger: &TriggerRun,
        entry: Option<EntryId>,
    ) -> Result<RunId, Rejection> {
        let job = self.job(trigger.no).ok_or(Rejection::Stale)?;
        if job.version != trigger.version {
            return Err(Rejection::Stale);
        }
        // It would meet a run that is not there yet: the planned start is taken back first.
        if !trigger.force && job.spec.max_concurrent().is_some() {
            self.none_ahead(trigger.no)?;
        }
        let new = NewRun {
            force: trigger.force,
            cause: trigger.cause,
            place: trigger.place,
            by: entry.map(|entry| format!("{}/{entry}", self.who())),
            trace: self.command.actor.as_ref().and_then(|actor| actor.trace.clone()),
            ..NewRun::of(Trigger::Manual, trigger.parameters.clone())
        };
        let id = match self.admit(trigger.no, new) {
            Ok(id) => id,
            Err(SkipReason::Overlap) => {
                let run = self.s.open_of(trigger.no).find(|open| open.run.backfill.is_none());
                let run = run.map(|open| open.run.id.to_string()).unwrap_or_default();
                return Err(Rejection::Overlap { job: job.spec.name.clone(), run });
            }
            Err(_) => {
                let most = u64::from(limits::OPEN_RUNS_PER_JOB_MAX);
                return Err(Rejection::Limit { what: "open runs of a job".into(), most });
            }
        };
        if let Some(kept) = &trigger.kept {
            self.edit_run(id, |open| open.kept = Some(std::sync::Arc::new((**kept).clone())));
        }
        let mut change = json!({"run_id": id, "force": trigger.force, "repeats": trigger.cause});
        if let Some(entry) = entry {
            change["entry"] = entry.to_string().into();
        }
        self.audit("job.run", job.spec.name.as_str(), change);
        Ok(id)
    }

    pub(super) fn cancel(&mut self, id: RunId) -> Answer {
        let open = self.s.runs.get(&id).cloned().ok_or_else(|| Rejection::no_run(id))?;
        let by = self.who();
        self.stop_run(id, &by);
        self.audit("run.cancel", open.run.job.as_str(), json!({"run_id": id}));
        match self.s.runs.get(&id).map(|open| open.run.status) {
            Some(RunStatus::Cancelled) | None => Ok(Reply::Done),
            Some(_) => Ok(Reply::Run { id }),
        }
    }
}
