//! A walk over the properties that a schema names: properties of properties, with `$ref` and
//! `allOf` followed. What only may apply (`anyOf`, `if`, items) is left out.

use serde_json::{Map, Value};

/// Levels that are walked. A schema that is accepted has no more.
const DEPTH_MAX: usize = 64;
/// Subschemas that are walked, each as often as a way leads to it: as many as are accepted.
const VISITS_MAX: usize = 2_000;

/// What the walk comes upon.
pub(super) enum Visit<'w, 's> {
    /// What follows is of the property of that name, until it is left.
    Enter(&'s str),
    /// The property is done.
    Leave,
    /// A schema of where the walk is.
    Schema {
        /// Where it stands.
        pointer: &'w str,
        /// Itself.
        map: &'s Map<String, Value>,
        /// The schemas that led to it by `$ref` or `allOf`, from the property on.
        trail: &'w [String],
    },
}

/// Walks `schema` from its top.
pub(super) fn walk<'s>(schema: &'s Value, see: &mut dyn FnMut(Visit<'_, 's>)) {
    let mut left = VISITS_MAX;
    Walk { root: schema, left: &mut left, see }.of(
        schema,
        String::new(),
        &mut Vec::new(),
        DEPTH_MAX,
    );
}

struct Walk<'w, 's> {
    root: &'s Value,
    left: &'w mut usize,
    see: &'w mut dyn FnMut(Visit<'_, 's>),
}

impl<'s> Walk<'_, 's> {
    fn of(&mut self, schema: &'s Value, pointer: String, trail: &mut Vec<String>, depth: usize) {
        let Value::Object(map) = schema else { return };
        if depth == 0 || *self.left == 0 {
            return;
        }
        *self.left -= 1;
        (self.see)(Visit::Schema { pointer: &pointer, map, trail });
        trail.push(pointer.clone());
        let reference = map.get("$ref").and_then(Value::as_str);
        if let Some(to) = reference.and_then(|reference| reference.strip_prefix('#'))
            && let Some(target) = self.root.pointer(to)
        {
            self.of(target, to.to_owned(), trail, depth - 1);
        }
        let all = map.get("allOf").and_then(Value::as_array).into_iter().flatten();
        for (at, part) in all.enumerate() {
            self.of(part, format!("{pointer}/allOf/{at}"), trail, depth - 1);
        }
        trail.pop();
        let properties = map.get("properties").and_then(Value::as_object).into_iter().flatten();
        for (key, inner) in properties {
            (self.see)(Visit::Enter(key));
            let escaped = key.replace('~', "~0").replace('/', "~1");
            self.of(inner, format!("{pointer}/properties/{escaped}"), &mut Vec::new(), depth - 1);
            (self.see)(Visit::Leave);
        }
    }
}
