//! Nominal times to come: of a job, and of a definition before it is saved.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use super::lookup::job_for;
use super::readonly::ReadOnly;
use super::{Action, Caller, Error, Service, Target};
use crate::consensus::beside;
use crate::machine::command::Next;
use crate::machine::prepare::timing::Timing;
use crate::model::limits::PAGE_MAX;
use crate::model::{JobSpec, Span, Timestamp};

/// How long a preview waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// A nominal time to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct NextFire {
    /// The instant.
    pub at: Timestamp,
    /// What clocks in the job's time zone will show, with the offset then in force.
    pub local: String,
    /// A calendar leaves its day out: it will be skipped.
    pub off: bool,
}

/// What a definition's schedule means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Preview {
    /// In a sentence; empty when there is no schedule.
    pub text: String,
    /// The first nominal times.
    pub next: Vec<NextFire>,
}

impl Service {
    /// The next nominal times of a job, 1,000 at most. Of a paused job, those it would have.
    ///
    /// # Errors
    /// `NotFound`, `Malformed`.
    pub async fn next(&self, c: &Caller, name: &str, count: usize) -> Result<Vec<NextFire>, Error> {
        let job = job_for(c, Action::ReadJobs, &self.consensus().state(), name)?;
        let count = checked(count)?;
        let Some(timing) = self.0.compiled.of(&job) else { return Ok(Vec::new()) };
        let left = job.spec.max_runs.map_or(u64::MAX, |most| most.saturating_sub(job.live.fired));
        let count = count.min(usize::try_from(left).unwrap_or(usize::MAX));
        let first = match job.live.next {
            Some(next) => timing.next_from(next.nominal),
            None => timing.next_after(self.now().max(job.live.decided)),
        };
        Ok(upcoming(&timing, first, count))
    }

    /// What the schedule of a definition means, before it is saved. Whatever else is given
    /// is judged as well; the name may be missing.
    ///
    /// # Errors
    /// `Invalid`, `Malformed`.
    pub async fn preview(
        &self,
        c: &Caller,
        mut map: Map<String, Value>,
        count: usize,
    ) -> Result<Preview, Error> {
        c.permit(Action::ReadJobs, Target::Cluster)?;
        let count = checked(count)?;
        // Nothing is written: what was read may be previewed whatever it holds.
        ReadOnly::take(&mut map);
        map.entry("name").or_insert_with(|| Value::String("unnamed".into()));
        let spec = JobSpec::from_map(map).map_err(Error::Invalid)?;
        let (state, now) = (self.consensus().state(), self.now());
        let turn = tokio::time::timeout(PATIENCE, self.0.checks.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(Error::Throttled { retry_after: Span::from_secs(5) });
        };
        // `@every` counts from the creation of the job, if there is one.
        let known = state.job(spec.name.as_str());
        let known = known.filter(|job| c.sees(job.spec.name.as_str(), &job.spec.tags));
        let created_at = known.map_or(now, |job| job.created_at);
        let check = || crate::machine::prepare::check(&spec, created_at, now);
        beside(check).map_err(Error::Invalid)?;
        let timing = Timing::compile(&spec, created_at).map_err(Error::Invalid)?;
        let Some(timing) = timing else {
            return Ok(Preview { text: String::new(), next: Vec::new() });
        };
        let count = count
            .min(spec.max_runs.map_or(count, |most| usize::try_from(most).unwrap_or(usize::MAX)));
        let next = upcoming(&timing, timing.next_after(now), count);
        Ok(Preview { text: timing.schedule().describe(), next })
    }
}

/// The schedule of a definition in a sentence.
pub(super) fn text_of(spec: &JobSpec, created_at: Timestamp) -> Option<String> {
    Timing::compile(spec, created_at).ok().flatten().map(|timing| timing.schedule().describe())
}

fn checked(count: usize) -> Result<usize, Error> {
    if (1..=PAGE_MAX).contains(&count) {
        return Ok(count);
    }
    Err(Error::Malformed(format!("count must be from 1 to {PAGE_MAX}")))
}

fn upcoming(timing: &Timing, first: Option<Next>, count: usize) -> Vec<NextFire> {
    std::iter::successors(first, |next| timing.next_after(next.nominal))
        .take(count)
        .map(|Next { nominal: at, .. }| {
            let (local, _) = timing.schedule().local(at.secs());
            NextFire { at, local, off: timing.is_off(at) }
        })
        .collect()
}
