//! `/channels/{name}/test`: a message, now. Definitions of channels are of the kit.

use axum::Json;
use axum::extract::State;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use super::body::Nothing;
use super::jobs::Bare;
use super::path::{ChannelPath, Path};
use super::problem::Problem;
use super::query::Query;
use super::write::Write;
use crate::service::ChannelTest;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(test_channel))
}

/// Send a test to a channel
///
/// One message goes out at once, from the node that is asked, within 10 seconds. Whatever becomes
/// of it is the answer.
#[utoipa::path(post, path = "/channels/{name}/test", tag = "outside", params(ChannelPath),
    responses((status = 200, description = "What came of it.", body = ChannelTest)))]
async fn test_channel(
    State(api): State<Api>,
    Path(path): Path<ChannelPath>,
    Query(Bare {}): Query<Bare>,
    write: Write<Nothing>,
) -> Result<Json<ChannelTest>, Problem> {
    Ok(Json(api.service.test_channel(&write.caller, &path.name).await?))
}
