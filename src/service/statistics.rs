//! How a job's runs have gone: how long they took, how late they began, how they ended.

use std::collections::BTreeMap;

use serde::Serialize;

use super::lookup::job_for;
use super::{Action, Caller, Error, Service};
use crate::machine::history::{runs_prefix, unpack};
use crate::model::limits::SAMPLES_MAX;
use crate::model::{Name, Run, RunStatus, Timestamp};
use crate::storage::{Direction, Scan};

/// Figures of a set of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Figures {
    /// Half of the values are at most this.
    pub p50: u64,
    /// 95 of 100 are at most this.
    pub p95: u64,
    /// The largest.
    pub max: u64,
}

impl Figures {
    /// Of the values; none when there are none. The n-th of 100 is the smallest value that at
    /// least n of 100 do not exceed (nearest rank).
    pub fn of(values: impl Iterator<Item = u64>) -> Option<Figures> {
        let mut values: Vec<u64> = values.collect();
        values.sort_unstable();
        let rank = |percent: usize| {
            let at = (values.len() * percent).div_ceil(100).max(1) - 1;
            values.get(at).copied()
        };
        Some(Figures { p50: rank(50)?, p95: rank(95)?, max: *values.last()? })
    }
}

/// How a job's newest runs have gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct JobStatistics {
    /// The job.
    #[schema(value_type = Name)]
    pub job: Name,
    /// Closed runs that were looked at, 500 at most, newest first.
    pub runs: u64,
    /// When the oldest of them was fired.
    #[schema(required)]
    pub since: Option<Timestamp>,
    /// How many ended how.
    pub by_status: BTreeMap<String, u64>,
    /// How many ended with which exit code.
    pub by_exit_code: BTreeMap<String, u64>,
    /// Milliseconds from the start of the first attempt to the end, of runs that succeeded.
    #[schema(required)]
    pub took_ms: Option<Figures>,
    /// Milliseconds from the nominal time to the start of the first attempt.
    #[schema(required)]
    pub late_ms: Option<Figures>,
}

impl Service {
    /// Figures of the job's newest closed runs.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn statistics(&self, c: &Caller, name: &str) -> Result<JobStatistics, Error> {
        let job = job_for(c, Action::ReadJobs, &self.consensus().state(), name)?;
        let scan = Scan::prefix(&runs_prefix(job.no), Direction::Backward, SAMPLES_MAX);
        let rows = self.consensus().history().scan(scan).await?;
        let runs: Vec<Run> =
            rows.iter().map(|(_, value)| unpack(value)).collect::<Result<_, _>>()?;
        let (mut by_status, mut by_exit_code) = (BTreeMap::new(), BTreeMap::new());
        for run in &runs {
            *by_status.entry(run.status.as_str().to_owned()).or_default() += 1;
            if let Some(code) = run.exit_code {
                *by_exit_code.entry(code.to_string()).or_default() += 1;
            }
        }
        let succeeded = runs.iter().filter(|run| run.status == RunStatus::Succeeded);
        Ok(JobStatistics {
            job: job.spec.name.clone(),
            runs: runs.len() as u64,
            since: runs.last().map(|run| run.fired_at),
            by_status,
            by_exit_code,
            took_ms: Figures::of(succeeded.filter_map(took_ms)),
            late_ms: Figures::of(runs.iter().filter_map(lateness_ms)),
        })
    }
}

/// Milliseconds from the start of the first attempt to the end of the run.
pub(super) fn took_ms(run: &Run) -> Option<u64> {
    let began = run.attempts.first().and_then(|attempt| attempt.started_at).or(run.started_at)?;
    Some(millis(began, run.finished_at?))
}

/// Milliseconds from the nominal time to the start of the first attempt.
pub(super) fn lateness_ms(run: &Run) -> Option<u64> {
    let began = run.attempts.first().and_then(|attempt| attempt.started_at).or(run.started_at)?;
    Some(millis(run.nominal_time.filter(|_| run.backfill.is_none())?, began))
}

/// Clocks of two nodes may differ: never less than none.
fn millis(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from((to.micros() - from.micros()) / 1_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::Figures;

    #[test]
    fn figures_are_values_that_were_there() {
        assert_eq!(Figures::of([].into_iter()), None);
        assert_eq!(Figures::of([7].into_iter()), Some(Figures { p50: 7, p95: 7, max: 7 }));
        let hundred = Figures::of((1..=100).rev());
        assert_eq!(hundred, Some(Figures { p50: 50, p95: 95, max: 100 }));
        let three = Figures::of([30, 10, 20].into_iter());
        assert_eq!(three, Some(Figures { p50: 20, p95: 30, max: 30 }));
    }
}
