//! Every error answer, and the only table of statuses: RFC 9457 problem details.
//!
//! A [`Problem`] travels in the extensions of its response; the outermost layer writes the
//! body, because only it knows the request's id. An error that something below made by
//! itself becomes a problem there too, so that no plain text ever leaves.

use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::model::{Invalid, Span};
use crate::service::Error;

/// The kinds of problem: code, status, title. docs/errors.md explains each.
pub const TABLE: &[(&str, u16, &str)] = &[
    ("malformed-request", 400, "The request can't be read"),
    ("malformed-json", 400, "The body is not JSON"),
    ("invalid-parameter", 400, "A parameter can't be used"),
    ("invalid-header", 400, "A header can't be used"),
    ("unauthenticated", 401, "The caller is not known"),
    ("forbidden", 403, "The caller may not do this"),
    ("not-found", 404, "There is no such thing"),
    ("no-route", 404, "There is nothing under this path"),
    ("method-not-allowed", 405, "The path does not take this method"),
    ("slow-request", 408, "The request took too long to arrive"),
    ("conflict", 409, "It can't be done as things stand"),
    ("exists", 409, "There is one already"),
    ("no-schedule", 409, "The job has no schedule"),
    ("backfill-open", 409, "A backfill covers some of these times"),
    ("backfill-ended", 409, "The backfill has ended"),
    ("overlap", 409, "An open run forbids another"),
    ("not-a-workflow", 409, "Only a workflow's run can do that"),
    ("run-open", 409, "The run has not ended"),
    ("run-ended", 409, "The run has ended"),
    ("in-use", 409, "Others count on it"),
    ("incident-over", 409, "The incident is over"),
    ("notice-sent", 409, "The notice was sent"),
    ("events-gone", 409, "Some of these events are gone"),
    ("secrets-key-missing", 409, "A node has no key for secrets"),
    ("backup-running", 409, "A backup is being given already"),
    ("last-admin", 409, "The last admin stays"),
    ("upgrade-needed", 409, "Some node is of an older version"),
    ("precondition-failed", 412, "The version is another one"),
    ("too-large", 413, "The request is too large"),
    ("unsupported-media-type", 415, "The body is of another type"),
    ("invalid", 422, "Some fields can't be accepted"),
    ("limit-reached", 422, "A limit was reached"),
    ("idempotency-key-reused", 422, "The Idempotency-Key was used for another request"),
    ("throttled", 429, "Too many attempts"),
    ("head-too-large", 431, "The head of the request is too large"),
    ("internal", 500, "Something is broken here"),
    ("unavailable", 503, "The cluster can't do it now"),
    ("not-ready", 503, "This node can't serve now"),
];

/// The kinds that say nothing of the cluster's state: what is asked can't be read, wherever it is
/// asked. Every other refusal may be wrong by a node that was cut off.
const OF_THE_REQUEST: &[&str] = &[
    "malformed-request",
    "malformed-json",
    "invalid-parameter",
    "invalid-header",
    "no-route",
    "method-not-allowed",
    "slow-request",
    "too-large",
    "unsupported-media-type",
    "throttled",
];

/// Something is wrong with this part of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Fault {
    /// JSON pointer (RFC 6901) into the body; a parameter as `query:limit`, `path:name` or
    /// `header:If-Match`.
    pub pointer: String,
    /// What is wrong and what to do about it.
    pub detail: String,
}

/// An error answer (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// Path of the explanation: `/problems/` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in a few words.
    pub title: String,
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What happened and what to do about it.
    pub detail: String,
    /// Id of the request, as in the header `x-request-id`, the audit and the logs.
    pub instance: String,
    /// The kind in one word; it never changes its meaning.
    pub code: String,
    /// What is wrong where, each fault of the request.
    pub errors: Vec<Fault>,
    /// The request may have been carried out all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub maybe_applied: Option<bool>,
    /// At the token endpoints, the code of RFC 6749.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<String>,
    /// At the token endpoints, the detail.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error_description: Option<String>,
}

/// An error on its way out.
#[derive(Clone, Debug)]
pub struct Problem {
    code: &'static str,
    detail: String,
    errors: Vec<Fault>,
    /// Seconds.
    retry_after: Option<u64>,
    /// Methods that the path takes.
    allow: Option<Box<HeaderValue>>,
    maybe_applied: bool,
    oauth: Option<&'static str>,
}

impl Problem {
    /// A problem of the kind `code`, one of [`TABLE`].
    pub fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Problem {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
            allow: None,
            maybe_applied: false,
            oauth: None,
        }
    }

    /// A parameter that can't be used: `place` is `query:limit` or the like.
    pub fn parameter(place: impl Into<String>, detail: impl Into<String>) -> Self {
        Problem::at("invalid-parameter", place, detail)
    }

    /// A header that can't be used.
    pub fn header(name: &str, detail: impl Into<String>) -> Self {
        Problem::at("invalid-header", format!("header:{name}"), detail)
    }

    /// A problem with one fault.
    pub fn at(code: &'static str, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let (pointer, detail) = (pointer.into(), detail.into());
        let text = if pointer.is_empty() { detail.clone() } else { format!("{pointer}: {detail}") };
        Problem { errors: vec![Fault { pointer, detail }], ..Problem::new(code, text) }
    }

    /// Faulty fields of the body.
    pub fn invalid(faults: Vec<Invalid>) -> Self {
        let detail = match faults.as_slice() {
            [one] if one.pointer.is_empty() => one.detail.clone(),
            [one] => one.to_string(),
            many => format!("{} fields can't be accepted; see errors", many.len()),
        };
        let fault = |one: Invalid| Fault { pointer: one.pointer, detail: one.detail };
        let errors = faults.into_iter().map(fault).collect();
        Problem { errors, ..Problem::new("invalid", detail) }
    }

    /// The same, as an OAuth2 client reads it: with `error` and `error_description`.
    #[must_use]
    pub fn for_oauth(mut self) -> Self {
        self.oauth = Some(match self.code {
            "unauthenticated" => "invalid_grant",
            "unavailable" | "not-ready" | "throttled" => "temporarily_unavailable",
            "internal" => "server_error",
            _ => "invalid_request",
        });
        self
    }

    /// The kind in one word.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        let row = TABLE.iter().find(|row| row.0 == self.code);
        row.and_then(|row| StatusCode::from_u16(row.1).ok())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Whether it refuses by what this node knows of the cluster.
    pub fn rests_on_state(&self) -> bool {
        self.status().is_client_error() && !OF_THE_REQUEST.contains(&self.code)
    }

    fn retry_after(mut self, span: Span) -> Self {
        self.retry_after = Some(span.millis().div_ceil(1_000).max(1));
        self
    }

    /// The answer, for the request `id`.
    pub fn render(&self, id: &str) -> Response {
        let title = TABLE.iter().find(|row| row.0 == self.code).map_or("", |row| row.2);
        let status = self.status();
        let body = ProblemBody {
            kind: format!("/problems/{}", self.code),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: self.detail.clone(),
            instance: id.to_owned(),
            code: self.code.to_owned(),
            errors: self.errors.clone(),
            maybe_applied: self.maybe_applied.then_some(true),
            error: self.oauth.map(str::to_owned),
            error_description: self.oauth.map(|_| self.detail.clone()),
        };
        let json = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (status, json).into_response();
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(CONTENT_TYPE, kind);
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(methods) = &self.allow {
            headers.insert(ALLOW, (**methods).clone());
        }
        if status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer realm=\"cronapi\"");
            headers.insert(WWW_AUTHENTICATE, scheme);
        }
        response
    }

    /// The problem that an error answer without one stands for.
    pub fn of_status(status: StatusCode) -> Self {
        let code = match status.as_u16() {
            404 => "no-route",
            405 => "method-not-allowed",
            408 => "slow-request",
            413 => "too-large",
            415 => "unsupported-media-type",
            422 => "invalid",
            431 => "head-too-large",
            503 => "unavailable",
            400..=499 => "malformed-request",
            _ => "internal",
        };
        Problem::new(code, status.canonical_reason().unwrap_or("an error"))
    }

    /// Keeps what the answer before said of itself and must be kept.
    pub fn keep(&mut self, headers: &HeaderMap) {
        if let Some(allow) = headers.get(ALLOW) {
            self.allow = Some(Box::new(allow.clone()));
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::Invalid(faults) => Problem::invalid(faults),
            Error::Malformed(_) => Problem::new("invalid-parameter", detail),
            Error::Unauthenticated(_) => Problem::new("unauthenticated", detail),
            Error::Forbidden(_) => Problem::new("forbidden", detail),
            Error::NotFound { .. } => Problem::new("not-found", detail),
            Error::Exists { .. } => Problem::new("exists", detail),
            Error::Conflict { code, .. } => {
                let known = TABLE.iter().find(|row| row.0 == code);
                Problem::new(known.map_or("conflict", |row| row.0), detail)
            }
            Error::Precondition { .. } => Problem::new("precondition-failed", detail),
            Error::KeyReused => Problem::new("idempotency-key-reused", detail),
            Error::TooLarge { .. } => Problem::new("too-large", detail),
            Error::Limit { .. } => Problem::new("limit-reached", detail),
            Error::Throttled { retry_after } => {
                Problem::new("throttled", detail).retry_after(retry_after)
            }
            Error::Unavailable { retry_after, maybe_applied, .. } => {
                let problem = Problem::new("unavailable", detail).retry_after(retry_after);
                Problem { maybe_applied, ..problem }
            }
            Error::Internal(reason) => {
                tracing::error!(%reason, "a request failed");
                Problem::internal()
            }
        }
    }
}

impl Problem {
    /// What a caller is told of a fault of ours.
    pub fn internal() -> Self {
        Problem::new("internal", "the fault is ours; its cause is in this node's log")
    }

    /// There is no room at the moment.
    pub fn busy(detail: impl Into<String>) -> Self {
        Problem::new("unavailable", detail).retry_after(Span::from_secs(5))
    }

    /// This caller has as much as one gets.
    pub fn too_many(detail: impl Into<String>) -> Self {
        Problem::new("throttled", detail).retry_after(Span::from_secs(5))
    }

    /// The handler did not answer in time.
    pub fn too_slow() -> Self {
        let detail = "no answer came in time: the request may have been carried out; look \
                      before sending it again, or send it with an Idempotency-Key";
        let problem = Problem::new("unavailable", detail).retry_after(Span::from_secs(1));
        Problem { maybe_applied: true, ..problem }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_status_and_a_section_in_the_documentation() {
        let text = include_str!("../../docs/errors.md");
        for (code, status, title) in TABLE {
            assert!(StatusCode::from_u16(*status).is_ok());
            assert!(!title.is_empty());
            let heading = format!("\n## {code}\n");
            assert_eq!(text.matches(&heading).count(), 1, "docs/errors.md lacks {code}");
        }
        let headings = text.lines().filter(|line| line.starts_with("## ")).count();
        assert_eq!(headings, TABLE.len(), "docs/errors.md has a heading that is no code");
    }

    #[test]
    fn conflicts_keep_their_code() {
        for code in ["overlap", "run-ended", "run-open", "last-admin", "in-use", "not-a-workflow"] {
            let problem = Problem::from(Error::Conflict { code, detail: String::new() });
            assert_eq!(problem.code(), code);
        }
        let odd = Problem::from(Error::Conflict { code: "fenced", detail: String::new() });
        assert_eq!(odd.code(), "conflict");
    }
}
