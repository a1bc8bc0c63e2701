//! Says in the log that this node waits for a majority, and that it is back: a node never ends for
//! want of one.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::handle::Handle;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// What a start, and an election, may take before anything is said.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is said again.
const AGAIN: Duration = Duration::from_secs(60);

/// Watches this node's lease until `stop` turns true.
pub(super) async fn run(handle: Handle, mut stop: watch::Receiver<bool>) {
    let lease = handle.lease();
    let began = Instant::now();
    let mut told: Option<Instant> = None;
    loop {
        tokio::select! {
            () = sleep(LOOK) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        // Who is of no cluster says what it waits for while it forms one.
        if handle.running.local.cluster().is_empty() {
            continue;
        }
        if *lease.borrow() > Instant::now() {
            if told.take().is_some() {
                tracing::info!("a majority of the voters is there again");
            }
        } else if began.elapsed() >= PATIENCE && told.is_none_or(|at| at.elapsed() >= AGAIN) {
            tell(&handle);
            told = Some(Instant::now());
        }
    }
}

fn tell(handle: &Handle) {
    let running = &handle.running;
    let metrics = running.raft.metrics().borrow().clone();
    let membership = metrics.membership_config.membership();
    let others = membership.voter_ids().filter(|voter| *voter != running.local.node);
    let others: Vec<String> = others
        .map(|voter| {
            let addr = running.peers.addr(voter).unwrap_or_default();
            format!("node {voter} at {addr}")
        })
        .collect();
    let others = others.join(", ");
    tracing::warn!(
        %others,
        "this node waits for a majority of the voters, and goes on by itself once it is there"
    );
}
