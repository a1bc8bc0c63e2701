//! Answers to writes: status, headers, and the value with its warnings.

use axum::Json;
use axum::http::header::LOCATION;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;

use super::conditional::etag;
use super::layers::INDEX;
use crate::service::{JobView, Meta, Written};

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const DRY_RUN: HeaderName = HeaderName::from_static("x-cronapi-dry-run");

/// Says where in the log a write stands, and whether it is an old answer.
pub(super) fn mark(response: &mut Response, meta: Meta, dry_run: bool) {
    let headers = response.headers_mut();
    headers.insert(INDEX, HeaderValue::from(meta.index));
    if meta.replayed {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    if dry_run {
        headers.insert(DRY_RUN, HeaderValue::from_static("true"));
    }
}

/// What was removed: 204.
pub(super) fn gone(meta: Meta) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    mark(&mut response, meta, false);
    response
}

/// A value as JSON, with its warnings if there are any.
pub(super) fn written<T: Serialize>(
    status: StatusCode,
    written: &Written<T>,
    dry_run: bool,
) -> Response {
    let mut value = serde_json::to_value(&written.value).unwrap_or_default();
    if let (Value::Object(map), false) = (&mut value, written.warnings.is_empty()) {
        map.insert("warnings".into(), written.warnings.clone().into());
    }
    let mut response = (status, Json(value)).into_response();
    mark(&mut response, written.meta, dry_run);
    response
}

/// A definition that was written: 201 with its place when it is new, else 200.
pub(super) fn job(answer: &Written<JobView>, dry_run: bool) -> Response {
    let new = answer.created && !dry_run;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = written(status, answer, dry_run);
    let (name, tag) = etag(answer.value.live.version);
    response.headers_mut().insert(name, tag);
    if new {
        located(&mut response, &format!("/jobs/{}", answer.value.spec.name));
    }
    response
}

/// Adds `Location`.
pub(super) fn located(response: &mut Response, path: &str) {
    if let Ok(path) = HeaderValue::from_str(path) {
        response.headers_mut().insert(LOCATION, path);
    }
}
