//! Parameters, held against their JSON Schema.

use std::sync::Arc;

use jsonschema::error::ValidationErrorKind;
use serde_json::Value;

use crate::machine::state::State;
use crate::model::job::Target;
use crate::model::parameters::SecretParameters;
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
    let value = parameters.to_value();
    let plain = SecretParameters::of(schema).faults(&value, pointer);
    if !plain.is_empty() {
        // Alone: what the schema finds may tell of the value.
        return Err(plain);
    }
    let schema = compiled(schema);
    let schema = schema.map_err(|detail| vec![Invalid::new("parameters_schema", detail)])?;
    let faults = faults(&schema, &value, pointer, |_| true);
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// The schema as parameters are held against it: of a secret, only its name is known.
fn compiled(schema: &Value) -> Result<Arc<Schema>, String> {
    let secrets = SecretParameters::of(schema);
    match secrets.is_empty() {
        true => known::compiled(schema),
        false => known::compiled(schema).and_then(|_| known::compiled(&secrets.stripped(schema))),
    }
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
    let own = spec.parameters.clone().unwrap_or_default().with_defaults(Some(schema));
    let (compiled, own) = match (compiled(schema), own) {
        (Ok(compiled), Ok(own)) => (compiled, own),
        (Err(detail), _) => return into.push(Invalid::new("parameters_schema", detail)),
        (_, Err(detail)) => return into.push(Invalid::new("parameters", detail)),
    };
    let plain = SecretParameters::of(schema).faults(&own.to_value(), "parameters");
    if !plain.is_empty() {
        let new: Vec<Invalid> = plain.into_iter().filter(|it| !into.contains(it)).collect();
        return into.extend(new);
    }
    let scheduled = spec.expr.is_some();
    let found = faults(&compiled, &own.to_value(), "parameters", |kind| {
        scheduled || !matches!(kind, ValidationErrorKind::Required { .. })
    });
    into.extend(found);
}

/// Chains that pass a secret itself to a job that wants its name: what a definition says is seen by
/// many.
pub(super) fn check_chains(state: &State, spec: &JobSpec, into: &mut Vec<Invalid>) {
    let lists = [
        ("on_success", &spec.on_success),
        ("on_failure", &spec.on_failure),
        ("on_finish", &spec.on_finish),
    ];
    for (field, targets) in lists {
        for (at, target) in targets.iter().enumerate() {
            let Target::With(with) = target else { continue };
            let schema =
                state.job(with.job.as_str()).and_then(|job| job.spec.parameters_schema.clone());
            let Some(schema) = schema else { continue };
            let secrets = SecretParameters::of(&schema);
            let faults = secrets.faults(&with.parameters.to_value(), "");
            let templates = |fault: &Invalid| {
                let value = with.parameters.to_value();
                let text = value.pointer(&fault.pointer).and_then(Value::as_str);
                text.is_some_and(|text| text.starts_with("${") && text.ends_with('}'))
            };
            let faults = faults.into_iter().filter(|fault| !templates(fault));
            into.extend(faults.map(|fault| {
                Invalid::new(format!("{field}/{at}/parameters{}", fault.pointer), fault.detail)
            }));
        }
    }
}
