//! Heartbeats of jobs: a run that succeeds puts one where it is sent from, in the same entry.
//!
//! A job has one at a time: what a monitor wants to know is when the job succeeded last. One that
//! can't be sent for long is given up, since it would tell of a success that is old.

use std::sync::Arc;

use crate::machine::command::Beaten;
use crate::machine::reply::{Answer, Rejection, Reply};
use crate::machine::state::{Beat, Duty, FORMAT_OF_BEATS};
use crate::model::{Delivery, DutyKey, Fence, JobNo, Position, Run, limits};

use super::Cx;
use super::alerts::short;
use super::outbox::retry_delay;

impl Cx<'_> {
    /// A job is there or says something else, or is gone.
    pub(super) fn beats_of(&mut self, no: JobNo) {
        if self.s.format() < FORMAT_OF_BEATS {
            return;
        }
        let has = self.job(no).is_some_and(|job| job.spec.heartbeat_url.is_some());
        if has && !self.s.beats.all.contains_key(&no) {
            self.s.beats.all.insert(no, Arc::default());
        } else if !has && let Some(gone) = self.s.beats.all.remove(&no) {
            self.s.beats.waiting.remove(&(gone.not_before, no));
        }
        let Some(key) = DutyKey::heartbeats() else { return };
        let there = self.s.duties.all.contains_key(&key);
        if self.s.beats.is_none() {
            self.end_duty(&key);
        } else if !there {
            self.begin_duty(&key, |cx| Duty::new(Position::default(), cx.at));
        }
    }

    fn edit_beat(&mut self, no: JobNo, edit: impl FnOnce(&mut Beat)) {
        let Some(beat) = self.s.beats.all.get_mut(&no) else { return };
        let beat = Arc::make_mut(beat);
        self.s.beats.waiting.remove(&(beat.not_before, no));
        edit(beat);
        if beat.run.is_some() {
            self.s.beats.waiting.insert((beat.not_before, no));
        }
    }

    /// A run has succeeded.
    pub(super) fn beat(&mut self, run: &Run) {
        let at = self.at;
        self.edit_beat(run.id.job_no(), |beat| {
            (beat.run, beat.at, beat.not_before, beat.tries) = (Some(run.id), at, at, 0);
        });
    }

    /// After a restore nobody knows what was sent, and it is old.
    pub(super) fn drop_beats(&mut self) {
        let all: Vec<JobNo> = self.s.beats.all.keys().copied().collect();
        for no in all {
            self.edit_beat(no, |beat| beat.run = None);
        }
    }

    /// Whoever sends them says what became of some.
    pub(super) fn beaten(&mut self, fence: Fence, beaten: &[Beaten]) -> Answer {
        let key = DutyKey::heartbeats().ok_or(Rejection::Fenced)?;
        let duty = self.s.duties.all.get(&key).ok_or(Rejection::Fenced)?;
        if duty.holder.is_none() || duty.fence != fence {
            return Err(Rejection::Fenced);
        }
        let (at, mut any) = (self.at, false);
        for Beaten { no, run, outcome } in beaten {
            // A newer one waits, or it was told twice.
            let waits = self.s.beats.all.get(no).is_some_and(|beat| beat.run == Some(*run));
            if !waits {
                continue;
            }
            any = true;
            self.edit_beat(*no, |beat| match outcome {
                Delivery::Sent => (beat.run, beat.sent_at, beat.fault) = (None, Some(at), None),
                Delivery::Dead { error } => (beat.run, beat.fault) = (None, Some(short(error))),
                Delivery::Retry { error, after } => {
                    beat.fault = Some(short(error));
                    beat.not_before = at.plus(retry_delay(beat.tries, *after));
                    beat.tries = beat.tries.saturating_add(1);
                    if beat.not_before > beat.at.plus(limits::HEARTBEAT_AGE_MAX) {
                        beat.run = None;
                    }
                }
            });
        }
        if any { Ok(Reply::Done) } else { Err(Rejection::Stale) }
    }
}
