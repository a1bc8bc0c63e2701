//! `/audit`: who did what.

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use super::guard::Who;
use super::jobs::Bare;
use super::pages::{self, AuditPage};
use super::problem::Problem;
use super::query::Query;
use crate::model::Timestamp;
use crate::service::access::{AuditFilter, AuditVerdict};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list_audit)).routes(routes!(verify_audit))
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
    /// Items at most; 50 unless told.
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
