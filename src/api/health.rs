//! Health, for probes: no token, and no detail without one.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use super::guard::{From, bearer};
use super::problem::Problem;
use super::query::Query;
use crate::service::access::Origin;
use crate::service::{Check, CheckName};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(get_livez))
        .routes(routes!(get_readyz))
        .routes(routes!(get_healthz))
        .routes(routes!(get_health))
}

/// It is well.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Health {
    /// Always `ok`; otherwise the answer is a problem.
    status: &'static str,
    /// What it needs to serve, when that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    checks: Option<Vec<Check>>,
}

/// How it is asked.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct How {
    /// List the checks; with a good token, with what is behind each.
    #[param(nullable = false)]
    verbose: Option<String>,
    /// Checks that are left out, such as `disk`; may be repeated.
    exclude: Vec<CheckName>,
}

async fn ready(
    api: &Api,
    how: How,
    headers: &HeaderMap,
    origin: &Origin,
) -> Result<Json<Health>, Problem> {
    let mut checks = api.service.checks();
    checks.retain(|check| !how.exclude.contains(&check.name));
    let failed: Vec<_> = checks.iter().filter(|check| !check.ok).collect();
    if !failed.is_empty() {
        let known = known(api, headers, origin).await;
        tracing::debug!(?failed, "not ready");
        let detail = failed.iter().map(|check| match &check.detail {
            Some(detail) if known => format!("{}: {detail}", check.name.as_str()),
            // Not a secret, and what whoever starts nodes one after the other looks for.
            _ if check.name == CheckName::Leader => {
                format!("{} (it waits for a majority of the voters)", check.name.as_str())
            }
            _ => check.name.as_str().to_owned(),
        });
        let detail = detail.collect::<Vec<_>>().join("; ");
        let more = if known { "" } else { " (a token shows more)" };
        return Err(Problem::new("not-ready", format!("this node lacks {detail}{more}")));
    }
    let mut shown = how.verbose.map(|_| checks);
    if let Some(checks) = &mut shown
        && !known(api, headers, origin).await
    {
        checks.iter_mut().for_each(|check| check.detail = None);
    }
    Ok(Json(Health { status: "ok", checks: shown }))
}

/// Whether the caller may see details. Probes without a token are the rule.
async fn known(api: &Api, headers: &HeaderMap, origin: &Origin) -> bool {
    let Ok(token) = bearer(headers) else { return false };
    match api.service.authenticate(token, origin).await {
        Ok(caller) => api.service.may_see_checks(&caller).is_ok(),
        Err(_) => false,
    }
}

/// Whether the process runs
#[utoipa::path(get, path = "/livez", tag = "health",
    responses((status = 200, description = "It does.", body = Health)))]
async fn get_livez() -> Json<Health> {
    Json(Health { status: "ok", checks: None })
}

/// Whether this node can serve
///
/// It runs, a leader is known and followed by a majority, what is committed is applied, and the
/// disk takes what is written.
#[utoipa::path(get, path = "/readyz", tag = "health", params(How),
    responses((status = 200, description = "It can.", body = Health)))]
async fn get_readyz(
    State(api): State<Api>,
    Query(how): Query<How>,
    From(origin): From,
    headers: HeaderMap,
) -> Result<Json<Health>, Problem> {
    ready(&api, how, &headers, &origin).await
}

/// Whether this node can serve (the same as `/readyz`)
#[utoipa::path(get, path = "/healthz", tag = "health", params(How),
    responses((status = 200, description = "It can.", body = Health)))]
async fn get_healthz(
    State(api): State<Api>,
    Query(how): Query<How>,
    From(origin): From,
    headers: HeaderMap,
) -> Result<Json<Health>, Problem> {
    ready(&api, how, &headers, &origin).await
}

/// Whether this node can serve (the same as `/readyz`)
#[utoipa::path(get, path = "/health", tag = "health", params(How),
    responses((status = 200, description = "It can.", body = Health)))]
async fn get_health(
    State(api): State<Api>,
    Query(how): Query<How>,
    From(origin): From,
    headers: HeaderMap,
) -> Result<Json<Health>, Problem> {
    ready(&api, how, &headers, &origin).await
}
