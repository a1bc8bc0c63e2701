//! Parameters and their JSON Schema (draft 2020-12 unless the schema names another).

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use crate::model::{Invalid, JobSpec, Parameters};

/// Faults of one set of parameters that are told; more are counted.
const FAULTS_MAX: usize = 20;
/// Levels of a schema; deeper ones cost stack at every check.
const DEPTH_MAX: usize = 64;

/// Compiles a schema. Only references within it resolve; patterns run in linear time.
pub fn compile(schema: &Value) -> Result<Validator, String> {
    if !schema.is_object() && !schema.is_boolean() {
        return Err("must be a JSON Schema: an object".into());
    }
    if depth(schema) > DEPTH_MAX {
        return Err(format!("is nested deeper than {DEPTH_MAX} levels"));
    }
    reference_circle(schema)?;
    jsonschema::options()
        .with_pattern_options(PatternOptions::regex().size_limit(1 << 20))
        .build(schema)
        .map_err(|fault| {
            let at = fault.instance_path().to_string();
            let place = if at.is_empty() { String::new() } else { format!("at {at}: ") };
            format!("is not a valid JSON Schema: {place}{fault}")
        })
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Refuses references that lead back to themselves without going down into the value:
/// checking against such a schema would never end.
fn reference_circle(schema: &Value) -> Result<(), String> {
    let mut pending = vec![schema];
    while let Some(value) = pending.pop() {
        match value {
            Value::Object(map) => {
                if map.contains_key("$dynamicRef") || map.contains_key("$recursiveRef") {
                    return Err("uses $dynamicRef or $recursiveRef, which are not allowed".into());
                }
                let mut trail = Vec::new();
                in_place(schema, value, &mut trail)?;
                pending.extend(map.values());
            }
            Value::Array(items) => pending.extend(items),
            _ => {}
        }
    }
    Ok(())
}

/// Follows what applies to the same value: `$ref`, `allOf`, `anyOf`, `oneOf`, `not`, `if`,
/// `then`, `else`, `dependentSchemas`.
fn in_place<'a>(root: &'a Value, at: &'a Value, trail: &mut Vec<&'a str>) -> Result<(), String> {
    let Value::Object(map) = at else { return Ok(()) };
    if let Some(Value::String(reference)) = map.get("$ref") {
        if trail.contains(&reference.as_str()) {
            return Err(format!("has a $ref that leads back to itself: {reference}"));
        }
        if let Some(target) = reference.strip_prefix('#').and_then(|p| root.pointer(p)) {
            trail.push(reference);
            in_place(root, target, trail)?;
            trail.pop();
        }
    }
    for key in ["not", "if", "then", "else"] {
        if let Some(inner) = map.get(key) {
            in_place(root, inner, trail)?;
        }
    }
    for key in ["allOf", "anyOf", "oneOf"] {
        for inner in map.get(key).and_then(Value::as_array).into_iter().flatten() {
            in_place(root, inner, trail)?;
        }
    }
    for inner in map.get("dependentSchemas").and_then(Value::as_object).into_iter().flatten() {
        in_place(root, inner.1, trail)?;
    }
    Ok(())
}

/// Holds `parameters` against `schema`; `pointer` is where they stand in the request.
pub fn fits(schema: &Value, parameters: &Parameters, pointer: &str) -> Result<(), Vec<Invalid>> {
    let validator =
        compile(schema).map_err(|detail| vec![Invalid::new("parameters_schema", detail)])?;
    let faults = faults(&validator, &parameters.to_value(), pointer, |_| true);
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

fn faults(
    validator: &Validator,
    value: &Value,
    pointer: &str,
    counts: impl Fn(&ValidationErrorKind) -> bool,
) -> Vec<Invalid> {
    validator
        .iter_errors(value)
        .filter(|fault| counts(fault.kind()))
        .take(FAULTS_MAX)
        .map(|fault| {
            let at = match fault.kind() {
                ValidationErrorKind::Required { property } => {
                    format!("{}/{}", fault.instance_path(), property.as_str().unwrap_or_default())
                }
                _ => fault.instance_path().to_string(),
            };
            let text: String = fault.to_string().chars().take(500).collect();
            Invalid::new(format!("{pointer}{at}"), text)
        })
        .collect()
}

/// The schema itself, and the defaults against it. Without a schedule a caller may still
/// give what is required, so only then is a missing one no fault.
pub(super) fn check_defaults(spec: &JobSpec, into: &mut Vec<Invalid>) {
    let Some(schema) = &spec.parameters_schema else { return };
    let validator = match compile(schema) {
        Ok(validator) => validator,
        Err(detail) => return into.push(Invalid::new("parameters_schema", detail)),
    };
    let own = spec.parameters.clone().unwrap_or_default();
    let scheduled = spec.expr.is_some();
    let found = faults(&validator, &own.to_value(), "parameters", |kind| {
        scheduled || !matches!(kind, ValidationErrorKind::Required { .. })
    });
    into.extend(found);
}
