//! Who this node is, as it tells others.

use std::sync::{Mutex, PoisonError};

use super::types::NodeId;
use crate::storage::{DirectoryError, Identities};

/// This node. Its cluster becomes known once, when it begins one or joins one.
pub(super) struct Local {
    /// Its id.
    pub node: NodeId,
    /// `host:port` at which others reach it.
    pub addr: String,
    identities: Identities,
    cluster: Mutex<String>,
}

impl Local {
    pub fn new(identities: Identities, addr: String) -> Self {
        let identity = identities.get();
        let cluster = Mutex::new(identity.cluster_id);
        Self { node: identity.node_id, addr, identities, cluster }
    }

    /// Its cluster; empty while it is of none.
    pub fn cluster(&self) -> String {
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether it is to begin the cluster it is of. None: it may.
    pub fn founding(&self) -> Option<bool> {
        self.identities.get().founding
    }

    /// Makes it a node of a cluster, for good.
    pub fn adopt(&self, cluster: &str, founding: bool) -> Result<(), DirectoryError> {
        self.identities.change(|identity| {
            identity.cluster_id = cluster.to_owned();
            identity.founding = Some(founding);
        })?;
        *self.cluster.lock().unwrap_or_else(PoisonError::into_inner) = cluster.to_owned();
        Ok(())
    }

    /// Notes the format of the cluster, when it is a newer one.
    pub fn write_format(&self, format: u32) -> Result<(), DirectoryError> {
        if self.identities.get().format >= format {
            return Ok(());
        }
        self.identities.change(|identity| identity.format = format)
    }

    /// Notes that the data of this node must not be used again.
    pub fn set_aside(&self, why: &str) -> Result<(), DirectoryError> {
        self.identities.set_aside(why)
    }

    /// The cluster it was to begin has begun.
    pub fn founded(&self) -> Result<(), DirectoryError> {
        self.identities.change(|identity| identity.founding = Some(false))
    }
}
