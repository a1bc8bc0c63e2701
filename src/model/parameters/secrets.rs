//! Parameters that are secrets: properties of the schema that say `"x-secret": true`.
//!
//! Such a parameter is given as `{"secret": "name"}`. So it stands in the log and the history, and
//! goes down chains; the value is filled in where the run starts.

use serde_json::{Map, Value};

use super::walk::{Visit, walk};
use crate::model::invalid::Invalid;
use crate::model::secret::SecretRef;

/// The keyword.
pub(super) const KEYWORD: &str = "x-secret";
/// Levels of a schema that are looked at for a keyword that stands where it has no meaning.
const DEPTH_MAX: usize = 64;

/// Where the secrets of a schema stand.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SecretParameters {
    /// Keys that lead to each, from the top of the parameters.
    paths: Vec<Vec<String>>,
    /// The subschemas that say so, as JSON pointers.
    said: Vec<String>,
}

impl SecretParameters {
    /// Those of `schema`. Properties of properties are looked into, `$ref` and `allOf` followed.
    pub fn of(schema: &Value) -> Self {
        let mut found = SecretParameters::default();
        let mut path = Vec::new();
        walk(schema, &mut |visit| match visit {
            Visit::Enter(key) => path.push(key.to_owned()),
            Visit::Leave => drop(path.pop()),
            Visit::Schema { pointer, map, trail } if is_secret(map) && !path.is_empty() => {
                if !found.paths.contains(&path) {
                    found.paths.push(path.clone());
                }
                found.said.extend(trail.iter().chain([&pointer.to_owned()]).cloned());
            }
            Visit::Schema { .. } => {}
        });
        found
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Whether a parameter that a template names is a secret, or holds one, or is within one.
    pub fn touches(&self, named: &str) -> bool {
        let named: Vec<&str> = named.split('.').collect();
        let alike = |path: &Vec<String>| path.iter().zip(&named).all(|(one, other)| one == other);
        self.paths.iter().any(alike)
    }

    /// What is wrong with parameters that give a secret itself. No text tells of the value.
    pub fn faults(&self, parameters: &Value, pointer: &str) -> Vec<Invalid> {
        let faulty = |path: &&Vec<String>| {
            at(parameters, path).is_some_and(|value| !value.is_null() && named(value).is_none())
        };
        let told = |path: &Vec<String>| {
            let escaped: Vec<String> =
                path.iter().map(|key| key.replace('~', "~0").replace('/', "~1")).collect();
            let detail = "is a secret: give {\"secret\": \"<name>\"}, never the value itself";
            Invalid::new(format!("{pointer}/{}", escaped.join("/")), detail)
        };
        self.paths.iter().filter(faulty).map(told).collect()
    }

    /// The secrets that parameters name, each with where.
    pub fn named(&self, parameters: &Value) -> Vec<(String, SecretRef)> {
        let each = self.paths.iter();
        each.filter_map(|path| Some((path.join("/"), named(at(parameters, path)?)?))).collect()
    }

    /// The parameters without those that give a secret itself.
    pub fn without_plain(&self, parameters: &Value) -> Value {
        let mut kept = parameters.clone();
        for path in &self.paths {
            if let Some(slot) = at_mut(&mut kept, path)
                && named(slot).is_none()
            {
                *slot = Value::Null;
            }
        }
        kept
    }

    /// The schema without what it asks of secrets: their values are not known when it is checked.
    pub fn stripped(&self, schema: &Value) -> Value {
        let mut stripped = schema.clone();
        for pointer in &self.said {
            if let Some(slot) = stripped.pointer_mut(pointer) {
                *slot = Value::Bool(true);
            }
        }
        stripped
    }

    /// The parameters with values in place of the names; none: none is given.
    ///
    /// # Errors
    /// What `value` refuses.
    pub fn filled(
        &self,
        parameters: &Value,
        mut value: impl FnMut(&SecretRef) -> Result<String, String>,
    ) -> Result<Option<Value>, String> {
        let mut filled = None;
        for path in &self.paths {
            let Some(wanted) = at(parameters, path).and_then(named) else { continue };
            let whole = filled.get_or_insert_with(|| parameters.clone());
            if let Some(slot) = at_mut(whole, path) {
                *slot = Value::String(format!("{}{}", wanted.prefix, value(&wanted)?));
            }
        }
        Ok(filled)
    }

    /// What is wrong with the keyword in `schema`: where it stands and has no meaning.
    pub fn misplaced(&self, schema: &Value) -> Option<String> {
        let mut at = String::new();
        elsewhere(schema, &mut at, &self.said, DEPTH_MAX).then(|| {
            let at: String = at.chars().take(100).collect();
            format!(
                "has {KEYWORD} at {at}: it is true or false, in a schema under properties (of \
                 properties, $ref and allOf followed)"
            )
        })
    }
}

fn is_secret(map: &Map<String, Value>) -> bool {
    map.get(KEYWORD) == Some(&Value::Bool(true))
}

/// The secret that a value names.
fn named(value: &Value) -> Option<SecretRef> {
    value.is_object().then(|| serde_json::from_value(value.clone()).ok())?
}

fn at<'v>(value: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, key| value.as_object()?.get(key))
}

fn at_mut<'v>(value: &'v mut Value, path: &[String]) -> Option<&'v mut Value> {
    path.iter().try_fold(value, |value, key| value.as_object_mut()?.get_mut(key))
}

/// Whether the keyword stands somewhere but at `said`; then `at` says where.
fn elsewhere(schema: &Value, at: &mut String, said: &[String], depth: usize) -> bool {
    let before = at.len();
    match schema {
        Value::Object(map) if depth > 0 => {
            let wrong = match map.get(KEYWORD) {
                Some(Value::Bool(true)) => !said.contains(at),
                Some(Value::Bool(false)) | None => false,
                // A property of that name has a schema.
                Some(other) => !other.is_object(),
            };
            wrong
                || map.iter().any(|(key, inner)| {
                    // Values that are data and no schemas.
                    if ["const", "enum", "default", "examples"].contains(&key.as_str()) {
                        return false;
                    }
                    at.push('/');
                    at.push_str(&key.replace('~', "~0").replace('/', "~1"));
                    let found = elsewhere(inner, at, said, depth - 1);
                    if !found {
                        at.truncate(before);
                    }
                    found
                })
        }
        Value::Array(items) if depth > 0 => items.iter().enumerate().any(|(place, inner)| {
            at.push_str(&format!("/{place}"));
            let found = elsewhere(inner, at, said, depth - 1);
            if !found {
                at.truncate(before);
            }
            found
        }),
        _ => false,
    }
}
