//! Messages to channels, and events to sinks.

use prometheus::{IntCounterVec, Opts, Registry};

use super::Error;
use super::facts::kept;
use crate::model::kind::channel::ChannelType;

/// What is counted of messages to channels.
pub struct Sends {
    sent: IntCounterVec,
    sunk: IntCounterVec,
}

impl Sends {
    pub(super) fn new(registry: &Registry) -> Result<Self, Error> {
        let sent = IntCounterVec::new(
            Opts::new(
                "cronapi_channel_sends_total",
                "Tries of this node to deliver a message to a channel.",
            ),
            &["type", "outcome"],
        )?;
        for kind in ChannelType::ALL {
            for outcome in ["delivered", "failed", "refused"] {
                sent.with_label_values(&[kind.as_str(), outcome]);
            }
        }
        kept(registry, &sent)?;
        let sunk = IntCounterVec::new(
            Opts::new(
                "cronapi_sink_sent_total",
                "Events, or rows, that this node wrote to a sink.",
            ),
            &["sink"],
        )?;
        kept(registry, &sunk)?;
        Ok(Self { sent, sunk })
    }

    /// Events, or rows, were written to a sink.
    pub fn sunk(&self, sink: &str, written: u64) {
        self.sunk.with_label_values(&[sink]).inc_by(written);
    }

    /// A message was tried: `delivered`, `failed` where a later try may go better, `refused`.
    pub fn sent(&self, kind: ChannelType, outcome: &str) {
        self.sent.with_label_values(&[kind.as_str(), outcome]).inc();
    }
}
