//! Backfills: look at what a range has and lacks, run it, and follow, bound, pause or cancel what
//! was begun.
//!
//! Owns: what may be asked (`check.rs`), what is shown (`views.rs`), how a range is counted.
//! Does not own: which times a step takes (`machine/plan/backfill.rs`), what a step does
//! (`machine/apply/backfills.rs`).
//!
//! To add a field: `NewBackfill` and its check here, `StartBackfill` and the state in `machine`.

mod check;
mod views;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::SemaphorePermit;

use self::check::{check_bounds, check_reason, filled};
use self::views::view;
use super::jobs::unexpected;
use super::lookup::{job_for, permitted_job};
use super::paging::Question;
use super::secrets::may_pass;
use super::{
    Action, Caller, Error, Meta, Page, Paging, Permit, Service, Target, WriteOptions, Written,
};
use crate::consensus::beside;
use crate::machine::command::{BackfillEdit, StartBackfill};
use crate::machine::past::Past;
use crate::machine::prepare::Intent;
use crate::machine::prepare::timing::Timing;
use crate::machine::state::{Backfill, Job};
use crate::machine::{Op, Reply, State};
use crate::model::limits::BACKFILL_TIMES_MAX;
use crate::model::{
    BackfillId, BackfillStatus, Invalid, JobNo, JobSpec, Name, Parameters, Span, Timestamp,
};
use crate::storage::{Direction, Scan};

pub use self::views::{
    BackfillAlready, BackfillCell, BackfillPatch, BackfillPlan, BackfillView, NewBackfill,
};

/// Runs of a backfill that are open at a time, by default.
const DEFAULT_OPEN: u32 = 1;
/// Nominal times that are worked out, and whose past is read, at a time.
const TIMES: usize = 2_000;
/// How long one waits for its turn to count.
const PATIENCE: Duration = Duration::from_secs(10);
/// Rows read at a time.
const ROWS: usize = 256;

/// Which backfills are wanted.
#[derive(Clone, Debug, Default)]
pub struct BackfillFilter {
    /// Of this job.
    pub job: Option<Name>,
    /// That are so far.
    pub status: Option<BackfillStatus>,
}

/// What a backfill is made from, checked as far as the log is not needed.
struct Checked {
    no: JobNo,
    version: u64,
    spec: Arc<JobSpec>,
    timing: Timing,
    from: Timestamp,
    to: Timestamp,
    parameters: Parameters,
}

impl Service {
    /// What a backfill would do. Nothing is begun.
    ///
    /// # Errors
    /// As [`Service::start_backfill`].
    pub async fn plan_backfill(
        &self,
        c: &Caller,
        name: &str,
        new: &NewBackfill,
    ) -> Result<(BackfillPlan, Meta), Error> {
        let checked = self.checked_backfill(c, name, new).await?;
        let _turn = self.turn_to_count().await?;
        let meta = Meta { index: self.index(), replayed: false };
        let state = self.consensus().state();
        let job = state.jobs.get(&checked.no).cloned().ok_or_else(|| Error::no_job(name))?;
        let mut plan = BackfillPlan {
            count: 0,
            first: None,
            last: None,
            sample: Vec::new(),
            total: 0,
            already: BackfillAlready::default(),
            cells: Vec::new(),
            version: checked.version,
        };
        let mut at = checked.from;
        while let Some((times, next)) = next_times(&checked, at)? {
            let past = self.past_of(&state, &job, &times).await?;
            for time in times {
                plan.add(time, past.became(time), checked.timing.is_off(time), new.which);
            }
            if plan.total > BACKFILL_TIMES_MAX {
                return Err(too_many());
            }
            at = next;
        }
        Ok((plan, meta))
    }

    /// Begins a backfill.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, `Invalid`, `Conflict` (`no-schedule`, `backfill-open`,
    /// `upgrade-needed`), `Limit`, `KeyReused`, `Unavailable`.
    pub async fn start_backfill(
        &self,
        c: &Caller,
        name: &str,
        new: &NewBackfill,
        o: WriteOptions,
    ) -> Result<Written<BackfillView>, Error> {
        c.permit(Action::ManageJobs, Target::Cluster)?;
        if let Some(done) = self.replay(c, &self.consensus().state(), o.request)? {
            return self.written_backfill(&done.reply, done.meta);
        }
        let checked = self.checked_backfill(c, name, new).await?;
        let turn = self.turn_to_count().await?;
        let (mut total, mut at) = (0, checked.from);
        while let Some((times, next)) = next_times(&checked, at)? {
            total += times.len() as u64;
            if total > BACKFILL_TIMES_MAX {
                return Err(too_many());
            }
            at = next;
            tokio::task::yield_now().await;
        }
        drop(turn);
        let done = self
            .submit(c, o.request, |state| {
                let (job, permit) = permitted_job(c, Action::ManageJobs, state, name)?;
                if job.no != checked.no {
                    return Err(Error::no_job(name));
                }
                may_pass(state, &checked.spec, &checked.parameters)?;
                let start = StartBackfill {
                    no: job.no,
                    version: checked.version,
                    spec: (job.version != checked.version).then(|| checked.spec.clone()),
                    from: checked.from,
                    to: checked.to,
                    which: new.which,
                    order: new.order,
                    max_concurrent: new.max_concurrent.unwrap_or(DEFAULT_OPEN),
                    rate: new.rate,
                    parameters: checked.parameters.clone(),
                    total,
                    reason: new.reason.clone(),
                };
                Ok(permit.grants(Intent::Plain(Box::new(Op::StartBackfill(Box::new(start))))))
            })
            .await?;
        self.written_backfill(&done.reply, done.meta)
    }

    /// Pauses, resumes or cancels a backfill.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, `Conflict` (`backfill-ended`), `KeyReused`, `Unavailable`.
    pub async fn edit_backfill(
        &self,
        c: &Caller,
        id: BackfillId,
        edit: &BackfillEdit,
        o: WriteOptions,
    ) -> Result<Written<BackfillView>, Error> {
        if let BackfillEdit::Pause { reason } | BackfillEdit::Cancel { reason } = edit {
            check_reason(reason.as_deref(), &mut Vec::new())?;
        }
        c.permit(Action::ManageJobs, Target::Cluster)?;
        let intend = |state: &State| {
            let (_, permit) = backfill_for(c, Action::ManageJobs, state, id)?;
            let op = Op::EditBackfill { id, edit: edit.clone() };
            Ok(permit.grants(Intent::Plain(Box::new(op))))
        };
        if o.dry_run {
            let state = self.consensus().state();
            let judged = self.judge(c, &state, intend(&state)?)?;
            let value = judged.after.backfills.all.get(&id).ok_or_else(|| no_backfill(id))?;
            return Ok(answer(view(value, self.now()), judged.done.meta, false));
        }
        let done = self.submit(c, o.request, intend).await?;
        let mut written = self.written_backfill(&done.reply, done.meta)?;
        written.created = false;
        Ok(written)
    }

    /// Gives a backfill other bounds.
    ///
    /// # Errors
    /// As [`Service::edit_backfill`]; `Invalid`.
    pub async fn bound_backfill(
        &self,
        c: &Caller,
        id: BackfillId,
        patch: &BackfillPatch,
        o: WriteOptions,
    ) -> Result<Written<BackfillView>, Error> {
        let before = self.backfill(c, id).await?;
        let max_concurrent = match patch.max_concurrent {
            Some(asked) => asked.unwrap_or(DEFAULT_OPEN),
            None => before.max_concurrent,
        };
        let rate = patch.rate.unwrap_or(before.rate);
        let mut faults = Vec::new();
        check_bounds(Some(max_concurrent), rate, &mut faults);
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        self.edit_backfill(c, id, &BackfillEdit::Bounds { max_concurrent, rate }, o).await
    }

    /// A backfill.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn backfill(&self, c: &Caller, id: BackfillId) -> Result<BackfillView, Error> {
        let state = self.consensus().state();
        Ok(view(&backfill_for(c, Action::ReadJobs, &state, id)?.0, self.now()))
    }

    /// Backfills of the jobs that the caller may see, the newest first.
    ///
    /// # Errors
    /// `Malformed`.
    pub async fn backfills(
        &self,
        c: &Caller,
        f: &BackfillFilter,
        p: Paging,
    ) -> Result<Page<BackfillView>, Error> {
        c.permit(Action::ReadJobs, Target::Cluster)?;
        let limit = p.limit()?;
        let question = Question::new(&("backfills", f.job.as_ref(), f.status));
        let below = question.after::<BackfillId>(&p)?.unwrap_or(BackfillId::MAX);
        let (state, now) = (self.consensus().state(), self.now());
        let wanted = |it: &Backfill| {
            f.job.as_ref().is_none_or(|job| *job == it.job)
                && f.status.is_none_or(|status| status == it.status)
                && c.sees(it.job.as_str(), state.tags(it.no))
        };
        let items = state.backfills.all.range(..below).rev();
        let items = items.filter(|(_, it)| wanted(it)).take(limit + 1);
        let items = items.map(|(_, it)| view(it, now)).collect();
        Ok(question.page(items, limit, |it: &BackfillView| it.id))
    }

    fn written_backfill(&self, reply: &Reply, meta: Meta) -> Result<Written<BackfillView>, Error> {
        let Reply::Backfill { id } = reply else { return Err(unexpected(reply)) };
        let state = self.consensus().state();
        let value = state.backfills.all.get(id).ok_or_else(|| no_backfill(*id))?;
        Ok(answer(view(value, self.now()), meta, true))
    }

    /// Everything that can be told of a request before the log sees it.
    async fn checked_backfill(
        &self,
        c: &Caller,
        name: &str,
        new: &NewBackfill,
    ) -> Result<Checked, Error> {
        let state = self.consensus().state();
        let job = job_for(c, Action::ManageJobs, &state, name)?;
        let mut faults = Vec::new();
        let version = new.version.unwrap_or(job.version);
        let spec = match version == job.version {
            true => Some(job.spec.clone()),
            false => self.version_row(job.no, version).await?.map(|row| row.spec),
        };
        let (from, to) = (whole(new.from), whole(new.to));
        if new.from >= new.to {
            faults.push(Invalid::new("from", "must be before `to`"));
        }
        if new.to > self.now() {
            let detail = "is to come: a backfill runs times that have passed";
            faults.push(Invalid::new("to", detail));
        }
        check_bounds(new.max_concurrent, new.rate, &mut faults);
        let Some(spec) = spec else {
            let detail = format!("{name} has no version {version} that is kept");
            faults.push(Invalid::new("version", detail));
            return Err(Error::Invalid(faults));
        };
        check_reason(new.reason.as_deref(), &mut faults)?;
        let parameters = filled(&spec, &new.parameters, &mut faults);
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        may_pass(&state, &spec, &parameters)?;
        let Some(timing) = Timing::compile(&spec, job.created_at).map_err(Error::Invalid)? else {
            let detail = format!(
                "version {version} of {name} has no schedule, and so no times that could be run"
            );
            return Err(Error::Conflict { code: "no-schedule", detail });
        };
        let no = job.no;
        Ok(Checked { no, version, spec, timing, from, to, parameters })
    }

    /// A range has up to a million times: few are counted at once.
    async fn turn_to_count(&self) -> Result<SemaphorePermit<'_>, Error> {
        match tokio::time::timeout(PATIENCE, self.0.checks.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(Error::Throttled { retry_after: Span::from_secs(5) }),
        }
    }

    /// What became of these times, which are in order.
    async fn past_of(&self, state: &State, job: &Job, times: &[Timestamp]) -> Result<Past, Error> {
        let mut past = Past::of(state, job, self.now());
        let (Some(first), Some(last)) = (times.first(), times.last()) else { return Ok(past) };
        let to = Timestamp::from_micros(last.micros() + 1_000_000);
        for (from, to) in Past::asks(job.no, *first, to) {
            let mut scan = Scan { from, to, direction: Direction::Forward, limit: ROWS };
            loop {
                let rows = self.consensus().history().scan(scan.clone()).await?;
                for (key, value) in &rows {
                    past.take(key, value)?;
                }
                match rows.last() {
                    Some((last, _)) if rows.len() == ROWS => scan = scan.after(last),
                    _ => break,
                }
            }
        }
        Ok(past)
    }
}

/// The next times of the range from `at` on, and where to go on; none: there are no more.
fn next_times(
    checked: &Checked,
    at: Timestamp,
) -> Result<Option<(Vec<Timestamp>, Timestamp)>, Error> {
    let times: Vec<Timestamp> = beside(|| {
        let first = checked.timing.next_from(at);
        let next = |next: &crate::machine::command::Next| checked.timing.next_after(next.nominal);
        let times = std::iter::successors(first, next).map(|next| next.nominal);
        Ok::<_, Error>(times.take_while(|at| *at < checked.to).take(TIMES).collect())
    })?;
    let Some(last) = times.last() else { return Ok(None) };
    let next = Timestamp::from_micros(last.micros() + 1_000_000);
    Ok(Some((times, next)))
}

fn too_many() -> Error {
    let what = "nominal times of a range; begin it in parts";
    Error::Limit { what: what.into(), most: BACKFILL_TIMES_MAX }
}

fn no_backfill(id: BackfillId) -> Error {
    Error::NotFound { what: "backfill".into(), name: id.to_string() }
}

/// The first whole second at or after `t`: nominal times are whole seconds.
fn whole(t: Timestamp) -> Timestamp {
    Timestamp::from_secs((t.micros() + 999_999) / 1_000_000)
}

/// The backfill of that number, if `c` may do `action` to its job.
fn backfill_for(
    c: &Caller,
    action: Action,
    state: &State,
    id: BackfillId,
) -> Result<(Arc<Backfill>, Permit), Error> {
    c.permit(action, Target::Cluster)?;
    let found = state.backfills.all.get(&id).cloned().ok_or_else(|| no_backfill(id))?;
    match c.permit(action, Target::Job { name: found.job.as_str(), tags: state.tags(found.no) }) {
        Ok(permit) => Ok((found, permit)),
        Err(Error::NotFound { .. }) => Err(no_backfill(id)),
        Err(error) => Err(error),
    }
}

fn answer(value: BackfillView, meta: Meta, created: bool) -> Written<BackfillView> {
    Written { value, created, changed: true, warnings: Vec::new(), meta }
}
