//! What answers show of a job and only the cluster sets, when it is sent back with a
//! definition: what was read may be written as it is, but not with other values in it.
//!
//! Most of it holds for a version of the job, and must be as it is now. The rest moves while
//! the job runs (`next_fire_at`, `last_run`, `open_runs`) or as other jobs come and go
//! (`unresolved`): there, what may have been so a moment ago is taken as well.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::views::JobLive;
use super::{Caller, Error, Service};
use crate::machine::State;
use crate::machine::prepare::timing::Compiled;
use crate::machine::state::{Job, LastRun};
use crate::model::limits::EARLY_HORIZON;
use crate::model::{Invalid, JobSpec, JobUid, Name, Timestamp};

/// The fields, as [`JobLive`] and answers to writes have them.
const FIELDS: [&str; 11] = [
    "uid",
    "version",
    "created_at",
    "updated_at",
    "next_fire_at",
    "last_run",
    "open_runs",
    "unresolved",
    "schedule_text",
    "deleted_at",
    "warnings",
];

/// Read-only fields that came with a definition. A null is as if it were left out.
#[derive(Clone, Debug, Default)]
pub(super) struct ReadOnly(Map<String, Value>);

impl ReadOnly {
    /// Takes them out of `map`.
    pub(super) fn take(map: &mut Map<String, Value>) -> Self {
        let mut given = Map::new();
        for field in FIELDS {
            if let Some(value) = map.remove(field).filter(|value| !value.is_null()) {
                given.insert(field.to_owned(), value);
            }
        }
        ReadOnly(given)
    }

    /// What of it is refused beside the job `name` as `state` has it. Nothing is told of a job
    /// that the caller may not see.
    pub(super) fn faults(
        &self,
        c: &Caller,
        state: &State,
        name: &str,
        now: Timestamp,
    ) -> Vec<Invalid> {
        if self.0.is_empty() {
            return Vec::new();
        }
        match state.job(name) {
            None => self.of_no_job(),
            Some(job) if c.sees(name, &job.spec.tags) => {
                self.against(job, &JobLive::of(state, job, &Compiled::default()), now)
            }
            Some(_) => Vec::new(),
        }
    }

    fn of_no_job(&self) -> Vec<Invalid> {
        let refuse = |field| Invalid::new(field, "is set by the cluster; leave it out");
        self.0.keys().map(refuse).collect()
    }

    fn against(&self, job: &Job, live: &JobLive, now: Timestamp) -> Vec<Invalid> {
        let present = serde_json::to_value(live).unwrap_or_default();
        let other = |(field, value): (&String, &Value)| {
            let holds = present.get(field) == Some(value);
            if holds || self.may_have_been(field, value, job, live, now) {
                return None;
            }
            let shown = present.get(field).map(Value::to_string).unwrap_or_default();
            let detail = match field.as_str() {
                "version" | "updated_at" => format!(
                    "is set by the cluster and is {shown} now: the job was changed since it was \
                     read; read it again, or leave the field out"
                ),
                _ => format!("is set by the cluster and is {shown:.200} now; leave it out"),
            };
            Some(Invalid::new(field, detail))
        };
        self.0.iter().filter_map(other).collect()
    }

    /// Whether `value` says the same in other words, or what was so a moment ago.
    fn may_have_been(
        &self,
        field: &str,
        value: &Value,
        job: &Job,
        live: &JobLive,
        now: Timestamp,
    ) -> bool {
        match field {
            "uid" => read::<JobUid>(value) == Some(live.uid),
            "created_at" => same_time(value, live.created_at),
            "updated_at" => same_time(value, live.updated_at),
            // A nominal time of this version that has passed, or was decided ahead.
            "next_fire_at" => read(value).is_some_and(|at: Timestamp| {
                let passed = live.updated_at..=now.plus(EARLY_HORIZON);
                live.next_fire_at.is_some_and(|next| same_time(value, next)) || passed.contains(&at)
            }),
            "last_run" => read(value).is_some_and(|was: LastRun| {
                live.last_run.is_some_and(|last| {
                    (was.id == last.id && was.status == last.status)
                        || (was.id != last.id && was.finished_at <= last.finished_at)
                })
            }),
            "open_runs" => read(value).is_some_and(|open: u32| {
                open <= live.open_runs || (live.last_run.is_some() && self.a_run_ended(live))
            }),
            "unresolved" => read(value).is_some_and(|names: Vec<Name>| {
                let named: Vec<&Name> = job.spec.references().map(|(_, _, name)| name).collect();
                names.iter().all(|name| named.contains(&name))
            }),
            "warnings" => read::<Vec<String>>(value).is_some(),
            _ => false,
        }
    }

    /// Whether a run may have ended since this was read.
    fn a_run_ended(&self, live: &JobLive) -> bool {
        match self.0.get("last_run") {
            None => true,
            Some(was) => {
                read::<LastRun>(was).map(|was| was.id) != live.last_run.map(|last| last.id)
            }
        }
    }
}

impl Service {
    /// Refuses read-only fields of `spec` that are not as `state` has them, together with what
    /// else is wrong with it.
    ///
    /// # Errors
    /// `Invalid`.
    pub(super) fn judge_read_only(
        &self,
        c: &Caller,
        state: &State,
        given: &ReadOnly,
        spec: &JobSpec,
    ) -> Result<(), Error> {
        let mut faults = given.faults(c, state, spec.name.as_str(), self.now());
        if faults.is_empty() {
            return Ok(());
        }
        faults.extend(self.machine_faults(spec.clone()));
        Err(Error::Invalid(faults))
    }
}

fn read<T: DeserializeOwned>(value: &Value) -> Option<T> {
    T::deserialize(value).ok()
}

/// Equal to the millisecond: many clients keep no more.
fn same_time(value: &Value, present: Timestamp) -> bool {
    read(value).is_some_and(|given: Timestamp| given.millis() == present.millis())
}
