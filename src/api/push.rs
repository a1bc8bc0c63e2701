//! `/push/…`: the browsers of the caller that are told of troubles when no page is open.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use super::answer;
use super::body::{Nothing, Typed};
use super::guard::Who;
use super::jobs::Bare;
use super::path::{Path, PushPath};
use super::problem::Problem;
use super::query::Query;
use super::write::{KeyHeader, Write};
use crate::service::{
    ChannelTest, NewPushSubscription, PushKeyView, PushSubscriptionList, PushSubscriptionView,
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(get_push_key))
        .routes(routes!(list_push_subscriptions, create_push_subscription))
        .routes(routes!(delete_push_subscription))
        .routes(routes!(test_push_subscription))
}

/// Get the key of pushes
///
/// Browsers subscribe with it (`applicationServerKey`). The cluster makes it when it is first
/// asked for, and keeps it.
#[utoipa::path(get, path = "/push/key", tag = "alerts",
    responses((status = 200, description = "The public key.", body = PushKeyView)))]
async fn get_push_key(
    State(api): State<Api>,
    Who(caller): Who,
    Query(Bare {}): Query<Bare>,
) -> Result<Json<PushKeyView>, Problem> {
    Ok(Json(api.service.push_key(&caller).await?))
}

/// List the caller's browsers that are told
#[utoipa::path(get, path = "/push/subscriptions", tag = "alerts",
    responses((status = 200, description = "The caller's own.", body = PushSubscriptionList)))]
async fn list_push_subscriptions(
    State(api): State<Api>,
    Who(caller): Who,
    Query(Bare {}): Query<Bare>,
) -> Json<PushSubscriptionList> {
    Json(api.service.push_subscriptions(&caller).await)
}

/// Have a browser told
///
/// Of troubles of jobs that its user may see, also when no page is open. A browser that is known by
/// its address says what it tells anew, and keeps its id. Not with an API token.
#[utoipa::path(post, path = "/push/subscriptions", tag = "alerts", params(KeyHeader),
    request_body(content = NewPushSubscription, description = "What the browser gave."),
    responses(
        (status = 201, description = "It is told.", body = PushSubscriptionView),
        (status = 200, description = "It was told already, and says what it tells anew.",
            body = PushSubscriptionView)))]
async fn create_push_subscription(
    State(api): State<Api>,
    Query(Bare {}): Query<Bare>,
    write: Write<Typed<NewPushSubscription>>,
) -> Result<Response, Problem> {
    let request = write.plain_options(false).request;
    let Typed(new) = write.body;
    let (made, new, meta) = api.service.push_subscribe(&write.caller, new, request).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = (status, Json(made)).into_response();
    answer::mark(&mut response, meta, false);
    Ok(response)
}

/// Have a browser told no more
#[utoipa::path(delete, path = "/push/subscriptions/{id}", tag = "alerts",
    params(PushPath, KeyHeader),
    responses((status = 204, description = "It is gone.")))]
async fn delete_push_subscription(
    State(api): State<Api>,
    Path(path): Path<PushPath>,
    Query(Bare {}): Query<Bare>,
    write: Write<Nothing>,
) -> Result<Response, Problem> {
    let request = write.plain_options(false).request;
    let meta = api.service.push_unsubscribe(&write.caller, path.id, request).await?;
    Ok(answer::gone(meta))
}

/// Send a test to a browser
///
/// One push goes out at once, from the node that is asked, within 10 seconds. Whatever becomes of
/// it is the answer.
#[utoipa::path(post, path = "/push/subscriptions/{id}/test", tag = "alerts", params(PushPath),
    responses((status = 200, description = "What came of it.", body = ChannelTest)))]
async fn test_push_subscription(
    State(api): State<Api>,
    Path(path): Path<PushPath>,
    Query(Bare {}): Query<Bare>,
    write: Write<Nothing>,
) -> Result<Json<ChannelTest>, Problem> {
    Ok(Json(api.service.push_test(&write.caller, path.id).await?))
}
