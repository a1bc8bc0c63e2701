//! The parts of a path: decoded, checked, named when faulty.

use axum::extract::FromRequestParts;
use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use super::problem::Problem;
use crate::model::{Name, NodeId, RunId};

/// The captures of the route, read into `T`.
#[derive(Clone, Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Path(value)),
            Err(PathRejection::FailedToDeserializePathParams(fault)) => {
                Err(explain(fault.into_kind()))
            }
            Err(_) => Err(Problem::internal()),
        }
    }
}

fn explain(fault: ErrorKind) -> Problem {
    match fault {
        ErrorKind::DeserializeError { key, message, .. } => {
            Problem::parameter(format!("path:{key}"), message)
        }
        ErrorKind::ParseErrorAtKey { key, expected_type, .. } => {
            Problem::parameter(format!("path:{key}"), format!("is not a {expected_type}"))
        }
        ErrorKind::InvalidUtf8InPathParam { key } => {
            Problem::parameter(format!("path:{key}"), "is not UTF-8")
        }
        other => Problem::new("invalid-parameter", other.to_string()),
    }
}

/// `/jobs/{name}`
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct JobPath {
    /// Name of the job; where it is read also its uid.
    pub name: Name,
}

/// `/channels/{name}`
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct ChannelPath {
    /// Name of the channel.
    pub name: Name,
}

/// `/sinks/{name}`
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct SinkPath {
    /// Name of the sink.
    pub name: Name,
}

/// `/triggers/{name}`
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct TriggerPath {
    /// Name of the trigger.
    pub name: Name,
}

/// `/jobs/{name}/versions/{version}`
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct VersionPath {
    /// Name of the job.
    pub name: Name,
    /// A version of it, from 1.
    #[param(minimum = 1)]
    pub version: u64,
}

/// `/runs/{id}`
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct RunPath {
    /// Id of the run.
    #[param(value_type = String, format = Uuid)]
    pub id: RunId,
}

/// `/backfills/{id}`
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct BackfillPath {
    /// Number of the backfill.
    #[param(minimum = 1)]
    pub id: u64,
}

/// `/incidents/{id}`
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct IncidentPath {
    /// Number of the incident.
    #[param(minimum = 1)]
    pub id: u64,
}

/// `/notices/{seq}`
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct NoticePath {
    /// Number of the notice.
    #[param(minimum = 1)]
    pub seq: u64,
}

/// `/monitors/{name}`
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct MonitorPath {
    /// Name of the monitor.
    pub name: Name,
}

/// `/ping/{key}`
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct PingPath {
    /// Key of the monitor.
    #[param(format = Uuid)]
    pub key: String,
}

/// `/ping/{key}/{action}`
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct PingActionPath {
    /// Key of the monitor.
    #[param(format = Uuid)]
    pub key: String,
    /// `start`, `fail`, `log`, or an exit status from 0 to 255.
    #[param(pattern = "^(start|fail|log|[0-9]{1,3})$")]
    pub action: String,
}

/// `/users/{name}`
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct UserPath {
    /// Name of the user.
    pub name: Name,
}

/// `/tokens/{id}`
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct TokenPath {
    /// Id of the token.
    pub id: uuid::Uuid,
}

/// `/push/subscriptions/{id}`
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct PushPath {
    /// Id of the subscription.
    pub id: uuid::Uuid,
}

/// `/cluster/nodes/{id}`
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct NodePath {
    /// Id of the node.
    pub id: NodeId,
}

/// `/secrets/{name}`
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct SecretPath {
    /// Name of the secret.
    pub name: Name,
}

/// `/{kinds}/{name}`
#[derive(Clone, Debug, Deserialize)]
pub struct NamePath {
    /// Name of the definition.
    pub name: Name,
}

/// `/{kinds}/{name}/versions/{version}`
#[derive(Clone, Debug, Deserialize)]
pub struct NameVersionPath {
    /// Name of the definition.
    pub name: Name,
    /// A version of it, from 1.
    pub version: u64,
}
