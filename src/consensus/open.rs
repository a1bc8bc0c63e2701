//! Opens a node: takes its data directory, recovers, starts the library and what runs beside it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use openraft::{Config, SnapshotPolicy};
use tokio::sync::watch;
use tokio::time::timeout;

use super::checkpointer::Checkpointer;
use super::cover::Cover;
use super::handle::{Handle, Running, Tasks};
use super::leadership::{self, Leadership};
use super::log_store::LogStore;
use super::network::Peers;
use super::options::Options;
use super::proposer::Proposer;
use super::recovery::{self, RecoveryError};
use super::state_machine::StateMachine;
use super::transfer::Transfers;
use super::types::{Node, NodeId, Raft};
use crate::storage::{
    self, Checkpoints, DataDirectory, DirectoryError, Fatal, Generations, History, Identity, Kv,
    Log, Profile, SledKv,
};

/// The leader's heartbeat, and the span from which each node draws its patience with it. A new
/// leader stands within some 0.7 s of the old one's death.
const HEARTBEAT_MS: u64 = 50;
const ELECTION_MS_MIN: u64 = 200;
const ELECTION_MS_MAX: u64 = 300;
/// A follower this far behind is sent a checkpoint. The log reaches back further than that.
const LAG_ENTRIES_MAX: u64 = 20_000;
/// The only voter asks for an election when it does not lead by itself by then.
const ELECT_AFTER: Duration = Duration::from_millis(100);
/// How long the only voter of a cluster is waited for to lead.
const LEAD_PATIENCE: Duration = Duration::from_secs(10);

/// Why a node can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its data directory can't be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// A file operation failed.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// The consensus library refused to start.
    #[error("consensus can't start: {0}")]
    Consensus(String),
}

/// The durable parts of a node, opened and checked against each other.
struct Opened {
    identity: Identity,
    log: LogStore,
    history: History,
    transfers: Transfers,
    recovered: recovery::Recovered,
    cover: Cover,
    fatal: Fatal,
}

/// Opens a node in its data directory, or a new cluster of one in a new directory. When the node
/// is its cluster's only voter, it leads on return and has applied its whole log.
///
/// # Errors
/// See [`OpenError`]. A damaged directory is refused, or moved aside if the options say so.
pub async fn open(options: Options) -> Result<Handle, OpenError> {
    let opened = match open_storage(&options).await {
        Err(OpenError::Directory(DirectoryError::Damaged { reason, .. }))
            if options.move_aside_damaged =>
        {
            let aside = DataDirectory::move_aside(&options.data_dir, options.now_ms)?;
            tracing::warn!(%reason, aside = %aside.display(), "damaged data is moved aside");
            open_storage(&options).await?
        }
        other => other?,
    };
    start(options, opened).await
}

async fn open_storage(options: &Options) -> Result<Opened, OpenError> {
    let fatal = Fatal::default();
    if let Some(disk) = &options.in_memory {
        let generations = Arc::clone(&disk.generations);
        let transfers = Transfers::new(Arc::clone(&disk.checkpoints), generations);
        let log = Arc::clone(&disk.log);
        let opened = assemble(disk.identity.clone(), log, transfers, fatal).await;
        return opened.map_err(consensus);
    }
    let new = Identity::generate(options.now_ms)?;
    let directory = DataDirectory::open(&options.data_dir, &new)?;
    let damaged = |error: storage::Error| match error {
        storage::Error::Damaged { .. } => OpenError::Directory(directory.damaged(error)),
        other => OpenError::Storage(other),
    };
    let log = SledKv::open(&directory.join("log"), Profile::Log, directory.lock());
    let log = log.map_err(damaged)?;
    let checkpoints = Checkpoints::open(&directory.join("checkpoints"))?;
    let generations = Generations::on_disk(&directory.join(""), directory.lock())?;
    let transfers = Transfers::new(Arc::new(checkpoints), Arc::new(generations));
    let identity = directory.identity().clone();
    let opened = assemble(identity, Arc::new(log), transfers, fatal).await;
    opened.map_err(|error| match error {
        RecoveryError::Storage(error) => damaged(error),
        other => OpenError::Directory(directory.damaged(other)),
    })
}

async fn assemble(
    identity: Identity,
    log: Arc<dyn Kv>,
    transfers: Transfers,
    fatal: Fatal,
) -> Result<Opened, RecoveryError> {
    let cover = Cover::upto(0);
    let log = LogStore::open(Log::new(log), cover.clone(), fatal.clone())?;
    let (checkpoints, generations) = (transfers.checkpoints(), transfers.generations());
    let recovered = recovery::recover(&checkpoints, &log, &generations, fatal.clone());
    let (recovered, history) = recovered.await?;
    Ok(Opened { identity, log, history, transfers, recovered, cover, fatal })
}

async fn start(options: Options, opened: Opened) -> Result<Handle, OpenError> {
    let Opened { identity, log, history, transfers, recovered, cover, fatal } = opened;
    let node_id = identity.node_id;
    let checkpoints = transfers.checkpoints();
    let machine = StateMachine::new(recovered, history.clone(), transfers, cover, fatal.clone());
    let published = machine.published();
    let (stop_rest, stopped) = watch::channel(false);
    // Before the library: applying the log again may need room in the history.
    let write_behind = tokio::spawn(history.clone().write_behind(stopped.clone()));
    let config = Arc::new(config(&identity)?);
    let raft = Raft::new(node_id, config, Peers, log.clone(), machine).await.map_err(consensus)?;
    let node = Node { addr: options.advertise };
    if options.bootstrap && !raft.is_initialized().await.map_err(consensus)? {
        raft.initialize(BTreeMap::from([(node_id, node)])).await.map_err(consensus)?;
    }
    let (leads, leadership) = watch::channel(Leadership::default());
    let following = leadership::follow(raft.clone(), node_id, leads, fatal.clone(), stopped);
    let following = tokio::spawn(following);
    let (proposer, queues) = Proposer::new(raft.clone(), leadership.clone());
    let checkpointer = Checkpointer {
        raft: raft.clone(),
        log: log.clone(),
        published: Arc::clone(&published),
        checkpoints,
        entries: options.checkpoint_entries,
        bytes_at_last: 0,
    };
    let (stop_proposer, proposer_stopped) = watch::channel(false);
    let (stop_checkpointer, checkpointer_stopped) = watch::channel(false);
    let tasks = Tasks {
        proposer: tokio::spawn(proposer.run(proposer_stopped)),
        checkpointer: tokio::spawn(checkpointer.run(checkpointer_stopped)),
        write_behind,
        leadership: following,
        stop_proposer,
        stop_checkpointer,
        stop_rest,
    };
    let submit_timeout = options.submit_timeout;
    let tasks = Mutex::new(Some(tasks));
    let running = Running {
        identity,
        raft,
        queues,
        published,
        history,
        log,
        leadership,
        fatal,
        submit_timeout,
        tasks,
    };
    let handle = Handle { running: Arc::new(running) };
    lead_alone(&handle).await?;
    Ok(handle)
}

fn config(identity: &Identity) -> Result<Config, OpenError> {
    let config = Config {
        cluster_name: identity.cluster_id.clone(),
        heartbeat_interval: HEARTBEAT_MS,
        election_timeout_min: ELECTION_MS_MIN,
        election_timeout_max: ELECTION_MS_MAX,
        replication_lag_threshold: LAG_ENTRIES_MAX,
        // The checkpointer decides both: it knows the bytes, and which checkpoints are kept.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: u64::MAX,
        ..Config::default()
    };
    config.validate().map_err(consensus)
}

/// The only voter need not wait for a leader to be silent. It leads by itself when it led last,
/// or was just initialized; asking for an election then would only unseat it.
async fn lead_alone(handle: &Handle) -> Result<(), OpenError> {
    let running = &handle.running;
    // Asked of the core itself: its metrics lag behind what it already did.
    let voters = running.raft.with_raft_state(|state| {
        state.membership_state.effective().voter_ids().collect::<Vec<NodeId>>()
    });
    let alone = voters.await.map_err(consensus)? == [running.identity.node_id];
    if !alone {
        return Ok(());
    }
    let mut leadership = handle.leadership();
    let mut applied = handle.applied();
    let ready = async {
        while timeout(ELECT_AFTER, leadership.wait_for(|now| now.is_leader)).await.is_err() {
            running.raft.trigger().elect().await.map_err(consensus)?;
        }
        let end = running.log.last().map_or(0, |id| id.index);
        applied.wait_for(|applied| *applied >= end).await.map_err(consensus)?;
        Ok(())
    };
    match timeout(LEAD_PATIENCE, ready).await {
        Ok(outcome) => outcome,
        Err(_) => Err(consensus("the only voter does not come to lead")),
    }
}

fn consensus(error: impl std::fmt::Display) -> OpenError {
    OpenError::Consensus(error.to_string())
}
