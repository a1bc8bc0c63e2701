//! The runs of all jobs over time: as bars of a timeline, and counted by bucket.
//!
//! Closed runs stand in a feed in the order of their ends. The place of an instant in it is
//! found by halving, so that a range long ago costs no more than the last hour. An answer looks
//! at a bounded number of runs, the newest first, and says from where on it is complete.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::feed::{Closed, Feed};
use super::load::Buckets;
use super::lookup::may_run;
use super::paging::{Question, bound};
use super::{Action, Caller, Error, Paging, Service, Target};
use crate::machine::State;
use crate::machine::history::{feed_key, unpack};
use crate::model::limits::{BARS_MAX, LOAD_RANGE_MAX};
use crate::model::{Name, NodeId, Run, RunId, RunStatus, Span, Timestamp};
use crate::storage::{Direction, Scan};

/// Runs looked at for one answer.
const LOOKED_MAX: usize = bound(20_000, 5);
/// Runs beside the range looked at for one answer, as far apart as [`APART`] lets them be.
const BESIDE_MAX: usize = bound(80_000, 40);
/// A place in the feed is found to within so many runs: about a block.
const NEAR: u64 = bound(256, 2) as u64;
/// Ends are told by the clocks of nodes: runs next to each other in the feed may be apart by this.
const APART: Span = Span::from_secs(5);

/// A run as a bar.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Bar {
    /// The job.
    #[schema(value_type = Name)]
    pub job: Name,
    /// The run.
    pub run_id: RunId,
    /// Where it is.
    pub status: RunStatus,
    /// Since when there is the run.
    pub fired_at: Timestamp,
    /// The time that it stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub nominal_time: Option<Timestamp>,
    /// Start of its first attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub started_at: Option<Timestamp>,
    /// Its end; none: it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub finished_at: Option<Timestamp>,
    /// Where it was last attempted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub node: Option<NodeId>,
    /// Of a run that was tried again: its attempts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<BarPart>,
}

/// An attempt within a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct BarPart {
    /// Its start, or when it was given to a node.
    pub from: Timestamp,
    /// Its end; none: it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub until: Option<Timestamp>,
    /// How it went.
    pub status: RunStatus,
}

/// Bars of a range of time.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Timeline {
    /// Open runs first, then those that ended last.
    pub items: Vec<Bar>,
    /// For those that ended before; null: these are all.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// Runs that ended in one bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ActivityBucket {
    /// Where it begins.
    pub at: Timestamp,
    /// Runs that succeeded.
    pub succeeded: u64,
    /// Runs that failed, timed out or were lost.
    pub failed: u64,
    /// Runs that were cancelled, or skipped before they began.
    pub other: u64,
    /// Time that their attempts took in all, in milliseconds.
    pub busy_ms: u64,
}

/// What became of runs, by bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Activity {
    /// In order, without those that have none.
    pub buckets: Vec<ActivityBucket>,
    /// From here on all is counted. Later than `from`: ask for what is before with `until` set
    /// to this.
    pub complete_from: Timestamp,
}

/// A walk back through the feed.
struct Walk<'a> {
    caller: &'a Caller,
    state: Arc<State>,
    from: Timestamp,
    until: Timestamp,
    /// Runs looked at that ended in the range, and others.
    looked: usize,
    beside: usize,
    /// The place and the end of the last run looked at.
    place: Option<(u64, Timestamp)>,
}

/// Whether to go on.
#[derive(PartialEq, Eq)]
enum Go {
    On,
    Enough,
}

/// Where a page of bars ended.
#[derive(Serialize, Deserialize)]
struct Place(u64);

impl Service {
    /// The runs of the jobs that the caller may see that ended from `from` on and before `until`,
    /// the last first, and before them those that are open and were there before `until`.
    ///
    /// # Errors
    /// `Malformed`.
    pub async fn timeline(
        &self,
        c: &Caller,
        from: Timestamp,
        until: Timestamp,
        p: Paging,
    ) -> Result<Timeline, Error> {
        c.permit(Action::ReadJobs, Target::Cluster)?;
        Buckets { from, until, bucket: LOAD_RANGE_MAX }.checked()?;
        if !(1..=BARS_MAX).contains(&p.limit) {
            return Err(Error::Malformed(format!("limit must be from 1 to {BARS_MAX}")));
        }
        let question = Question::new(&("timeline", from, until));
        let after = question.after::<Place>(&p)?;
        let state = self.consensus().state();
        let mut items = Vec::new();
        if after.is_none() {
            let shown = |run: &Run| !is_part(&state, run);
            let open = state.runs.values().filter(|open| open.run.fired_at < until).rev();
            let open = open.filter(|open| shown(&open.run));
            let seen = open.filter(|open| may_run(c, Action::ReadJobs, &state, &open.run).is_ok());
            items.extend(seen.take(p.limit).map(|open| bar(&open.run)));
        }
        let mut walk = Walk::new(c, state, from, until);
        let below = match after {
            Some(Place(n)) => n,
            None => self.feed_place(until.plus(APART)).await?,
        };
        let cut = self
            .walk_back(&mut walk, below, |run| {
                items.push(bar(run));
                if items.len() < p.limit { Go::On } else { Go::Enough }
            })
            .await?;
        let place = walk.place.filter(|_| cut);
        let next_cursor = place.and_then(|(n, _)| question.cursor(&Place(n)));
        Ok(Timeline { items, next_cursor })
    }

    /// How the runs of the jobs that the caller may see ended, by the bucket of their end.
    ///
    /// # Errors
    /// `Malformed`.
    pub async fn activity(&self, c: &Caller, range: Buckets) -> Result<Activity, Error> {
        c.permit(Action::ReadJobs, Target::Cluster)?;
        let range = range.checked()?;
        let (from, until) = (range.from, range.until);
        let state = self.consensus().state();
        let mut walk = Walk::new(c, state, from, until);
        let below = self.feed_place(until.plus(APART)).await?;
        let mut ends: Vec<(Timestamp, RunStatus, u64)> = Vec::new();
        let cut = self
            .walk_back(&mut walk, below, |run| {
                ends.extend(run.finished_at.map(|end| (end, run.status, busy_ms(run))));
                Go::On
            })
            .await?;
        let complete_from = if cut { walk.complete_from() } else { from };
        let mut counted: BTreeMap<usize, ActivityBucket> = BTreeMap::new();
        for (end, status, busy_ms) in ends.into_iter().filter(|(end, ..)| *end >= complete_from) {
            let Some(n) = range.of(end) else { continue };
            let at = range.start(n);
            let bucket = counted.entry(n).or_insert(ActivityBucket { at, ..Default::default() });
            match status {
                RunStatus::Succeeded => bucket.succeeded += 1,
                RunStatus::Failed | RunStatus::TimedOut | RunStatus::Lost => bucket.failed += 1,
                _ => bucket.other += 1,
            }
            bucket.busy_ms = bucket.busy_ms.saturating_add(busy_ms);
        }
        Ok(Activity { buckets: counted.into_values().collect(), complete_from })
    }

    /// Gives the closed runs that are numbered below `below`, ended in the walk's range and are
    /// in sight, the last first; whether it was cut before the beginning of the range.
    async fn walk_back(
        &self,
        walk: &mut Walk<'_>,
        below: u64,
        mut give: impl FnMut(&Run) -> Go + Send,
    ) -> Result<bool, Error> {
        let mut feed = Feed::new(self, below, |_| true);
        while let Some(Closed { n, run }) = feed.next().await? {
            if walk.looked >= LOOKED_MAX || walk.beside >= BESIDE_MAX {
                return Ok(true);
            }
            // Retention takes a run before it takes its place in the feed.
            let Some(run) = run else {
                walk.beside += 1;
                continue;
            };
            let end = run.finished_at.unwrap_or(run.fired_at);
            walk.look(n, end);
            if end.plus(APART) < walk.from {
                return Ok(false);
            }
            if walk.wants(&run, end) && give(&run) == Go::Enough {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A number in the feed above all closed runs that ended before `at`, found by halving.
    async fn feed_place(&self, at: Timestamp) -> Result<u64, Error> {
        let end = self.consensus().state().counters.closed + 1;
        let (mut low, mut high) = (0, end);
        while high - low > NEAR {
            let middle = low + (high - low) / 2;
            match self.ended_near(middle).await? {
                Some(ended) if ended >= at => high = middle,
                _ => low = middle,
            }
        }
        // The block that holds the place is looked at whole.
        Ok((high + 2 * NEAR).min(end + 1))
    }

    /// When the run ended that has that number in the feed, or one before it; none: there is none.
    async fn ended_near(&self, n: u64) -> Result<Option<Timestamp>, Error> {
        let scan = Scan::prefix(b"f", Direction::Backward, 1).after(&feed_key(n + 1));
        let Some((_, value)) = self.consensus().history().scan(scan).await?.pop() else {
            return Ok(None);
        };
        let ids: Vec<RunId> = unpack(&value)?;
        let Some(id) = ids.first() else { return Ok(None) };
        // One that retention took ended after the time in its id, the nearest that is known.
        let known = self.closed_run(*id).await?.and_then(|run| run.finished_at);
        let fired = i64::try_from(id.millis()).unwrap_or(i64::MAX).saturating_mul(1_000);
        Ok(Some(known.unwrap_or(Timestamp::from_micros(fired))))
    }
}

impl<'a> Walk<'a> {
    fn new(caller: &'a Caller, state: Arc<State>, from: Timestamp, until: Timestamp) -> Self {
        Walk { caller, state, from, until, looked: 0, beside: 0, place: None }
    }

    fn look(&mut self, n: u64, end: Timestamp) {
        let within = self.from <= end && end < self.until;
        *(if within { &mut self.looked } else { &mut self.beside }) += 1;
        self.place = Some((n, end));
    }

    /// Of a walk that was cut: no run that ended from here on is missing. Ends that are near the
    /// last one may be, so these are left for the next walk, as long as there is one to go on to.
    fn complete_from(&self) -> Timestamp {
        let end = self.place.map_or(self.until, |(_, end)| end);
        let sure = end.plus(APART);
        let at = if sure < self.until { sure } else { end };
        at.max(self.from).min(self.until)
    }

    fn wants(&self, run: &Run, end: Timestamp) -> bool {
        self.from <= end
            && end < self.until
            && !is_part(&self.state, run)
            // One that was closed since the state was read was shown as open.
            && !self.state.runs.contains_key(&run.id)
            && may_run(self.caller, Action::ReadJobs, &self.state, run).is_ok()
    }
}

/// Whether a run is a part of a workflow's run, and no run of a job.
fn is_part(state: &State, run: &Run) -> bool {
    run.task.is_some() && state.task_numbers.jobs.contains_key(&run.id.job_no())
}

fn bar(run: &Run) -> Bar {
    let part = |attempt: &crate::model::Attempt| BarPart {
        from: attempt.started_at.unwrap_or(attempt.assigned_at),
        until: attempt.finished_at,
        status: attempt.status,
    };
    let tried_again = run.attempts.len() > 1;
    let first = run.attempts.first().and_then(|attempt| attempt.started_at);
    Bar {
        job: run.job.clone(),
        run_id: run.id,
        status: run.status,
        fired_at: run.fired_at,
        nominal_time: run.nominal_time,
        started_at: first.or(run.started_at),
        finished_at: run.finished_at,
        node: run.node,
        attempts: if tried_again { run.attempts.iter().map(part).collect() } else { Vec::new() },
    }
}

/// How long the attempts of a run took together.
fn busy_ms(run: &Run) -> u64 {
    let took = |attempt: &crate::model::Attempt| {
        let span = attempt.finished_at?.since(attempt.started_at?);
        Some(span.millis())
    };
    run.attempts.iter().filter_map(took).sum()
}
