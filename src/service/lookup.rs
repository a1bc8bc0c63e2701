//! Finding what a caller names, if the caller may.
//!
//! The state is read before the history: a run that is closed in between is then seen
//! open, and never missed.

use std::sync::Arc;

use super::{Action, Caller, Error, Permit, Service, Target, waiting};
use crate::machine::State;
use crate::machine::history::{run_key, unpack};
use crate::machine::state::Job;
use crate::model::{Run, RunId};

/// The job of that name, if `c` may do `action` to it.
pub(super) fn job_for(
    c: &Caller,
    action: Action,
    state: &State,
    name: &str,
) -> Result<Arc<Job>, Error> {
    permitted_job(c, action, state, name).map(|(job, _)| job)
}

/// The same, with the permit.
pub(super) fn permitted_job(
    c: &Caller,
    action: Action,
    state: &State,
    name: &str,
) -> Result<(Arc<Job>, Permit), Error> {
    c.permit(action, Target::Cluster)?;
    let job = state.job(name).cloned().ok_or_else(|| Error::no_job(name))?;
    let permit = c.permit(action, Target::from(&*job.spec))?;
    Ok((job, permit))
}

/// Whether `c` may do `action` to `run`. The tags that count are the job's present ones, of a
/// deleted job its last ones.
pub(super) fn may_run(
    c: &Caller,
    action: Action,
    state: &State,
    run: &Run,
) -> Result<Permit, Error> {
    let tags = state.tags(run.id.job_no());
    let target = Target::Job { name: run.job.as_str(), tags };
    c.permit(action, target).map_err(|error| match error {
        Error::NotFound { .. } => Error::no_run(run.id),
        other => other,
    })
}

impl Service {
    /// The run of that id, open or closed, if `c` may do `action` to it.
    pub(super) async fn run_for(
        &self,
        c: &Caller,
        action: Action,
        id: RunId,
    ) -> Result<Run, Error> {
        c.permit(action, Target::Cluster)?;
        let state = self.consensus().state();
        let run = match state.runs.get(&id) {
            Some(open) => waiting::shown(&state, open),
            None => self.closed_run(id).await?.ok_or_else(|| Error::no_run(id))?,
        };
        may_run(c, action, &state, &run)?;
        Ok(run)
    }

    /// A run of the history.
    pub(super) async fn closed_run(&self, id: RunId) -> Result<Option<Run>, Error> {
        match self.consensus().history().get(&run_key(id)).await? {
            Some(value) => Ok(Some(unpack(&value)?)),
            None => Ok(None),
        }
    }
}
