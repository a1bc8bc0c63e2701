//! A run by hand, or by an entry of a stream: its parameters are the job's own with the given ones
//! laid over, and fit the job's schema.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::machine::command::{Entry, Op, TakeEntries, Taken, TriggerRun};
use crate::machine::plan::Slots;
use crate::machine::reply::Rejection;
use crate::machine::state::State;
use crate::model::{EntryId, Fence, Invalid, Kind, Name, Parameters, RunId, Timestamp, limits};

use super::jobs::none_ahead;
use super::parameters;

/// What was read of an entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Given {
    /// Parameters of its run.
    Parameters(Parameters),
    /// It has none: why.
    Unreadable(String),
}

/// The commands for entries in their order, up to the first that can't be taken now.
pub(super) fn take(
    state: &State,
    trigger: Name,
    fence: Fence,
    given: Vec<(EntryId, Given)>,
    now: Timestamp,
) -> Result<Op, Rejection> {
    let spec = state.trigger(trigger.as_str());
    let spec = spec.ok_or_else(|| Rejection::no_definition(Kind::Trigger, &trigger))?;
    let job = spec.job.as_ref().ok_or_else(|| Rejection::no_job(""))?;
    let (mut entries, mut bytes) = (Vec::new(), 0);
    for (id, given) in given {
        let taken = match given {
            Given::Unreadable(why) => Taken::Refused(cut(&why)),
            Given::Parameters(given) => match run_of(state, job, &given, false, None, now) {
                // Where it starts is left to the plan, which sees all of them.
                Ok(run) => Taken::Run(Box::new(TriggerRun { place: None, ..run })),
                Err(Rejection::Invalid(faults)) => Taken::Refused(told(&faults)),
                Err(other) if entries.is_empty() => return Err(other),
                Err(_) => break,
            },
        };
        // The parameters of the job stand in each run: what an entry has in it bounds them not.
        if let Taken::Run(run) = &taken {
            bytes += run.parameters.to_json().len();
        }
        if bytes > limits::TRIGGER_BATCH_BYTES_MAX && !entries.is_empty() {
            break;
        }
        entries.push(Entry { id, taken });
    }
    Ok(Op::TakeEntries(Box::new(TakeEntries { trigger, fence, entries })))
}

fn told(faults: &[Invalid]) -> String {
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    cut(&faults.join("; "))
}

/// What whoever fills the stream may have put into it.
fn cut(why: &str) -> String {
    why.chars().take(limits::TEXT_LEN_MAX).collect()
}

/// The run of job `name` with the parameters that are `given`.
pub(super) fn run_of(
    state: &State,
    name: &Name,
    given: &Parameters,
    force: bool,
    cause: Option<RunId>,
    now: Timestamp,
) -> Result<TriggerRun, Rejection> {
    let job = state.job(name.as_str()).ok_or_else(|| Rejection::no_job(name))?;
    if !force && job.spec.max_concurrent().is_some() {
        none_ahead(state, job)?;
    }
    let own = job.spec.parameters.clone().unwrap_or_default();
    let schema = job.spec.parameters_schema.as_deref();
    let parameters = own
        .overlaid(given)
        .and_then(|parameters| parameters.with_defaults(schema))
        .map_err(|detail| Rejection::Invalid(vec![Invalid::new("parameters", detail)]))?;
    if let Some(schema) = schema {
        parameters::fits(schema, &parameters, "parameters").map_err(Rejection::Invalid)?;
    }
    // A hint only, as in a fire: `apply` judges overlap, gate and slots. Among several nodes
    // the choice is left to the plan, which knows which of them are silent.
    let waits = !state.ready.is_empty() || state.queue_waits(&job.spec);
    let free = job.spec.dependencies.is_empty() && !job.spec.is_no_op() && !waits;
    let alone = state.nodes.values().filter(|node| node.accepting).count() == 1;
    let place =
        if free && alone { Slots::of(state, &BTreeSet::new(), now).take(job) } else { None };
    let (no, version) = (job.no, job.version);
    Ok(TriggerRun { no, version, parameters, force, cause, place, kept: None })
}
