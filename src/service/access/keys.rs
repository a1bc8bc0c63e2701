//! The keys that access and refresh tokens are signed with.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::jwt::new_signing_key;
use crate::machine::Op;
use crate::machine::command::SigningKey;
use crate::model::Timestamp;
use crate::model::limits::SESSION_TTL;
use crate::service::caller::{Action, Target};
use crate::service::{Caller, Error, Service};

/// A signing key, as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct KeyView {
    /// `kid` in the head of the tokens it signed.
    pub id: Uuid,
    /// Creation; null: it is the cluster's first.
    #[schema(required)]
    pub created_at: Option<Timestamp>,
    /// When another took its place; null: it signs.
    #[schema(required)]
    pub retired_at: Option<Timestamp>,
    /// When the last token it signed has expired; null: it signs.
    #[schema(required)]
    pub ends_at: Option<Timestamp>,
}

impl From<&SigningKey> for KeyView {
    fn from(key: &SigningKey) -> Self {
        KeyView {
            id: key.id,
            created_at: key.created_at,
            retired_at: key.retired_at,
            ends_at: key.retired_at.map(|at| at.plus(SESSION_TTL)),
        }
    }
}

/// How keys are rotated.
#[derive(Clone, Copy, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rotation {
    /// Refuse every token that the keys before signed, from here on: everybody logs in again,
    /// the caller too. For a key that somebody else may know.
    #[schema(required = false)]
    pub revoke: bool,
}

impl Service {
    /// The keys whose tokens are accepted, the one that signs last.
    ///
    /// # Errors
    /// `Forbidden` to all but an admin.
    pub async fn signing_keys(&self, c: &Caller) -> Result<Vec<KeyView>, Error> {
        c.permit(Action::ReadUsers, Target::Cluster)?;
        let (state, now) = (self.consensus().state(), self.now());
        let all = state.access.keys.iter().map(KeyView::from);
        Ok(all.filter(|key| key.ends_at.is_none_or(|end| end > now)).collect())
    }

    /// Puts a new key in the place of the one that signs.
    ///
    /// # Errors
    /// `Forbidden`, `Limit` when it was done too often lately, or as any write.
    pub async fn rotate_keys(&self, c: &Caller, how: Rotation) -> Result<Vec<KeyView>, Error> {
        c.permit(Action::ManageUsers, Target::Cluster)?;
        self.format_of_access("the age of signing keys")?;
        let op = Op::RotateKey { signing_key: new_signing_key()?, revoke: how.revoke };
        self.plain(&c.actor, op).await?;
        self.signing_keys(c).await
    }
}
