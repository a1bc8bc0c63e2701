//! Headers that make a write conditional or safe to repeat. An operation takes those that the
//! document names; another is refused, since whoever sends it relies on it. `Idempotency-Key` is
//! welcome as well where a repeat changes nothing more: what its sender relies on holds there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use axum::extract::MatchedPath;
use axum::http::request::Parts;
use serde_json::Value;

use super::problem::Problem;

const KEY: &str = "Idempotency-Key";
static HEADERS: [&str; 3] = [KEY, "If-Match", "If-None-Match"];

/// Where a repeat does something again, or a condition can't be met, and why.
const WHY: &[(&str, &str, &str)] = &[
    ("post /apply", "If-Match", "each definition has a version of its own"),
    ("post /auth/keys/rotate", KEY, "each call makes a new key"),
    ("post /secrets/rotate", KEY, "each call seals with a new key"),
    ("post /tokens", KEY, "a token is shown once and can't be shown again"),
];

/// Refuses what the operation does not take.
pub(super) fn refuse_untaken(parts: &Parts) -> Result<(), Problem> {
    let mut given = HEADERS.iter().filter(|name| parts.headers.contains_key(**name)).peekable();
    let route = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str);
    let (Some(_), Some(route)) = (given.peek(), route) else { return Ok(()) };
    let route = route.strip_prefix("/v1").filter(|rest| rest.starts_with('/')).unwrap_or(route);
    let operation = format!("{} {route}", parts.method.as_str().to_ascii_lowercase());
    let Some(taken) = taken().get(&operation) else { return Ok(()) };
    let why = |name: &str| WHY.iter().find(|(of, header, _)| *of == operation && *header == name);
    let untaken = |name: &str| !taken.contains(name) && (name != KEY || why(name).is_some());
    let Some(name) = given.find(|name| untaken(name)) else { return Ok(()) };
    let detail = match why(name) {
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
