//! The consensus library's types, bound to ours.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::runtime::Runtime;
use crate::machine::Answer;
use crate::wire::Batch;

/// Names a node; never used again once its data is lost.
pub type NodeId = u64;

/// How to reach a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// `host:port` of its cluster address.
    pub addr: String,
}

/// What one entry of the log carries.
#[derive(Clone, Debug)]
pub struct Payload {
    /// The commands.
    pub batch: Batch,
    appended: Arc<AtomicBool>,
}

impl Payload {
    /// A payload that is in no log yet.
    pub fn new(batch: Batch) -> Self {
        Self { batch, appended: Arc::default() }
    }

    /// Notes that it reached this node's log, from where it may spread.
    pub fn mark_appended(&self) {
        self.appended.store(true, Ordering::Release);
    }

    /// Follows that note: while it is false, the commands were certainly not applied.
    pub fn appended(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.appended)
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.batch.encoded().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let encoded = Vec::<u8>::deserialize(deserializer)?;
        let batch = Batch::decode(Bytes::from(encoded)).map_err(serde::de::Error::custom)?;
        Ok(Self::new(batch))
    }
}

/// The answers to the commands of one entry, in their order.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Answers(pub Vec<Answer>);

openraft::declare_raft_types!(
    /// Binds the library's types.
    pub TypeConfig:
        D = Payload,
        R = Answers,
        NodeId = NodeId,
        Node = Node,
        Entry = openraft::Entry<TypeConfig>,
        SnapshotData = super::carried::Carried,
        AsyncRuntime = Runtime,
);

pub type Raft = openraft::Raft<TypeConfig>;
pub type Entry = openraft::Entry<TypeConfig>;
pub type LogId = openraft::LogId<NodeId>;
pub type Vote = openraft::Vote<NodeId>;
pub type Membership = openraft::Membership<NodeId, Node>;
pub type StoredMembership = openraft::StoredMembership<NodeId, Node>;
pub type SnapshotMeta = openraft::SnapshotMeta<NodeId, Node>;
pub type Snapshot = openraft::Snapshot<TypeConfig>;
pub type StorageError = openraft::StorageError<NodeId>;
