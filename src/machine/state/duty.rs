//! Duties: work that one node does for the cluster.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

use crate::model::kind::sink::{SinkSpec, SinkType};
use crate::model::kind::trigger::TriggerSpec;
use crate::model::{
    BootId, DutyKey, DutyKind, EntryId, Fence, Kind, NodeId, Position, Spec, Timestamp,
};

use super::{Node, State};

/// What duties need.
pub const FORMAT_OF_DUTIES: u32 = 5;

/// A duty, and who does it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duty {
    /// The node that does it, and the boot that is meant; none: nobody does.
    pub holder: Option<(NodeId, BootId)>,
    /// Given with it: who has an older one is not listened to. 0: it was never given.
    pub fence: Fence,
    /// The fence of the holder before; 0: there was none.
    #[serde(default)]
    pub former: Fence,
    /// The entry that gave it: what the holder before did, it did before that.
    #[serde(default)]
    pub given_in: u64,
    /// How far it is done. More may be.
    pub position: Position,
    /// Where it began; none: of one that is no place among events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begin: Option<Position>,
    /// Whoever holds it does nothing for now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// What is in its way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Since when it is held, free, or has this fault.
    pub since: Timestamp,
    /// What of a trigger's entries started no run; from format 7 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
}

/// Entries that started no run, for what was in them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// How many.
    pub count: u64,
    /// The last of them.
    pub last: EntryId,
    /// Why it did not.
    pub why: String,
}

impl Duty {
    /// One that nobody does yet.
    pub fn new(position: Position, since: Timestamp) -> Self {
        Duty {
            holder: None,
            fence: 0,
            former: 0,
            given_in: 0,
            position,
            begin: None,
            paused: false,
            fault: None,
            since,
            refused: None,
        }
    }

    /// Whether this boot of this node does it.
    pub fn is_held_by(&self, node: NodeId, boot: BootId) -> bool {
        self.holder == Some((node, boot))
    }
}

/// All duties.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duties {
    /// By what they are.
    pub all: OrdMap<DutyKey, Arc<Duty>>,
    /// Those that nobody does.
    pub free: OrdSet<DutyKey>,
}

impl Duties {
    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The duties that a node holds.
    pub fn held_by(&self, node: NodeId) -> impl Iterator<Item = (&DutyKey, &Arc<Duty>)> {
        let all = self.all.iter();
        all.filter(move |(_, duty)| duty.holder.is_some_and(|(holder, _)| holder == node))
    }
}

impl State {
    /// Whether `node` can do the duty, as far as it says.
    pub fn can_do(&self, key: &DutyKey, node: &Node) -> bool {
        match key.kind {
            DutyKind::Sink => {
                let sink = self.sink(key.name.as_str());
                match sink.and_then(|sink| sink.r#type) {
                    None | Some(SinkType::File) => node.offers.sink_files,
                    Some(SinkType::Redis) => {
                        node.offers.redis || sink.is_some_and(|sink| !sink.needs_redis_url())
                    }
                    // Before format 7 it was one with a folder of files, and all must decide alike.
                    Some(SinkType::Postgres) => node.offers.sink_files || self.format() >= 7,
                    Some(SinkType::Mongodb) => true,
                }
            }
            DutyKind::Channel | DutyKind::Push | DutyKind::Heartbeat => true,
            DutyKind::Trigger => {
                let trigger = self.trigger(key.name.as_str());
                node.offers.redis || trigger.is_some_and(|trigger| !trigger.needs_redis_url())
            }
        }
    }

    /// What is in the way of a duty: what its node says, or that no node can do it.
    pub fn in_the_way(&self, key: &DutyKey) -> Option<String> {
        let duty = self.duties.all.get(key)?;
        let able = self.nodes.values().any(|node| self.can_do(key, node));
        if duty.holder.is_some() || able || self.nodes.is_empty() {
            return duty.fault.clone();
        }
        let sink = self.sink(key.name.as_str()).filter(|_| key.kind == DutyKind::Sink);
        let what = match sink.and_then(|sink| sink.r#type) {
            Some(SinkType::File) => "a folder for files: --sink-dir or CRONAPI_SINK_DIR",
            Some(SinkType::Postgres) => "a folder for files, until the cluster has format 7",
            // Any node can.
            Some(SinkType::Mongodb) => return duty.fault.clone(),
            _ => "REDIS_URL, and the definition names no config.url",
        };
        Some(format!("no node can: none was started with {what}"))
    }

    /// The sink of this name.
    pub fn sink(&self, name: &str) -> Option<&Arc<SinkSpec>> {
        match &self.definitions.get(Kind::Sink, name)?.spec {
            Spec::Sink(sink) => Some(sink),
            _ => None,
        }
    }

    /// The trigger of this name.
    pub fn trigger(&self, name: &str) -> Option<&Arc<TriggerSpec>> {
        match &self.definitions.get(Kind::Trigger, name)?.spec {
            Spec::Trigger(trigger) => Some(trigger),
            _ => None,
        }
    }

    /// The number of the newest event that every sink has; none: there are no sinks.
    pub fn sunk(&self) -> Option<u64> {
        let sinks = self.duties.all.iter().filter(|(key, _)| key.kind == DutyKind::Sink);
        sinks.map(|(_, duty)| duty.position.number).min()
    }
}
