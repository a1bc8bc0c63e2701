//! The definition of a job, as a caller writes it. Contract section 11 lists the fields;
//! docs/jobs.md explains them.

mod check;
mod needs;
mod period;
mod shape;
mod spelling;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use needs::Need;

use super::alert::Notify;
use super::bounds::Bounds;
use super::fields::{self, Fields, spec};
use super::invalid::Invalid;
use super::lock::Lock;
use super::name::Name;
use super::parameters::{Parameters, SecretParameters};
use super::placement::Placement;
use super::policy::{DstFold, DstGap, Misfire, OnLeaseLost, Overlap, Retention, Retry};
use super::runner::Runner;
use super::secret::{SecretRef, Setting};
use super::span::Span;
use super::span_or_auto::SpanOrAuto;
use super::time::Timestamp;
use super::workflow::Task;

pub(in crate::model) use spelling::{elsewhere, not_one_of};
pub use spelling::{near, unknown_field};

/// What is said of a schedule that names no time to come.
pub const NEVER_FIRES: &str = "never fires from now on; mend the expression, start_at or end_at";

/// A job that is started when a run ends: its name, or its name with parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum Target {
    /// The name alone.
    Name(Name),
    /// The name and parameters to pass on.
    With(TargetWith),
}

/// A chained job with the parameters it is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetWith {
    /// The job to start.
    pub job: Name,
    /// Laid over its own. A text that is `${result}`, `${result.a.b}`, `${parameters.a}`,
    /// `${run_id}`, `${status}` or `${error}` is replaced by that of the run that ended; within a
    /// longer text, by it as a text.
    #[serde(default)]
    pub parameters: Parameters,
}

impl Target {
    /// The job to start.
    pub fn job(&self) -> &Name {
        match self {
            Target::Name(name) => name,
            Target::With(with) => &with.job,
        }
    }

    /// The parameters to pass on.
    pub fn parameters(&self) -> Parameters {
        match self {
            Target::Name(_) => Parameters::default(),
            Target::With(with) => with.parameters.clone(),
        }
    }
}

/// Dates on which nominal times are skipped, or the only ones on which they are not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CalendarSpec {
    /// Dates (`2026-12-25`) or ranges (`2026-12-24..2027-01-02`), in the job's time zone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 512)]
    pub exclude: Vec<String>,
    /// When given, only these days count.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 512)]
    pub include: Vec<String>,
}

spec! {
    /// A job's definition. Unknown fields are refused with their path.
    JobSpec;
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, max_length = 4096)]
    description: Option<Box<str>>, since 1;
    /// Labels to find it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 32, value_type = Vec<Name>)]
    tags: Vec<String>, since 1;
    /// False: paused. Its schedule, its joins and its chains rest; a person may still run it.
    #[serde(default, skip_serializing_if = "Enabled::is_default")]
    #[schema(value_type = bool, default = true)]
    enabled: Enabled, since 1;
    /// When it fires; none: only by hand, chain or dependency. docs/schedules.md.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, max_length = 512, value_type = String)]
    expr: Option<Arc<str>>, since 1;
    /// IANA name of the zone that `expr` is read in; default: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, max_length = 64, value_type = String)]
    timezone: Option<Arc<str>>, since 1;
    /// No nominal time before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    start_at: Option<Timestamp>, since 1;
    /// No nominal time after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    end_at: Option<Timestamp>, since 1;
    /// Starts are spread over this much after the nominal time, by a hash of the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    jitter: Option<Span>, since 1;
    /// Days off, or the only days on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 8)]
    calendars: Vec<CalendarSpec>, since 1;
    /// Scheduled runs after which the schedule ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1)]
    max_runs: Option<u64>, since 1;
    /// A wall-clock time that a change of clocks leaves out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    dst_gap: Option<DstGap>, since 1;
    /// A wall-clock time that a change of clocks repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    dst_fold: Option<DstFold>, since 1;
    /// Python source: short for a `python` runner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, max_length = 65536, value_type = String)]
    code: Option<Arc<str>>, since 1;
    /// Accepted; coroutines are detected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    is_async: Option<bool>, since 1;
    /// What carries out an attempt; with neither this nor `code` a run succeeds at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    runner: Option<Box<Runner>>, since 1;
    /// Parameters of a run that is given no others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    parameters: Option<Parameters>, since 1;
    /// JSON Schema that a run's parameters must fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Object)]
    parameters_schema: Option<Arc<Value>>, since 1;
    /// An attempt that lasts longer is stopped; none: no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    timeout: Option<Span>, since 1;
    /// From SIGTERM to SIGKILL; default: 10s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    kill_grace: Option<Span>, since 1;
    /// When a run is attempted again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    retry: Option<Box<Retry>>, since 1;
    /// What becomes of an attempt whose node is cut off from the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    on_lease_lost: Option<OnLeaseLost>, since 1;
    /// What a fire does while an earlier run is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    overlap: Option<Overlap>, since 1;
    /// Runs at a time; default: 1, without bound under `allow`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1, maximum = 1000)]
    max_concurrent: Option<u32>, since 1;
    /// Catch-up after a time without a leader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    misfire: Option<Box<Misfire>>, since 1;
    /// Jobs that must have newly succeeded. On a job without `expr` they trigger it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 64)]
    dependencies: Vec<Name>, since 1;
    /// How long a fire waits for them; default: until the next nominal time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    dependency_timeout: Option<Span>, since 1;
    /// Jobs started when a run has succeeded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 64)]
    on_success: Vec<Target>, since 1;
    /// Jobs started when a run has failed, timed out or was lost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 64)]
    on_failure: Vec<Target>, since 1;
    /// Jobs started when a run has ended, however it did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 64)]
    on_finish: Vec<Target>, since 1;
    /// The queue its runs wait in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    queue: Option<Name>, since 1;
    /// −100 to 100; the higher starts first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = -100, maximum = 100)]
    priority: Option<i32>, since 1;
    /// A key of Redis that one attempt at a time holds, in this cluster and in others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    lock: Option<Box<Lock>>, since 7;
    /// Where its runs may start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    placement: Option<Box<Placement>>, since 1;
    /// How much history is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    retention: Option<Box<Retention>>, since 1;
    /// What the processes of an attempt may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    limits: Option<Box<Bounds>>, since 5;
    /// A scheduled run that has not begun so long after its nominal time is late. `auto`: a tenth
    /// of the time to the next one, from 1 minute to 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    late_after: Option<SpanOrAuto>, since 6;
    /// A run that is under way for so long is told, and goes on. `auto`: three times what 95 % of
    /// the last 20 that succeeded took, at least a minute; none of the first five is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    long_after: Option<SpanOrAuto>, since 6;
    /// Which of its troubles are told, and to which channels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    notify: Option<Box<Notify>>, since 6;
    /// Called with GET after each run that has succeeded, so that a monitor elsewhere hears of it;
    /// as `{"secret": "name"}`, since who knows it may call it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    heartbeat_url: Option<Box<Setting>>, since 8;
    /// The tasks of a workflow, in any order; a job with tasks has no runner. docs/workflows.md.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 1000)]
    tasks: Vec<Task>, since 6;
    /// The result of a workflow's run: any value, with `${tasks.a.result}` and the like filled in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Value)]
    result: Option<Box<Value>>, since 6;
    /// After a failure that no task comes after on purpose, start nothing more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schema(default = false)]
    fail_fast: bool, since 6;
}

/// `enabled`: true by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Enabled(pub bool);

impl Default for Enabled {
    fn default() -> Self {
        Enabled(true)
    }
}

impl Enabled {
    fn is_default(&self) -> bool {
        self.0
    }
}

impl JobSpec {
    /// Reads a definition from a JSON object, reporting every faulty field at once. What
    /// needs the clock or other jobs (does it ever fire, is there a cycle) is not judged.
    pub fn from_map(mut map: Map<String, Value>) -> Result<JobSpec, Vec<Invalid>> {
        let mut faults = Vec::new();
        let spec = fields::named::<JobSpec>(&mut map, "job", &mut faults);
        let Some(mut spec) = spec else { return Err(faults) };
        let given = fields::present::<JobSpec>(&map);
        shape::refuse_lists(&mut map, &mut faults);
        spec.fill(&mut map, &mut faults);
        fields::refuse_unknown::<JobSpec>(&map, &given, true, &mut faults);
        if let Some(settled) = spec.expr.as_deref().and_then(period::settled) {
            spec.expr = Some(settled.into());
        }
        spec.check(&mut faults);
        if faults.is_empty() { Ok(spec) } else { Err(faults) }
    }

    /// The empty definition of that name: a job that only gates or groups.
    pub fn new(name: Name) -> Self {
        JobSpec::empty(name)
    }

    /// The definition as a JSON object.
    pub fn to_map(&self) -> Map<String, Value> {
        Fields::to_map(self)
    }

    /// The overlap policy in force.
    pub fn overlap(&self) -> Overlap {
        self.overlap.unwrap_or_default()
    }

    /// Runs at a time; none: no bound.
    pub fn max_concurrent(&self) -> Option<u32> {
        match (self.max_concurrent, self.overlap()) {
            (Some(most), _) => Some(most),
            (None, Overlap::Allow) => None,
            (None, _) => Some(1),
        }
    }

    /// The catch-up in force.
    pub fn misfire(&self) -> Misfire {
        self.misfire.as_deref().cloned().unwrap_or_default()
    }

    /// The retries in force.
    pub fn retry(&self) -> Retry {
        self.retry.as_deref().cloned().unwrap_or_default()
    }

    /// What becomes of an attempt when its node loses its lease.
    pub fn on_lease_lost(&self) -> OnLeaseLost {
        self.on_lease_lost.unwrap_or_default()
    }

    /// The retention in force.
    pub fn retention(&self) -> Retention {
        self.retention.as_deref().cloned().unwrap_or_default()
    }

    /// Whether a run has nothing to carry out.
    pub fn is_no_op(&self) -> bool {
        self.code.is_none() && self.runner.is_none()
    }

    /// `python`, `shell`, `http`, `workflow` or `none`.
    pub fn runner_kind(&self) -> &'static str {
        match (&self.code, &self.runner) {
            _ if self.is_workflow() => "workflow",
            (Some(_), _) => "python",
            (None, Some(runner)) => runner.kind(),
            (None, None) => "none",
        }
    }

    /// Whether `other` names the same instants: the fields that `schedule` reads.
    pub fn same_schedule(&self, other: &JobSpec) -> bool {
        let key = |s: &JobSpec| {
            (
                s.expr.clone(),
                s.timezone.clone(),
                s.start_at,
                s.end_at,
                s.dst_gap,
                s.dst_fold,
                s.jitter,
            )
        };
        key(self) == key(other)
    }

    /// The places of secrets, each with where it stands.
    pub fn secrets(&self) -> Vec<(String, SecretRef)> {
        let runner = self.runners().flat_map(|(pointer, runner)| {
            let places = runner.secrets().into_iter();
            places.map(move |(at, place)| (format!("{pointer}{at}"), place.clone()))
        });
        let lock = self.lock.as_deref().and_then(Lock::secret);
        let lock = lock.map(|place| ("lock/redis".to_owned(), place.clone()));
        let heartbeat = self.heartbeat_url.as_deref().and_then(Setting::secret);
        let heartbeat = heartbeat.map(|place| ("heartbeat_url".to_owned(), place.clone()));
        let own = self.parameters.clone().unwrap_or_default();
        runner.chain(lock).chain(heartbeat).chain(self.secrets_in(&own)).collect()
    }

    /// Its runner, and those of its tasks, each with what its pointers begin with.
    pub fn runners(&self) -> impl Iterator<Item = (String, &Runner)> {
        let own = self.runner.as_deref().map(|runner| (String::new(), runner));
        let tasks = self.tasks.iter().enumerate();
        let tasks =
            tasks.filter_map(|(at, task)| Some((format!("tasks/{at}/"), task.runner.as_deref()?)));
        own.into_iter().chain(tasks)
    }

    /// The secrets that parameters of a run name, each with where.
    pub fn secrets_in(&self, parameters: &Parameters) -> Vec<(String, SecretRef)> {
        let Some(schema) = self.parameters_schema.as_deref() else { return Vec::new() };
        let secrets = SecretParameters::of(schema);
        if secrets.is_empty() {
            return Vec::new();
        }
        let named = secrets.named(&parameters.to_value()).into_iter();
        named.map(|(at, place)| (format!("parameters/{at}"), place)).collect()
    }

    /// Every job this one names, with the field and place that does.
    pub fn references(&self) -> impl Iterator<Item = (&'static str, usize, &Name)> {
        let chains = [
            ("on_success", &self.on_success),
            ("on_failure", &self.on_failure),
            ("on_finish", &self.on_finish),
        ];
        let chained = chains.into_iter().flat_map(|(field, targets)| {
            targets.iter().enumerate().map(move |(at, target)| (field, at, target.job()))
        });
        let gates =
            self.dependencies.iter().enumerate().map(|(at, name)| ("dependencies", at, name));
        let tasks = self.tasks.iter().enumerate();
        let tasks = tasks.filter_map(|(at, task)| Some(("tasks", at, task.job.as_ref()?)));
        chained.chain(gates).chain(tasks)
    }
}

#[cfg(test)]
mod tests;
