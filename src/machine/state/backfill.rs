//! Backfills: how far each is, and the bounds that it keeps.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet, Vector};
use serde::{Deserialize, Serialize};

use crate::model::flow::StartRate;
use crate::model::{
    BackfillCounts, BackfillId, BackfillOrder, BackfillStatus, BackfillWhich, JobNo, JobSpec, Name,
    Parameters, Timestamp, limits,
};

/// All that are open, and the newest of those that ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Backfills {
    /// The number of the last one.
    pub last: BackfillId,
    /// By number.
    pub all: OrdMap<BackfillId, Arc<Backfill>>,
    /// Those that have not ended, by job.
    pub open: OrdSet<(JobNo, BackfillId)>,
}

/// Past times of a job that are run on purpose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Backfill {
    /// Its number.
    pub id: BackfillId,
    /// The job.
    pub no: JobNo,
    /// Its name.
    pub job: Name,
    /// The version that its runs have, whatever becomes of the job meanwhile.
    pub version: u64,
    /// That version's definition; none: it has ended.
    pub spec: Option<Arc<JobSpec>>,
    /// Nominal times from here on.
    pub from: Timestamp,
    /// Those before this instant.
    pub to: Timestamp,
    /// Which of them.
    pub which: BackfillWhich,
    /// In which order.
    pub order: BackfillOrder,
    /// Open runs at a time.
    pub max_concurrent: u32,
    /// Runs made in a time.
    pub rate: Option<StartRate>,
    /// What each run is given.
    pub parameters: Parameters,
    /// What it is for.
    pub reason: Option<String>,
    /// Nominal times of the range when it began.
    pub total: u64,
    /// Who began it.
    pub by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// How far it is.
    pub status: BackfillStatus,
    /// Why it is paused or was cancelled.
    pub why: Option<String>,
    /// Times before it are taken; with the newest first, times from it on.
    pub cursor: Timestamp,
    /// Its open runs.
    pub open: u32,
    /// What became of its times.
    pub counts: BackfillCounts,
    /// When its last runs were made, as many as its rate needs to know.
    #[serde(default, skip_serializing_if = "Vector::is_empty")]
    pub recent: Vector<Timestamp>,
}

impl Backfills {
    /// There never was one.
    pub fn is_none(&self) -> bool {
        self.last == 0
    }

    /// Those of a job that have not ended.
    pub fn open_of(&self, no: JobNo) -> impl Iterator<Item = &Arc<Backfill>> {
        let range = self.open.range((no, 0)..=(no, BackfillId::MAX));
        range.filter_map(|(_, id)| self.all.get(id))
    }

    /// Nominal times of all that have not ended.
    pub fn times(&self) -> u64 {
        let open = self.open.iter().filter_map(|(_, id)| self.all.get(id));
        open.map(|backfill| backfill.total).sum()
    }
}

impl Backfill {
    /// Whether all its times are taken.
    pub fn is_exhausted(&self) -> bool {
        match self.order {
            BackfillOrder::Oldest => self.cursor >= self.to,
            BackfillOrder::Newest => self.cursor <= self.from,
        }
    }

    /// Runs that it may make at `at`.
    pub fn room(&self, at: Timestamp) -> usize {
        if self.status != BackfillStatus::Running {
            return 0;
        }
        let places = self.max_concurrent.saturating_sub(self.open) as usize;
        let rate = self.rate.map_or(usize::MAX, |rate| {
            let within = self.recent.iter().rev().take_while(|made| made.plus(rate.per) > at);
            (rate.limit as usize).saturating_sub(within.count())
        });
        places.min(rate).min(limits::BACKFILL_STEP_MAX)
    }

    /// When its rate lets it make the next run, if that holds it back at `at`.
    pub fn rate_until(&self, at: Timestamp) -> Option<Timestamp> {
        let rate = self.rate?;
        let oldest = self.recent.len().checked_sub(rate.limit as usize)?;
        self.recent.get(oldest).map(|made| made.plus(rate.per)).filter(|until| *until > at)
    }
}
