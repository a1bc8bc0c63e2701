//! This boot's place among the nodes of the log: announced once it can be, and again when the
//! cluster gave it up meanwhile.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, interval};

use crate::clock::Clock;
use crate::consensus::{Handle, SubmitError};
use crate::machine::state::{FORMAT_OF_EVENT_ROWS, Offers};
use crate::machine::{Command, Op, Rejection};
use crate::model::placement::Labels;
use crate::model::{BootId, Kind};

/// How often it is looked at.
const EVERY: Duration = Duration::from_millis(250);

/// What is announced.
#[derive(Clone)]
pub struct Presence {
    /// The log.
    pub consensus: Handle,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// This boot of the node.
    pub boot: BootId,
    /// Where it serves REST.
    pub api: String,
    /// Attempts at a time.
    pub slots: u32,
    /// For placement.
    pub labels: Labels,
    /// What it can do for the cluster, and was started with.
    pub offers: Offers,
}

/// Why it is not announced.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There was no answer.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The answer was no.
    #[error("{0}")]
    Refused(Rejection),
}

impl Presence {
    /// Tells the log that this boot is up: what earlier ones had is concluded there.
    ///
    /// # Errors
    /// There was no answer, or it was no.
    pub async fn announce(&self) -> Result<(), Error> {
        let op = Op::NodeUp {
            node: self.consensus.node_id(),
            boot: self.boot,
            address: self.consensus.addr().to_owned(),
            api: self.api.clone(),
            slots: self.slots,
            labels: self.labels.clone(),
        };
        self.tell(op).await
    }

    /// Tells the log that this boot is leaving: it gets no more attempts.
    ///
    /// # Errors
    /// There was no answer, or it was no.
    pub async fn leave(&self) -> Result<(), Error> {
        let node = self.consensus.node_id();
        self.tell(Op::NodeDraining { node, boot: self.boot }).await
    }

    async fn tell(&self, op: Op) -> Result<(), Error> {
        let command = Command { at: self.clock.now(), actor: None, request: None, op };
        let done = self.consensus.submit(command).await?;
        done.answer.map(drop).map_err(Error::Refused)
    }

    /// Keeps this boot announced until `stop` turns true.
    pub async fn keep(self, mut stop: watch::Receiver<bool>) {
        let mut tick = interval(EVERY);
        let mut lease = self.consensus.lease();
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                // At once: what fires meanwhile would all go to those that were there before.
                Ok(()) = lease.changed() => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            // Without the leader's word what is seen here is old.
            if *lease.borrow_and_update() <= Instant::now() {
                continue;
            }
            if self.is_announced() {
                self.offer().await;
                continue;
            }
            match self.announce().await {
                Ok(()) => tracing::info!("this node is up, and gets attempts"),
                Err(error) => tracing::debug!(%error, "this node is not announced yet"),
            }
        }
    }

    /// Tells the log what this boot offers, once every member can read that.
    async fn offer(&self) {
        let (node, boot) = (self.consensus.node_id(), self.boot);
        let state = self.consensus.state();
        let redis = self.offers.redis && state.format() >= Kind::Sink.since();
        let offers = Offers { redis, ..self.offers };
        let told = state.nodes.get(&node).is_none_or(|node| node.offers == offers);
        if told || state.format() < FORMAT_OF_EVENT_ROWS {
            return;
        }
        if let Err(error) = self.tell(Op::NodeOffers { node, boot, offers }).await {
            tracing::debug!(%error, "what this node offers is told later");
        }
    }

    fn is_announced(&self) -> bool {
        let state = self.consensus.state();
        let node = state.nodes.get(&self.consensus.node_id());
        node.is_some_and(|node| node.boot == self.boot && node.accepting)
    }
}
