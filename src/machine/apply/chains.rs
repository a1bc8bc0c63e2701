//! Chains: runs that the end of another run starts, through the log, in the same step in
//! which that run is closed. Contract section 4.

use serde_json::Value;

use crate::machine::history::run_key;
use crate::machine::state::FORMAT_OF_TEMPLATES;
use crate::model::job::Target;
use crate::model::parameters::SecretParameters;
use crate::model::{Fact, JobNo, JobSpec, Parameters, Run, RunStatus, SkipReason, Trigger, limits};

use super::Cx;
use super::admit::NewRun;
use super::filling::{Filling, within};

impl Cx<'_> {
    pub(super) fn chain(&mut self, run: &Run, targets: &[Target], trigger: Trigger) {
        for target in targets {
            let name = target.job();
            let Some(job) = self.s.job(name.as_str()).cloned() else {
                let why = format!("{} names {name}, which does not exist", run.job);
                self.event_because("chain.unresolved", Some(name), None, Some(&why));
                continue;
            };
            let (parameters, refused) = self.passed(&job.spec, target, run);
            let new = NewRun {
                cause: Some(run.id),
                trace: run.traceparent.clone(),
                depth: run.depth.saturating_add(1),
                unchecked: job.spec.parameters_schema.is_some(),
                ..NewRun::of(trigger, parameters)
            };
            match refused {
                None => self.start_following(job.no, new),
                Some(why) => {
                    self.refuse_following(job.no, new, SkipReason::ParametersRefused, &why)
                }
            }
        }
    }

    /// The parameters of a run that a chain starts, and why it can't be, if it can't.
    fn passed(&self, spec: &JobSpec, target: &Target, run: &Run) -> (Parameters, Option<String>) {
        let own = spec.parameters.clone().unwrap_or_default();
        let composed = self.s.format() >= FORMAT_OF_TEMPLATES;
        let schema = spec.parameters_schema.as_deref().filter(|_| composed);
        let passed = fill(&target.parameters(), run, composed);
        let passed = passed.and_then(|passed| own.overlaid(&passed)?.with_defaults(schema));
        match (passed, schema) {
            (Err(why), _) => (own, Some(why)),
            (Ok(parameters), None) => (parameters, None),
            (Ok(parameters), Some(schema)) => {
                let secrets = SecretParameters::of(schema);
                let value = parameters.to_value();
                let faults = secrets.faults(&value, "parameters");
                let Some(first) = faults.first() else { return (parameters, None) };
                // The run that tells of it must not keep the value.
                let kept = match secrets.without_plain(&value) {
                    Value::Object(map) => Parameters::new(map).unwrap_or_default(),
                    _ => Parameters::default(),
                };
                (kept, Some(first.to_string()))
            }
        }
    }

    /// The parameters of a run that is given none: the job's own, with the defaults of its schema.
    pub(super) fn own_parameters(&self, spec: &JobSpec) -> Parameters {
        let own = spec.parameters.clone().unwrap_or_default();
        let schema = spec.parameters_schema.as_deref();
        match schema.filter(|_| self.s.format() >= FORMAT_OF_TEMPLATES) {
            // Too large once filled in: one that was written before they were.
            Some(schema) => own.clone().with_defaults(Some(schema)).unwrap_or(own),
            None => own,
        }
    }

    /// Starts a run that follows from another, or records why it does not start.
    pub(super) fn start_following(&mut self, no: JobNo, new: NewRun) {
        let Some(job) = self.job(no) else { return };
        let refused = if !job.spec.enabled.0 {
            Some(SkipReason::Paused)
        } else if usize::from(new.depth) > 2 * limits::CHAIN_DEPTH_MAX {
            Some(SkipReason::Limit)
        } else {
            self.admit(no, new.clone()).err()
        };
        if let Some(reason) = refused {
            self.refuse_following(no, new, reason, reason.as_str());
        }
    }

    /// A run that is closed as it is created: it exists to explain itself.
    fn refuse_following(&mut self, no: JobNo, new: NewRun, reason: SkipReason, why: &str) {
        let Some(job) = self.job(no) else { return };
        self.s.counters.closed += 1;
        let run = Run {
            finished_at: Some(self.at),
            status: RunStatus::Skipped,
            reason: Some(why.to_string()),
            skip: Some(reason),
            ..self.begin_run(&job, new)
        };
        let id = run.id;
        let (status, trigger) = (run.status, run.trigger);
        self.out.facts.push(Fact::Closed { status, trigger, took: None });
        self.out.closed.push((self.s.counters.closed, id));
        self.out.put(run_key(id), &run);
        self.edit_job(no, |job| job.live.kept += 1);
        let status = Some((id, RunStatus::Skipped));
        self.event_because("run.skipped", Some(&run.job), status, Some(why));
    }
}

/// Replaces `${…}` in the parameters that are passed on by what the ended run has; refused
/// past their size limit. `composed`: within a text too, and not only where it is all of it.
fn fill(parameters: &Parameters, run: &Run, composed: bool) -> Result<Parameters, String> {
    let look_up = |path: &str| look_up(path, run);
    Filling::new(&look_up, composed).parameters(parameters)
}

/// `result.a.b`, `parameters.a`, `run_id`, `status` or `error`; none: not such a path, and
/// the text stands as it is. A path that leads nowhere gives null.
fn look_up(path: &str, run: &Run) -> Option<Value> {
    let mut parts = path.split('.');
    let root = match parts.next()? {
        "result" => run.result.clone().unwrap_or(Value::Null),
        "parameters" => run.parameters.to_value(),
        "run_id" => Value::String(run.id.to_string()),
        "status" => Value::String(run.status.as_str().to_string()),
        "error" => run.error.clone().map_or(Value::Null, Value::String),
        _ => return None,
    };
    Some(within(root, parts))
}
