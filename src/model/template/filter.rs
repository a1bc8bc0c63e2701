//! Filters: what is done with a value before it is put into its place.

use serde_json::Value;

use super::date::Format;
use super::{Found, Timestamp};

/// A filter with its arguments.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Filter {
    /// The value as JSON: a text with its quotes.
    Json,
    /// Percent-encoded, all but the unreserved characters of RFC 3986.
    Urlencode,
    /// A time, written so.
    Date(Format),
    /// In place of what is not given, or null.
    Default(String),
}

/// The filters, as people are told of them.
pub(super) const ALL: &str = "json, urlencode, default(\"…\"), date(\"%Y-%m-%d\", \"zone\")";

impl Filter {
    pub(super) fn read(name: &str, arguments: Vec<String>) -> Result<Filter, String> {
        let count = arguments.len();
        let mut arguments = arguments.into_iter();
        match (name, count) {
            ("json", 0) => Ok(Filter::Json),
            ("urlencode", 0) => Ok(Filter::Urlencode),
            ("default", 1) => Ok(Filter::Default(arguments.next().unwrap_or_default())),
            ("date", 1 | 2) => {
                let format = arguments.next().unwrap_or_default();
                let zone = arguments.next().unwrap_or_default();
                Format::read(&format, &zone).map(Filter::Date)
            }
            ("json" | "urlencode", _) => Err(format!("{name} takes no argument")),
            ("default", _) => Err("default takes one text: default(\"x\")".to_owned()),
            ("date", _) => {
                Err("date takes a format and may take a zone: date(\"%Y-%m-%d\")".to_owned())
            }
            _ => Err(format!("{name:?} is not a filter; there are {ALL}")),
        }
    }

    pub(super) fn apply<'v>(
        &self,
        found: Option<Found<'v>>,
        encodes: bool,
    ) -> Result<Option<Found<'v>>, String> {
        let text = |text: String| Ok(Some(Found::Text(text.into())));
        match (self, found) {
            (Filter::Default(other), None | Some(Found::Json(Value::Null))) => text(other.clone()),
            (Filter::Default(_), found) => Ok(found),
            (_, None) => Ok(None),
            (Filter::Json, Some(Found::Json(value))) => text(value.to_string()),
            (Filter::Json, Some(Found::Text(it))) => text(Value::from(it.into_owned()).to_string()),
            (Filter::Urlencode, Some(found)) if encodes => Ok(Some(found)),
            (Filter::Urlencode, Some(found)) => text(percent_encode(&found.text())),
            (Filter::Date(format), Some(found)) => {
                let given = found.text();
                let at = Timestamp::parse(&given).map_err(|why| format!("date: {why}"))?;
                text(format.write(at))
            }
        }
    }
}

/// Percent-encoded: all but the unreserved characters of RFC 3986.
pub fn percent_encode(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
