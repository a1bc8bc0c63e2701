//! Who writes a sink: a task for each duty that this node holds.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::line::Line;
use super::out::{self, Begun, Out};
use crate::adapters::hold::{Hold, RETRY, SLEEP_MAX, keep};
use crate::adapters::kept::{Kept, kept_after};
use crate::adapters::parts::DutyParts;
use crate::machine::State;
use crate::machine::state::Duty;
use crate::model::kind::sink::SinkWhat;
use crate::model::limits::{EVENTS_LACKED_MAX, SINK_BATCH_MAX};
use crate::model::{DutyKind, Position};

/// Where there is nothing to write, the other side is looked at so often.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// Runs until `stop` turns true. A batch under way is finished first.
pub async fn keep_sinks(parts: DutyParts, stop: watch::Receiver<bool>) {
    keep(parts, DutyKind::Sink, stop, |parts, hold| Writer { parts, hold }.run()).await;
}

/// One sink, while this node has its duty under one fence.
struct Writer {
    parts: DutyParts,
    hold: Hold,
}

/// What a look at the events came to.
enum Step {
    /// Something was written, and there is more.
    More,
    /// There is no more for now.
    Done,
}

impl Writer {
    async fn run(mut self) {
        let mut retry = RETRY[0];
        let (mut open, mut checked): (Option<(Out, Position)>, _) = (None, Instant::now());
        let mut newest = self.parts.consensus.events_changed();
        while let Some((state, duty)) = self.hold.mine() {
            newest.borrow_and_update();
            if !self.hold.may_act(&duty) {
                drop(state);
                // Whoever goes on later begins with what is there then.
                open = None;
                self.hold.rest(SLEEP_MAX).await;
                continue;
            }
            let (mut out, mut at) = match open.take() {
                Some(open) => open,
                None => match self.begin(state, &duty).await {
                    Ok(begun) => begun,
                    Err(fault) => {
                        self.hold.fail(&duty, &fault, &mut retry).await;
                        continue;
                    }
                },
            };
            match self.look(&mut out, &mut at).await {
                Ok(step) => {
                    retry = RETRY[0];
                    self.hold.record(&duty, Some(at), None).await;
                    if matches!(step, Step::Done) {
                        if checked.elapsed() >= CHECK_EVERY {
                            checked = Instant::now();
                            if let Err(fault) = out.check(at).await {
                                self.hold.fail(&duty, &fault, &mut retry).await;
                                continue;
                            }
                        }
                        let more = async {
                            if newest.changed().await.is_err() {
                                std::future::pending::<()>().await;
                            }
                        };
                        self.hold.rest_until(SLEEP_MAX, more).await;
                    }
                    open = Some((out, at));
                }
                Err(fault) => self.hold.fail(&duty, &fault, &mut retry).await,
            }
        }
        self.hold.leave(open.map(|(_, at)| at)).await;
    }

    async fn begin(&mut self, state: Arc<State>, duty: &Duty) -> Result<(Out, Position), String> {
        let name = self.hold.name().clone();
        let Some(spec) = state.sink(name.as_str()).cloned() else {
            return Err("the sink is gone".into());
        };
        let begun = out::open(&self.parts, state, &name, &spec, duty).await?;
        let Begun { out, at, lost } = begun;
        if let Some(lost) = &lost {
            tracing::warn!(sink = %name, "{lost}");
            self.hold.record_now(duty.position, Some(lost)).await;
        }
        Ok((out, at))
    }

    /// Writes the next events, and what jobs and runs are now.
    async fn look(&mut self, out: &mut Out, at: &mut Position) -> Result<Step, String> {
        let step = self.step(out, at).await?;
        #[cfg(feature = "redis")]
        {
            let entry = *self.parts.consensus.applied().borrow();
            let mine = self.hold.mine().filter(|(_, duty)| self.hold.may_act(duty));
            if let Some((state, duty)) = mine {
                out.mirror(state, duty.fence, entry).await?;
            }
        }
        Ok(step)
    }

    /// Writes the next events.
    async fn step(&mut self, out: &mut Out, at: &mut Position) -> Result<Step, String> {
        let Some((state, duty)) = self.hold.mine() else { return Ok(Step::Done) };
        let Some(spec) = state.sink(self.hold.name().as_str()).cloned() else {
            return Ok(Step::Done);
        };
        let events = state.events;
        drop(state);
        if let Some(rows) = out.fill().await? {
            self.parts.metrics.sends.sunk(self.hold.name().as_str(), rows);
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
        let state = self.hold.mine().filter(|(_, duty)| self.hold.may_act(duty));
        let Some((state, _)) = state else { return Ok(Step::Done) };
        if !state.events.has_all_after(*at) {
            return Ok(Step::More);
        }
        drop(state);
        let events = spec.tells(SinkWhat::Events);
        let wanted = found.into_iter().filter(|kept| events && spec.select.takes(&kept.event));
        let lines: Vec<Line> = wanted
            .map(|kept| {
                let position = kept.position();
                Line::of(kept.event, position, self.parts.same_pages.as_deref())
            })
            .collect();
        let written = out.add(*at, &lines, up_to).await?;
        self.parts.metrics.sends.sunk(self.hold.name().as_str(), written);
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
        tracing::warn!(sink = %self.hold.name(), "{reason}");
        *at = up_to;
        self.hold.record_now(up_to.max(duty.position), Some(&reason)).await;
        Ok(Step::More)
    }
}
