//! Chains: runs that the end of another run starts, through the log, in the same step in
//! which that run is closed. Contract section 4.

use serde_json::Value;

use crate::machine::history::run_key;
use crate::model::job::Target;
use crate::model::{Fact, JobNo, Parameters, Run, RunStatus, SkipReason, Trigger, limits};

use super::Cx;
use super::admit::NewRun;

impl Cx<'_> {
    pub(super) fn chain(&mut self, run: &Run, targets: &[Target], trigger: Trigger) {
        for target in targets {
            let name = target.job();
            let Some(job) = self.s.job(name.as_str()).cloned() else {
                let why = format!("{} names {name}, which does not exist", run.job);
                self.event_because("chain.unresolved", Some(name), None, Some(&why));
                continue;
            };
            let own = job.spec.parameters.clone().unwrap_or_default();
            let passed = fill(&target.parameters(), run);
            let (parameters, too_large) = match passed.and_then(|passed| own.overlaid(&passed)) {
                Ok(parameters) => (parameters, None),
                Err(why) => (own, Some(why)),
            };
            let new = NewRun {
                cause: Some(run.id),
                trace: run.traceparent.clone(),
                depth: run.depth.saturating_add(1),
                unchecked: job.spec.parameters_schema.is_some(),
                ..NewRun::of(trigger, parameters)
            };
            match too_large {
                None => self.start_following(job.no, new),
                Some(why) => {
                    self.refuse_following(job.no, new, SkipReason::ParametersRefused, &why)
                }
            }
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
/// past their size limit.
fn fill(parameters: &Parameters, run: &Run) -> Result<Parameters, String> {
    let mut room = limits::PARAMETERS_BYTES_MAX;
    let mut filled = serde_json::Map::new();
    for (key, value) in parameters.map() {
        filled.insert(key.clone(), fill_value(value, run, &mut room)?);
    }
    Parameters::new(filled)
}

/// `room` is what may still be filled in: a large result that is named a thousand times is
/// refused before it is copied a thousand times.
fn fill_value(value: &Value, run: &Run, room: &mut usize) -> Result<Value, String> {
    match value {
        Value::String(text) => {
            let inner = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
            let Some(found) = inner.and_then(|path| look_up(path, run)) else {
                return Ok(value.clone());
            };
            let bytes = found.to_string().len();
            *room = room.checked_sub(bytes).ok_or_else(|| {
                format!("are over {} bytes once filled in", limits::PARAMETERS_BYTES_MAX)
            })?;
            Ok(found)
        }
        Value::Array(items) => items.iter().map(|item| fill_value(item, run, room)).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, item)| Ok((key.clone(), fill_value(item, run, room)?)))
            .collect::<Result<_, _>>()
            .map(Value::Object),
        other => Ok(other.clone()),
    }
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
    Some(parts.fold(root, |value, part| match &value {
        Value::Object(map) => map.get(part).cloned().unwrap_or(Value::Null),
        Value::Array(items) => {
            part.parse::<usize>().ok().and_then(|at| items.get(at).cloned()).unwrap_or(Value::Null)
        }
        _ => Value::Null,
    }))
}
