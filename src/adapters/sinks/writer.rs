//! Who writes a sink: a task for each duty that this node holds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::line::Line;
use super::out::{self, Begun, Out};
use super::parts::SinkParts;
use crate::adapters::held::Held;
use crate::adapters::kept::{Kept, kept_after};
use crate::consensus::SubmitError;
use crate::machine::state::Duty;
use crate::machine::{Command, Op, State};
use crate::model::limits::{EVENTS_LACKED_MAX, SINK_BATCH_MAX};
use crate::model::{DutyKey, DutyKind, Fence, Name, Position};

/// The state is looked at so often, at most: it changes with every entry.
const PAUSE: Duration = Duration::from_millis(20);
/// The longest sleep: what is no event is noticed within it.
const SLEEP_MAX: Duration = Duration::from_millis(250);
/// From one record of a position to the next.
const RECORD_EVERY: Duration = Duration::from_secs(1);
/// From a try in vain to the next: at first, and at most.
const RETRY: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(15)];
/// Where there is nothing to write, the other side is looked at so often.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// Runs until `stop` turns true. A batch under way is finished first.
pub async fn keep_sinks(parts: SinkParts, mut stop: watch::Receiver<bool>) {
    let mut applied = parts.consensus.applied();
    let mut tasks = JoinSet::new();
    let mut held = Held::default();
    // Two tasks of one sink, as it changes hands within this node, write one after the other.
    let mut turns: BTreeMap<Name, Arc<Mutex<()>>> = BTreeMap::new();
    loop {
        let state = parts.consensus.state();
        let me = (parts.consensus.node_id(), parts.boot);
        for (sink, fence) in held.new_ones(&state, DutyKind::Sink, me) {
            let turn = Arc::clone(turns.entry(sink.clone()).or_default());
            let writer = Writer::new(parts.clone(), sink, fence, stop.clone());
            tasks.spawn(async move {
                let _turn = turn.lock().await;
                writer.run().await;
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

/// One sink, while this node has its duty under one fence.
struct Writer {
    parts: SinkParts,
    key: DutyKey,
    fence: Fence,
    stop: watch::Receiver<bool>,
    /// What was recorded last, and when.
    recorded: Option<(Position, Option<String>, Instant)>,
}

/// What a look at the events came to.
enum Step {
    /// Something was written, and there is more.
    More,
    /// There is no more for now.
    Done,
}

impl Writer {
    fn new(parts: SinkParts, sink: Name, fence: Fence, stop: watch::Receiver<bool>) -> Self {
        Writer { parts, key: DutyKey::sink(sink), fence, stop, recorded: None }
    }

    /// The state, while the duty is this task's.
    fn mine(&self) -> Option<(Arc<State>, Arc<Duty>)> {
        let state = self.parts.consensus.state();
        let (node, boot) = (self.parts.consensus.node_id(), self.parts.boot);
        let duty = state.duties.all.get(&self.key)?;
        let mine = duty.fence == self.fence && duty.is_held_by(node, boot);
        let duty = (mine && !*self.stop.borrow()).then(|| Arc::clone(duty))?;
        Some((state, duty))
    }

    /// Without the leader's word another node may have been given the duty.
    fn may_write(&self, duty: &Duty) -> bool {
        !duty.paused && *self.parts.consensus.lease().borrow() > Instant::now()
    }

    async fn run(mut self) {
        let mut retry = RETRY[0];
        let (mut open, mut checked): (Option<(Out, Position)>, _) = (None, Instant::now());
        let mut newest = self.parts.consensus.events_changed();
        while let Some((state, duty)) = self.mine() {
            newest.borrow_and_update();
            if !self.may_write(&duty) {
                drop(state);
                // Whoever goes on later begins with what is there then.
                open = None;
                self.rest(SLEEP_MAX).await;
                continue;
            }
            let (mut out, mut at) = match open.take() {
                Some(open) => open,
                None => match self.begin(state, &duty).await {
                    Ok(begun) => begun,
                    Err(fault) => {
                        self.fail(&duty, &fault, &mut retry).await;
                        continue;
                    }
                },
            };
            match self.step(&mut out, &mut at).await {
                Ok(step) => {
                    retry = RETRY[0];
                    self.record(&duty, Some(at), None).await;
                    if matches!(step, Step::Done) {
                        if checked.elapsed() >= CHECK_EVERY {
                            checked = Instant::now();
                            if let Err(fault) = out.check(at).await {
                                self.fail(&duty, &fault, &mut retry).await;
                                continue;
                            }
                        }
                        tokio::select! {
                            () = sleep(SLEEP_MAX) => {}
                            gone = newest.changed() => if gone.is_err() { return },
                            _ = self.stop.wait_for(|stop| *stop) => {}
                        }
                    }
                    open = Some((out, at));
                }
                Err(fault) => self.fail(&duty, &fault, &mut retry).await,
            }
        }
        self.leave(open.map(|(_, at)| at)).await;
    }

    async fn begin(&mut self, state: Arc<State>, duty: &Duty) -> Result<(Out, Position), String> {
        let name = self.key.name.clone();
        let Some(spec) = state.sink(name.as_str()).cloned() else {
            return Err("the sink is gone".into());
        };
        let begun = out::open(&self.parts, state, &name, &spec, duty).await?;
        let Begun { out, at, lost } = begun;
        if let Some(lost) = &lost {
            tracing::warn!(sink = %name, "{lost}");
            self.record_now(duty.position, Some(lost)).await;
        }
        Ok((out, at))
    }

    /// Writes the next events.
    async fn step(&mut self, out: &mut Out, at: &mut Position) -> Result<Step, String> {
        let Some((state, duty)) = self.mine() else { return Ok(Step::Done) };
        let Some(spec) = state.sink(self.key.name.as_str()).cloned() else {
            return Ok(Step::Done);
        };
        let events = state.events;
        drop(state);
        if let Some(rows) = out.fill().await? {
            self.parts.metrics.sends.sunk(self.key.name.as_str(), rows);
            return Ok(Step::More);
        }
        if !events.on {
            return Ok(Step::Done);
        }
        if !events.has_all_after(*at) {
            return self.pass_gap(out, at, &duty, events.floor()).await;
        }
        let history = self.parts.consensus.history();
        let found = kept_after(history, at.place(), SINK_BATCH_MAX).await;
        let (mut found, mut more) = found.map_err(|e| format!("the history can't be read: {e}"))?;
        // Nothing of an entry that this state does not have: the next holder may begin before it.
        let known = found.partition_point(|kept| kept.number <= events.last);
        more &= known == found.len();
        found.truncate(known);
        more |= found.len() > SINK_BATCH_MAX;
        found.truncate(SINK_BATCH_MAX);
        let Some(up_to) = found.last().map(Kept::position) else {
            return Ok(Step::Done);
        };
        // What was removed meanwhile may be missing.
        let state = self.mine().filter(|(_, duty)| self.may_write(duty));
        let Some((state, _)) = state else { return Ok(Step::Done) };
        if !state.events.has_all_after(*at) {
            return Ok(Step::More);
        }
        drop(state);
        let wanted = found.into_iter().filter(|kept| spec.select.takes(&kept.event));
        let lines: Vec<Line> = wanted
            .map(|kept| {
                let position = kept.position();
                Line::of(kept.event, position)
            })
            .collect();
        let written = out.add(*at, &lines, up_to).await?;
        self.parts.metrics.sends.sunk(self.key.name.as_str(), written);
        *at = up_to;
        Ok(if more { Step::More } else { Step::Done })
    }

    /// Events that a sink lacks are gone: it is told so, and goes on behind them.
    async fn pass_gap(
        &mut self,
        out: &mut Out,
        at: &mut Position,
        duty: &Duty,
        up_to: Position,
    ) -> Result<Step, String> {
        let reason = format!(
            "events after {at} up to {up_to} are gone: the sink lacked more than the last \
             {EVENTS_LACKED_MAX}, or what it had was lost"
        );
        out.add(*at, &[Line::gap(up_to, reason.clone())], up_to).await?;
        tracing::warn!(sink = %self.key.name, "{reason}");
        *at = up_to;
        self.record_now(up_to.max(duty.position), Some(&reason)).await;
        Ok(Step::More)
    }

    /// Something is in the way: it is told, and tried again later.
    async fn fail(&mut self, duty: &Duty, fault: &str, retry: &mut Duration) {
        tracing::warn!(sink = %self.key.name, fault, "events can't be written");
        self.record(duty, None, Some(fault)).await;
        let until = Instant::now() + *retry;
        *retry = (*retry * 2).min(RETRY[1]);
        while self.mine().is_some_and(|(_, duty)| !duty.paused) && Instant::now() < until {
            self.rest((until - Instant::now()).min(SLEEP_MAX)).await;
        }
    }

    async fn rest(&mut self, long: Duration) {
        tokio::select! {
            () = sleep(long) => {}
            _ = self.stop.wait_for(|stop| *stop) => {}
        }
    }

    /// Records how far the sink is, once a second at most; a fault that is new at once.
    async fn record(&mut self, duty: &Duty, at: Option<Position>, fault: Option<&str>) {
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

    async fn record_now(&mut self, position: Position, fault: Option<&str>) {
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

    /// The node stops: whoever follows need not write again what is there.
    async fn leave(&mut self, at: Option<Position>) {
        let state = self.parts.consensus.state();
        let duty = state.duties.all.get(&self.key).filter(|duty| duty.fence == self.fence);
        let Some(at) = at.filter(|at| duty.is_some_and(|duty| duty.position < *at)) else { return };
        drop(state);
        self.record_now(at, None).await;
    }
}
