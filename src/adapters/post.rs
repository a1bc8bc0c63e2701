//! Sends what waits for the channels whose duty this node has, and records what became of it.
//!
//! ```text
//! State.outbox ─> next ─> tell ─> Courier ─> Op::Delivered{fence} ─> State.outbox, row `n`
//! ```
//!
//! A channel has a task of its own, so that one that is down holds up no other. It sends in order,
//! one message at a time, only while the node's lease holds and the state shows the duty under the
//! fence that the task began with. Killed between the message and its record, whoever follows sends
//! it again under the same key.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::held::Held;
use super::tell::{digest, message};
use super::{Courier, Fault, Opened};
use crate::clock::Clock;
use crate::consensus::{Handle, SubmitError};
use crate::executor::secret_value;
use crate::machine::{Command, Op, Rejection, State};
use crate::model::kind::channel::ChannelSpec;
use crate::model::{
    BootId, Delivery, DutyKey, DutyKind, Fence, Kind, Name, Notice, Span, Spec, Timestamp, limits,
};
use crate::vault::Vault;

/// The state is looked at so often, at most: it changes with every entry.
const PAUSE: Duration = Duration::from_millis(20);
/// The longest sleep: a step of the clock is noticed within it.
const SLEEP_MAX: Duration = Duration::from_secs(1);
/// From a record that could not be written to the next try.
const RECORD_PAUSE: Duration = Duration::from_millis(100);

/// What notices are sent with.
#[derive(Clone)]
pub struct PostParts {
    /// The log.
    pub consensus: Handle,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What takes messages out of the cluster.
    pub courier: Courier,
    /// What secrets are opened with.
    pub vault: Option<Arc<Vault>>,
    /// This boot of the node.
    pub boot: BootId,
    /// Where people find the page, without a slash at its end.
    pub public_url: String,
}

/// Runs until `stop` turns true. A message under way is finished first.
pub async fn post(parts: PostParts, mut stop: watch::Receiver<bool>) {
    let (changed, seen) = watch::channel(0_u64);
    let mut applied = parts.consensus.applied();
    let mut tasks = JoinSet::new();
    let mut held = Held::default();
    // Only these maps: a whole state would be kept in memory for as long as nothing is told.
    let state = parts.consensus.state();
    let mut before = (state.outbox.waiting.clone(), state.duties.all.clone());
    drop(state);
    loop {
        let state = parts.consensus.state();
        let me = (parts.consensus.node_id(), parts.boot);
        for (channel, fence) in held.new_ones(&state, DutyKind::Channel, me) {
            let post = Post { parts: parts.clone(), channel, fence, stop: stop.clone() };
            tasks.spawn(post.run(seen.clone()));
        }
        let same = before.0.ptr_eq(&state.outbox.waiting) && before.1.ptr_eq(&state.duties.all);
        if !same {
            before = (state.outbox.waiting.clone(), state.duties.all.clone());
            changed.send_modify(|count| *count += 1);
        }
        drop(state);
        while tasks.try_join_next().is_some() {}
        tokio::select! {
            moved = applied.changed() => if moved.is_err() { break },
            _ = stop.wait_for(|stop| *stop) => break,
        }
        sleep(PAUSE).await;
    }
    while tasks.join_next().await.is_some() {}
}

/// One channel, while this node has its duty under one fence.
struct Post {
    parts: PostParts,
    channel: Name,
    fence: Fence,
    stop: watch::Receiver<bool>,
}

/// What is to be done for a channel.
enum Next {
    /// These go out, in one message.
    Send(Vec<Arc<Notice>>),
    /// Nothing before that time; none: before something changes.
    Wait(Option<Timestamp>),
}

impl Post {
    async fn run(mut self, mut changed: watch::Receiver<u64>) {
        loop {
            changed.borrow_and_update();
            let state = self.parts.consensus.state();
            if *self.stop.borrow() || !self.is_mine(&state) {
                return;
            }
            let now = self.parts.clock.now();
            match self.next(&state, now) {
                Next::Send(notices) => {
                    let outcome = self.send(&state, &notices).await;
                    drop(state);
                    self.record(&notices, outcome).await;
                }
                Next::Wait(until) => {
                    drop(state);
                    let until = until.map(|until| (until.micros() - now.micros()).max(0) as u64);
                    let rest = until.map_or(SLEEP_MAX, Duration::from_micros);
                    tokio::select! {
                        () = sleep(rest.clamp(PAUSE, SLEEP_MAX)) => {}
                        gone = changed.changed() => if gone.is_err() { return },
                        _ = self.stop.wait_for(|stop| *stop) => return,
                    }
                }
            }
        }
    }

    fn is_mine(&self, state: &State) -> bool {
        let duty = state.duties.all.get(&DutyKey::channel(self.channel.clone()));
        let (node, boot) = (self.parts.consensus.node_id(), self.parts.boot);
        duty.is_some_and(|duty| duty.fence == self.fence && duty.is_held_by(node, boot))
    }

    fn next(&self, state: &State, now: Timestamp) -> Next {
        // Without the leader's word another node may have been given the duty.
        if *self.parts.consensus.lease().borrow() <= Instant::now() {
            return Next::Wait(None);
        }
        let Some(spec) = spec(state, &self.channel) else { return Next::Wait(None) };
        let (mut ready, mut wake) = (Vec::new(), None);
        let waiting = state.outbox.of(&self.channel);
        let waiting = waiting.filter(|notice| !notice.held && !state.is_deferred(notice));
        for notice in waiting {
            if notice.not_before <= now {
                ready.push(Arc::clone(notice));
            } else {
                wake = Some(wake.map_or(notice.not_before, |at| notice.not_before.min(at)));
            }
            // What failed is tried again before all that came after it.
            if ready.len() == limits::DIGEST_MAX || (notice.tries > 0 && notice.not_before > now) {
                break;
            }
        }
        let Some(first) = ready.first() else { return Next::Wait(wake) };
        // What waited for the end of a window goes out together.
        let summary = first.window.clone();
        if summary.is_some() {
            let waiting = state.outbox.of(&self.channel).filter(|notice| !notice.held);
            let due = waiting.filter(|notice| notice.window == summary && notice.not_before <= now);
            ready = due.take(limits::SUMMARY_MAX).cloned().collect();
        } else {
            ready.retain(|notice| notice.window.is_none());
        }
        let one = if summary.is_some() { ready.len() } else { 1 };
        let Some(rate) = spec.rate else {
            ready.truncate(one);
            return Next::Send(ready);
        };
        let window = now.minus(rate.per);
        let sent = state.outbox.sent.get(&self.channel);
        let recent: Vec<Timestamp> =
            sent.into_iter().flatten().copied().filter(|at| *at > window).collect();
        match (rate.limit as usize).saturating_sub(recent.len()) {
            0 => Next::Wait(recent.first().map(|first| first.plus(rate.per))),
            // The last one that may go for a while takes along what waits.
            1 => Next::Send(ready),
            _ => {
                ready.truncate(one);
                Next::Send(ready)
            }
        }
    }

    async fn send(&self, state: &State, notices: &[Arc<Notice>]) -> Delivery {
        let parts = &self.parts;
        let Some(spec) = spec(state, &self.channel) else {
            return Delivery::Retry { error: "the channel is gone".into(), after: None };
        };
        let opened = Opened::new(Arc::clone(spec), |wanted| {
            secret_value(wanted, state, parts.vault.as_deref())
        });
        let opened = match opened {
            Ok(opened) => opened,
            Err(error) => return Delivery::Retry { error, after: None },
        };
        let cluster = parts.consensus.status().cluster_id;
        let message = match notices {
            [one] => message(one, &cluster, &parts.public_url),
            many => digest(many, &cluster, &parts.public_url),
        };
        match parts.courier.deliver(&opened, &message).await {
            Ok(_) => Delivery::Sent,
            Err(Fault { retry: true, after, detail }) => {
                let after = after.map(|after| Span::from_millis(after.as_millis() as u64));
                Delivery::Retry { error: detail, after }
            }
            Err(Fault { retry: false, detail, .. }) => Delivery::Dead { error: detail },
        }
    }

    /// Records what became of a message. Until that is known nothing else is sent.
    async fn record(&self, notices: &[Arc<Notice>], outcome: Delivery) {
        if let Delivery::Retry { error, .. } | Delivery::Dead { error } = &outcome {
            tracing::warn!(channel = %self.channel, error, "a notice could not be sent");
        }
        let seqs: Vec<u64> = notices.iter().map(|notice| notice.seq).collect();
        let (channel, fence) = (self.channel.clone(), self.fence);
        let op = Op::Delivered { channel, seqs, fence, outcome };
        while self.is_mine(&self.parts.consensus.state()) {
            let at = self.parts.clock.now();
            let command = Command { at, actor: None, request: None, op: op.clone() };
            match self.parts.consensus.submit(command).await {
                Ok(done) => match done.answer {
                    // What was told twice was told.
                    Ok(_) | Err(Rejection::Stale) => return,
                    Err(error) => {
                        tracing::debug!(%error, channel = %self.channel, "it is another node's");
                        return;
                    }
                },
                Err(SubmitError::Stopping) => return,
                Err(error) => {
                    tracing::debug!(%error, channel = %self.channel, "recorded later");
                    sleep(RECORD_PAUSE).await;
                }
            }
        }
    }
}

fn spec<'a>(state: &'a State, channel: &Name) -> Option<&'a Arc<ChannelSpec>> {
    match &state.definitions.get(Kind::Channel, channel.as_str())?.spec {
        Spec::Channel(spec) => Some(spec),
        _ => None,
    }
}
