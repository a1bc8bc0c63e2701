//! What is to come, of all jobs together: their fires in order, and how many by bucket.
//!
//! Both look at each job once, and then at as many nominal times as the limits say. A job that
//! fires too often to count all of its times is counted on at the pace it had so far.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::paging::{Question, bound};
use super::{Action, Caller, Error, Page, Paging, Service, Target};
use crate::consensus::beside;
use crate::machine::State;
use crate::machine::command::Next;
use crate::machine::prepare::timing::Timing;
use crate::machine::state::Job;
use crate::model::limits::{BUCKETS_MAX, LOAD_RANGE_MAX};
use crate::model::{JobNo, JobUid, Name, Span, Timestamp};

/// Nominal times counted one by one for a load map.
const COUNTED_MAX: usize = bound(100_000, 40);
/// Schedules that are walked for a load map; jobs of further ones count with their next time alone.
const WALKED_MAX: usize = bound(20_000, 5);
/// Times round by which what is left of the count is shared out.
const ROUNDS_MAX: usize = 6;
/// How long it waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// A range of time cut in buckets of one length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buckets {
    /// The first instant.
    pub from: Timestamp,
    /// The instant after the last.
    pub until: Timestamp,
    /// Length of each.
    pub bucket: Span,
}

impl Buckets {
    /// # Errors
    /// `Malformed`: an empty range, one of over 366 days, or more than 1,500 buckets.
    pub fn checked(self) -> Result<Self, Error> {
        let refuse = |detail: String| Err(Error::Malformed(detail));
        if self.until <= self.from {
            return refuse("until must be later than from".to_owned());
        }
        let millis = (self.until.micros() - self.from.micros()) / 1_000;
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        if millis > LOAD_RANGE_MAX.millis() {
            return refuse(format!("from until may be {LOAD_RANGE_MAX} at most"));
        }
        if self.bucket.millis() < 1_000 {
            return refuse("bucket must be 1s at least".to_owned());
        }
        if millis.div_ceil(self.bucket.millis()) > BUCKETS_MAX as u64 {
            return refuse(format!(
                "the range has over {BUCKETS_MAX} buckets; ask for longer ones"
            ));
        }
        Ok(self)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        let micros = self.until.micros() - self.from.micros();
        let length = self.length();
        usize::try_from((micros + length - 1) / length).unwrap_or(0)
    }

    /// Which one an instant is in.
    pub(super) fn of(&self, at: Timestamp) -> Option<usize> {
        if at < self.from || at >= self.until {
            return None;
        }
        usize::try_from((at.micros() - self.from.micros()) / self.length()).ok()
    }

    /// Where the n-th begins.
    pub(super) fn start(&self, n: usize) -> Timestamp {
        let n = i64::try_from(n).unwrap_or(0);
        Timestamp::from_micros(self.from.micros() + n * self.length())
    }

    fn length(&self) -> i64 {
        i64::try_from(self.bucket.millis()).unwrap_or(1_000).max(1) * 1_000
    }
}

/// Fires to come in one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct LoadBucket {
    /// Where it begins.
    pub at: Timestamp,
    /// Starts that fall into it, jitter included.
    pub fires: u64,
}

/// How many fires are to come, by bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Load {
    /// In order, without those that have none.
    pub buckets: Vec<LoadBucket>,
    /// Jobs that fire in the range.
    pub jobs: u64,
    /// Those of them that fire too often to be counted one by one: counted on at the pace of
    /// their first times.
    pub estimated: u64,
    /// Attempts that the nodes can run at a time.
    pub slots: u64,
}

/// A fire to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ComingFire {
    /// The job.
    #[schema(value_type = Name)]
    pub job: Name,
    /// Its identity.
    pub uid: JobUid,
    /// The nominal time.
    pub nominal_time: Timestamp,
    /// When it is due: the nominal time and the job's share of its jitter.
    pub due_at: Timestamp,
}

/// The walk along the schedule of a job.
struct Pace {
    job: Arc<Job>,
    timing: Arc<Timing>,
    next: Option<Next>,
    first: Timestamp,
    /// Jobs with the same times.
    times: u64,
    walked: u64,
    fires: u64,
}

impl Service {
    /// How many fires of the jobs that the caller may see fall into each bucket. What is past
    /// has none.
    ///
    /// # Errors
    /// `Malformed`; `Throttled` when others wait already.
    pub async fn load(&self, c: &Caller, range: Buckets) -> Result<Load, Error> {
        c.permit(Action::ReadJobs, Target::Cluster)?;
        let range = range.checked()?;
        let turn = tokio::time::timeout(PATIENCE, self.0.checks.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(Error::Throttled { retry_after: Span::from_secs(5) });
        };
        let state = self.consensus().state();
        Ok(beside(|| self.counted_load(c, &state, range)))
    }

    fn counted_load(&self, c: &Caller, state: &State, range: Buckets) -> Load {
        let mut counts = vec![0_u64; range.count()];
        let (mut walks, mut estimated, mut fire) = (Vec::<Pace>::new(), 0, 0);
        let mut alike = HashMap::new();
        for job in firing(c, state, range.until) {
            let key = self.same_times(job);
            let known = key.as_ref().and_then(|key| alike.get(key)).copied();
            if let Some(pace) = known.and_then(|at: usize| walks.get_mut(at)) {
                pace.times += 1;
            } else if walks.len() < WALKED_MAX {
                let Some(pace) = self.pace(job, range.from) else { continue };
                if let Some(key) = key {
                    alike.insert(key, walks.len());
                }
                walks.push(pace);
            } else if let Some(n) = job.live.next.and_then(|next| range.of(next.due)) {
                (counts[n], fire, estimated) = (counts[n] + 1, fire + 1, estimated + 1);
            }
        }
        let mut left = COUNTED_MAX;
        let mut open: Vec<&mut Pace> = walks.iter_mut().collect();
        for _ in 0..ROUNDS_MAX {
            let share = left.checked_div(open.len()).unwrap_or(0);
            if share == 0 {
                break;
            }
            for pace in &mut open {
                left = left.saturating_sub(pace.walk(range, share, &mut counts));
            }
            open.retain(|pace| pace.next.is_some());
        }
        for pace in open {
            estimated += if pace.guess(range, &mut counts) { pace.times } else { 0 };
        }
        fire += walks.iter().filter(|pace| pace.fires > 0).map(|pace| pace.times).sum::<u64>();
        let buckets = counts.into_iter().enumerate().filter(|(_, fires)| *fires > 0);
        let buckets = buckets.map(|(n, fires)| LoadBucket { at: range.start(n), fires });
        let there = state.nodes.values().filter(|node| !node.lost);
        let slots = there.map(|node| u64::from(node.slots));
        Load { buckets: buckets.collect(), jobs: fire, estimated, slots: slots.sum() }
    }

    /// What jobs that have the same times have in common; none: the job may have times of its own.
    fn same_times(&self, job: &Job) -> Option<(Arc<str>, Option<Arc<str>>, String)> {
        let spec = &job.spec;
        let plain = spec.calendars.is_empty()
            && (spec.start_at, spec.end_at, spec.jitter, spec.max_runs) == (None, None, None, None)
            && (spec.dst_gap, spec.dst_fold) == (None, None);
        let expr = spec.expr.clone().filter(|expr| plain && !expr.starts_with("@every"))?;
        // The sentence has the values of `H`, which come from the name; not every job needs to be
        // compiled for it.
        let sentence = match expr.contains(['H', 'h']) {
            true => self.0.compiled.of(job)?.schedule().describe(),
            false => String::new(),
        };
        Some((expr, spec.timezone.clone(), sentence))
    }

    /// The walk of a job from its first time that is due at `from` or later.
    fn pace(&self, job: &Arc<Job>, from: Timestamp) -> Option<Pace> {
        let timing = self.0.compiled.of(job)?;
        let next = job.live.next?;
        // The first that is due at `from` or later.
        let first = from.minus(timing.share());
        let next = if first > next.nominal { timing.next_from(first)? } else { next };
        let (job, first) = (Arc::clone(job), next.nominal);
        Some(Pace { job, timing, next: Some(next), first, times: 1, walked: 0, fires: 0 })
    }

    /// The fires to come of all jobs that the caller may see, the nearest first.
    ///
    /// # Errors
    /// `Malformed`; `Throttled` when others wait already.
    pub async fn fires(
        &self,
        c: &Caller,
        from: Timestamp,
        until: Timestamp,
        p: Paging,
    ) -> Result<Page<ComingFire>, Error> {
        c.permit(Action::ReadJobs, Target::Cluster)?;
        Buckets { from, until, bucket: LOAD_RANGE_MAX }.checked()?;
        let limit = p.limit()?;
        let question = Question::new(&("fires", from, until));
        let after = question.after::<(Timestamp, JobNo)>(&p)?;
        let turn = tokio::time::timeout(PATIENCE, self.0.checks.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(Error::Throttled { retry_after: Span::from_secs(5) });
        };
        let state = self.consensus().state();
        let (items, last) = beside(|| self.in_order(c, &state, (from, until), after, limit));
        let next_cursor = last.and_then(|last| question.cursor(&last));
        Ok(Page { items, next_cursor })
    }

    /// The fires after `after`, `most` at most; and where it stopped, when there may be more.
    fn in_order(
        &self,
        c: &Caller,
        state: &State,
        (from, until): (Timestamp, Timestamp),
        after: Option<(Timestamp, JobNo)>,
        most: usize,
    ) -> (Vec<ComingFire>, Option<(Timestamp, JobNo)>) {
        let begin = after.map_or(from, |(at, _)| at);
        let wanted = |due: Timestamp, no: JobNo| after.is_none_or(|after| (due, no) > after);
        let mut heap = BinaryHeap::new();
        for job in firing(c, state, until) {
            let Some(mut pace) = self.pace(job, begin) else { continue };
            while pace.next.is_some_and(|next| !wanted(next.due, job.no)) {
                pace.step();
            }
            if let Some(next) = pace.next.filter(|next| next.due < until) {
                heap.push(Reverse((next.due, job.no, Ahead(pace))));
            }
        }
        let (mut items, mut last, mut looked) = (Vec::new(), None, 0);
        while let Some(Reverse((due_at, no, Ahead(mut pace)))) = heap.pop() {
            if items.len() == most || looked == COUNTED_MAX {
                return (items, last);
            }
            (last, looked) = (Some((due_at, no)), looked + 1);
            let Some(next) = pace.next else { continue };
            if !pace.timing.is_off(next.nominal) {
                let (job, uid) = (pace.job.spec.name.clone(), pace.job.uid);
                items.push(ComingFire { job, uid, nominal_time: next.nominal, due_at });
            }
            pace.step();
            if let Some(next) = pace.next.filter(|next| next.due < until) {
                heap.push(Reverse((next.due, no, Ahead(pace))));
            }
        }
        (items, None)
    }
}

/// In a heap, what a job's walk is ordered by stands before it.
struct Ahead(Pace);

impl PartialEq for Ahead {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl Eq for Ahead {}
impl PartialOrd for Ahead {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Ahead {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

impl Pace {
    fn step(&mut self) {
        self.walked += 1;
        let left = self.job.spec.max_runs.map(|most| most.saturating_sub(self.job.live.fired));
        let next = self.next.and_then(|next| self.timing.next_after(next.nominal));
        self.next = next.filter(|_| left.is_none_or(|left| self.walked < left));
    }

    /// Counts up to `most` times; how many it looked at.
    fn walk(&mut self, range: Buckets, most: usize, counts: &mut [u64]) -> usize {
        let mut looked = 0;
        while let Some(next) = self.next {
            if looked == most {
                break;
            }
            if next.nominal >= range.until {
                self.next = None;
                break;
            }
            looked += 1;
            if let Some(n) = range.of(next.due).filter(|_| !self.timing.is_off(next.nominal)) {
                counts[n] += self.times;
                self.fires += 1;
            }
            self.step();
        }
        looked
    }

    /// Counts the rest at the pace so far; false: there is no rest.
    fn guess(&self, range: Buckets, counts: &mut [u64]) -> bool {
        let Some(next) = self.next.filter(|next| next.nominal < range.until) else { return false };
        let walked = next.nominal.micros() - self.first.micros();
        let (walked, counted) = (i128::from(walked.max(1)), i128::from(self.fires));
        let mut told = 0_i128;
        for (n, count) in counts.iter_mut().enumerate() {
            let end = range.start(n + 1).min(range.until);
            if end <= next.nominal {
                continue;
            }
            // The sum up to here, so that what rounding leaves out is not lost.
            let sum = i128::from(end.micros() - next.nominal.micros()) * counted / walked;
            *count += u64::try_from(sum - told).unwrap_or(0) * self.times;
            told = sum;
        }
        true
    }
}

/// Jobs that the caller sees, and whose next time is before `until`.
fn firing<'a>(
    c: &'a Caller,
    state: &'a State,
    until: Timestamp,
) -> impl Iterator<Item = &'a Arc<Job>> {
    state.jobs.values().filter(move |job| {
        job.spec.enabled.0
            && job.live.next.is_some_and(|next| next.nominal < until)
            && c.sees(job.spec.name.as_str(), &job.spec.tags)
    })
}
