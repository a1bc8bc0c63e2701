//! The leader's pulse: to every other voter, twenty times a second, that it leads.
//!
//! Raft's own heartbeats wait in line: at the leader behind what it writes, at the other end behind
//! what that one writes, and on the way behind the entries sent before. A slow disk or a long way
//! looks like a dead leader then. A pulse waits for none of them: it does not pass the library, it
//! has a connection of its own, and the next one does not wait for the answer to the last. What is
//! measured by it goes to `pace`, and what the other clocks show to `clocks`.
//!
//! It is no proof of leadership, and nobody takes it for one: it keeps others from standing, no
//! more. A leader whose library is stuck stops it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::handle::Handle;
use super::rpc::Lane;
use super::types::NodeId;
use crate::wire::proto;

/// Between two pulses.
const EVERY: Duration = Duration::from_millis(50);
/// Pulses on their way to a voter.
const UNDER_WAY: usize = 32;
/// How often it is looked whether the library still works, and how long it may take: a disk that
/// stands still for longer is as good as none.
const LOOK: Duration = Duration::from_millis(500);
const STUCK: Duration = Duration::from_secs(10);

/// Whenever this node leads, tells the others, until `stop` turns true.
pub(super) async fn run(handle: Handle, mut stop: watch::Receiver<bool>) {
    let mut leadership = handle.leadership();
    loop {
        let term = tokio::select! {
            leads = leadership.wait_for(|now| now.is_leader) => leads.map(|now| now.term),
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let Ok(term) = term else { return };
        let mut over = leadership.clone();
        tokio::select! {
            () = lead(&handle, term) => {}
            _ = over.wait_for(|now| !now.is_leader || now.term != term) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

async fn lead(handle: &Handle, term: u64) {
    let mut calls = JoinSet::new();
    let answered = Arc::new(Mutex::new(Instant::now()));
    calls.spawn(watch_library(handle.clone(), Arc::clone(&answered)));
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut rooms = std::collections::BTreeMap::<NodeId, Arc<Semaphore>>::new();
    let mut told = false;
    loop {
        tick.tick().await;
        while calls.try_join_next().is_some() {}
        let stuck = answered.lock().unwrap_or_else(PoisonError::into_inner).elapsed() > STUCK;
        if stuck {
            if !std::mem::replace(&mut told, true) {
                tracing::warn!(term, "the disk stands still: others may lead from now on");
            }
            continue;
        }
        told = false;
        for node in other_voters(handle) {
            let room = rooms.entry(node).or_insert_with(|| Arc::new(Semaphore::new(UNDER_WAY)));
            let Ok(permit) = Arc::clone(room).try_acquire_owned() else { continue };
            let handle = handle.clone();
            calls.spawn(async move {
                beat(&handle, term, node).await;
                drop(permit);
            });
        }
    }
}

/// Keeps noting that the library's loop answers.
async fn watch_library(handle: Handle, answered: Arc<Mutex<Instant>>) {
    // An error means that it has ended, and this node with it.
    while handle.running.raft.with_raft_state(|_| ()).await.is_ok() {
        *answered.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        sleep(LOOK).await;
    }
}

pub(super) fn other_voters(handle: &Handle) -> Vec<NodeId> {
    let own = handle.running.local.node;
    let metrics = handle.running.raft.metrics();
    let metrics = metrics.borrow();
    metrics.membership_config.membership().voter_ids().filter(|voter| *voter != own).collect()
}

async fn beat(handle: &Handle, term: u64, node: NodeId) {
    let running = &handle.running;
    let (trip, flush) = running.pace.longest();
    let micros = |span: Duration| span.as_micros() as u64;
    let message = proto::PulseRequest {
        term,
        node: running.local.node,
        trip_us: micros(trip),
        flush_us: micros(flush),
        right_us: running.clocks.right_now(),
    };
    let sent = Instant::now();
    let call = running.peers.call(
        node,
        Lane::Pulse,
        running.pace.lease().max(running.peers.patience(node, Lane::Pulse)),
        message,
        |mut client, request| async move { client.pulse(request).await },
    );
    match call.await {
        Ok(reply) => {
            let (trip, flush) = (sent.elapsed(), Duration::from_micros(reply.flush_us));
            running.pace.answered(node, trip, flush);
            running.clocks.answered(node, reply.clock_us, trip);
        }
        Err(error) => tracing::trace!(%error, "a pulse was not answered"),
    }
}
