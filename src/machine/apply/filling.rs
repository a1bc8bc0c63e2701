//! Texts with `${…}` in them, that a run is given when it begins.

use serde_json::Value;

use crate::model::{Parameters, limits};

/// Fills in texts.
pub(super) struct Filling<'a> {
    /// What a path leads to; none: it is no path, and the text stands as it is.
    look_up: &'a dyn Fn(&str) -> Option<Value>,
    composed: bool,
    /// What may still be filled in: a large result that is named a thousand times is refused
    /// before it is copied a thousand times.
    room: usize,
}

impl<'a> Filling<'a> {
    /// `composed`: within a text too, and not only where it is all of it.
    pub(super) fn new(look_up: &'a dyn Fn(&str) -> Option<Value>, composed: bool) -> Self {
        Filling { look_up, composed, room: limits::PARAMETERS_BYTES_MAX }
    }

    /// Parameters that are passed on; refused past their size limit.
    pub(super) fn parameters(mut self, parameters: &Parameters) -> Result<Parameters, String> {
        let mut filled = serde_json::Map::new();
        for (key, value) in parameters.map() {
            filled.insert(key.clone(), self.value(value)?);
        }
        Parameters::new(filled)
    }

    pub(super) fn value(&mut self, value: &Value) -> Result<Value, String> {
        match value {
            Value::String(text) => {
                let inner = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
                // One that is closed before its end is two.
                let whole = inner.filter(|path| !self.composed || !path.contains('}'));
                match whole.and_then(|path| (self.look_up)(path)) {
                    Some(found) => {
                        self.take(found.to_string().len())?;
                        Ok(found)
                    }
                    None if self.composed && text.contains("${") => {
                        self.text(text).map(Value::String)
                    }
                    None => Ok(value.clone()),
                }
            }
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Object(map) => map
                .iter()
                .map(|(key, item)| Ok((key.clone(), self.value(item)?)))
                .collect::<Result<_, _>>()
                .map(Value::Object),
            other => Ok(other.clone()),
        }
    }

    /// A text with values in it: texts as they are, nothing for null, others as JSON. `$${`
    /// stands for `${`, and what is no path stands as it is.
    fn text(&mut self, text: &str) -> Result<String, String> {
        let (mut filled, mut rest) = (String::new(), text);
        while let Some(at) = rest.find("${") {
            let (before, inner) = (&rest[..at], &rest[at + 2..]);
            if let Some(before) = before.strip_suffix('$') {
                filled.push_str(before);
                filled.push_str("${");
                rest = inner;
                continue;
            }
            filled.push_str(before);
            let found = inner.split_once('}');
            match found.and_then(|(path, after)| Some(((self.look_up)(path)?, after))) {
                Some((found, after)) => {
                    let made = match found {
                        Value::Null => String::new(),
                        Value::String(text) => text,
                        other => other.to_string(),
                    };
                    self.take(made.len())?;
                    filled.push_str(&made);
                    rest = after;
                }
                None => {
                    filled.push_str("${");
                    rest = inner;
                }
            }
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn take(&mut self, bytes: usize) -> Result<(), String> {
        self.room = self.room.checked_sub(bytes).ok_or_else(|| {
            format!("are over {} bytes once filled in", limits::PARAMETERS_BYTES_MAX)
        })?;
        Ok(())
    }
}

/// What the keys lead to from `root`; null when they lead nowhere.
pub(super) fn within<'a>(root: Value, keys: impl Iterator<Item = &'a str>) -> Value {
    keys.fold(root, |value, part| match &value {
        Value::Object(map) => map.get(part).cloned().unwrap_or(Value::Null),
        Value::Array(items) => {
            part.parse::<usize>().ok().and_then(|at| items.get(at).cloned()).unwrap_or(Value::Null)
        }
        _ => Value::Null,
    })
}
