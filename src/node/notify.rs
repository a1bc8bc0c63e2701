//! What the service manager is told (systemd's `Type=notify`): that the node is ready, what it
//! does, that it lives, that it stops. Nothing, where there is no `NOTIFY_SOCKET`.

use std::net::SocketAddr;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::consensus::{Handle, Leadership};
use crate::service::Service;

/// How often it is looked whether the node is ready.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The manager is told that a node has started which is not ready by then: what it lacks are
/// other nodes, which may be started after it.
const READY_PATIENCE: Duration = Duration::from_secs(20);
/// How often the log is told what a node lacks that is not ready.
const LACK_EVERY: Duration = Duration::from_secs(5);
/// How long a watchdog that is not asked for sleeps.
const NEVER: Duration = Duration::from_secs(3600);

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager can't be told");
    }
}

/// The node is about to stop.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping: running attempts may end first")]);
}

/// Tells that the node has started, then who leads, as that changes.
pub(super) async fn keep_told(consensus: Handle, service: Service) {
    let since = Instant::now();
    while service.ready().is_err() && since.elapsed() < READY_PATIENCE {
        sleep(LOOK_EVERY).await;
    }
    let mut leadership = consensus.leadership();
    let now = *leadership.borrow_and_update();
    tell(&[NotifyState::Ready, NotifyState::Status(&status(consensus.node_id(), now))]);
    while leadership.changed().await.is_ok() {
        let now = *leadership.borrow_and_update();
        tell(&[NotifyState::Status(&status(consensus.node_id(), now))]);
    }
}

/// Logs that the node is ready, once it is: when `/readyz` answers 200. Until then, now and again,
/// what it lacks.
pub(super) async fn log_ready(node: u64, service: Service, address: SocketAddr) {
    let mut told = Instant::now();
    while let Err(lacking) = service.ready() {
        if told.elapsed() >= LACK_EVERY {
            tracing::info!(%address, node, lacking = lacking.join("; "), "can't serve yet");
            told = Instant::now();
        }
        sleep(LOOK_EVERY).await;
    }
    tracing::info!(%address, node, "ready");
}

fn status(node: u64, now: Leadership) -> String {
    match now.leader {
        Some(_) if now.is_leader => format!("node {node} leads in term {}", now.term),
        Some(leader) => format!("node {node} follows node {leader} in term {}", now.term),
        None => format!("node {node} knows no leader"),
    }
}

/// Tells that the node lives, as often as the manager asks for, as long as the consensus
/// library's loop answers: a runtime that is stuck, or a loop that is, says nothing, and the
/// manager starts the node anew.
pub(super) async fn keep_alive(consensus: Handle, mut stop: watch::Receiver<bool>) {
    // Twice in the time that it waits.
    let every = sd_notify::watchdog_enabled().map(|patience| patience / 2);
    let mut tick = interval(every.unwrap_or(NEVER).max(Duration::from_millis(1)));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        if every.is_some() && consensus.answers().await {
            tell(&[NotifyState::Watchdog]);
        }
    }
}
