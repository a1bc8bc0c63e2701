//! The ledger of a job: what became of each nominal time, newest first.
//!
//! A nominal time with a run is told by the run, open or closed; one without, or whose run
//! retention took, by a row of the ledger; a pause that is under way by what the job
//! remembers of it. The three are merged by nominal time, of which each has one at most.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::paging::{Question, bound};
use super::{Caller, Error, Page, Paging, Service, Which};
use crate::machine::State;
use crate::machine::history::{
    backfilled_prefix, ledger_key, ledger_of, ledger_prefix, run_key, runs_prefix, unpack,
};
use crate::machine::state::{Job, OpenRun};
use crate::model::{Backfilled, JobNo, LedgerRow, Outcome, Run, RunId, SkipReason, Timestamp};
use crate::storage::{Direction, Scan};

/// Rows of runs looked at for one page: runs by hand stand between the scheduled ones.
const LOOKED_MAX: usize = bound(20_000, 4);
/// Rows of runs read at a time.
const ROWS: usize = bound(256, 2);

/// Nominal times from `from` (inclusive) to `below` (exclusive).
#[derive(Clone, Copy)]
struct Window {
    from: Timestamp,
    below: Timestamp,
}

impl Service {
    /// The outcomes of the nominal times from `from` to `to` (both inclusive), newest
    /// first. A range that reaches into them belongs to them. A pause under way is a row of
    /// its own, until now.
    ///
    /// # Errors
    /// `NotFound`, `Malformed`.
    pub async fn ledger(
        &self,
        c: &Caller,
        which: impl Into<Which<'_>>,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        p: Paging,
    ) -> Result<Page<LedgerRow>, Error> {
        let state = self.consensus().state();
        let job = self.known_job(c, &state, which.into()).await?;
        let limit = p.limit()?;
        let question = Question::new(&("ledger", job.no, from, to));
        let below = match question.after::<i64>(&p)? {
            Some(micros) => Timestamp::from_micros(micros),
            None => to.map_or(Timestamp::MAX, |to| Timestamp::from_micros(to.micros() + 1)),
        };
        let window = Window { from: from.unwrap_or(Timestamp::ZERO), below };
        if window.below <= window.from {
            return Ok(Page { items: Vec::new(), next_cursor: None });
        }
        let mut rows = live_rows(&state, &job, window, self.now());
        let decided = window.decided_in(&job);
        let (runs, complete_from) = self.run_rows(job.no, decided, limit + 1).await?;
        rows.extend(runs);
        rows.extend(self.other_rows(job.no, decided, limit + 1).await?);
        rows.sort_by_key(|row| Reverse(row.nominal_time));
        // A run that was closed, or taken by retention, since the state was read is in two.
        // Only that is one row: two outcomes of a time would have to show.
        rows.dedup_by_key(|row| (row.nominal_time, row.outcome, row.run_id));
        if let Some(floor) = complete_from {
            // Below it runs may be missing yet: the next page begins there.
            rows.retain(|row| row.nominal_time >= floor);
            if rows.len() <= limit {
                let next_cursor = question.cursor(&floor.micros());
                self.tell_backfilled(&state, job.no, &mut rows).await?;
                return Ok(Page { items: rows, next_cursor });
            }
        }
        let mut page = question.page(rows, limit, |row| row.nominal_time.micros());
        self.tell_backfilled(&state, job.no, &mut page.items).await?;
        Ok(page)
    }

    /// Says in the rows which backfills made runs for their times.
    async fn tell_backfilled(
        &self,
        state: &State,
        no: JobNo,
        rows: &mut [LedgerRow],
    ) -> Result<(), Error> {
        let end = |row: &LedgerRow| {
            row.until.unwrap_or(Timestamp::from_micros(row.nominal_time.micros() + 1_000_000))
        };
        let bounds = rows.iter().map(|row| row.nominal_time).min();
        let Some((from, to)) = bounds.zip(rows.iter().map(end).max()) else { return Ok(()) };
        let made = self.backfilled_between(state, no, from, to).await?;
        for row in rows {
            let mut within = made.range(row.nominal_time..end(row));
            match row.until {
                None => row.backfilled_by = within.next().map(|(_, run)| *run),
                Some(_) => {
                    let count = u32::try_from(within.count()).unwrap_or(u32::MAX);
                    row.backfilled = Some(count).filter(|count| *count > 0);
                }
            }
        }
        Ok(())
    }

    /// The nominal times from `from` to before `to` that backfills made runs for, with the newest
    /// run of each.
    pub(super) async fn backfilled_between(
        &self,
        state: &State,
        no: JobNo,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<BTreeMap<Timestamp, RunId>, Error> {
        let mut made: BTreeMap<Timestamp, RunId> = BTreeMap::new();
        if state.backfills.is_none() {
            return Ok(made);
        }
        let key = |at: Timestamp| {
            [&backfilled_prefix(no), RunId::floor(at).0.as_bytes().as_slice()].concat()
        };
        let direction = Direction::Forward;
        let scan = Scan { from: key(from), to: key(to), direction, limit: LOOKED_MAX };
        for (_, value) in self.consensus().history().scan(scan).await? {
            let row: Backfilled = unpack(&value)?;
            made.insert(row.nominal_time, row.run_id);
        }
        for open in state.open_of(no).filter(|open| open.run.backfill.is_some()) {
            let within = open.run.nominal_time.filter(|at| from <= *at && *at < to);
            made.extend(within.map(|at| (at, open.run.id)));
        }
        Ok(made)
    }

    /// Rows that closed runs stand for, `most` at most. When the walk was cut: from where
    /// on they are complete.
    async fn run_rows(
        &self,
        no: JobNo,
        window: Window,
        most: usize,
    ) -> Result<(Vec<LedgerRow>, Option<Timestamp>), Error> {
        if window.below <= window.from {
            return Ok((Vec::new(), None));
        }
        let key = |at: Timestamp| {
            let id = if at == Timestamp::MAX { RunId(uuid::Uuid::max()) } else { RunId::floor(at) };
            [&runs_prefix(no), id.0.as_bytes().as_slice()].concat()
        };
        // Ids hold milliseconds: the last one is looked at whole.
        let to = key(Timestamp::from_micros(window.below.micros().saturating_add(999)));
        let direction = Direction::Backward;
        let mut scan = Scan { from: key(window.from), to, direction, limit: ROWS };
        let (mut rows, mut looked) = (Vec::new(), 0);
        loop {
            let page = self.consensus().history().scan(scan.clone()).await?;
            let full = page.len() == ROWS;
            looked += page.len();
            let mut last = None;
            for (_, value) in page {
                let run: Run = unpack(&value)?;
                last = Some(run.id);
                rows.extend(ledger_of(&run).filter(|row| window.holds(row.nominal_time)));
            }
            match last {
                Some(last) if full && rows.len() < most => {
                    if looked >= LOOKED_MAX {
                        let above = i64::try_from(last.millis()).unwrap_or(i64::MAX) + 1;
                        let floor = Timestamp::from_micros(above.saturating_mul(1_000));
                        return Ok((rows, Some(floor)));
                    }
                    scan = scan.after(&run_key(last));
                }
                _ => return Ok((rows, None)),
            }
        }
    }

    /// Rows of nominal times whose run is not kept, or that had none, `most` at most.
    async fn other_rows(
        &self,
        no: JobNo,
        window: Window,
        most: usize,
    ) -> Result<Vec<LedgerRow>, Error> {
        let direction = Direction::Backward;
        let mut scan = Scan::prefix(&ledger_prefix(no), direction, most);
        if window.below < Timestamp::MAX {
            // Keys hold seconds: the last one is looked at whole.
            scan.to = ledger_key(no, Timestamp::from_micros(window.below.micros() + 999_999));
        }
        let mut rows = Vec::new();
        for (_, value) in self.consensus().history().scan(scan).await? {
            let row: LedgerRow = unpack(&value)?;
            if row.nominal_time < window.from {
                // Ranges do not overlap: only the nearest can reach into the window.
                rows.extend(Some(row).filter(|row| row.until.is_some_and(|u| u > window.from)));
                break;
            }
            rows.extend(Some(row).filter(|row| row.nominal_time < window.below));
        }
        Ok(rows)
    }

    /// The row that decided `at`, if it has no run: a range counts for all of its times.
    pub(super) async fn row_over(
        &self,
        no: JobNo,
        at: Timestamp,
    ) -> Result<Option<LedgerRow>, Error> {
        let scan = Scan {
            from: ledger_prefix(no),
            to: [ledger_key(no, at), vec![0]].concat(),
            direction: Direction::Backward,
            limit: 1,
        };
        let Some((_, value)) = self.consensus().history().scan(scan).await?.pop() else {
            return Ok(None);
        };
        let row: LedgerRow = unpack(&value)?;
        let over = row.nominal_time == at || row.until.is_some_and(|until| at < until);
        Ok(Some(row).filter(|_| over))
    }
}

impl Window {
    /// Without what the job has yet to decide. The history is read after the state, and may know
    /// of later times already; the run of one of them, open by now, is in neither, and the
    /// page would show a hole that is none.
    fn decided_in(self, job: &Job) -> Self {
        let undecided = job.live.next.map(|next| next.nominal).or(job.live.paused_from);
        Self { below: undecided.map_or(self.below, |undecided| self.below.min(undecided)), ..self }
    }

    fn holds(self, at: Timestamp) -> bool {
        self.from <= at && at < self.below
    }
}

/// Open runs, and a pause under way.
fn live_rows(state: &State, job: &Job, window: Window, now: Timestamp) -> Vec<LedgerRow> {
    // What is planned is decided once log time has reached it: until then it may be undone.
    let decided = |open: &&Arc<OpenRun>| open.ahead.is_none_or(|a| a.start_at <= state.last_at);
    let open = state.open_of(job.no).filter(decided).filter_map(|open| ledger_of(&open.run));
    let mut rows: Vec<LedgerRow> = open.filter(|row| window.holds(row.nominal_time)).collect();
    rows.extend(pause_under_way(job, now).filter(|row| {
        row.nominal_time < window.below && row.until.is_some_and(|until| until > window.from)
    }));
    rows
}

/// What the pause of a job has skipped so far.
pub(super) fn pause_under_way(job: &Job, now: Timestamp) -> Option<LedgerRow> {
    let from = job.live.paused_from.filter(|from| *from <= now)?;
    Some(LedgerRow {
        nominal_time: from,
        until: Some(Timestamp::from_secs(now.secs() + 1)),
        count: None,
        outcome: Outcome::Skipped,
        reason: Some(SkipReason::Paused),
        run_id: None,
        decided_at: job.updated_at,
        version: job.version,
        backfilled_by: None,
        backfilled: None,
    })
}
