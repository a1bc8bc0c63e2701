//! What is asked of backfills, and what is shown of them.

use serde::{Deserialize, Deserializer, Serialize};

use crate::machine::state::Backfill;
use crate::model::flow::StartRate;
use crate::model::{
    BackfillCounts, BackfillId, BackfillOrder, BackfillStatus, BackfillWhich, Became, Name,
    Parameters, Timestamp,
};

/// Times that are told one by one before anything is begun.
const CELLS_MAX: usize = 200;
/// Times that would run and are told.
const SAMPLE_MAX: usize = 20;

/// What a backfill is begun with.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBackfill {
    /// Nominal times from here on.
    pub from: Timestamp,
    /// Nominal times before this instant, which is not to come.
    pub to: Timestamp,
    /// Which of them.
    #[serde(default)]
    #[schema(required = false)]
    pub which: BackfillWhich,
    /// In which order.
    #[serde(default)]
    #[schema(required = false)]
    pub order: BackfillOrder,
    /// Runs of it that are open at a time. `1` by default.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 100)]
    pub max_concurrent: Option<u32>,
    /// Runs that it makes in a time; none, or null: as many as are open at a time allow.
    #[serde(default)]
    pub rate: Option<StartRate>,
    /// The version of the job that is run; default: the present one. It stays that one.
    #[serde(default)]
    #[schema(minimum = 1)]
    pub version: Option<u64>,
    /// Laid over those of the job.
    #[serde(default)]
    #[schema(required = false)]
    pub parameters: Parameters,
    /// What it is for.
    #[serde(default)]
    #[schema(max_length = 4096)]
    pub reason: Option<String>,
}

/// Other bounds of a backfill.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackfillPatch {
    /// Runs of it that are open at a time; null: one.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 100)]
    pub max_concurrent: Option<Option<u32>>,
    /// Runs that it makes in a time; null: as many as are open at a time allow.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<StartRate>)]
    pub rate: Option<Option<StartRate>>,
}

/// A null that is given differs from nothing.
fn given<'de, D, T>(from: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(from).map(Some)
}

/// What a range has already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct BackfillAlready {
    /// Times of which a run succeeded, or whose run is not kept.
    pub fired: u64,
    /// Times that had runs, none of which succeeded.
    pub failed: u64,
    /// Times of which a run is open, or that are still to be decided.
    pub open: u64,
    /// Times that never had a run.
    pub missing: u64,
    /// Times that are older than what is kept of the job.
    pub forgotten: u64,
    /// Times that a calendar leaves out: they are never run.
    pub off: u64,
}

/// A nominal time of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct BackfillCell {
    /// The time.
    pub at: Timestamp,
    /// What became of it.
    pub became: Became,
    /// Whether it would be run.
    pub runs: bool,
}

/// What a backfill would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct BackfillPlan {
    /// Runs that it would make.
    pub count: u64,
    /// The first time that would be run, in the order of time.
    #[schema(required)]
    pub first: Option<Timestamp>,
    /// The last.
    #[schema(required)]
    pub last: Option<Timestamp>,
    /// The first of them, 20 at most.
    pub sample: Vec<Timestamp>,
    /// Nominal times of the range.
    pub total: u64,
    /// What became of them.
    pub already: BackfillAlready,
    /// The first times of the range one by one, 200 at most.
    pub cells: Vec<BackfillCell>,
    /// The version that would be run.
    pub version: u64,
}

/// A backfill.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct BackfillView {
    /// Its number.
    pub id: BackfillId,
    /// The job.
    pub job: Name,
    /// The version that its runs have.
    pub version: u64,
    /// Nominal times from here on.
    pub from: Timestamp,
    /// Those before this instant.
    pub to: Timestamp,
    /// Which of them.
    pub which: BackfillWhich,
    /// In which order.
    pub order: BackfillOrder,
    /// Runs of it that are open at a time.
    pub max_concurrent: u32,
    /// Runs that it makes in a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub rate: Option<StartRate>,
    /// What its runs are given; none once it has ended.
    #[serde(skip_serializing_if = "Parameters::is_empty")]
    pub parameters: Parameters,
    /// What it is for.
    #[schema(required)]
    pub reason: Option<String>,
    /// How far it is.
    pub status: BackfillStatus,
    /// What it waits for, why it is paused, or why it was cancelled.
    #[schema(required)]
    pub waits: Option<String>,
    /// Nominal times of the range when it began.
    pub total: u64,
    /// Its runs that have not ended.
    pub open: u32,
    /// What became of its times.
    pub counts: BackfillCounts,
    /// Times before it are taken; with the newest first, times from it on.
    pub cursor: Timestamp,
    /// Who began it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it ended.
    #[schema(required)]
    pub finished_at: Option<Timestamp>,
}

impl BackfillPlan {
    pub(super) fn add(&mut self, at: Timestamp, became: Became, off: bool, which: BackfillWhich) {
        let runs = !off && which.takes(became);
        self.total += 1;
        if self.cells.len() < CELLS_MAX {
            self.cells.push(BackfillCell { at, became, runs });
        }
        let already = &mut self.already;
        match became {
            _ if off => already.off += 1,
            Became::Nothing => already.missing += 1,
            Became::Open => already.open += 1,
            Became::Succeeded => already.fired += 1,
            Became::Failed => already.failed += 1,
            Became::Forgotten => already.forgotten += 1,
        }
        if runs {
            self.count += 1;
            self.first.get_or_insert(at);
            self.last = Some(at);
            if self.sample.len() < SAMPLE_MAX {
                self.sample.push(at);
            }
        }
    }
}

/// What is shown of a backfill at `now`.
pub(super) fn view(it: &Backfill, now: Timestamp) -> BackfillView {
    BackfillView {
        id: it.id,
        job: it.job.clone(),
        version: it.version,
        from: it.from,
        to: it.to,
        which: it.which,
        order: it.order,
        max_concurrent: it.max_concurrent,
        rate: it.rate,
        parameters: it.parameters.clone(),
        reason: it.reason.clone(),
        status: it.status,
        waits: waits(it, now),
        total: it.total,
        open: it.open,
        counts: it.counts,
        cursor: it.cursor,
        created_by: it.by.clone(),
        created_at: it.created_at,
        finished_at: it.finished_at,
    }
}

/// What a backfill waits for, in words.
fn waits(it: &Backfill, now: Timestamp) -> Option<String> {
    let open = it.open;
    match it.status {
        BackfillStatus::Done => None,
        BackfillStatus::Paused | BackfillStatus::Cancelled => it.why.clone(),
        BackfillStatus::Running if it.is_exhausted() => {
            Some(format!("for the last {open} of its runs to end"))
        }
        BackfillStatus::Running if open >= it.max_concurrent => {
            Some(format!("for one of its {open} open runs to end"))
        }
        BackfillStatus::Running => it.rate_until(now).map(|until| {
            let rate = it.rate.map_or_else(String::new, |r| format!("{} in {}", r.limit, r.per));
            format!("for its rate of {rate}: it goes on at {until}")
        }),
    }
}
