//! Why a job did, or did not, run at an instant.
//!
//! ```text
//! a run or a ledger row tells of it ──────────────────────> what it says
//! else: no schedule, before creation, paused, to come, due ─> what the job says
//! else: the version in force then did not name it ─────────> not nominal
//! else: retention took it ─────────────────────────────────> forgotten
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::explain_text::{self as text, Case};
use super::ledger::pause_under_way;
use super::nearest::{last_before, names};
use super::{Caller, Error, Service, Which, waiting};
use crate::machine::State;
use crate::machine::history::{VersionRow, run_key, runs_prefix, unpack, versions_prefix};
use crate::machine::prepare::timing::Timing;
use crate::machine::state::Job;
use crate::model::{JobNo, LedgerRow, Name, Outcome, Run, RunId, SkipReason, Timestamp};
use crate::storage::{Direction, Scan};

/// The kind of an explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is a nominal time, and has a run.
    Fired,
    /// It is a nominal time that was decided not to run.
    Skipped,
    /// It was a nominal time; the schedule changed before it was decided.
    Superseded,
    /// The schedule names no such instant.
    NotNominal,
    /// The job did not exist yet.
    BeforeCreation,
    /// It is to come.
    Future,
    /// The schedule names it, but is over: `max_runs` is reached.
    Over,
    /// The job has no schedule.
    NoSchedule,
    /// The job is paused.
    Paused,
    /// It has come and is not decided yet.
    Undecided,
    /// It is past, and retention has taken its row.
    Forgotten,
    /// The job was deleted before it came.
    Deleted,
}

/// Why a job did, or did not, run at an instant.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Explanation {
    /// The job.
    #[schema(value_type = Name)]
    pub job: Name,
    /// The instant asked about, to the second.
    pub at: Timestamp,
    /// The kind of the answer.
    pub verdict: Verdict,
    /// The answer, for a person.
    pub summary: String,
    /// The ledger row, if there is one.
    #[schema(required)]
    pub row: Option<LedgerRow>,
    /// The run, if there is one.
    #[schema(required)]
    pub run: Option<Run>,
    /// The newest run that a backfill made for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub backfilled_by: Option<Run>,
    /// The nearest nominal time before, by the schedule now in force.
    #[schema(required)]
    pub previous: Option<Timestamp>,
    /// The nearest nominal time after, by the schedule now in force.
    #[schema(required)]
    pub next: Option<Timestamp>,
    /// What the answer rests on.
    pub facts: BTreeMap<String, Value>,
}

/// Runs looked at in the one second that is asked about.
const RUNS_MAX: usize = 2_000;
/// Versions looked at for the one in force at an instant.
const VERSIONS_MAX: usize = 1_000;

/// What is known of the instant.
struct Found {
    verdict: Verdict,
    case: Case,
    row: Option<LedgerRow>,
    run: Option<Run>,
}

impl Found {
    fn plain(verdict: Verdict, case: Case) -> Self {
        Found { verdict, case, row: None, run: None }
    }
}

impl Service {
    /// Explains what became, or will become, of `at`.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn explain(
        &self,
        c: &Caller,
        which: impl Into<Which<'_>>,
        at: Timestamp,
    ) -> Result<Explanation, Error> {
        let at = Timestamp::from_secs(at.secs());
        let state = self.consensus().state();
        let job = self.known_job(c, &state, which.into()).await?;
        let timing = self.0.compiled.of(&job);
        let found = match self.decided(&state, &job, at).await? {
            Some(found) => found,
            None if job.deleted_at.is_some_and(|deleted| deleted <= at) => {
                Found::plain(Verdict::Deleted, Case::Deleted)
            }
            None if job.deleted_at.is_some() && timing.is_some() && at >= job.created_at => {
                self.past(&job, at).await?
            }
            None => self.undecided(&job, timing.as_deref(), at).await?,
        };
        let schedule = timing.as_deref().map(Timing::schedule);
        let previous = schedule.and_then(|schedule| last_before(schedule, at));
        let next = timing.as_deref().and_then(|timing| timing.next_after(at));
        let next = next.filter(|next| job.deleted_at.is_none_or(|end| next.nominal < end));
        let (previous, next) = (
            previous.filter(|previous| *previous >= job.created_at),
            next.map(|next| next.nominal),
        );
        let mut summary = text::sentence(&job, at, &found.case, previous, next);
        let backfilled_by = self.backfilled_at(&state, job.no, at).await?;
        if let Some(run) = &backfilled_by {
            summary.push_str(&text::backfilled(run));
        }
        let Found { verdict, case, row, run } = found;
        let mut facts = self.facts(&job, timing, at);
        if let Some(pause) = self.pause_at(&job, &case, at).await? {
            summary.push_str(&text::paused_by(&pause));
            facts.insert("paused_by".into(), json!(pause.by));
            facts.insert("paused_at".into(), json!(pause.at));
        }
        facts.extend(job.deleted_at.map(|deleted| ("deleted_at".to_owned(), json!(deleted))));
        let job = job.spec.name.clone();
        Ok(Explanation {
            job,
            at,
            verdict,
            summary,
            row,
            run,
            backfilled_by,
            previous,
            next,
            facts,
        })
    }

    /// The pause that an instant fell into, if its version is kept.
    async fn pause_at(
        &self,
        job: &Job,
        case: &Case,
        at: Timestamp,
    ) -> Result<Option<VersionRow>, Error> {
        let paused =
            matches!(case, Case::Paused { .. } | Case::Skipped { reason: SkipReason::Paused, .. });
        if !paused {
            return Ok(None);
        }
        let prefix = versions_prefix(job.no);
        let scan = Scan::prefix(&prefix, Direction::Backward, VERSIONS_MAX);
        for (_, value) in self.consensus().history().scan(scan).await? {
            let row: VersionRow = unpack(&value)?;
            if row.at <= at && row.verb == "pause" {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    /// The newest run that a backfill made for `at`, if it is kept.
    async fn backfilled_at(
        &self,
        state: &State,
        no: JobNo,
        at: Timestamp,
    ) -> Result<Option<Run>, Error> {
        let to = Timestamp::from_micros(at.micros() + 1_000_000);
        let made = self.backfilled_between(state, no, at, to).await?;
        let Some(id) = made.get(&at) else { return Ok(None) };
        match state.runs.get(id) {
            Some(open) => Ok(Some(waiting::shown(state, open))),
            None => self.closed_run(*id).await,
        }
    }

    /// What the ledger says of `at`.
    async fn decided(
        &self,
        state: &State,
        job: &Job,
        at: Timestamp,
    ) -> Result<Option<Found>, Error> {
        let open = state
            .open_of(job.no)
            .find(|open| open.run.nominal_time == Some(at) && open.run.backfill.is_none());
        let run = match open {
            Some(open) => Some(waiting::shown(state, open)),
            None => self.closed_run_at(job.no, at).await?,
        };
        if let Some(run) = run {
            let row = crate::machine::history::ledger_of(&run);
            let (verdict, case) = match run.skip {
                Some(reason) => (Verdict::Skipped, Case::Skipped { reason, range: None }),
                None => (Verdict::Fired, Case::Fired(Box::new(run.clone()))),
            };
            return Ok(Some(Found { verdict, case, row, run: Some(run) }));
        }
        let Some(row) = self.row_over(job.no, at).await? else { return Ok(None) };
        if !self.named_by(job, row.version, at).await? {
            return Ok(None);
        }
        let range = row.until.map(|until| (row.nominal_time, until));
        let (verdict, case) = match (row.outcome, row.reason) {
            (Outcome::Superseded, _) => (Verdict::Superseded, Case::Superseded(row.decided_at)),
            (_, Some(reason)) => (Verdict::Skipped, Case::Skipped { reason, range }),
            (_, None) => (Verdict::Fired, Case::FiredOnce(row.decided_at)),
        };
        Ok(Some(Found { verdict, case, row: Some(row), run: None }))
    }

    /// What the job says of an instant that the ledger does not know.
    async fn undecided(
        &self,
        job: &Job,
        timing: Option<&Timing>,
        at: Timestamp,
    ) -> Result<Found, Error> {
        let now = self.now();
        let Some(timing) = timing else {
            return Ok(Found::plain(Verdict::NoSchedule, Case::NoSchedule));
        };
        if at < job.created_at {
            return Ok(Found::plain(Verdict::BeforeCreation, Case::BeforeCreation));
        }
        let Some(due) = timing.next_from(at).filter(|next| next.nominal == at) else {
            return Ok(Found::plain(Verdict::NotNominal, Case::NotNominal(None)));
        };
        if !job.spec.enabled.0 && job.live.paused_from.is_some_and(|from| from <= at) {
            let row = pause_under_way(job, now).filter(|_| at <= now);
            let case = Case::Paused { come: at <= now };
            return Ok(Found { row, ..Found::plain(Verdict::Paused, case) });
        }
        match job.live.next {
            Some(next) if at >= next.nominal && due.due > now => {
                let case = Case::Future { due: due.due, off: timing.is_off(at) };
                Ok(Found::plain(Verdict::Future, case))
            }
            Some(next) if at >= next.nominal => {
                let leader = self.consensus().leadership().borrow().leader.is_some();
                Ok(Found::plain(Verdict::Undecided, Case::Undecided { leader }))
            }
            None if at > job.live.decided => Ok(Found::plain(Verdict::Over, Case::Over)),
            _ => self.past(job, at).await,
        }
    }

    /// An instant of the past without a row: the schedule then in force did not name it,
    /// or retention took it.
    async fn past(&self, job: &Job, at: Timestamp) -> Result<Found, Error> {
        let prefix = versions_prefix(job.no);
        let scan = Scan::prefix(&prefix, Direction::Backward, VERSIONS_MAX);
        for (_, value) in self.consensus().history().scan(scan).await? {
            let row: VersionRow = unpack(&value)?;
            if row.at > at {
                continue;
            }
            let timing = Timing::compile(&row.spec, job.created_at).ok().flatten();
            if !names(timing.as_ref(), at) {
                let case = Case::NotNominal(Some(row.version));
                return Ok(Found::plain(Verdict::NotNominal, case));
            }
            break;
        }
        Ok(Found::plain(Verdict::Forgotten, Case::Forgotten))
    }

    /// Whether the schedule of that version names `at`. One that is not known any more is
    /// taken to.
    async fn named_by(&self, job: &Job, version: u64, at: Timestamp) -> Result<bool, Error> {
        if version == job.version {
            return Ok(self.0.compiled.of(job).is_none_or(|timing| names(Some(&timing), at)));
        }
        let Some(row) = self.version_row(job.no, version).await? else { return Ok(true) };
        let timing = Timing::compile(&row.spec, job.created_at).ok().flatten();
        Ok(names(timing.as_ref(), at))
    }

    async fn closed_run_at(&self, no: JobNo, at: Timestamp) -> Result<Option<Run>, Error> {
        let bound = |at| [&runs_prefix(no), RunId::floor(at).0.as_bytes().as_slice()].concat();
        let to = bound(Timestamp::from_micros(at.micros() + 1_000));
        let direction = Direction::Forward;
        let mut scan = Scan { from: bound(at), to, direction, limit: 16 };
        // Runs by hand may share the millisecond, seldom more than a few.
        for _ in 0..RUNS_MAX / 16 {
            let rows = self.consensus().history().scan(scan.clone()).await?;
            let full = rows.len() == 16;
            for (_, value) in rows {
                let run: Run = unpack(&value)?;
                if run.nominal_time == Some(at) && run.backfill.is_none() {
                    return Ok(Some(run));
                }
                scan = scan.after(&run_key(run.id));
            }
            if !full {
                break;
            }
        }
        Ok(None)
    }

    fn facts(
        &self,
        job: &Job,
        timing: Option<Arc<Timing>>,
        at: Timestamp,
    ) -> BTreeMap<String, Value> {
        let mut facts = BTreeMap::from([
            ("now".to_string(), json!(self.now())),
            ("version".to_string(), json!(job.version)),
            ("enabled".to_string(), json!(job.spec.enabled.0)),
            ("created_at".to_string(), json!(job.created_at)),
        ]);
        if let Some(timing) = timing {
            let (local, _) = timing.schedule().local(at.secs());
            facts.insert("local_time".into(), json!(local));
            facts.insert("expr".into(), json!(job.spec.expr));
            facts.insert("timezone".into(), json!(job.spec.timezone.as_deref().unwrap_or("UTC")));
            facts.insert("schedule_text".into(), json!(timing.schedule().describe()));
            facts.insert("next_fire_at".into(), json!(job.live.next.map(|next| next.nominal)));
        }
        facts
    }
}
