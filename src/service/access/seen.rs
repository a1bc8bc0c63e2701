//! Whether anything changed about who may come in: cheap to ask, however many there are.

use std::sync::Arc;

use imbl::OrdMap;
use uuid::Uuid;

use crate::model::{ApiToken, Name, User};
use crate::service::Service;

/// Accounts, tokens and keys as a node had them.
#[derive(Clone)]
pub struct AccessSeen {
    users: OrdMap<Name, Arc<User>>,
    tokens: OrdMap<Uuid, Arc<ApiToken>>,
    keys: Vec<Uuid>,
}

impl PartialEq for AccessSeen {
    /// Whether they are the very same: one that was changed and changed back is another.
    fn eq(&self, other: &Self) -> bool {
        self.users.ptr_eq(&other.users)
            && self.tokens.ptr_eq(&other.tokens)
            && self.keys == other.keys
    }
}

impl Service {
    /// As this node has them now.
    pub fn access_seen(&self) -> AccessSeen {
        let state = self.consensus().state();
        let access = &state.access;
        AccessSeen {
            users: access.users.clone(),
            tokens: access.tokens.clone(),
            keys: access.keys.iter().map(|key| key.id).collect(),
        }
    }
}
