//! Runs that have not begun, or not ended, by a time: looked at once it has come, and told as other
//! troubles are (`alerts.rs`).

use crate::machine::reply::{Answer, Rejection, Reply};
use crate::machine::state::{FORMAT_OF_ALERTS, OpenRun, WatchKey};
use crate::model::{RunId, RunStatus, Span, SpanOrAuto, Timestamp, Trouble, limits};

use super::Cx;
use super::alerts::Came;

impl Cx<'_> {
    /// A time has come by which something should have happened.
    pub(super) fn watch(&mut self, at: Timestamp, key: WatchKey) -> Answer {
        if at > self.at || !self.s.watch.contains(&(at, key)) {
            return Err(Rejection::Stale);
        }
        match key {
            WatchKey::Late(id) => self.look_if_begun(id),
            WatchKey::Long(id) => self.look_if_ended(id),
            WatchKey::Repeat(id) => self.remind(id),
            WatchKey::Monitor(no) => self.look_at_monitor(no),
        }
        Ok(Reply::Done)
    }

    /// A run whose nominal time is known is to begin by then.
    pub(super) fn watch_begin(&mut self, id: RunId) {
        let Some(open) = self.s.runs.get(&id) else { return };
        if open.spec.late_after == Some(SpanOrAuto::Auto) && open.run.backfill.is_none() {
            let next = self.job(id.job_no()).and_then(|job| job.live.next);
            let by = open.run.nominal_time.map(|at| auto_late(at, next.map(|next| next.nominal)));
            self.edit_run(id, |open| open.watched.begin_by = by);
        }
        let Some(open) = self.s.runs.get(&id) else { return };
        if let Some(late) = late_at(open).filter(|_| self.s.format() >= FORMAT_OF_ALERTS) {
            self.set_late(id, Some(late));
        }
    }

    fn set_late(&mut self, id: RunId, at: Option<Timestamp>) {
        let Some(open) = self.s.runs.get(&id) else { return };
        if let Some(before) = open.watched.late {
            self.s.watch.remove(&(before, WatchKey::Late(id)));
        }
        self.s.watch.extend(at.map(|at| (at, WatchKey::Late(id))));
        self.edit_run(id, |open| open.watched.late = at);
    }

    fn set_long(&mut self, id: RunId, at: Option<Timestamp>) {
        let Some(open) = self.s.runs.get(&id) else { return };
        if let Some(before) = open.watched.long {
            self.s.watch.remove(&(before, WatchKey::Long(id)));
        }
        self.s.watch.extend(at.map(|at| (at, WatchKey::Long(id))));
        self.edit_run(id, |open| {
            open.watched.long = at;
            open.watched.long_told |= at.is_none();
        });
    }

    /// An attempt has begun: the run is not late any more, and is to end in time.
    pub(super) fn watch_begun(&mut self, id: RunId, started_at: Timestamp) {
        let Some(open) = self.s.runs.get(&id).cloned() else { return };
        if open.watched.late.is_some() {
            self.set_late(id, None);
            if late_at(&open).is_some_and(|late| started_at > late) {
                self.tell_late(&open);
            }
        }
        let watched = self.s.format() >= FORMAT_OF_ALERTS && open.run.backfill.is_none();
        let long = match open.spec.long_after.filter(|_| watched) {
            Some(SpanOrAuto::Auto) => {
                self.job(id.job_no()).and_then(|job| job.live.took.long_after())
            }
            after => after.and_then(SpanOrAuto::span),
        };
        if let Some(long) = long.filter(|_| open.watched.long.is_none() && !open.watched.long_told)
        {
            self.set_long(id, Some(self.at.plus(long)));
        }
    }

    pub(super) fn look_if_begun(&mut self, id: RunId) {
        let Some(open) = self.s.runs.get(&id).cloned() else { return };
        if open.run.status == RunStatus::Assigned {
            // Its node has it, and says in a moment whether it began in time.
            return self.set_late(id, Some(self.at.plus(ASSIGNED_PATIENCE)));
        }
        self.set_late(id, None);
        self.tell_late(&open);
    }

    fn tell_late(&mut self, open: &OpenRun) {
        let run = Some((open.run.id, open.run.status));
        let detail = open.run.reason.as_deref();
        self.trouble(open.run.id.job_no(), &Came { what: Trouble::Late, run, detail, times: 1 });
    }

    pub(super) fn look_if_ended(&mut self, id: RunId) {
        self.set_long(id, None);
        let Some(open) = self.s.runs.get(&id).cloned() else { return };
        let what = Trouble::LongRunning;
        let run = Some((id, open.run.status));
        self.trouble(id.job_no(), &Came { what, run, detail: None, times: 1 });
    }

    /// A run that is closed is not looked at any more.
    pub(super) fn unwatch(&mut self, open: &OpenRun) {
        let id = open.run.id;
        if let Some(late) = open.watched.late {
            self.s.watch.remove(&(late, WatchKey::Late(id)));
        }
        if let Some(long) = open.watched.long {
            self.s.watch.remove(&(long, WatchKey::Long(id)));
        }
    }
}

/// How long the word of a node is waited for that has a run which may have begun.
const ASSIGNED_PATIENCE: Span = Span::from_secs(2);

/// When a run is late. One of a backfill makes up for a time that is long past.
fn late_at(open: &OpenRun) -> Option<Timestamp> {
    if open.run.backfill.is_some() {
        return None;
    }
    match open.spec.late_after? {
        SpanOrAuto::Span(span) => Some(open.run.nominal_time?.plus(span)),
        SpanOrAuto::Auto => open.watched.begin_by,
    }
}

/// A tenth of the time to the next nominal time, within bounds.
fn auto_late(at: Timestamp, next: Option<Timestamp>) -> Timestamp {
    let to_next = next.map_or(0, |next| next.micros_since(at) / 1_000);
    let tenth = Span::from_millis(to_next / 10);
    at.plus(tenth.clamp(limits::AUTO_MIN, limits::AUTO_LATE_MAX))
}
