//! A run by hand: its parameters are the job's own with the given ones laid over, and fit
//! the job's schema.

use std::collections::BTreeSet;

use crate::machine::command::{Op, TriggerRun};
use crate::machine::plan::Slots;
use crate::machine::reply::Rejection;
use crate::machine::state::State;
use crate::model::{Invalid, Name, Parameters, RunId, Timestamp};

use super::jobs::none_ahead;
use super::parameters;

pub(super) fn trigger(
    state: &State,
    name: &Name,
    given: &Parameters,
    force: bool,
    cause: Option<RunId>,
    now: Timestamp,
) -> Result<Op, Rejection> {
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
    Ok(Op::Trigger(Box::new(TriggerRun {
        no: job.no,
        version: job.version,
        parameters,
        force,
        cause,
        place,
        kept: None,
    })))
}
