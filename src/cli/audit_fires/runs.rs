//! Runs: each fits its row, and its attempts come one after the other, none before its time.

use crate::model::limits::EARLY_HORIZON;
use crate::model::{Attempt, LedgerRow, Outcome, Run, RunStatus, Span, Timestamp, Trigger};

use super::answers::Job;
use super::gathered::Held;
use super::report::{Findings, rule};

/// A run that belongs to a row of the ledger.
pub(super) fn fits(job: &Job, row: &LedgerRow, run: &Run, found: &mut Findings) {
    let (id, at) = (run.id, row.nominal_time);
    let mut differs = |what: &str| {
        found.add(rule::RUN_OF_ROW, format!("run {id} of {at} {what}"));
    };
    if run.job_uid != job.uid {
        differs("is of another job");
    }
    if run.nominal_time != Some(at) {
        differs("has another nominal time");
    }
    if run.version != row.version {
        differs("has another version than its row");
    }
    if run.trigger != Trigger::Schedule {
        differs("was not triggered by the schedule");
    }
    // A run that was open when it was read may have been skipped when its row was.
    let settled = run.status.is_terminal();
    if settled && (row.outcome == Outcome::Fired) != run.skip.is_none() {
        differs("does not have the outcome that its row tells");
    }
}

/// What holds for every run.
pub(super) fn judge(run: &Run, skew: Span, found: &mut Findings) {
    found.runs += 1;
    found.attempts += run.attempts.len() as u64;
    let id = run.id;
    if let Some(at) = run.nominal_time
        && run.fired_at < at
    {
        let text = format!("run {id} was decided at {}, before its time {at}", run.fired_at);
        found.add(rule::NEVER_EARLY, text);
    }
    closed(run, found);
    let claimed = run.attempt as usize;
    let numbered = run.attempts.iter().zip(1..).all(|(attempt, n)| attempt.attempt == n);
    if claimed != run.attempts.len() || !numbered {
        let numbers: Vec<u32> = run.attempts.iter().map(|attempt| attempt.attempt).collect();
        let text = format!("run {id} claims {claimed} attempts and has {numbers:?}");
        found.add(rule::ATTEMPTS, text);
    }
    let mut before: Option<&Attempt> = None;
    for attempt in &run.attempts {
        let case = Case { run, attempt, skew };
        case.early(found);
        case.fence(before, found);
        if let Some(before) = before {
            case.apart(before, found);
        }
        before = Some(attempt);
    }
}

/// What is closed has an end, all of it; what is open has none.
fn closed(run: &Run, found: &mut Findings) {
    let (id, status) = (run.id, run.status.as_str());
    let mut wrong =
        |what: &str| found.add(rule::CLOSED, format!("run {id} is {status} and {what}"));
    let ended = |attempt: &Attempt| attempt.finished_at.is_some() && attempt.status.is_terminal();
    let last = run.attempts.last();
    if run.status.is_terminal() {
        if run.finished_at.is_none() {
            wrong("has no end");
        }
        if !run.attempts.iter().all(ended) {
            wrong("has an open attempt");
        }
        let agrees = last.is_none_or(|last| last.status == RunStatus::Succeeded);
        if run.status == RunStatus::Succeeded && !agrees {
            wrong("its last attempt did not succeed");
        }
    } else {
        let with_a_node = matches!(run.status, RunStatus::Assigned | RunStatus::Running);
        if run.finished_at.is_some() {
            wrong("has an end");
        }
        if last.is_some_and(|last| !ended(last)) != with_a_node {
            wrong(if with_a_node { "has no open attempt" } else { "has an open attempt" });
        }
    }
}

/// An attempt, and what it is held against.
struct Case<'a> {
    run: &'a Run,
    attempt: &'a Attempt,
    skew: Span,
}

impl Case<'_> {
    fn name(&self) -> String {
        format!("attempt {} of run {}", self.attempt.attempt, self.run.id)
    }

    /// Dates of the log are in order; a start is dated by its node.
    fn early(&self, found: &mut Findings) {
        let (name, assigned) = (self.name(), self.attempt.assigned_at);
        // A fire may be decided, and its attempt assigned, shortly before it is due.
        if assigned.plus(EARLY_HORIZON) < self.run.fired_at {
            let fired = self.run.fired_at;
            let text = format!("{name} was assigned at {assigned}, before its fire at {fired}");
            found.add(rule::NEVER_EARLY, text);
        }
        let Some(started) = self.attempt.started_at else { return };
        if started.plus(self.skew) < assigned {
            let text = format!("{name} started at {started}, before it was assigned at {assigned}");
            found.add(rule::NEVER_EARLY, text);
        }
        if let Some(at) = self.run.nominal_time
            && started.plus(self.skew) < at
        {
            let text = format!("{name} started at {started}, before its time {at}");
            found.add(rule::NEVER_EARLY, text);
        }
        if self.attempt.finished_at.is_some_and(|end| end.plus(self.skew) < started) {
            found.add(rule::APART, format!("{name} ended before it started"));
        }
    }

    fn fence(&self, before: Option<&Attempt>, found: &mut Findings) {
        let fence = self.attempt.fence;
        if before.is_some_and(|before| before.fence >= fence) {
            let text = format!("the fence of {} did not rise: {fence}", self.name());
            found.add(rule::FENCES, text);
        }
        let (run, attempt) = (self.run.id, self.attempt.attempt);
        found.fences.push(Held { fence, run, attempt });
    }

    fn apart(&self, before: &Attempt, found: &mut Findings) {
        let begins = |attempt: &Attempt| attempt.started_at.unwrap_or(attempt.assigned_at);
        let began = begins(self.attempt);
        let overlaps = match before.finished_at {
            None => true,
            Some(end) => began.plus(self.skew) < end,
        };
        if overlaps {
            let end = before.finished_at.map_or("not at all".to_owned(), |at| at.to_string());
            let text = format!("{} began at {began}, and the one before ended {end}", self.name());
            found.add(rule::APART, text);
        }
        if self.attempt.assigned_at < before.assigned_at {
            let text = format!("{} was assigned before the one before it", self.name());
            found.add(rule::APART, text);
        }
    }
}

/// A row whose run is gone, and whether retention can have taken it.
pub(super) struct Gone {
    /// The newest row without its run.
    first: Option<(Timestamp, Timestamp)>,
    told: bool,
    /// Closed runs that are kept and newer.
    newer: u64,
    least_kept: Option<u64>,
}

impl Gone {
    pub(super) fn new(least_kept: Option<u64>) -> Self {
        Gone { first: None, told: false, newer: 0, least_kept }
    }

    /// A row has no run any more. Retention takes the oldest, and only past its count.
    pub(super) fn row(&mut self, row: &LedgerRow, found: &mut Findings) {
        let at = row.nominal_time;
        self.first.get_or_insert((at, row.decided_at));
        if !self.told && self.least_kept.is_some_and(|least| self.newer < least) {
            self.told = true;
            let (newer, least) = (self.newer, self.least_kept.unwrap_or_default());
            let text = format!(
                "the run of {at} is gone, though only {newer} newer ones are kept and retention \
                 keeps {least}"
            );
            found.add(rule::RUN_KEPT, text);
        }
    }

    /// A closed run that is kept: older than the rows without a run that came before.
    pub(super) fn kept(&mut self, run: &Run, found: &mut Findings) {
        self.newer += 1;
        let Some((at, decided)) = self.first else { return };
        if !self.told && run.finished_at.is_some_and(|end| end < decided) {
            self.told = true;
            let id = run.id;
            let text = format!("the run of {at} is gone, though the older run {id} is kept");
            found.add(rule::RUN_KEPT, text);
        }
    }
}
