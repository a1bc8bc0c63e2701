//! JSON Schemas that callers write (draft 2020-12 unless the schema names another), and
//! the bound on what checking against one may cost.
//!
//! A schema is a program that the leader runs at every trigger. So it may not refer back to
//! itself (which could recurse for ever, or twice at each level of a value), and what it
//! comes to once every reference is followed is bounded. References are followed here as
//! the validator follows them, hence only those that can be: `#` and `#/...`.

use std::collections::BTreeMap;

use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value};

/// Levels of a schema, references followed; deeper ones cost stack at every check.
const DEPTH_MAX: usize = 64;
/// Subschemas, each counted as often as a way leads to it.
const WEIGHT_MAX: u64 = 2_000;
/// Regular expressions: each takes time and memory to compile.
const PATTERNS_MAX: usize = 64;
/// Memory of one compiled regular expression, in bytes.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Compiles a schema. Only references within it resolve; patterns run in linear time.
pub fn compile(schema: &Value) -> Result<Validator, String> {
    if !schema.is_object() && !schema.is_boolean() {
        return Err("must be a JSON Schema: an object".into());
    }
    if depth(schema) > DEPTH_MAX {
        return Err(too_deep());
    }
    let mut walk = Walk { root: schema, known: BTreeMap::new(), trail: Vec::new(), patterns: 0 };
    walk.weigh(schema)?;
    let pattern = PatternOptions::regex().size_limit(PATTERN_BYTES_MAX);
    jsonschema::options().with_pattern_options(pattern).build(schema).map_err(|fault| {
        let at = fault.instance_path().to_string();
        let place = if at.is_empty() { String::new() } else { format!("at {at}: ") };
        let text = format!("is not a valid JSON Schema: {place}{fault}");
        text.chars().take(500).collect()
    })
}

fn too_deep() -> String {
    format!("is nested deeper than {DEPTH_MAX} levels, references followed")
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

struct Walk<'a> {
    root: &'a Value,
    /// What a subschema comes to, by its place in memory.
    known: BTreeMap<*const Value, u64>,
    /// The subschemas on the way here.
    trail: Vec<*const Value>,
    patterns: usize,
}

impl<'a> Walk<'a> {
    /// Subschemas in and below `at`.
    fn weigh(&mut self, at: &'a Value) -> Result<u64, String> {
        let Value::Object(map) = at else { return Ok(1) };
        let key = std::ptr::from_ref(at);
        if let Some(weight) = self.known.get(&key) {
            return Ok(*weight);
        }
        if self.trail.contains(&key) {
            return Err("has a $ref that leads back to itself".into());
        }
        if self.trail.len() >= DEPTH_MAX {
            return Err(too_deep());
        }
        self.trail.push(key);
        let mut weight = 1u64;
        if let Some(target) = self.reference(map)? {
            weight += self.weigh(target)?;
        }
        for inner in subschemas(map) {
            weight = weight.saturating_add(self.weigh(inner)?);
        }
        if weight > WEIGHT_MAX {
            return Err(format!("has over {WEIGHT_MAX} parts, references followed"));
        }
        for definitions in ["$defs", "definitions"] {
            for inner in map.get(definitions).and_then(Value::as_object).into_iter().flatten() {
                self.weigh(inner.1)?;
            }
        }
        self.count_patterns(map)?;
        self.trail.pop();
        self.known.insert(key, weight);
        Ok(weight)
    }

    /// What `$ref` leads to.
    fn reference(&self, map: &'a Map<String, Value>) -> Result<Option<&'a Value>, String> {
        if map.contains_key("$dynamicRef") || map.contains_key("$recursiveRef") {
            return Err("uses $dynamicRef or $recursiveRef, which are not allowed".into());
        }
        let inner_id = ["$id", "id"].iter().any(|id| map.get(*id).is_some_and(Value::is_string));
        if inner_id && self.trail.len() > 1 {
            return Err("has an $id below its top, which would move its references".into());
        }
        let Some(Value::String(reference)) = map.get("$ref") else { return Ok(None) };
        let pointer = reference.strip_prefix('#').filter(|pointer| {
            (pointer.is_empty() || pointer.starts_with('/')) && !pointer.contains('%')
        });
        let told: String = reference.chars().take(100).collect();
        let Some(pointer) = pointer else {
            return Err(format!("has the $ref {told}; write one such as #/$defs/name"));
        };
        let target = self.root.pointer(pointer);
        target.map(Some).ok_or_else(|| format!("has the $ref {told}, which leads nowhere"))
    }

    fn count_patterns(&mut self, map: &Map<String, Value>) -> Result<(), String> {
        let keys = map.get("patternProperties").and_then(Value::as_object).map_or(0, Map::len);
        self.patterns += keys + usize::from(map.contains_key("pattern"));
        if self.patterns > PATTERNS_MAX {
            return Err(format!("has over {PATTERNS_MAX} patterns"));
        }
        Ok(())
    }
}

/// The subschemas that take part in a check. A value that is no schema weighs as one.
fn subschemas(map: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    const SINGLE: [&str; 12] = [
        "not",
        "if",
        "then",
        "else",
        "items",
        "additionalItems",
        "contains",
        "additionalProperties",
        "propertyNames",
        "unevaluatedItems",
        "unevaluatedProperties",
        "contentSchema",
    ];
    const LISTS: [&str; 5] = ["allOf", "anyOf", "oneOf", "prefixItems", "items"];
    const MAPS: [&str; 4] = ["properties", "patternProperties", "dependentSchemas", "dependencies"];
    let single = SINGLE.iter().filter_map(|key| map.get(*key));
    let lists = LISTS.iter().filter_map(|key| map.get(*key)?.as_array()).flatten();
    let maps = MAPS.iter().filter_map(|key| map.get(*key)?.as_object()).flat_map(Map::values);
    single.chain(lists).chain(maps)
}
