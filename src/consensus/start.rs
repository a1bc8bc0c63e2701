//! Starts what was opened: the consensus library, what runs beside it, and this node's way into
//! a cluster.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use openraft::{Config, SnapshotPolicy};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::barrier::Barrier;
use super::checkpointer::Checkpointer;
use super::clocks::Clocks;
use super::count::Count;
use super::elector;
use super::forward::Forwarder;
use super::handle::{Handle, Running};
use super::heartbeat::Heartbeat;
use super::leadership::{self, Leadership, Seen};
use super::local::Local;
use super::log_store::LogStore;
use super::network::Network;
use super::opened::{OpenError, Opened, consensus};
use super::options::{Options, Reach};
use super::pace::{ELECTION_MS_MAX, ELECTION_MS_MIN, Pace};
use super::presence::Presence;
use super::proposer::{Pause, Proposer};
use super::rpc::{self, Peers};
use super::state_machine::StateMachine;
use super::tasks::Tasks;
use super::transport::{self, Listener};
use super::types::{NodeId, Raft};
use super::{clock_care, contact, form, format, membership, pulse, waiting};
use crate::storage::Identity;

/// The leader's heartbeat to the library of the others. Theirs refuse every candidate for
/// `ELECTION_MS_MAX` after it; when to stand is decided by `elector`.
const HEARTBEAT_MS: u64 = 50;
/// A follower this far behind is sent a checkpoint. The log reaches back further than that.
const LAG_ENTRIES_MAX: u64 = 20_000;
/// The only voter asks for an election when it does not lead by itself by then.
const ELECT_AFTER: Duration = Duration::from_millis(100);
/// How long the only voter of a cluster is waited for to lead. A slow disk or a long log may take
/// longer: it goes on beside what is served already.
const LEAD_PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn start(options: Options, opened: Opened) -> Result<Handle, OpenError> {
    let Opened { identities, log, history, transfers, recovered, guard, space, fatal } = opened;
    let identity = identities.get();
    let node_id = identity.node_id;
    let (listener, addr) = listen(options.reach.as_ref()).await?;
    let local = Arc::new(Local::new(identities, addr));
    let peers = Peers::new(Arc::clone(&local), options.reach.map(|reach| reach.transport));
    let count = Count::new(options.metrics.clone(), node_id, log.last());
    let (kept, moved) = (history.clone(), transfers.clone());
    let every = options.prove_every;
    let machine = StateMachine::new(recovered, kept, moved, guard, fatal.clone(), count, every);
    let (published, proofs) = (machine.published(), machine.proofs());
    let (stop_rest, stopped) = watch::channel(false);
    // Before the library: applying the log again may need room in the history.
    let write_behind = tokio::spawn(history.clone().write_behind(stopped.clone()));
    let pace = Arc::new(Pace::new(log.flushes()));
    let network = Network { peers: peers.clone(), pace: Arc::clone(&pace) };
    let raft = library(&identity, network, &log, machine).await?;
    let (leads, leadership) = watch::channel(Leadership::default());
    tokio::spawn(leadership::count(leadership.clone(), options.metrics));
    let (pause, heartbeat) = (Pause::new(), Arc::new(Heartbeat::new()));
    let seen = Seen { peers: peers.clone(), heartbeat: Arc::clone(&heartbeat) };
    let following = leadership::follow(raft.clone(), node_id, leads, seen, fatal.clone(), stopped);
    let (proposer, queues) = Proposer::new(raft.clone(), leadership.clone(), &pause);
    let (forwarder, forward) =
        Forwarder::new(node_id, peers.clone(), leadership.clone(), options.submit_timeout);
    let found = log.last();
    let asked = (peers.clone(), Arc::clone(&pace));
    let (barrier, readers) = Barrier::new(node_id, &raft, asked, &leadership, found);
    let due = (options.checkpoint_entries, options.checkpoint_bytes);
    let checkpointer = Checkpointer::new(&raft, &log, &published, &transfers, &space, due);
    let following = tokio::spawn(following);
    let (tasks, beside_stopped) = set_going(
        (proposer, checkpointer),
        (forwarder, barrier),
        (write_behind, following, stop_rest),
    );
    let (boot, clock, presence) = (options.boot, options.clock, Presence::new());
    let clocks = Clocks::new(Arc::clone(&clock));
    let running = Running {
        local,
        peers,
        boot,
        clock,
        raft,
        queues,
        forward,
        readers,
        pause,
        changing: Default::default(),
        presence,
        proofs,
        heartbeat,
        pace,
        clocks,
        published,
        history,
        transfers,
        log,
        found,
        leadership,
        fatal,
        space,
        submit_timeout: options.submit_timeout,
        tasks: Mutex::new(Some(tasks)),
    };
    let handle = Handle { running: Arc::new(running) };
    let way = form::Way { join: options.join, founder: options.founder };
    become_part(&handle, way, options.voters, listener, beside_stopped).await.map(|()| handle)
}

/// Lets run what runs beside the library; gives what follows the stop of what talks to others.
fn set_going(
    (proposer, checkpointer): (Proposer, Checkpointer),
    (forwarder, barrier): (Forwarder, Barrier),
    (write_behind, leadership, stop_rest): (JoinHandle<()>, JoinHandle<()>, watch::Sender<bool>),
) -> (Tasks, watch::Receiver<bool>) {
    let (stop_proposer, proposer_stopped) = watch::channel(false);
    let (stop_checkpointer, checkpointer_stopped) = watch::channel(false);
    let (stop_beside, beside_stopped) = watch::channel(false);
    let tasks = Tasks {
        proposer: tokio::spawn(proposer.run(proposer_stopped)),
        beside: vec![
            tokio::spawn(forwarder.run(beside_stopped.clone())),
            tokio::spawn(barrier.run(beside_stopped.clone())),
        ],
        checkpointer: tokio::spawn(checkpointer.run(checkpointer_stopped)),
        write_behind,
        leadership,
        stop_proposer,
        stop_beside,
        stop_checkpointer,
        stop_rest,
    };
    (tasks, beside_stopped)
}

/// Listens for other nodes; gives the address that they dial as well.
async fn listen(reach: Option<&Reach>) -> Result<(Option<Box<dyn Listener>>, String), OpenError> {
    let Some(reach) = reach else { return Ok((None, "127.0.0.1:8001".to_owned())) };
    let failed = |source| OpenError::Listen { addr: reach.listen.clone(), source };
    let listener = reach.transport.listen(reach.listen.clone()).await.map_err(failed)?;
    let addr = match &reach.advertise {
        Some(addr) => addr.clone(),
        None => listener.local_addr().map_err(failed)?.to_string(),
    };
    Ok((Some(listener), addr))
}

/// Answers other nodes, and makes this one part of a cluster: at once when it has none to ask,
/// or is of one already; otherwise beside everything else.
async fn become_part(
    handle: &Handle,
    way: form::Way,
    voters: usize,
    listener: Option<Box<dyn Listener>>,
    stop: watch::Receiver<bool>,
) -> Result<(), OpenError> {
    let running = &handle.running;
    let mut beside = Vec::new();
    if let Some(listener) = listener {
        let incoming = transport::incoming(listener);
        beside.push(tokio::spawn(rpc::serve(handle.clone(), incoming, stop.clone())));
    }
    let (new, founding) = (running.local.cluster().is_empty(), running.local.founding());
    if (new && way.join.is_empty()) || (!new && founding != Some(false)) {
        form::begin(handle).await.map_err(consensus)?;
    }
    let (forming, contact) = (handle.clone(), handle.clone());
    let (to_form, to_contact) = (stop.clone(), stop.clone());
    let unformed = running.local.cluster().is_empty();
    beside.push(tokio::spawn(async move {
        if unformed {
            form::run(forming, &way, to_form).await;
        }
        contact::run(contact, way.join, to_contact).await;
    }));
    beside.push(tokio::spawn(running.space.clone().run(stop.clone())));
    beside.push(tokio::spawn(elector::run(handle.clone(), stop.clone())));
    beside.push(tokio::spawn(pulse::run(handle.clone(), stop.clone())));
    beside.push(tokio::spawn(clock_care::run(handle.clone(), stop.clone())));
    beside.push(tokio::spawn(format::note(handle.clone(), stop.clone())));
    beside.push(tokio::spawn(waiting::run(handle.clone(), stop.clone())));
    beside.push(tokio::spawn(membership::run(handle.clone(), voters, stop)));
    if let Ok(mut tasks) = running.tasks.lock()
        && let Some(tasks) = tasks.as_mut()
    {
        tasks.beside.extend(beside);
    }
    lead_alone(handle).await
}

async fn library(
    identity: &Identity,
    network: Network,
    log: &LogStore,
    machine: StateMachine,
) -> Result<Raft, OpenError> {
    let config = Arc::new(config(identity)?);
    Raft::new(identity.node_id, config, network, log.clone(), machine).await.map_err(consensus)
}

fn config(identity: &Identity) -> Result<Config, OpenError> {
    let config = Config {
        cluster_name: identity.cluster_id.clone(),
        heartbeat_interval: HEARTBEAT_MS,
        election_timeout_min: ELECTION_MS_MIN,
        election_timeout_max: ELECTION_MS_MAX,
        // Its timers know nothing of the way, nor of the disks.
        enable_elect: false,
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
    let alone = voters.await.map_err(consensus)? == [running.local.node];
    if !alone {
        return Ok(());
    }
    let mut leadership = handle.leadership();
    let mut applied = handle.applied();
    let ready = async {
        // Asked again before its vote is durable, it would begin anew.
        let mut patience = ELECT_AFTER;
        while timeout(patience, leadership.wait_for(|now| now.is_leader)).await.is_err() {
            running.raft.trigger().elect().await.map_err(consensus)?;
            patience = running.pace.election(0).max(2 * patience);
        }
        let end = running.log.last().map_or(0, |id| id.index);
        applied.wait_for(|applied| *applied >= end).await.map_err(consensus)?;
        Ok(())
    };
    match timeout(LEAD_PATIENCE, ready).await {
        Ok(outcome) => outcome,
        Err(_) => {
            tracing::warn!("this node, the only voter, does not lead yet; it goes on trying");
            Ok(())
        }
    }
}
