//! The one-way signal that storage died and the node must stop.

use std::sync::Arc;

use tokio::sync::watch;

/// Raised once, never lowered. Clones share it.
#[derive(Clone)]
pub struct Fatal {
    reason: Arc<watch::Sender<Option<String>>>,
}

impl Default for Fatal {
    fn default() -> Self {
        Self { reason: Arc::new(watch::Sender::new(None)) }
    }
}

impl Fatal {
    /// Raises it. The first reason is kept: later ones follow from it.
    pub fn raise(&self, reason: impl Into<String>) {
        let reason = reason.into();
        self.reason.send_if_modified(|kept| {
            if kept.is_some() {
                return false;
            }
            tracing::error!(%reason, "storage failed, this node must stop");
            *kept = Some(reason);
            true
        });
    }

    /// Whether it was raised.
    pub fn is_raised(&self) -> bool {
        self.reason.borrow().is_some()
    }

    /// Follows the reason, `None` until it is raised.
    pub fn watch(&self) -> watch::Receiver<Option<String>> {
        self.reason.subscribe()
    }
}
