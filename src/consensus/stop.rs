//! The end of a node, in an order in which each part still finds what it needs.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::handle::{Handle, Running};
use crate::storage;

/// How long a stop waits for what was accepted to be answered.
const DRAIN: Duration = Duration::from_secs(10);

/// A majority that was not there for so long is not waited for.
const MAJORITY_GONE: Duration = Duration::from_secs(2);
/// A leader that heard no majority for so long has none, and who heard no leader; longer where the
/// way or the disks are slow.
const SILENT: Duration = Duration::from_secs(1);
/// Between two looks whether it is there.
const LOOK: Duration = Duration::from_millis(50);

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

/// Resolves once no majority was there for so long: nothing that was proposed is answered then.
async fn majority_gone(running: &Running, for_so_long: Duration) {
    let metrics = running.raft.metrics();
    let mut since = Instant::now();
    while since.elapsed() < for_so_long {
        sleep(LOOK).await;
        let silent = SILENT + running.pace.slack();
        let now = metrics.borrow();
        let there = match now.millis_since_quorum_ack {
            // A leader stays one when the others go, and hears nothing of them.
            Some(millis) => u128::from(millis) < silent.as_millis(),
            // Who follows names the last leader as long as no other stands: it has to be heard too.
            None => {
                now.current_leader.is_some_and(|leader| leader != now.id)
                    && running.heartbeat.silent_for() < silent
            }
        };
        if there {
            since = Instant::now();
        }
    }
}

impl Handle {
    /// Resolves once no majority was there for so long, without a pause: what is proposed is not
    /// recorded then.
    pub async fn majority_gone(&self, for_so_long: Duration) {
        majority_gone(&self.running, for_so_long).await;
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
        let mut proposer = tasks.proposer;
        let drained = tokio::select! {
            drained = timeout(DRAIN, &mut proposer) => drained.is_ok(),
            // As when a whole cluster is stopped: what is left open shows when it is back.
            () = majority_gone(&running, MAJORITY_GONE) => {
                tracing::warn!("no majority is left: what was not answered may still be done");
                proposer.abort();
                true
            }
        };
        tasks.stop_beside.send_replace(true);
        for task in tasks.beside {
            let _ = task.await;
        }
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
