//! What can be told of a request before the log sees it.

use crate::consensus::beside;
use crate::machine::prepare::parameters;
use crate::model::flow::StartRate;
use crate::model::limits::{
    BACKFILL_CONCURRENT_MAX, BACKFILL_RATE_LIMIT_MAX, SPAN_MAX, TEXT_LEN_MAX,
};
use crate::model::{Invalid, JobSpec, Parameters};
use crate::service::Error;

/// The parameters of each run: those of the version, with the given ones laid over.
pub(super) fn filled(spec: &JobSpec, given: &Parameters, faults: &mut Vec<Invalid>) -> Parameters {
    let schema = spec.parameters_schema.as_deref();
    let own = spec.parameters.clone().unwrap_or_default();
    let filled = own.overlaid(given).and_then(|parameters| parameters.with_defaults(schema));
    let parameters = match filled {
        Ok(parameters) => parameters,
        Err(detail) => {
            faults.push(Invalid::new("parameters", detail));
            return Parameters::default();
        }
    };
    if let Some(schema) = schema
        && let Err(found) = beside(|| parameters::fits(schema, &parameters, "parameters"))
    {
        faults.extend(found);
    }
    parameters
}

pub(super) fn check_bounds(
    concurrent: Option<u32>,
    rate: Option<StartRate>,
    faults: &mut Vec<Invalid>,
) {
    if concurrent.is_some_and(|most| !(1..=BACKFILL_CONCURRENT_MAX).contains(&most)) {
        let detail = format!("must be from 1 to {BACKFILL_CONCURRENT_MAX}");
        faults.push(Invalid::new("max_concurrent", detail));
    }
    let Some(rate) = rate else { return };
    if !(1..=BACKFILL_RATE_LIMIT_MAX).contains(&rate.limit) {
        let detail = format!("must be from 1 to {BACKFILL_RATE_LIMIT_MAX}");
        faults.push(Invalid::new("rate/limit", detail));
    }
    if rate.per.millis() == 0 || rate.per > SPAN_MAX {
        let detail = format!("must be over 0s and at most {SPAN_MAX}");
        faults.push(Invalid::new("rate/per", detail));
    }
}

pub(super) fn check_reason(reason: Option<&str>, faults: &mut Vec<Invalid>) -> Result<(), Error> {
    if reason.is_some_and(|reason| reason.chars().count() > TEXT_LEN_MAX) {
        let detail = format!("has over {TEXT_LEN_MAX} characters");
        faults.push(Invalid::new("reason", detail));
        return Err(Error::Invalid(std::mem::take(faults)));
    }
    Ok(())
}
