//! What this node's attempts share.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::consensus::Handle;
use crate::model::{BootId, NodeId};
use crate::vault::Vault;

use super::locks::Locks;
use super::work::Work;

/// What attempts are carried out with.
pub struct Parts {
    /// The log.
    pub consensus: Handle,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What carries them out.
    pub work: Work,
    /// What secrets are opened with; none: this node has no key.
    pub vault: Option<Arc<Vault>>,
    /// Who is asked for the locks of jobs; none: this program was built without.
    pub locks: Option<Arc<dyn Locks>>,
    /// Where locks are that name no place.
    pub redis_url: Option<String>,
    /// This node.
    pub node: NodeId,
    /// This boot of it.
    pub boot: BootId,
    /// The node's name as children see it.
    pub node_name: String,
    /// Marks this boot's children: `<node tag>/<boot>`.
    pub boot_tag: String,
    /// Until when the leader has surely not given this node up. After it ran out it is
    /// renewed only once this node has applied all that was committed meanwhile: so the
    /// state that is read after the lease was seen to hold no longer shows what was given up.
    pub lease: watch::Receiver<Instant>,
}
