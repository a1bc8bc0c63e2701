//! The last outcomes of many jobs at once, and what is to come: a cell a nominal time.
//!
//! A cell is a row of the ledger with what its run tells of it, so that a page can draw the time
//! of a job without holes and without reading its runs one by one.

use std::collections::HashMap;

use serde::Serialize;

use super::lookup::job_for;
use super::statistics::{Figures, lateness_ms, took_ms};
use super::{Action, Caller, Error, Paging, Service, Target};
use crate::machine::State;
use crate::machine::history::{runs_prefix, unpack};
use crate::machine::state::Job;
use crate::model::limits::{CELLS_MAX, STRIPS_MAX};
use crate::model::{
    JobUid, LedgerRow, Name, Outcome, Run, RunId, RunStatus, SkipReason, Timestamp,
};
use crate::storage::{Direction, Scan};

/// One nominal time, or a range of them that were settled together.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Cell {
    /// The nominal time; of a range, the first.
    pub at: Timestamp,
    /// Of a range: the instant before which the last of it lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub until: Option<Timestamp>,
    /// Of a range: how many, when counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub count: Option<u32>,
    /// What became of it.
    pub outcome: Outcome,
    /// Why it was skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<SkipReason>,
    /// Its run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub run_id: Option<RunId>,
    /// Where the run is; none: retention took it, or there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub status: Option<RunStatus>,
    /// From the start of the first attempt to the end of the run, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub took_ms: Option<u64>,
    /// From the nominal time to the start of the first attempt, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub late_ms: Option<u64>,
}

/// The recent and the coming nominal times of a job.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Strip {
    /// The job.
    #[schema(value_type = Name)]
    pub job: Name,
    /// Its identity.
    pub uid: JobUid,
    /// Oldest first.
    pub cells: Vec<Cell>,
    /// The next nominal times, the nearest first. Of a paused job none.
    pub coming: Vec<Timestamp>,
    /// 95 of 100 of the successful runs shown took at most this, in milliseconds.
    #[schema(required)]
    pub p95_ms: Option<u64>,
    /// Of the runs shown that have ended, how many in 1,000 succeeded.
    #[schema(required)]
    pub succeeded_per_mille: Option<u32>,
}

impl Service {
    /// The strips of the named jobs that the caller may see, in the order asked for: the last
    /// `past` rows of the ledger and the next `coming` times.
    ///
    /// # Errors
    /// `Malformed` when too much is asked for.
    pub async fn strips(
        &self,
        c: &Caller,
        jobs: &[Name],
        past: usize,
        coming: usize,
    ) -> Result<Vec<Strip>, Error> {
        c.permit(Action::ReadJobs, Target::Cluster)?;
        if jobs.len() > STRIPS_MAX || past + coming > CELLS_MAX {
            return Err(Error::Malformed(format!(
                "at most {STRIPS_MAX} jobs and {CELLS_MAX} cells of each are given at a time"
            )));
        }
        let mut strips = Vec::with_capacity(jobs.len());
        for name in jobs {
            match self.strip(c, name.as_str(), past, coming).await {
                Ok(strip) => strips.push(strip),
                // Deleted since it was listed, or out of sight.
                Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(strips)
    }

    async fn strip(
        &self,
        c: &Caller,
        name: &str,
        past: usize,
        coming: usize,
    ) -> Result<Strip, Error> {
        let state = self.consensus().state();
        let job = job_for(c, Action::ReadJobs, &state, name)?;
        let mut cells = Vec::new();
        if past > 0 {
            let paging = Paging { limit: past, cursor: None };
            let rows = self.ledger(c, name, None, None, paging).await?.items;
            let runs = self.runs_of(&state, &job, &rows).await?;
            cells = rows.iter().rev().map(|row| cell(row, &runs)).collect();
        }
        let succeeded: Vec<&Cell> =
            cells.iter().filter(|cell| cell.status == Some(RunStatus::Succeeded)).collect();
        let ended = cells.iter().filter(|c| c.status.is_some_and(RunStatus::is_terminal)).count();
        let share = (succeeded.len() * 1_000).checked_div(ended);
        let p95_ms = Figures::of(succeeded.iter().filter_map(|cell| cell.took_ms)).map(|f| f.p95);
        let coming = match (job.live.next, coming) {
            (None, _) | (_, 0) => Vec::new(),
            _ => self.next(c, name, coming).await?.iter().map(|next| next.at).collect(),
        };
        Ok(Strip {
            job: job.spec.name.clone(),
            uid: job.uid,
            cells,
            coming,
            p95_ms,
            succeeded_per_mille: share.and_then(|share| u32::try_from(share).ok()),
        })
    }

    /// The runs that rows of a job's ledger name: the newest ones in one read, since a scheduled
    /// job has few others between them, and the rest one by one.
    async fn runs_of(
        &self,
        state: &State,
        job: &Job,
        rows: &[LedgerRow],
    ) -> Result<HashMap<RunId, Run>, Error> {
        let wanted: Vec<RunId> = rows.iter().filter_map(|row| row.run_id).collect();
        let mut runs: HashMap<RunId, Run> = HashMap::with_capacity(wanted.len());
        let scan = Scan::prefix(&runs_prefix(job.no), Direction::Backward, wanted.len());
        if !wanted.is_empty() {
            for (_, value) in self.consensus().history().scan(scan).await? {
                let run: Run = unpack(&value)?;
                runs.insert(run.id, run);
            }
        }
        for id in wanted {
            if runs.contains_key(&id) {
                continue;
            }
            let run = match state.runs.get(&id) {
                Some(open) => Some(open.run.clone()),
                None => self.closed_run(id).await?,
            };
            runs.extend(run.map(|run| (id, run)));
        }
        Ok(runs)
    }
}

fn cell(row: &LedgerRow, runs: &HashMap<RunId, Run>) -> Cell {
    let run = row.run_id.and_then(|id| runs.get(&id));
    Cell {
        at: row.nominal_time,
        until: row.until,
        count: row.count,
        outcome: row.outcome,
        reason: row.reason,
        run_id: row.run_id,
        status: run.map(|run| run.status),
        took_ms: run.and_then(took_ms),
        late_ms: run.and_then(lateness_ms),
    }
}
