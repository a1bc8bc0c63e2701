//! JSON Schemas that callers write (draft 2020-12 unless the schema names another), and
//! the bound on what checking against one may cost.
//!
//! A schema is a program that the leader runs at every trigger. So it may not refer back to
//! itself (which could recurse for ever, or twice at each level of a value), and what it
//! comes to once every reference is followed is bounded. References are followed here as
//! the validator follows them, hence only those that can be: `#` and `#/...`.
//!
//! What a check costs depends on the value too: a pattern of a thousand states looks at each
//! byte of a text a thousand times. So both are weighed before they meet ([`Schema::cost`]).

use std::collections::BTreeMap;

use jsonschema::{PatternOptions, Validator};
use regex_automata::nfa::thompson::{NFA, WhichCaptures};
use serde_json::{Map, Value};

/// Levels of a schema, references followed; deeper ones cost stack at every check.
const DEPTH_MAX: usize = 64;
/// Subschemas, each counted as often as a way leads to it.
const WEIGHT_MAX: u64 = 2_000;
/// Regular expressions: each takes time and memory to compile.
const PATTERNS_MAX: usize = 64;
/// Memory of one compiled regular expression, in bytes, and of all of a schema.
const PATTERN_BYTES_MAX: usize = 1 << 20;
const PATTERNS_BYTES_MAX: usize = 2 << 20;
/// Memory in which one pattern keeps what it found out about texts, in bytes.
const PATTERN_CACHE_MAX: usize = 64 * 1024;
/// What a `format` costs a byte, in states: most are read once or twice.
const FORMAT_STATES: u64 = 64;
/// The one that compiles a regular expression.
const FORMAT_REGEX_STATES: u64 = 20_000;
/// What a subschema costs a value, in steps of a pattern.
const PART_STEPS: u64 = 16;

/// A schema that can be held against values.
pub struct Schema {
    pub(super) validator: Validator,
    weight: Weight,
    /// Patterns in it.
    pub(super) patterns: usize,
}

/// What a check costs: each counted as often as a way leads to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Weight {
    /// Subschemas, for each value.
    parts: u64,
    /// Values of `enum`, for each value.
    choices: u64,
    /// States of patterns, for each byte of text.
    states: u64,
}

impl Weight {
    fn add(&mut self, other: Weight) {
        self.parts = self.parts.saturating_add(other.parts);
        self.choices = self.choices.saturating_add(other.choices);
        self.states = self.states.saturating_add(other.states);
    }
}

impl Schema {
    /// The steps of a check of `value`, at most.
    pub fn cost(&self, value: &Value) -> u64 {
        let (nodes, bytes) = size(value);
        let Weight { parts, choices, states } = self.weight;
        let each = parts.saturating_mul(PART_STEPS).saturating_add(choices);
        nodes.saturating_mul(each).saturating_add(bytes.saturating_mul(states))
    }
}

/// Values within `value`, itself included, and the bytes of all text in it.
fn size(value: &Value) -> (u64, u64) {
    let sum = |one: (u64, u64), other: (u64, u64)| (one.0 + other.0, one.1 + other.1);
    match value {
        Value::String(text) => (1, text.len() as u64),
        Value::Array(items) => items.iter().map(size).fold((1, 0), sum),
        Value::Object(map) => {
            let keys = map.keys().map(|key| (0, key.len() as u64)).fold((1, 0), sum);
            map.values().map(size).fold(keys, sum)
        }
        _ => (1, 0),
    }
}

/// Compiles a schema. Only references within it resolve; patterns run in linear time.
pub fn compile(schema: &Value) -> Result<Schema, String> {
    if !schema.is_object() && !schema.is_boolean() {
        return Err("must be a JSON Schema: an object".into());
    }
    if depth(schema) > DEPTH_MAX {
        return Err(too_deep());
    }
    let mut walk = Walk {
        root: schema,
        known: BTreeMap::new(),
        trail: Vec::new(),
        patterns: 0,
        pattern_bytes: 0,
    };
    let weight = walk.weigh(schema)?;
    let patterns = walk.patterns;
    let options = PatternOptions::regex();
    let options = options.size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_CACHE_MAX);
    let built = jsonschema::options().with_pattern_options(options).build(schema);
    built.map(|validator| Schema { validator, weight, patterns }).map_err(|fault| {
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
    known: BTreeMap<*const Value, Weight>,
    /// The subschemas on the way here.
    trail: Vec<*const Value>,
    patterns: usize,
    pattern_bytes: usize,
}

impl<'a> Walk<'a> {
    /// Subschemas in and below `at`.
    fn weigh(&mut self, at: &'a Value) -> Result<Weight, String> {
        let mut weight = Weight { parts: 1, ..Weight::default() };
        let Value::Object(map) = at else { return Ok(weight) };
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
        if let Some(target) = self.reference(map)? {
            let target = self.weigh(target)?;
            weight.add(target);
        }
        for inner in subschemas(map) {
            let inner = self.weigh(inner)?;
            weight.add(inner);
        }
        weight.choices += map.get("enum").and_then(Value::as_array).map_or(0, Vec::len) as u64;
        weight.add(self.own_patterns(map)?);
        if weight.parts > WEIGHT_MAX {
            return Err(format!("has over {WEIGHT_MAX} parts, references followed"));
        }
        for definitions in ["$defs", "definitions"] {
            for inner in map.get(definitions).and_then(Value::as_object).into_iter().flatten() {
                self.weigh(inner.1)?;
            }
        }
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

    /// What the patterns and the format of one subschema cost.
    fn own_patterns(&mut self, map: &'a Map<String, Value>) -> Result<Weight, String> {
        let keys = map.get("patternProperties").and_then(Value::as_object);
        let keys = keys.into_iter().flat_map(Map::keys).map(String::as_str);
        let own = map.get("pattern").and_then(Value::as_str);
        let mut states = match map.get("format").and_then(Value::as_str) {
            Some("regex") => FORMAT_REGEX_STATES,
            Some(_) => FORMAT_STATES,
            None => 0,
        };
        for pattern in keys.chain(own) {
            self.patterns += 1;
            if self.patterns > PATTERNS_MAX {
                return Err(format!("has over {PATTERNS_MAX} patterns"));
            }
            states += self.states(pattern)?;
        }
        Ok(Weight { states, ..Weight::default() })
    }

    /// States of one pattern. One that is faulty is told of by the validator.
    fn states(&mut self, pattern: &str) -> Result<u64, String> {
        let Ok(translated) = jsonschema_regex::to_rust_regex(pattern) else { return Ok(1) };
        let left = PATTERNS_BYTES_MAX.saturating_sub(self.pattern_bytes).min(PATTERN_BYTES_MAX);
        let config = NFA::config().nfa_size_limit(Some(left));
        let config = config.which_captures(WhichCaptures::None);
        match NFA::compiler().configure(config).build(&translated) {
            Ok(nfa) => {
                self.pattern_bytes += nfa.memory_usage();
                Ok(nfa.states().len() as u64)
            }
            Err(error) if error.size_limit().is_some() => {
                let told: String = pattern.chars().take(100).collect();
                Err(format!("has the pattern {told}, which is too large with those before it"))
            }
            Err(_) => Ok(1),
        }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn patterns_cost_their_states_as_often_as_a_way_leads_to_them() {
        let once = compile(&json!({ "pattern": "^a{50}$" })).unwrap();
        let twice = json!({ "$defs": { "p": { "pattern": "^a{50}$" } },
            "allOf": [{ "$ref": "#/$defs/p" }, { "$ref": "#/$defs/p" }] });
        let twice = compile(&twice).unwrap();
        assert!(once.weight.states >= 50, "{:?}", once.weight);
        assert_eq!(twice.weight.states, 2 * once.weight.states);
        let text = Value::String("a".repeat(1_000));
        assert!(once.cost(&text) >= 50_000);
        let list = compile(&json!({ "items": { "enum": [1, 2, 3] } })).unwrap();
        assert_eq!(list.weight, Weight { parts: 2, choices: 3, states: 0 });
        assert_eq!(size(&json!({ "ab": ["c", 1] })), (4, 3));
    }

    #[test]
    fn patterns_that_are_too_large_together_are_refused() {
        let one = |n: usize| json!({ "pattern": format!("^(a{{1,90}}){{1,90}}b{{{n}}}$") });
        assert!(compile(&one(1)).is_ok());
        let many: Vec<Value> = (0..60).map(one).collect();
        assert!(compile(&json!({ "allOf": many })).is_err());
    }
}
