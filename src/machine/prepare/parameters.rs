//! Parameters, held against their JSON Schema.

use std::sync::Arc;

use jsonschema::error::ValidationErrorKind;
use serde_json::Value;

use crate::model::{Invalid, JobSpec, Parameters};

use super::known;
pub use super::schema::{Schema, compile};

/// Faults of one set of parameters that are told; more are counted.
const FAULTS_MAX: usize = 20;
/// Values within a set of parameters, past which only its first fault is told.
const NODES_MAX: usize = 500;
/// Characters of a pointer and of the words of a fault.
const TOLD_MAX: (usize, usize) = (256, 500);
/// Steps of a check, at most: some 100 ms.
pub const STEPS_MAX: u64 = 40_000_000;

/// Holds `parameters` against `schema`; `pointer` is where they stand in the request.
pub fn fits(schema: &Value, parameters: &Parameters, pointer: &str) -> Result<(), Vec<Invalid>> {
    let schema = known::compiled(schema);
    let schema = schema.map_err(|detail| vec![Invalid::new("parameters_schema", detail)])?;
    let faults = faults(&schema, &parameters.to_value(), pointer, |_| true);
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

fn faults(
    schema: &Arc<Schema>,
    value: &Value,
    pointer: &str,
    counts: impl Fn(&ValidationErrorKind) -> bool,
) -> Vec<Invalid> {
    let cost = schema.cost(value);
    if cost > STEPS_MAX {
        let detail = format!(
            "would take {cost} steps to check against parameters_schema, of {STEPS_MAX} at most: \
             give less, or write a schema with smaller patterns"
        );
        return vec![Invalid::new(pointer, detail)];
    }
    let validator = &schema.validator;
    // All faults are gathered before the first is told: of a large value, only one is.
    let first = match validator.validate(value) {
        Err(fault) if nodes(value) > NODES_MAX && counts(fault.kind()) => Some(fault),
        Err(_) => None,
        Ok(()) => return Vec::new(),
    };
    let rest = first.is_none().then(|| validator.iter_errors(value)).into_iter().flatten();
    first
        .into_iter()
        .chain(rest)
        .filter(|fault| counts(fault.kind()))
        .take(FAULTS_MAX)
        .map(|fault| {
            let at = match fault.kind() {
                ValidationErrorKind::Required { property } => {
                    format!("{}/{}", fault.instance_path(), property.as_str().unwrap_or_default())
                }
                _ => fault.instance_path().to_string(),
            };
            let text: String = fault.to_string().chars().take(TOLD_MAX.1).collect();
            let at: String = at.chars().take(TOLD_MAX.0).collect();
            Invalid::new(format!("{pointer}{at}"), text)
        })
        .collect()
}

fn nodes(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(nodes).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(nodes).sum::<usize>(),
        _ => 1,
    }
}

/// The schema itself, and the defaults against it. Without a schedule a caller may still
/// give what is required, so only then is a missing one no fault.
pub(super) fn check_defaults(spec: &JobSpec, into: &mut Vec<Invalid>) {
    let Some(schema) = &spec.parameters_schema else { return };
    let schema = match known::compiled(schema) {
        Ok(schema) => schema,
        Err(detail) => return into.push(Invalid::new("parameters_schema", detail)),
    };
    let own = spec.parameters.clone().unwrap_or_default();
    let scheduled = spec.expr.is_some();
    let found = faults(&schema, &own.to_value(), "parameters", |kind| {
        scheduled || !matches!(kind, ValidationErrorKind::Required { .. })
    });
    into.extend(found);
}
