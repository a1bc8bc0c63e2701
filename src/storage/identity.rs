//! Which node of which cluster a data directory belongs to.

use serde::{Deserialize, Serialize};

use super::directory_error::DirectoryError;
use crate::chance;

/// The newest format of a cluster whose directory can be read. One of a newer one is refused.
pub const FORMAT: u32 = 8;
/// What a directory begins with; it is raised with the format of its cluster.
const FORMAT_FIRST: u32 = 1;
/// Node ids stay exact in JSON numbers, which many clients read as 64-bit floats.
const NODE_ID_BITS: u32 = 48;

/// Which node of which cluster a directory belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Format of its cluster: what a program must be able to read.
    pub format: u32,
    /// The cluster, named by its first node. Empty: the node is of no cluster yet.
    pub cluster_id: String,
    /// Whether this node is about to begin the cluster: true until its log has begun. None in
    /// directories made before nodes could join others: there it may begin it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub founding: Option<bool>,
    /// This node; never used again once its directory is lost.
    pub node_id: u64,
    /// When the directory was made, in milliseconds since 1970.
    pub created_ms: u64,
    /// Whether its log is in `wal/`, and so must be there; else in `log/`, as before format 5.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wal: bool,
}

impl Identity {
    /// A new node of no cluster yet.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub fn generate(created_ms: u64) -> Result<Self, DirectoryError> {
        let node_id = (chance::number()? >> (u64::BITS - NODE_ID_BITS)).max(1);
        let (cluster_id, founding) = (String::new(), Some(false));
        let (format, wal) = (FORMAT_FIRST, false);
        Ok(Self { format, cluster_id, founding, node_id, created_ms, wal })
    }

    /// The name of a new cluster.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub fn new_cluster_id() -> Result<String, DirectoryError> {
        let halves = [chance::number()?, chance::number()?];
        let bytes = (u128::from(halves[0]) << 64 | u128::from(halves[1])).to_be_bytes();
        Ok(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string())
    }
}
