//! Runs: start one, look at it, wait for it, stop it, repeat it.

use serde_json::{Map, Value};
use tokio::time::{Instant, timeout_at};

use super::caller::Granted;
use super::jobs::unexpected;
use super::lookup::{may_run, permitted_job};
use super::secrets::may_pass;
use super::submit::{Done, Judged};
use super::{Action, Caller, Error, RetryFrom, Service, Target, WriteOptions, Written};
use crate::machine::command::{Op, TriggerRun};
use crate::machine::history::{run_key, unpack};
use crate::machine::prepare::{Intent, parameters};
use crate::machine::{Rejection, Reply, State};
use crate::model::{Invalid, Parameters, Run, RunId, Span};

/// How long a caller may wait for a run, at most.
const WAIT_MAX: Span = Span::from_secs(3_600);

impl Service {
    /// Starts a run. `force` passes over dependencies and the overlap policy, and takes
    /// the role that manages jobs.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, `Invalid` (parameters), `Conflict` (`overlap`), `Limit`,
    /// `Precondition`, `KeyReused`, `Unavailable`.
    pub async fn trigger(
        &self,
        c: &Caller,
        name: &str,
        parameters: Map<String, Value>,
        force: bool,
        o: WriteOptions,
    ) -> Result<Written<Run>, Error> {
        let action = if force { Action::ManageJobs } else { Action::TriggerJobs };
        c.permit(action, Target::Cluster)?;
        let parameters = Parameters::new(parameters)
            .map_err(|detail| Error::Invalid(vec![Invalid::new("parameters", detail)]))?;
        self.start(c, o, |state| {
            let (job, permit) = permitted_job(c, action, state, name)?;
            expect(o, job.version)?;
            may_pass(state, &job.spec, &parameters)?;
            let (name, parameters) = (job.spec.name.clone(), parameters.clone());
            Ok(permit.grants(Intent::Trigger { name, parameters, force, cause: None }))
        })
        .await
    }

    /// The run, once it is closed or `most` (an hour at most) has passed.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn wait_for(&self, c: &Caller, id: RunId, most: Span) -> Result<Run, Error> {
        let until = Instant::now() + most.min(WAIT_MAX).std();
        let mut changed = self.changed();
        loop {
            // Before the run is read: a change from here on wakes the wait below.
            changed.borrow_and_update();
            let run = self.run(c, id).await?;
            if run.status.is_terminal() {
                return Ok(run);
            }
            // Every entry wakes this; only one that concerns the run is worth an answer.
            let closed = changed.wait_for(|_| !self.consensus().state().runs.contains_key(&id));
            if !matches!(timeout_at(until, closed).await, Ok(Ok(_))) {
                return self.run(c, id).await;
            }
        }
    }

    /// A run.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn run(&self, c: &Caller, id: RunId) -> Result<Run, Error> {
        self.run_for(c, Action::ReadJobs, id).await
    }

    /// Stops a run: at once when no node has it, else by asking its node.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, `Conflict` (`run-ended`), `KeyReused`, `Unavailable`.
    pub async fn cancel(
        &self,
        c: &Caller,
        id: RunId,
        o: WriteOptions,
    ) -> Result<Written<Run>, Error> {
        c.permit(Action::ManageJobs, Target::Cluster)?;
        let intend = |state: &State| {
            let open = state.runs.get(&id).ok_or_else(|| Error::no_run(id))?;
            let permit = may_run(c, Action::ManageJobs, state, &open.run)?;
            Ok(permit.grants(Intent::Plain(Box::new(Op::Cancel { run: id }))))
        };
        let meta = match self.write(c, o, intend).await {
            Ok(meta) => meta,
            Err(Error::NotFound { .. }) => return Err(self.ended(c, id).await),
            Err(error) => return Err(error),
        };
        let value = self.run(c, id).await?;
        Ok(Written { value, created: false, changed: true, warnings: Vec::new(), meta })
    }

    /// Runs a closed run's job again with the same parameters; of a workflow, from the tasks
    /// `from` on.
    ///
    /// # Errors
    /// As [`Service::trigger`]; `Conflict` (`run-open`) while it is open.
    pub async fn retry(
        &self,
        c: &Caller,
        id: RunId,
        from: Option<RetryFrom>,
        o: WriteOptions,
    ) -> Result<Written<Run>, Error> {
        let run = self.run_for(c, Action::ManageJobs, id).await?;
        if !run.status.is_terminal() {
            let detail = format!("the run is {}; cancel it first, or wait", run.status.as_str());
            return Err(Error::Conflict { code: "run-open", detail });
        }
        if let Some(task) = &run.task
            && !self.consensus().state().jobs.contains_key(&id.job_no())
        {
            let (name, flow) = (&task.name, task.flow);
            let detail = format!(
                "the run is of the task {name}: repeat the workflow's, /runs/{flow}/retry with \
                 {{\"from\": [\"{name}\"]}}"
            );
            return Err(Error::Conflict { code: "not-a-workflow", detail });
        }
        let kept = match &from {
            Some(from) => Some(Box::new(self.kept(&run, from).await?)),
            None => None,
        };
        self.start(c, o, |state| {
            let job = state.jobs.get(&id.job_no()).ok_or_else(|| Error::no_job(&run.job))?;
            let permit = c.permit(Action::ManageJobs, Target::from(&*job.spec))?;
            expect(o, job.version)?;
            may_pass(state, &job.spec, &run.parameters)?;
            if let Some(schema) = &job.spec.parameters_schema {
                parameters::fits(schema, &run.parameters, "parameters").map_err(Error::Invalid)?;
            }
            Ok(permit.grants(Intent::Plain(Box::new(Op::Trigger(Box::new(TriggerRun {
                no: job.no,
                version: job.version,
                parameters: run.parameters.clone(),
                force: false,
                cause: Some(id),
                place: None,
                kept: kept.clone(),
            }))))))
        })
        .await
    }

    /// Submits the start of a run, or only judges it.
    async fn start(
        &self,
        c: &Caller,
        o: WriteOptions,
        intend: impl Fn(&State) -> Result<Granted, Error>,
    ) -> Result<Written<Run>, Error> {
        let (reply, meta, value) = if o.dry_run {
            let state = self.consensus().state();
            let judged = self.judge(c, &state, intend(&state)?)?;
            let value = started(&judged)?;
            (judged.done.reply, judged.done.meta, value)
        } else {
            let Done { reply, meta } = self.submit(c, o.request, intend).await?;
            let value = match reply {
                Reply::Run { id } => Some(self.run_for(c, Action::ReadJobs, id).await?),
                _ => None,
            };
            (reply, meta, value)
        };
        let value = value.ok_or_else(|| unexpected(&reply))?;
        Ok(Written { value, created: true, changed: true, warnings: Vec::new(), meta })
    }

    /// Why a run that is not open can't be stopped.
    async fn ended(&self, c: &Caller, id: RunId) -> Error {
        match self.run_for(c, Action::ManageJobs, id).await {
            Ok(run) => Rejection::Ended { status: run.status }.into(),
            Err(error) => error,
        }
    }
}

/// The run that would be started. One that would end at once is in the history.
fn started(judged: &Judged) -> Result<Option<Run>, Error> {
    let Reply::Run { id } = judged.done.reply else { return Ok(None) };
    if let Some(open) = judged.after.runs.get(&id) {
        return Ok(Some(open.run.clone()));
    }
    let row = judged.output.rows.iter().find(|row| row.key == run_key(id));
    Ok(row.and_then(|row| row.value.as_deref()).map(unpack).transpose()?)
}

fn expect(o: WriteOptions, actual: u64) -> Result<(), Error> {
    match o.expected {
        Some(expected) if expected != actual => Err(Error::Precondition { expected, actual }),
        _ => Ok(()),
    }
}
