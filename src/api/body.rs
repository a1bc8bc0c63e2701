//! Request bodies: of bounded size, in bounded time, of the right type.

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::time::Duration;

use super::items::{self, Item};
use super::problem::Problem;
use super::strict;
use crate::model::limits::{APPLY_BYTES_MAX, BODY_BYTES_MAX};

/// What a handler takes as its body.
pub(super) trait FromBody: Sized {
    /// Bytes, at most.
    const MAX: usize = BODY_BYTES_MAX;
    /// Media types beside `application/json`.
    const ALSO: &'static [&'static str] = &[];

    /// Few are read and carried out at a time: each may be large.
    const HEAVY: bool = false;

    /// Reads it; `None`: the body is empty.
    fn read(value: Option<Value>) -> Result<Self, Problem>;

    /// Reads its text.
    fn parse(text: &Bytes) -> Result<Self, Problem> {
        Self::read(Some(strict::parse(text)?))
    }
}

fn needed(value: Option<Value>) -> Result<Value, Problem> {
    value.ok_or_else(|| Problem::at("malformed-json", "", "the body is empty; JSON is needed"))
}

/// No body; what is sent is not looked at.
pub(super) struct Nothing;

impl FromBody for Nothing {
    fn read(_: Option<Value>) -> Result<Self, Problem> {
        Ok(Nothing)
    }
}

/// A JSON object whose fields `service` judges.
pub(super) struct Object(pub Map<String, Value>);

impl FromBody for Object {
    fn read(value: Option<Value>) -> Result<Self, Problem> {
        strict::typed(needed(value)?).map(Object)
    }
}

/// A JSON merge patch (RFC 7396).
pub(super) struct Patch(pub Value);

impl FromBody for Patch {
    const ALSO: &'static [&'static str] = &["application/merge-patch+json"];

    fn read(value: Option<Value>) -> Result<Self, Problem> {
        let Object(map) = Object::read(value)?;
        Ok(Patch(Value::Object(map)))
    }
}

/// A typed body.
pub(super) struct Typed<T>(pub T);

impl<T: DeserializeOwned> FromBody for Typed<T> {
    fn read(value: Option<Value>) -> Result<Self, Problem> {
        let Object(map) = Object::read(value)?;
        strict::typed(Value::Object(map)).map(Typed)
    }
}

/// A typed body that may be missing.
pub(super) struct Optional<T>(pub T);

impl<T: DeserializeOwned + Default> FromBody for Optional<T> {
    fn read(value: Option<Value>) -> Result<Self, Problem> {
        match value {
            None => Ok(Optional(T::default())),
            Some(value) => Typed::read(Some(value)).map(|Typed(value)| Optional(value)),
        }
    }
}

/// A list of definitions: `[…]` or `{"items": […]}`.
pub(super) struct Items(pub Vec<Item>);

impl FromBody for Items {
    const MAX: usize = APPLY_BYTES_MAX;
    const HEAVY: bool = true;

    fn read(value: Option<Value>) -> Result<Self, Problem> {
        Self::parse(&Bytes::from(needed(value)?.to_string()))
    }

    fn parse(text: &Bytes) -> Result<Self, Problem> {
        items::parse(text).map(Items)
    }
}

/// Reads a body of at most `most` bytes, within `patience`.
pub(super) async fn collect(
    headers: &HeaderMap,
    body: Body,
    most: usize,
    patience: Duration,
) -> Result<Bytes, Problem> {
    let too_large = || Problem::new("too-large", format!("a body has at most {most} bytes here"));
    let told = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if told.and_then(|length| length.parse::<u64>().ok()).is_some_and(|told| told > most as u64) {
        return Err(too_large());
    }
    match tokio::time::timeout(patience, Limited::new(body, most).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(fault)) if fault.downcast_ref::<LengthLimitError>().is_some() => Err(too_large()),
        Ok(Err(_)) => Err(Problem::new("malformed-request", "the body broke off")),
        Err(_) => {
            let detail = format!("the body did not arrive within {} s", patience.as_secs());
            Err(Problem::new("slow-request", detail))
        }
    }
}

/// The media type, without its parameters, in lower case; empty: none is given.
pub(super) fn media_type(headers: &HeaderMap) -> Result<String, Problem> {
    let Some(given) = headers.get(CONTENT_TYPE) else { return Ok(String::new()) };
    let text = given.to_str().map_err(|_| Problem::header("Content-Type", "is not plain text"))?;
    let kind = text.split(';').next().unwrap_or_default().trim();
    Ok(kind.to_ascii_lowercase())
}

/// Refuses bodies that are not JSON, or packed.
pub(super) fn check_type(headers: &HeaderMap, also: &[&str]) -> Result<(), Problem> {
    if headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        let detail = "Content-Encoding is not taken; send the body as it is";
        return Err(Problem::new("unsupported-media-type", detail));
    }
    let kind = media_type(headers)?;
    if kind.is_empty() || kind == "application/json" || also.contains(&kind.as_str()) {
        return Ok(());
    }
    let shown: String = kind.chars().take(100).collect();
    let detail = format!("the body is {shown}; send Content-Type: application/json");
    Err(Problem::new("unsupported-media-type", detail))
}
