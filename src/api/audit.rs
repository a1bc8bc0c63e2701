//! `/audit`: who did what.

use axum::Json;
use axum::body::Body;
use axum::extract::{OriginalUri, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use super::choices;
use super::guard::Who;
use super::jobs::Bare;
use super::pages::{self, AuditPage};
use super::problem::Problem;
use super::query::Query;
use super::stream as streams;
use crate::model::{Timestamp, audit_actions};
use crate::service::Error;
use crate::service::access::{AuditFilter, AuditVerdict};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_audit))
        .routes(routes!(verify_audit))
        .routes(routes!(export_audit))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct AuditQuery {
    /// Of this user or token.
    #[param(max_length = 256)]
    actor: Option<String>,
    /// This action, or, ending in `*`, all that begin so.
    #[param(max_length = 256)]
    action: Option<String>,
    /// About this.
    #[param(max_length = 256)]
    target: Option<String>,
    /// At or after.
    from: Option<Timestamp>,
    /// Before.
    to: Option<Timestamp>,
    /// Items at most; default: 50.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl AuditQuery {
    fn filter(self) -> Result<AuditFilter, Problem> {
        let texts = [("actor", &self.actor), ("action", &self.action), ("target", &self.target)];
        for (name, text) in texts {
            if text.as_ref().is_some_and(|text| text.chars().count() > 256) {
                return Err(Problem::parameter(format!("query:{name}"), "has over 256 characters"));
            }
        }
        if let Some(action) = &self.action {
            let actions = audit_actions();
            let known = match action.strip_suffix('*') {
                Some(start) => actions.iter().any(|known| known.starts_with(start)),
                None => actions.contains(&action.as_str()),
            };
            if !known {
                let given = action.trim_end_matches(['*', '.']);
                let detail = choices::unknown(given, &actions, ".*");
                return Err(Problem::parameter("query:action", detail));
            }
        }
        let (actor, action, target) = (self.actor, self.action, self.target);
        Ok(AuditFilter { actor, action, target, from: self.from, to: self.to })
    }
}

/// Read the audit
///
/// A page may be short, even empty, and still have a `next_cursor`: the filter left much
/// out.
#[utoipa::path(get, path = "/audit", tag = "access", params(AuditQuery),
    responses((status = 200, description = "A page, newest first.", body = AuditPage)))]
async fn list_audit(
    State(api): State<Api>,
    Who(caller): Who,
    OriginalUri(uri): OriginalUri,
    Query(mut asked): Query<AuditQuery>,
) -> Result<Response, Problem> {
    let paging = pages::paging(asked.limit, asked.cursor.take())?;
    let page = api.service.audit(&caller, asked.filter()?, paging).await?;
    Ok(pages::page(&uri, page))
}

/// Prove that the audit is whole
///
/// Walks the chain of hashes from the first record to the newest.
#[utoipa::path(get, path = "/audit/verify", tag = "access",
    responses((status = 200, description = "What was found.", body = AuditVerdict)))]
async fn verify_audit(
    State(api): State<Api>,
    Who(caller): Who,
    Query(Bare {}): Query<Bare>,
) -> Result<Json<AuditVerdict>, Problem> {
    Ok(Json(api.service.audit_verify(&caller).await?))
}

const HEAD: HeaderName = HeaderName::from_static("x-cronapi-audit-head");

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ExportQuery {
    /// The number of the first record wanted, to go on where an earlier file ended; default: 1.
    #[param(minimum = 1)]
    from_seq: Option<u64>,
}

/// Export the audit
///
/// All records up to the newest of now, oldest first, one a line, with the chain of hashes: the
/// file can be verified without this cluster.
#[utoipa::path(get, path = "/audit/export", tag = "access", params(ExportQuery),
    responses((status = 200, description = "A record a line.", body = String,
        content_type = "application/x-ndjson",
        headers(("x-cronapi-audit-head" = String, description = "Hash of the last line.")))))]
async fn export_audit(
    State(api): State<Api>,
    Who(caller): Who,
    Query(asked): Query<ExportQuery>,
) -> Result<Response, Problem> {
    if asked.from_seq == Some(0) {
        return Err(Problem::parameter("query:from_seq", "must be at least 1"));
    }
    let place = streams::place(&api, &caller)?;
    let export = api.service.audit_export(&caller, asked.from_seq.unwrap_or(1)).await?;
    let head = HeaderValue::from_str(export.head()).ok();
    // The place is held until the last line is out, or nobody reads.
    let lines = stream::try_unfold((export, place), |(mut export, place)| async move {
        let lines = export.lines().await?;
        Ok::<_, Error>(lines.map(|lines| (lines, (export, place))))
    });
    let mut response = Body::from_stream(lines).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    let file = HeaderValue::from_static("attachment; filename=\"audit.ndjson\"");
    headers.insert(CONTENT_DISPOSITION, file);
    headers.extend(head.map(|head| (HEAD, head)));
    Ok(response)
}
