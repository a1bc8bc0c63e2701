//! Writing definitions: put, patch, pause, resume, delete.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::caller::Granted;
use super::check::{may_put, unresolved_warnings};
use super::lookup::{job_for, permitted_job};
use super::readonly::ReadOnly;
use super::submit::{Done, Judged};
use super::views::JobView;
use super::{Action, Caller, Error, Meta, PutMode, Service, Target, WriteOptions, Written};
use crate::machine::prepare::Intent;
use crate::machine::prepare::timing::Compiled;
use crate::machine::{Reply, State};
use crate::model::JobSpec;

impl Service {
    /// Creates or replaces a definition. Faults are reported all at once; references to
    /// jobs that do not exist are warnings.
    ///
    /// # Errors
    /// `Invalid`, `Forbidden`, `Exists`, `NotFound` (update), `Precondition`, `KeyReused`,
    /// `Limit`, `Unavailable`.
    pub async fn put_job(
        &self,
        c: &Caller,
        mut map: Map<String, Value>,
        mode: PutMode,
        o: WriteOptions,
    ) -> Result<Written<JobView>, Error> {
        c.permit(Action::ManageJobs, Target::Cluster)?;
        let given = ReadOnly::take(&mut map);
        let name = map.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let before = self.consensus().state().job(&name).cloned();
        let before = before.as_ref().map(|job| &*job.spec);
        let read = self.read_definition(map, before).await;
        let spec = read.map_err(|mut faults| {
            faults.extend(given.faults(c, &self.consensus().state(), &name, self.now()));
            Error::Invalid(faults)
        })?;
        let spec = Arc::new(spec);
        self.write_job(c, o, |state| {
            let before = state.job(spec.name.as_str()).map(|job| &*job.spec);
            let permit = may_put(c, state, before, &spec)?;
            self.judge_read_only(c, state, &given, &spec)?;
            let (spec, expected) = (Arc::clone(&spec), o.expected);
            Ok(permit.grants(Intent::PutJob { spec, mode, expected }))
        })
        .await
    }

    /// Changes the fields that `patch` (RFC 7396) names.
    ///
    /// # Errors
    /// As [`Service::put_job`].
    pub async fn patch_job(
        &self,
        c: &Caller,
        name: &str,
        patch: Value,
        o: WriteOptions,
    ) -> Result<Written<JobView>, Error> {
        c.permit(Action::ManageJobs, Target::Cluster)?;
        let Value::Object(mut patch) = patch else {
            return Err(Error::fault("", "must be a JSON object with the fields to change"));
        };
        if patch.get("name").is_some_and(|given| given.as_str() != Some(name)) {
            return Err(Error::fault("name", "can't be changed; create a job of that name"));
        }
        let given = ReadOnly::take(&mut patch);
        let job = job_for(c, Action::ManageJobs, &self.consensus().state(), name)?;
        let map = patched(&job.spec, &patch);
        self.read_definition(map, Some(&job.spec)).await.map_err(|mut faults| {
            faults.extend(given.faults(c, &self.consensus().state(), name, self.now()));
            Error::Invalid(faults)
        })?;
        self.write_job(c, o, |state| {
            let job = job_for(c, Action::ManageJobs, state, name)?;
            // Read again: the definition may be another than the one checked above.
            let spec = JobSpec::from_map(patched(&job.spec, &patch)).map_err(Error::Invalid)?;
            let permit = may_put(c, state, Some(&job.spec), &spec)?;
            self.judge_read_only(c, state, &given, &spec)?;
            let (mode, expected) = (PutMode::Update, o.expected);
            Ok(permit.grants(Intent::PutJob { spec: Arc::new(spec), mode, expected }))
        })
        .await
    }

    /// Pauses or resumes a job.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, `Precondition`, `KeyReused`, `Unavailable`.
    pub async fn set_enabled(
        &self,
        c: &Caller,
        name: &str,
        enabled: bool,
        o: WriteOptions,
    ) -> Result<Written<JobView>, Error> {
        self.write_job(c, o, |state| {
            let (job, permit) = permitted_job(c, Action::ManageJobs, state, name)?;
            let (name, expected) = (job.spec.name.clone(), o.expected);
            Ok(permit.grants(Intent::SetEnabled { name, enabled, expected }))
        })
        .await
    }

    /// Deletes a definition and cancels its open runs; its history stays until retention
    /// takes it.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, `Precondition`, `KeyReused`, `Unavailable`.
    pub async fn delete_job(&self, c: &Caller, name: &str, o: WriteOptions) -> Result<Meta, Error> {
        c.permit(Action::ManageJobs, Target::Cluster)?;
        let intend = |state: &State| {
            let (job, permit) = permitted_job(c, Action::ManageJobs, state, name)?;
            let (name, expected) = (job.spec.name.clone(), o.expected);
            Ok(permit.grants(Intent::DeleteJob { name, expected }))
        };
        self.write(c, o, intend).await
    }

    /// Submits a change of a definition, or only judges it, and shows what came of it.
    async fn write_job(
        &self,
        c: &Caller,
        o: WriteOptions,
        intend: impl Fn(&State) -> Result<Granted, Error>,
    ) -> Result<Written<JobView>, Error> {
        c.permit(Action::ManageJobs, Target::Cluster)?;
        if !o.dry_run {
            let done = self.submit(c, o.request, intend).await?;
            return self.written(c, done).await;
        }
        let state = self.consensus().state();
        let Judged { after, done, .. } = self.judge(c, &state, intend(&state)?)?;
        let Reply::Job { no, created, changed, .. } = done.reply else {
            return Err(unexpected(&done.reply));
        };
        let job = after.jobs.get(&no).ok_or_else(|| Error::no_job(no))?;
        // A cache of its own: what was not written must not be taken for that version.
        let value = JobView::of(c, &after, job, &Compiled::default());
        let warnings = unresolved_warnings(&after, &job.spec);
        Ok(Written { value, created, changed, warnings, meta: done.meta })
    }

    /// The answer to a change of a definition, the first time and every time.
    async fn written(&self, c: &Caller, done: Done) -> Result<Written<JobView>, Error> {
        let Reply::Job { no, version, created, changed } = done.reply else {
            return Err(unexpected(&done.reply));
        };
        let state = self.consensus().state();
        let present = state.jobs.get(&no).filter(|job| job.version == version);
        let value = match present {
            Some(job) => JobView::of(c, &state, job, &self.0.compiled),
            None => self.view_of_version(c, &state, no, version).await?,
        };
        let full = present.map_or(&*value.spec, |job| &job.spec);
        let warnings = unresolved_warnings(&state, full);
        Ok(Written { value, created, changed, warnings, meta: done.meta })
    }
}

pub(super) fn unexpected(reply: &Reply) -> Error {
    Error::Internal(format!("the machine answered {reply:?}"))
}

/// The definition with a merge patch laid over it.
fn patched(spec: &JobSpec, patch: &Map<String, Value>) -> Map<String, Value> {
    let mut map = spec.to_map();
    merge(&mut map, patch);
    map
}

/// RFC 7396: a null takes away, an object goes down, anything else replaces.
pub(super) fn merge(into: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, value) in patch {
        match value {
            Value::Null => {
                into.remove(key);
            }
            Value::Object(inner) => {
                let slot = into.entry(key.clone()).or_insert(Value::Null);
                if !slot.is_object() {
                    *slot = Value::Object(Map::new());
                }
                if let Value::Object(slot) = slot {
                    merge(slot, inner);
                }
            }
            other => {
                into.insert(key.clone(), other.clone());
            }
        }
    }
}
