//! What the rest of the program holds of a running node's consensus.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use openraft::ServerState;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::barrier::Reader;
use super::clocks::Clocks;
use super::events::TooOld;
use super::forward::Forwarded;
use super::heartbeat::Heartbeat;
use super::leadership::Leadership;
use super::local::Local;
use super::log_store::LogStore;
use super::pace::Pace;
use super::presence::{Heard, Member, Presence};
use super::proofs::Proofs;
use super::proposer::{Pause, Queues};
use super::published::Published;
use super::rpc::Peers;
use super::status::{Role, Status};
use super::tasks::Tasks;
use super::transfer::Transfers;
use super::types::{LogId, NodeId, Raft};
use crate::clock::Clock;
use crate::machine::{Event, State};
use crate::model::{BootId, Timestamp};
use crate::storage::{self, Fatal, History, Pressure, Room, Space};

/// A loop that takes longer to answer is stuck.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

pub(super) struct Running {
    pub local: Arc<Local>,
    pub peers: Peers,
    pub boot: BootId,
    pub clock: Arc<dyn Clock>,
    pub raft: Raft,
    pub queues: Queues,
    /// To the leader, when it is another node.
    pub forward: mpsc::Sender<Forwarded>,
    pub readers: mpsc::Sender<Reader>,
    pub pause: Pause,
    /// Held while the membership is changed.
    pub changing: tokio::sync::Mutex<()>,
    pub presence: Presence,
    pub proofs: Arc<Proofs>,
    pub heartbeat: Arc<Heartbeat>,
    pub pace: Arc<Pace>,
    pub clocks: Clocks,
    pub published: Arc<Published>,
    pub history: History,
    pub transfers: Transfers,
    pub log: LogStore,
    /// The end of the log when this process began.
    pub found: Option<LogId>,
    pub leadership: watch::Receiver<Leadership>,
    pub fatal: Fatal,
    pub space: Space,
    pub submit_timeout: Duration,
    pub tasks: std::sync::Mutex<Option<Tasks>>,
}

/// A running node's consensus. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(super) running: Arc<Running>,
}

impl Handle {
    /// The state after the last applied entry.
    pub fn state(&self) -> Arc<State> {
        self.running.published.state.load_full()
    }

    /// Follows the index of the last applied entry, 0 before the first. The state of an index
    /// is there before the index is.
    pub fn applied(&self) -> watch::Receiver<u64> {
        self.running.published.applied.subscribe()
    }

    /// Follows who leads.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.running.leadership.clone()
    }

    /// Whether this node leads, and is the only one with a vote: it need not wait for others.
    pub fn leads_alone(&self) -> bool {
        let metrics = self.running.raft.metrics();
        let metrics = metrics.borrow();
        let mut voters = metrics.membership_config.membership().voter_ids();
        self.running.leadership.borrow().is_leader
            && voters.all(|voter| voter == self.running.local.node)
    }

    /// How many members the cluster has, as far as this node knows.
    pub fn members_known(&self) -> usize {
        let metrics = self.running.raft.metrics();
        let metrics = metrics.borrow();
        metrics.membership_config.membership().nodes().count()
    }

    /// The history.
    pub fn history(&self) -> &History {
        &self.running.history
    }

    /// The events after a position, oldest first.
    ///
    /// # Errors
    /// Some of them are gone.
    pub fn events_since(&self, index: u64, sub: u32) -> Result<Vec<Event>, TooOld> {
        self.running.published.events.since(index, sub)
    }

    /// Follows the position of the newest event.
    pub fn events_changed(&self) -> watch::Receiver<(u64, u32)> {
        self.running.published.events.watch()
    }

    /// Moves whenever an account, a token, a key or a session has changed.
    pub fn access_changed(&self) -> watch::Receiver<u64> {
        self.running.published.access.subscribe()
    }

    /// Follows the reason why this node must stop, `None` while it need not.
    pub fn fatal(&self) -> watch::Receiver<Option<String>> {
        self.running.fatal.watch()
    }

    /// Follows the instant until which this node's lease is good: until then a majority follows
    /// the leader that this node last heard of, and nobody gives its attempts up.
    pub fn lease(&self) -> watch::Receiver<Instant> {
        self.running.presence.lease()
    }

    /// All members: as this node sees them when it leads, else as the leader told last.
    pub fn members_told(&self) -> Vec<Member> {
        if self.running.leadership.borrow().is_leader {
            return self.members_now();
        }
        self.running.presence.members()
    }

    /// When this node, as leader, last heard of the others.
    pub fn heard(&self) -> BTreeMap<NodeId, Heard> {
        self.running.presence.heard()
    }

    /// What the way and the disks add to what an answer takes within a site.
    pub fn slack(&self) -> Duration {
        self.running.pace.slack()
    }

    /// Where other nodes reach this one.
    pub fn addr(&self) -> &str {
        &self.running.local.addr
    }

    /// This node.
    pub fn node_id(&self) -> NodeId {
        self.running.local.node
    }

    /// Whether the consensus library's loop answers, soon.
    pub async fn answers(&self) -> bool {
        let asked = self.running.raft.with_raft_state(|_| ());
        matches!(tokio::time::timeout(ANSWER_PATIENCE, asked).await, Ok(Ok(())))
    }

    /// What the disk has, and what has to wait for more.
    pub fn room(&self) -> (Room, Pressure) {
        (self.running.space.room(), self.running.space.pressure())
    }

    /// Whether the disk takes what is written, as it was tried last.
    ///
    /// # Errors
    /// Why not.
    pub fn writable(&self) -> Result<(), String> {
        self.running.space.writable()
    }

    /// The newest checkpoint: when it was written, if that is known, and its bytes.
    pub fn checkpoint(&self) -> Option<(Option<Timestamp>, u64)> {
        let source = self.running.published.checkpoint().as_ref().map(|(_, s)| s.clone())?;
        Some((source.written_at(), source.bytes()))
    }

    /// How many entries each other node lacks, as far as this one knows, when it leads.
    pub fn lag(&self) -> Vec<(NodeId, u64)> {
        let (running, metrics) = (&self.running, self.running.raft.metrics().borrow().clone());
        let last = running.log.last().map_or(0, |id| id.index);
        let others = metrics.replication.unwrap_or_default().into_iter();
        let others = others.filter(|(node, _)| *node != running.local.node);
        others.map(|(node, id)| (node, last - id.map_or(0, |id| id.index).min(last))).collect()
    }

    /// Checks that everything written is where it can be made durable.
    ///
    /// # Errors
    /// The engine put something where it is never synced.
    pub fn health(&self) -> Result<(), storage::Error> {
        self.running.log.health()?;
        self.running.history.kv().health()
    }

    /// The node's own account of itself.
    pub fn status(&self) -> Status {
        let running = &self.running;
        let metrics = running.raft.metrics().borrow().clone();
        let index = |id: Option<LogId>| id.map_or(0, |id| id.index);
        Status {
            node_id: running.local.node,
            cluster_id: running.local.cluster(),
            role: match metrics.state {
                ServerState::Leader => Role::Leader,
                ServerState::Follower => Role::Follower,
                ServerState::Candidate => Role::Candidate,
                ServerState::Learner => Role::Learner,
                ServerState::Shutdown => Role::Stopped,
            },
            term: metrics.current_term,
            leader: metrics.current_leader,
            last_log: index(running.log.last()),
            committed: index(running.log.committed()),
            applied: *running.published.applied.borrow(),
            checkpoint: index(metrics.snapshot),
            purged: index(running.log.purged()),
            history: running.history.durable_index().unwrap_or_default(),
            log_bytes: running.log.bytes_on_disk(),
            log_appended: running.log.appended_bytes(),
            log_flushes: running.log.flushed(),
            history_bytes: running.history.kv().bytes_on_disk(),
            history_waiting_bytes: running.history.waiting_bytes() as u64,
        }
    }
}
