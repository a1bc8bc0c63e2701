//! Users, tokens, signing keys, and the requests that were answered.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Failures, Sessions};
use crate::machine::command::SigningKey;
use crate::machine::reply::Reply;
use crate::model::{ApiToken, Name, Role, Timestamp, User};

/// Who may come in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Access {
    /// Accounts.
    pub users: OrdMap<Name, Arc<User>>,
    /// Long-lived tokens.
    pub tokens: OrdMap<Uuid, Arc<ApiToken>>,
    /// Signing keys, newest last; all but that one are retired.
    pub keys: Vec<SigningKey>,
    /// Logins that failed lately.
    #[serde(default, skip_serializing_if = "Failures::is_empty")]
    pub failures: Failures,
    /// Logins that were refreshed.
    #[serde(default, skip_serializing_if = "Sessions::is_empty")]
    pub sessions: Sessions,
}

impl Access {
    /// Whether all that says who may come in is the very same: cheap to ask. What was changed and
    /// changed back is not.
    pub fn lets_in_as(&self, other: &Access) -> bool {
        self.users.ptr_eq(&other.users)
            && self.tokens.ptr_eq(&other.tokens)
            && self.sessions.is_same(&other.sessions)
            && self.keys.iter().map(|key| key.id).eq(other.keys.iter().map(|key| key.id))
    }

    /// Whether taking admin rights from `name` would leave nobody with all of them. Those whom
    /// a login provider knows don't count: it may take them away at any time.
    pub fn is_last_admin(&self, name: &Name) -> bool {
        let whole = |user: &User| {
            user.role == Role::Admin && user.scope.is_all() && user.external.is_none()
        };
        self.users.get(name).is_some_and(|user| whole(user))
            && self.users.values().filter(|user| whole(user)).count() == 1
    }
}

/// An answered request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// When, log time.
    pub at: Timestamp,
    /// Hash of what was asked.
    pub fingerprint: Uuid,
    /// What was answered.
    pub reply: Reply,
}

/// The window in which a repeated request gets its first answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    /// By hash of user, route and key.
    pub by_key: OrdMap<Uuid, Remembered>,
    /// By age.
    pub by_age: OrdSet<(Timestamp, Uuid)>,
}
