//! Whether anything changed about who may come in: cheap to ask, however many there are.

use tokio::sync::watch;

use crate::machine::state::Access;
use crate::service::Service;

/// Accounts, tokens, sessions and keys as a node had them.
#[derive(Clone)]
pub struct AccessSeen(Access);

impl PartialEq for AccessSeen {
    /// Whether they are the very same: one that was changed and changed back is another.
    fn eq(&self, other: &Self) -> bool {
        self.0.lets_in_as(&other.0)
    }
}

impl Service {
    /// As this node has them now.
    pub fn access_seen(&self) -> AccessSeen {
        AccessSeen(self.consensus().state().access.clone())
    }

    /// Moves whenever one of them has changed.
    pub fn access_changed(&self) -> watch::Receiver<u64> {
        self.consensus().access_changed()
    }
}
