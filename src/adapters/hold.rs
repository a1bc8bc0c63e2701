//! A duty that this node holds, as the task sees it that does the work.
//!
//! Owns: when the task may act (the state shows the duty under the fence that it began with, and
//! the node's lease holds), how it rests, and how it tells how far it is and what is in its way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::held::Held;
use super::parts::DutyParts;
use crate::consensus::SubmitError;
use crate::machine::state::Duty;
use crate::machine::{Command, Op, State};
use crate::model::{DutyKey, DutyKind, Fence, Name, Position};

/// The state is looked at so often, at most: it changes with every entry.
const PAUSE: Duration = Duration::from_millis(20);
/// The longest sleep: what is no event is noticed within it.
pub(super) const SLEEP_MAX: Duration = Duration::from_millis(250);
/// From one record of a position to the next.
const RECORD_EVERY: Duration = Duration::from_secs(1);
/// From a try in vain to the next: at first, and at most.
pub(super) const RETRY: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(15)];

/// Runs `work` for each duty of a kind that this node is given, until `stop` turns true and what is
/// under way has ended.
pub(super) async fn keep<W, F>(
    parts: DutyParts,
    kind: DutyKind,
    mut stop: watch::Receiver<bool>,
    work: W,
) where
    W: Fn(DutyParts, Hold) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let mut applied = parts.consensus.applied();
    let mut tasks = JoinSet::new();
    let mut held = Held::default();
    // Two tasks of one duty, as it changes hands within this node, act one after the other.
    let mut turns: BTreeMap<Name, Arc<Mutex<()>>> = BTreeMap::new();
    loop {
        let state = parts.consensus.state();
        let me = (parts.consensus.node_id(), parts.boot);
        for (name, fence) in held.new_ones(&state, kind, me) {
            let turn = Arc::clone(turns.entry(name.clone()).or_default());
            let key = DutyKey { kind, name };
            let hold =
                Hold { parts: parts.clone(), key, fence, stop: stop.clone(), recorded: None };
            let work = work(parts.clone(), hold);
            tasks.spawn(async move {
                let _turn = turn.lock().await;
                work.await;
            });
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

/// A duty, while this node has it under one fence.
pub(super) struct Hold {
    parts: DutyParts,
    pub key: DutyKey,
    pub fence: Fence,
    stop: watch::Receiver<bool>,
    /// What was recorded last, and when.
    recorded: Option<(Position, Option<String>, Instant)>,
}

impl Hold {
    /// The name of what is served.
    pub fn name(&self) -> &Name {
        &self.key.name
    }

    /// The state, while the duty is this task's.
    pub fn mine(&self) -> Option<(Arc<State>, Arc<Duty>)> {
        let state = self.parts.consensus.state();
        let (node, boot) = (self.parts.consensus.node_id(), self.parts.boot);
        let duty = state.duties.all.get(&self.key)?;
        let mine = duty.fence == self.fence && duty.is_held_by(node, boot);
        let duty = (mine && !*self.stop.borrow()).then(|| Arc::clone(duty))?;
        Some((state, duty))
    }

    /// Without the leader's word another node may have been given the duty.
    pub fn may_act(&self, duty: &Duty) -> bool {
        !duty.paused && *self.parts.consensus.lease().borrow() > Instant::now()
    }

    /// Sleeps, unless the node stops.
    pub async fn rest(&mut self, long: Duration) {
        self.rest_until(long, std::future::pending()).await;
    }

    /// The same, unless something happens before.
    pub async fn rest_until(&mut self, long: Duration, before: impl Future<Output = ()>) {
        tokio::select! {
            () = sleep(long) => {}
            () = before => {}
            _ = self.stop.wait_for(|stop| *stop) => {}
        }
    }

    /// Something is in the way: it is told, and tried again later.
    pub async fn fail(&mut self, duty: &Duty, fault: &str, retry: &mut Duration) {
        tracing::warn!(duty = %self.key, fault, "it is tried again");
        self.record(duty, None, Some(fault)).await;
        self.wait(retry).await;
    }

    /// Waits for the next try, longer each time.
    pub async fn wait(&mut self, retry: &mut Duration) {
        let until = Instant::now() + *retry;
        *retry = (*retry * 2).min(RETRY[1]);
        while self.mine().is_some_and(|(_, duty)| !duty.paused) && Instant::now() < until {
            self.rest((until - Instant::now()).min(SLEEP_MAX)).await;
        }
    }

    /// Records how far it is, once a second at most; a fault that is new at once.
    pub async fn record(&mut self, duty: &Duty, at: Option<Position>, fault: Option<&str>) {
        let (position, known, last) = match &self.recorded {
            Some((position, known, last)) => (*position, known.as_deref(), Some(*last)),
            None => (duty.position, duty.fault.as_deref(), None),
        };
        // A stream that lost something is behind what was recorded, until it has it again.
        let at = at.unwrap_or(position).max(position);
        let same = at == position && fault == known;
        let soon = last.is_some_and(|last| last.elapsed() < RECORD_EVERY);
        if same || (soon && (fault.is_none() || fault == known)) {
            return;
        }
        self.record_now(at, fault).await;
    }

    /// The same, at once.
    pub async fn record_now(&mut self, position: Position, fault: Option<&str>) {
        let fault = fault.map(str::to_owned);
        let (key, fence) = (self.key.clone(), self.fence);
        let op = Op::DutyMoved { key, fence, position, fault: fault.clone() };
        let command = Command { at: self.parts.clock.now(), actor: None, request: None, op };
        match self.parts.consensus.submit(command).await {
            Ok(done) => match done.answer {
                Ok(_) => self.recorded = Some((position, fault, Instant::now())),
                Err(error) => tracing::debug!(%error, duty = %self.key, "it is another's"),
            },
            Err(SubmitError::Stopping) => {}
            Err(error) => tracing::debug!(%error, duty = %self.key, "recorded later"),
        }
    }

    /// The node stops: whoever follows need not do again what is done.
    pub async fn leave(&mut self, at: Option<Position>) {
        let state = self.parts.consensus.state();
        let duty = state.duties.all.get(&self.key).filter(|duty| duty.fence == self.fence);
        let Some(at) = at.filter(|at| duty.is_some_and(|duty| duty.position < *at)) else { return };
        drop(state);
        self.record_now(at, None).await;
    }
}
