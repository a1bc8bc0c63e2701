//! The cluster's own heartbeat to a monitor elsewhere: "it can decide".
//!
//! Owns: when it is sent, and by whom. Does not own: who notices that it stopped, which is another
//! system, since this one is what fails then.
//!
//! The leader sends it, each time after a read barrier: a majority has just confirmed that it leads
//! (Ongaro, "Consensus: Bridging Theory and Practice", §6.4). So without a majority there is none.
//! A node that only takes itself for the leader sends none; nor does one whose disk takes nothing.
//! A leader that is new sends at once.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, Request, Url};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::clock::Clock;
use crate::consensus::Handle;
use crate::executor::runner::{RunnerEnv, post};
use crate::metrics::{Beat, Metrics};
use crate::model::limits::{DELIVERY_ANSWER_BYTES_MAX, DELIVERY_TIMEOUT};

/// What the heartbeat is sent with.
pub struct OutwardParts {
    /// The log.
    pub consensus: Handle,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What requests go out with.
    pub env: Arc<RunnerEnv>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Where it goes. Who knows it may send it, so it is told to nobody.
    pub url: Url,
    /// From one to the next.
    pub every: Duration,
}

/// Runs until `stop` turns true.
pub async fn tell_outside(parts: OutwardParts, mut stop: watch::Receiver<bool>) {
    let mut leadership = parts.consensus.leadership();
    let mut failing = false;
    loop {
        let leads = tokio::select! {
            leads = leadership.wait_for(|now| now.is_leader) => leads.is_ok(),
            _ = stop.wait_for(|stop| *stop) => false,
        };
        if !leads {
            return;
        }
        let next = Instant::now() + parts.every;
        let beat = parts.beat().await;
        match &beat {
            Err((_, why)) if !failing => {
                tracing::warn!(why, "the heartbeat of the cluster was not taken");
            }
            Ok(()) if failing => tracing::info!("the heartbeat of the cluster is taken again"),
            _ => {}
        }
        failing = beat.is_err();
        parts.metrics.sends.beat(beat.map_or_else(|(beat, _)| beat, |()| Beat::Taken));
        tokio::select! {
            () = sleep_until(next) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

impl OutwardParts {
    /// One heartbeat.
    ///
    /// # Errors
    /// Why it was not taken, in words without the address.
    async fn beat(&self) -> Result<(), (Beat, String)> {
        let barrier = self.consensus.read_barrier().await;
        barrier.map_err(|e| (Beat::NoMajority, e.to_string()))?;
        if !self.consensus.leadership().borrow().is_leader {
            return Err((Beat::NoMajority, "another node leads".into()));
        }
        // A majority that could not keep what it decides is none to be told of.
        self.consensus.writable().map_err(|why| (Beat::Unwritable, why))?;
        let request = Request::new(Method::GET, self.url.clone());
        let now = self.clock.now().secs();
        let sent = post(&self.env, request, DELIVERY_ANSWER_BYTES_MAX, now);
        let answer = match timeout(DELIVERY_TIMEOUT.std(), sent).await {
            Err(_) => return Err((Beat::Refused, format!("no answer within {DELIVERY_TIMEOUT}"))),
            Ok(answer) => answer.map_err(|(why, _)| (Beat::Refused, why))?,
        };
        if answer.status.is_success() {
            return Ok(());
        }
        Err((Beat::Refused, format!("HTTP {}", answer.status)))
    }
}
