//! What the rest of the program holds of a running node's consensus.

use std::sync::Arc;
use std::time::Duration;

use openraft::ServerState;
use openraft::error::RaftError;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::events::TooOld;
use super::leadership::Leadership;
use super::log_store::LogStore;
use super::proposer::{BATCH_BYTES_MAX, COMMAND_BYTES_MAX, COMMANDS_MAX, Decided, Queues, Single};
use super::state_machine::Published;
use super::status::{Role, Status};
use super::submit::{Committed, SubmitError};
use super::types::{NodeId, Raft};
use crate::machine::{Answer, Command, Event, State};
use crate::storage::{self, Fatal, History, Identity};
use crate::wire::EncodedCommand;

/// How long a stop waits for what was accepted to be answered.
const DRAIN: Duration = Duration::from_secs(10);

/// Stopping did not go as it should; what was acknowledged is durable all the same.
#[derive(Debug, thiserror::Error)]
pub enum ShutdownError {
    /// Some accepted commands were not answered in time.
    #[error("commands were still waiting for an answer after {} s", DRAIN.as_secs())]
    NotDrained,
    /// The last writes failed.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// The node was stopped already, by another clone of the handle.
    #[error("the node was stopped already")]
    Again,
}

/// What runs beside the library, in the order it is stopped.
pub(super) struct Tasks {
    pub proposer: JoinHandle<()>,
    pub checkpointer: JoinHandle<()>,
    pub write_behind: JoinHandle<()>,
    pub leadership: JoinHandle<()>,
    pub stop_proposer: watch::Sender<bool>,
    pub stop_checkpointer: watch::Sender<bool>,
    pub stop_rest: watch::Sender<bool>,
}

pub(super) struct Running {
    pub identity: Identity,
    pub raft: Raft,
    pub queues: Queues,
    pub published: Arc<Published>,
    pub history: History,
    pub log: LogStore,
    pub leadership: watch::Receiver<Leadership>,
    pub fatal: Fatal,
    pub submit_timeout: Duration,
    pub tasks: std::sync::Mutex<Option<Tasks>>,
}

/// A running node's consensus. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(super) running: Arc<Running>,
}

impl Handle {
    /// Submits a command. On return it is durable and applied here.
    ///
    /// # Errors
    /// See [`SubmitError`]; ask it whether the command may have been applied.
    pub async fn submit(&self, command: Command) -> Result<Committed, SubmitError> {
        let command = encode(command)?;
        let (reply, answer) = oneshot::channel();
        self.running.queues.singles.try_send(Single { command, reply }).map_err(refused)?;
        match timeout(self.running.submit_timeout, answer).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) | Err(_) => Err(SubmitError::Unknown),
        }
    }

    /// Submits what the leader decided in `term`, in order, as few entries as fit it. The term
    /// is checked before each is appended; the machine's own checks are what makes a late one
    /// harmless.
    ///
    /// # Errors
    /// See [`SubmitError`]. When several entries were needed, an error says "unknown" if any
    /// of them may have been applied.
    pub async fn propose(
        &self,
        term: u64,
        batch: Vec<Command>,
    ) -> Result<Vec<Answer>, SubmitError> {
        let mut waiting = Vec::new();
        let mut refusal = None;
        for commands in split(batch)? {
            let (reply, answers) = oneshot::channel();
            let decided = Decided { term, commands, reply };
            match self.running.queues.decided.try_send(decided) {
                Ok(()) => waiting.push(answers),
                Err(error) => {
                    refusal = Some(refused(error));
                    break;
                }
            }
        }
        let mut answers = Vec::new();
        for answer in waiting {
            match timeout(self.running.submit_timeout, answer).await {
                Ok(Ok(Ok(some))) => answers.extend(some),
                Ok(Ok(Err(error))) => refusal = Some(refusal.unwrap_or(error)),
                Ok(Err(_)) | Err(_) => refusal = Some(SubmitError::Unknown),
            }
        }
        match refusal {
            None => Ok(answers),
            Some(_) if !answers.is_empty() => Err(SubmitError::Unknown),
            Some(error) => Err(error),
        }
    }

    /// Makes sure that this node still leads, and returns once it has applied everything that
    /// was committed before the call: what [`Handle::state`] shows then is up to date.
    ///
    /// # Errors
    /// It does not lead, or can't reach a majority.
    pub async fn read_barrier(&self) -> Result<u64, SubmitError> {
        let barrier = self.running.raft.ensure_linearizable();
        match timeout(self.running.submit_timeout, barrier).await {
            Ok(Ok(id)) => Ok(id.map_or(0, |id| id.index)),
            Ok(Err(RaftError::Fatal(_))) => Err(SubmitError::Stopping),
            Ok(Err(_)) | Err(_) => {
                Err(SubmitError::NoLeader { leader: self.running.leadership.borrow().leader })
            }
        }
    }

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

    /// Follows the reason why this node must stop, `None` while it need not.
    pub fn fatal(&self) -> watch::Receiver<Option<String>> {
        self.running.fatal.watch()
    }

    /// This node.
    pub fn node_id(&self) -> NodeId {
        self.running.identity.node_id
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
        let index = |id: Option<super::types::LogId>| id.map_or(0, |id| id.index);
        Status {
            node_id: running.identity.node_id,
            cluster_id: running.identity.cluster_id.clone(),
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
            history_bytes: running.history.kv().bytes_on_disk(),
            history_waiting_bytes: running.history.waiting_bytes() as u64,
        }
    }

    /// Stops the node: answers what was accepted, takes a checkpoint, writes the history, stops
    /// the library. The data directory is free once every clone of the handle is dropped.
    ///
    /// # Errors
    /// See [`ShutdownError`]; everything is stopped all the same.
    pub async fn shutdown(self) -> Result<(), ShutdownError> {
        let running = self.running;
        let tasks = running.tasks.lock().map_or(None, |mut tasks| tasks.take());
        let tasks = tasks.ok_or(ShutdownError::Again)?;
        tasks.stop_proposer.send_replace(true);
        let drained = timeout(DRAIN, tasks.proposer).await.is_ok();
        tasks.stop_checkpointer.send_replace(true);
        // It bounds its own waiting.
        let _ = tasks.checkpointer.await;
        tasks.stop_rest.send_replace(true);
        let _ = tasks.write_behind.await;
        let _ = tasks.leadership.await;
        let persisted = running.history.persist().await;
        // It fails only when the library had stopped by itself.
        let _ = running.raft.shutdown().await;
        let flushed = running.log.stop().await;
        persisted.and(flushed)?;
        if drained { Ok(()) } else { Err(ShutdownError::NotDrained) }
    }
}

fn encode(command: Command) -> Result<EncodedCommand, SubmitError> {
    let command = EncodedCommand::new(command).map_err(|e| SubmitError::Encode(e.to_string()))?;
    match command.size() {
        bytes if bytes > COMMAND_BYTES_MAX => {
            Err(SubmitError::TooLarge { bytes, limit: COMMAND_BYTES_MAX })
        }
        _ => Ok(command),
    }
}

/// Cuts a batch into entries.
fn split(batch: Vec<Command>) -> Result<Vec<Vec<EncodedCommand>>, SubmitError> {
    let mut entries: Vec<Vec<EncodedCommand>> = Vec::new();
    let mut bytes = 0;
    for command in batch {
        let command = encode(command)?;
        bytes += command.size();
        match entries.last_mut() {
            Some(entry) if entry.len() < COMMANDS_MAX && bytes <= BATCH_BYTES_MAX => {
                entry.push(command);
            }
            _ => {
                bytes = command.size();
                entries.push(vec![command]);
            }
        }
    }
    Ok(entries)
}

fn refused<T>(error: tokio::sync::mpsc::error::TrySendError<T>) -> SubmitError {
    use tokio::sync::mpsc::error::TrySendError;
    match error {
        TrySendError::Full(_) => SubmitError::Overloaded,
        TrySendError::Closed(_) => SubmitError::Stopping,
    }
}
