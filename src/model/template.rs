//! Templates: texts of a definition with places for values, `{{params.x}}`.
//!
//! The list of names and filters is closed, so that a misspelt one is refused when the definition
//! is written. There is no logic. Values are data wherever they are put: the places that would
//! read them as code (`command`, `code`) take no template at all. docs/runners.md has the list.

mod date;
mod filter;
mod parse;

use std::borrow::Cow;

use serde_json::Value;

use super::limits::TEMPLATE_BYTES_MAX;
use super::time::Timestamp;

pub use filter::percent_encode;
pub use parse::{ends, has_hole, has_item, parse};

/// A text, taken apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Template<'a> {
    /// In order.
    pub parts: Vec<Part<'a>>,
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq)]
pub enum Part<'a> {
    /// Stands as it is.
    Text(&'a str),
    /// A value is put here.
    Hole(Hole<'a>),
}

/// A place for a value: where it comes from, and what is done with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Hole<'a> {
    /// What stands between the braces, for messages.
    pub text: &'a str,
    /// Where the value comes from.
    pub source: Source<'a>,
    filters: Vec<filter::Filter>,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source<'a> {
    /// A parameter of the run: the keys that lead to it.
    Parameter(&'a str),
    /// The name of the job.
    Job,
    /// The run.
    RunId,
    /// Counted from 1.
    Attempt,
    /// The fencing token.
    Fence,
    /// Why the run was started.
    Trigger,
    /// The nominal time, moved by so many microseconds.
    NominalTime(i64),
    /// The item of a task, or the keys that lead into it.
    Item(Option<&'a str>),
}

/// What a place is filled with.
#[derive(Clone, Debug, PartialEq)]
pub enum Found<'a> {
    /// A text.
    Text(Cow<'a, str>),
    /// Any other value of JSON.
    Json(&'a Value),
}

impl Found<'_> {
    /// As it is inserted by default.
    pub fn text(self) -> String {
        match self {
            Found::Text(text) => text.into_owned(),
            Found::Json(value) => value.to_string(),
        }
    }
}

/// What the values are taken from: a run and its attempt.
pub trait Values {
    /// The value of anything but a parameter and the nominal time.
    fn told(&self, source: &Source<'_>) -> String;
    /// The nominal time, if the run has one.
    fn nominal_time(&self) -> Option<Timestamp>;
    /// The parameters, an object.
    fn parameters(&self) -> &Value;
    /// The item that a task runs for, if it has any.
    fn item(&self) -> Option<&Value> {
        None
    }
}

impl<'a> Hole<'a> {
    /// The value. In a place that encodes by itself, such as a URL, `urlencode` does nothing.
    ///
    /// # Errors
    /// A sentence: a parameter that is not given, a text that is not a time.
    pub fn value<'v>(&self, values: &'v impl Values, encodes: bool) -> Result<Found<'v>, String> {
        let mut found = match &self.source {
            Source::Parameter(path) => look_up(values.parameters(), path).map(found),
            Source::Item(path) => {
                let item = values.item();
                path.map_or(item, |path| look_up(item?, path)).map(found)
            }
            Source::NominalTime(moved) => values.nominal_time().map(|at| {
                let at = Timestamp::from_micros(at.micros().saturating_add(*moved));
                Found::Text(at.to_string().into())
            }),
            other => Some(Found::Text(values.told(other).into())),
        };
        for filter in &self.filters {
            found = filter.apply(found, encodes)?;
        }
        match (found, &self.source) {
            (Some(found), _) => Ok(found),
            (None, Source::Parameter(path)) => Err(format!("parameter {path} is not given")),
            (None, Source::Item(path)) => {
                Err(format!("the item has no {}", path.unwrap_or("value")))
            }
            (None, _) => Ok(Found::Text("".into())),
        }
    }
}

fn found(value: &Value) -> Found<'_> {
    value.as_str().map_or(Found::Json(value), |text| Found::Text(text.into()))
}

/// What the keys in `path` lead to; a number is a place in a list.
fn look_up<'v>(parameters: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(parameters, |value, key| match value {
        Value::Array(items) => items.get(key.parse::<usize>().ok()?),
        other => other.get(key),
    })
}

impl<'a> Template<'a> {
    /// The places in it.
    pub fn holes(&self) -> impl Iterator<Item = &Hole<'a>> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Hole(hole) => Some(hole),
        })
    }

    /// Puts values into the places. `insert` makes the text of each, of what stands before it and
    /// of the place. `room` is how many bytes may still be made, over all texts of an attempt.
    ///
    /// # Errors
    /// A sentence: what `insert` refuses, and a text that gets too long.
    pub fn fill(
        &self,
        room: &std::cell::Cell<usize>,
        mut insert: impl FnMut(&str, &Hole<'a>) -> Result<String, String>,
    ) -> Result<String, String> {
        let mut filled = String::new();
        let mut before: Cow<'_, str> = Cow::default();
        for part in &self.parts {
            let made = match part {
                Part::Text(text) => {
                    before += *text;
                    Cow::Borrowed(*text)
                }
                Part::Hole(hole) => Cow::Owned(insert(&std::mem::take(&mut before), hole)?),
            };
            let left = room.get().checked_sub(made.len());
            let left = left.ok_or_else(|| {
                format!("the templates make over {TEMPLATE_BYTES_MAX} bytes once filled in")
            })?;
            room.set(left);
            filled.push_str(&made);
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests;
