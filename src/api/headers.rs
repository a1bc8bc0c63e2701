//! Headers that make a write conditional or safe to repeat. An operation takes those that the
//! document names; another is refused, since whoever sends it relies on it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use axum::extract::MatchedPath;
use axum::http::request::Parts;
use serde_json::Value;

use super::problem::Problem;

static HEADERS: [&str; 3] = ["Idempotency-Key", "If-Match", "If-None-Match"];

/// Why one of them is not taken, where that can be said.
const WHY: &[(&str, &str, &str)] = &[
    ("post /apply", "Idempotency-Key", "applying the same set again changes nothing"),
    ("post /apply", "If-Match", "each definition has a version of its own"),
    ("post /auth/keys/rotate", "Idempotency-Key", "each call makes a new key"),
    ("post /secrets/rotate", "Idempotency-Key", "each call seals with a new key"),
    ("post /tokens", "Idempotency-Key", "a token is shown once and can't be shown again"),
];

/// Refuses what the operation does not take.
pub(super) fn refuse_untaken(parts: &Parts) -> Result<(), Problem> {
    let mut given = HEADERS.iter().filter(|name| parts.headers.contains_key(**name)).peekable();
    let route = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str);
    let (Some(_), Some(route)) = (given.peek(), route) else { return Ok(()) };
    let route = route.strip_prefix("/v1").filter(|rest| rest.starts_with('/')).unwrap_or(route);
    let operation = format!("{} {route}", parts.method.as_str().to_ascii_lowercase());
    let Some(taken) = taken().get(&operation) else { return Ok(()) };
    let Some(name) = given.find(|name| !taken.contains(**name)) else { return Ok(()) };
    let why = WHY.iter().find(|(of, header, _)| *of == operation && header == name);
    let detail = match why {
        Some((_, _, why)) => format!("is not taken here: {why}"),
        None => "is not taken here: leave it out".to_owned(),
    };
    Err(Problem::header(name, detail))
}

/// What each operation takes.
fn taken() -> &'static BTreeMap<String, BTreeSet<&'static str>> {
    static TAKEN: OnceLock<BTreeMap<String, BTreeSet<&'static str>>> = OnceLock::new();
    TAKEN.get_or_init(|| {
        let document: Value = serde_json::from_str(&super::openapi()).unwrap_or_default();
        let paths = document["paths"].as_object().into_iter().flatten();
        let operations = paths.flat_map(|(path, methods)| {
            let methods = methods.as_object().into_iter().flatten();
            methods.map(move |(method, operation)| (format!("{method} {path}"), operation))
        });
        operations.map(|(name, operation)| (name, headers_of(operation))).collect()
    })
}

fn headers_of(operation: &Value) -> BTreeSet<&'static str> {
    let known = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    let named =
        |header: &&str| known.iter().any(|one| one["in"] == "header" && one["name"] == **header);
    HEADERS.iter().copied().filter(|header| named(header)).collect()
}
