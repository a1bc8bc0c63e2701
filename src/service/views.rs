//! How a job is shown: its definition with what is live about it, in one flat object.

use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use utoipa::openapi::schema::{AdditionalProperties, Schema};
use utoipa::openapi::{RefOr, schema::Object};

use super::caller::Caller;
use crate::machine::prepare::timing::Compiled;
use crate::machine::state::{Beat, Job, LastRun, State};
use crate::model::{JobSpec, JobUid, Name, Role, RunId, Runner, Setting, Timestamp};

/// Stands where a secret is not shown. A definition that holds it is refused.
pub const SECRET: &str = "********";

/// A job as answers show it: the fields of [`JobSpec`] and these, side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct JobView {
    /// The definition, without the secrets that the caller may not see.
    pub spec: Arc<JobSpec>,
    /// The rest.
    pub live: JobLive,
}

/// What a job's view has beside its definition.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct JobLive {
    /// Identity: new when the name is created again.
    pub uid: JobUid,
    /// One more at each change; the ETag.
    pub version: u64,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
    /// The next nominal time; none: no schedule, over, or paused.
    #[schema(required)]
    pub next_fire_at: Option<Timestamp>,
    /// The last closed run.
    #[schema(required)]
    pub last_run: Option<LastRun>,
    /// Runs that are not closed.
    pub open_runs: u32,
    /// Jobs that it names and that do not exist.
    #[schema(value_type = Vec<Name>)]
    pub unresolved: Vec<Name>,
    /// The schedule in a sentence; none: there is none.
    #[schema(required)]
    pub schedule_text: Option<String>,
    /// What became of its heartbeats; absent: it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub heartbeat: Option<HeartbeatView>,
    /// When it was deleted; absent: it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub deleted_at: Option<Timestamp>,
}

/// What became of the heartbeats of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct HeartbeatView {
    /// The run whose success waits to be told; null: none does.
    #[schema(required)]
    pub waiting: Option<RunId>,
    /// When one was last taken; null: none was.
    #[schema(required)]
    pub sent_at: Option<Timestamp>,
    /// Why the last try failed; null: it did not.
    #[schema(required)]
    pub fault: Option<String>,
}

impl From<&Beat> for HeartbeatView {
    fn from(beat: &Beat) -> Self {
        let (waiting, sent_at) = (beat.run, beat.sent_at);
        HeartbeatView { waiting, sent_at, fault: beat.fault.clone() }
    }
}

impl JobView {
    /// The view of `job` for `caller`.
    pub(super) fn of(caller: &Caller, state: &State, job: &Job, compiled: &Compiled) -> Self {
        let live = JobLive::of(state, job, compiled);
        JobView { spec: shown(caller, &job.spec), live }
    }
}

impl JobLive {
    /// What is live about `job`.
    pub(super) fn of(state: &State, job: &Job, compiled: &Compiled) -> Self {
        JobLive {
            uid: job.uid,
            version: job.version,
            created_at: job.created_at,
            updated_at: job.updated_at,
            next_fire_at: job.live.next.map(|next| next.nominal),
            last_run: job.live.last_run,
            open_runs: job.live.open,
            unresolved: unresolved(state, &job.spec),
            schedule_text: compiled.of(job).map(|timing| timing.schedule().describe()),
            heartbeat: state.beats.all.get(&job.no).map(|beat| HeartbeatView::from(&**beat)),
            deleted_at: None,
        }
    }
}

/// The jobs that `spec` names and that do not exist, each once.
pub(super) fn unresolved(state: &State, spec: &JobSpec) -> Vec<Name> {
    let mut missing: Vec<Name> = Vec::new();
    for (_, _, name) in spec.references() {
        if !state.names.contains_key(name) && !missing.contains(name) {
            missing.push(name.clone());
        }
    }
    missing
}

/// The definition as `caller` may see it.
pub(super) fn shown(caller: &Caller, spec: &Arc<JobSpec>) -> Arc<JobSpec> {
    let secret = |runner: &Runner| matches!(runner, Runner::Http { hmac_secret: Some(_), .. });
    let known = spec.heartbeat_url.as_deref().and_then(Setting::text).is_some();
    let any = known || spec.runners().any(|(_, runner)| secret(runner));
    if caller.role >= Role::Operator || !any {
        return Arc::clone(spec);
    }
    let mut spec = JobSpec::clone(spec);
    if known {
        spec.heartbeat_url = Some(Box::new(SECRET.into()));
    }
    let tasks = spec.tasks.iter_mut().filter_map(|task| task.runner.as_deref_mut());
    for runner in spec.runner.as_deref_mut().into_iter().chain(tasks) {
        if let Runner::Http { hmac_secret: Some(secret), .. } = runner {
            *secret = SECRET.to_string();
        }
    }
    Arc::new(spec)
}

impl Serialize for JobView {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = self.spec.to_map();
        // Clients look for it, whatever it is.
        map.insert("enabled".into(), Value::Bool(self.spec.enabled.0));
        let live = serde_json::to_value(&self.live).map_err(serde::ser::Error::custom)?;
        if let Value::Object(live) = live {
            map.extend(live);
        }
        Map::serialize(&map, s)
    }
}

impl utoipa::PartialSchema for JobView {
    fn schema() -> RefOr<Schema> {
        let (RefOr::T(Schema::Object(mut all)), RefOr::T(Schema::Object(live))) =
            (JobSpec::schema(), JobLive::schema())
        else {
            return Object::new().into();
        };
        all.properties.extend(live.properties);
        all.required.extend(live.required);
        all.required.push("enabled".into());
        all.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(true)));
        all.description = Some("A job: its definition, and what is live about it.".into());
        Schema::Object(all).into()
    }
}

impl utoipa::ToSchema for JobView {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        <JobSpec as utoipa::ToSchema>::schemas(schemas);
        <JobLive as utoipa::ToSchema>::schemas(schemas);
    }
}
