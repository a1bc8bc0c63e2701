//! Messages to channels, pushes to browsers, events to sinks, entries for triggers, and heartbeats
//! of the cluster to a monitor elsewhere.

use prometheus::{IntCounterVec, Opts, Registry};

use super::Error;
use super::facts::kept;
use crate::model::PushOutcome;
use crate::model::kind::channel::ChannelType;

/// What became of a heartbeat of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// The monitor has it.
    Taken,
    /// The monitor did not take it, or did not answer.
    Refused,
    /// It was not sent: no majority said that this node leads.
    NoMajority,
    /// It was not sent: the disk of this node takes nothing.
    Unwritable,
}

impl Beat {
    const ALL: [Beat; 4] = [Beat::Taken, Beat::Refused, Beat::NoMajority, Beat::Unwritable];

    fn as_str(self) -> &'static str {
        match self {
            Beat::Taken => "taken",
            Beat::Refused => "refused",
            Beat::NoMajority => "no_majority",
            Beat::Unwritable => "unwritable",
        }
    }
}

/// What is counted of what goes out, and comes in.
pub struct Sends {
    sent: IntCounterVec,
    sunk: IntCounterVec,
    taken: IntCounterVec,
    beats: IntCounterVec,
    pushes: IntCounterVec,
    heartbeats: IntCounterVec,
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
        let taken = IntCounterVec::new(
            Opts::new(
                "cronapi_trigger_entries_total",
                "Entries of streams that this node took for a trigger.",
            ),
            &["trigger", "outcome"],
        )?;
        kept(registry, &taken)?;
        let beats = IntCounterVec::new(
            Opts::new(
                "cronapi_outward_heartbeats_total",
                "Heartbeats of the cluster that this node, as leader, had for a monitor elsewhere.",
            ),
            &["outcome"],
        )?;
        for beat in Beat::ALL {
            beats.with_label_values(&[beat.as_str()]);
        }
        kept(registry, &beats)?;
        let pushes = IntCounterVec::new(
            Opts::new("cronapi_pushes_total", "Pushes of this node to browsers."),
            &["outcome"],
        )?;
        for outcome in ["sent", "failed", "refused", "gone", "withheld"] {
            pushes.with_label_values(&[outcome]);
        }
        kept(registry, &pushes)?;
        let heartbeats = IntCounterVec::new(
            Opts::new(
                "cronapi_job_heartbeats_total",
                "Heartbeats of jobs that this node had for monitors elsewhere.",
            ),
            &["outcome"],
        )?;
        for outcome in ["sent", "failed", "refused"] {
            heartbeats.with_label_values(&[outcome]);
        }
        kept(registry, &heartbeats)?;
        Ok(Self { sent, sunk, taken, beats, pushes, heartbeats })
    }

    /// A heartbeat was due.
    pub fn beat(&self, beat: Beat) {
        self.beats.with_label_values(&[beat.as_str()]).inc();
    }

    /// The heartbeat of a job was tried: `sent`, `failed` where a later try may go better,
    /// `refused`.
    pub fn heartbeat(&self, outcome: &str) {
        self.heartbeats.with_label_values(&[outcome]).inc();
    }

    /// A push was tried, or was not to be sent any more.
    pub fn pushed(&self, outcome: &PushOutcome) {
        let outcome = match outcome {
            PushOutcome::Sent => "sent",
            PushOutcome::Retry { .. } => "failed",
            PushOutcome::Refused { .. } => "refused",
            PushOutcome::Gone => "gone",
            PushOutcome::Withheld => "withheld",
        };
        self.pushes.with_label_values(&[outcome]).inc();
    }

    /// Events, or rows, were written to a sink.
    pub fn sunk(&self, sink: &str, written: u64) {
        self.sunk.with_label_values(&[sink]).inc_by(written);
    }

    /// Entries were taken for a trigger: so many started a run, so many were refused.
    pub fn taken(&self, trigger: &str, started: u64, refused: u64) {
        self.taken.with_label_values(&[trigger, "started"]).inc_by(started);
        self.taken.with_label_values(&[trigger, "refused"]).inc_by(refused);
    }

    /// A message was tried: `delivered`, `failed` where a later try may go better, `refused`.
    pub fn sent(&self, kind: ChannelType, outcome: &str) {
        self.sent.with_label_values(&[kind.as_str(), outcome]).inc();
    }
}
