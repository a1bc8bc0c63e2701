//! What became of a job's nominal times, as a backfill asks: put together from the state and from
//! rows of the history, by whoever reads them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{
    Backfilled, Became, JobNo, LedgerRow, Outcome, Run, RunId, RunStatus, Timestamp, Trigger,
};

use super::history::{backfilled_prefix, ledger_key, runs_prefix, unpack};
use super::state::{Job, OpenRun, State};

/// The open run that stands for a nominal time, if there is one.
pub fn run_at(state: &State, no: JobNo, at: Timestamp) -> Option<&Arc<OpenRun>> {
    let until = Timestamp::from_micros(at.micros().saturating_add(1_000));
    let mut near = state.runs.range(RunId::floor(at)..RunId::floor(until));
    near.find(|(id, open)| id.job_no() == no && open.run.nominal_time == Some(at))
        .map(|(_, open)| open)
}

/// Rows that are to be read: from one key on, before another.
pub type Ask = (Vec<u8>, Vec<u8>);

/// The past of a job from one instant to before another.
#[derive(Clone, Debug, Default)]
pub struct Past {
    became: BTreeMap<Timestamp, Became>,
    /// Times that backfills made runs for: the newest run of each.
    pub backfilled: BTreeMap<Timestamp, RunId>,
    /// Times from here on are still to be decided.
    undecided: Option<Timestamp>,
    /// Times of before it, and after the job was there, may have been forgotten.
    kept_from: Timestamp,
    created_at: Timestamp,
}

impl Past {
    /// What the state says, at `now`. The rows that [`Past::asks`] names come on top.
    pub fn of(state: &State, job: &Job, now: Timestamp) -> Past {
        let mut past = Past {
            undecided: job.live.next.map(|next| next.nominal),
            kept_from: now.minus(job.spec.retention().age),
            created_at: job.created_at,
            ..Past::default()
        };
        for open in state.open_of(job.no) {
            past.open(&open.run);
        }
        past
    }

    /// The rows that tell of the times from `from` to before `to`.
    pub fn asks(no: JobNo, from: Timestamp, to: Timestamp) -> [Ask; 3] {
        let at = |prefix: Vec<u8>, at: Timestamp| {
            [prefix.as_slice(), RunId::floor(at).0.as_bytes().as_slice()].concat()
        };
        let rows = |prefix: Vec<u8>| (at(prefix.clone(), from), at(prefix, to));
        [
            (ledger_key(no, from), ledger_key(no, to)),
            rows(runs_prefix(no)),
            rows(backfilled_prefix(no)),
        ]
    }

    /// Takes a row in.
    ///
    /// # Errors
    /// What can't be read.
    pub fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), rmp_serde::decode::Error> {
        match key.first() {
            Some(b'l') => self.ledger(&unpack(value)?),
            Some(b'r') => self.run(&unpack(value)?),
            Some(b'b') => self.backfill(&unpack(value)?),
            _ => {}
        }
        Ok(())
    }

    /// What became of a nominal time.
    pub fn became(&self, at: Timestamp) -> Became {
        match self.became.get(&at) {
            Some(became) => *became,
            None if self.is_undecided(at) => Became::Open,
            None if self.created_at <= at && at < self.kept_from => Became::Forgotten,
            None => Became::Nothing,
        }
    }

    /// Whether a nominal time is still to be decided.
    pub fn is_undecided(&self, at: Timestamp) -> bool {
        self.undecided.is_some_and(|next| at >= next)
    }

    fn open(&mut self, run: &Run) {
        if let Some(at) = run.nominal_time {
            self.note(at, Became::Open);
            if run.trigger == Trigger::Backfill {
                self.made(at, run.id);
            }
        }
    }

    fn run(&mut self, run: &Run) {
        let Some(at) = run.nominal_time.filter(|_| run.trigger == Trigger::Schedule) else {
            return;
        };
        self.note(at, became(run.status));
    }

    fn ledger(&mut self, row: &LedgerRow) {
        if row.until.is_none() {
            // Its run is kept no more: how it ended is not known.
            let fired = row.outcome == Outcome::Fired;
            self.note(row.nominal_time, if fired { Became::Succeeded } else { Became::Nothing });
        }
    }

    fn backfill(&mut self, row: &Backfilled) {
        self.made(row.nominal_time, row.run_id);
        if row.begun {
            self.note(row.nominal_time, became(row.status));
        }
    }

    fn made(&mut self, at: Timestamp, run: RunId) {
        let newest = self.backfilled.entry(at).or_insert(run);
        *newest = run.max(*newest);
    }

    /// What says more takes the place of what says less.
    fn note(&mut self, at: Timestamp, became: Became) {
        let rank = |became: Became| match became {
            Became::Forgotten => 0,
            Became::Nothing => 1,
            Became::Failed => 2,
            Became::Succeeded => 3,
            Became::Open => 4,
        };
        let known = self.became.entry(at).or_insert(became);
        if rank(became) > rank(*known) {
            *known = became;
        }
    }
}

fn became(status: RunStatus) -> Became {
    match status {
        RunStatus::Succeeded => Became::Succeeded,
        RunStatus::Skipped => Became::Nothing,
        status if status.is_terminal() => Became::Failed,
        _ => Became::Open,
    }
}
