//! Lists of runs: open ones first, then closed ones, each newest first.
//!
//! Open runs come from the state. Closed ones are walked backwards: those of one job by
//! their rows, those of all jobs by the feed of closed runs. A walk looks at a bounded
//! number of rows; where it stops, the cursor goes on.

use std::ops::Bound;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::feed::{Closed, Feed};
use super::lookup::may_run;
use super::paging::{Question, bound};
use super::{Action, Caller, Error, Page, Paging, Service, Target, Which};
use crate::machine::State;
use crate::machine::history::{runs_prefix, unpack};
use crate::machine::state::Job;
use crate::model::{JobNo, NodeId, Run, RunId, RunStatus, Span, Timestamp, Trigger};
use crate::storage::{Direction, Scan};

/// Which runs are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Of this job.
    pub job: Option<String>,
    /// Of the jobs that had that name, the one that was deleted last.
    pub deleted: bool,
    /// In one of these; empty: in any.
    pub status: Vec<RunStatus>,
    /// For this reason.
    pub trigger: Option<Trigger>,
    /// Last attempted on this node.
    pub node: Option<NodeId>,
    /// Fired at or after.
    pub after: Option<Timestamp>,
    /// Fired before.
    pub before: Option<Timestamp>,
    /// Of the tasks of this run of a workflow. Without it, a list of all jobs leaves tasks out.
    pub flow: Option<RunId>,
}

/// Runs looked at for one page.
const LOOKED_MAX: usize = bound(20_000, 5);
/// Rows of runs read at a time.
const ROWS: usize = bound(256, 3);

/// Where a page ended.
#[derive(Clone, Copy, Serialize, Deserialize)]
enum Place {
    /// At an open run.
    Open(RunId),
    /// After all open runs.
    OpenDone,
    /// At a closed run of the job.
    Row(RunId),
    /// At the n-th closed run of the cluster.
    Feed(u64),
    /// At a closed run of a task, of the job or the tasks of that number.
    Task(JobNo, RunId),
}

/// A page in the making.
struct Walk<'a> {
    caller: &'a Caller,
    filter: &'a RunFilter,
    state: Arc<State>,
    limit: usize,
    looked: usize,
    items: Vec<Run>,
    /// The last run looked at.
    place: Option<Place>,
}

impl Service {
    /// The runs that the caller may see. A page may be short when many runs were looked at.
    ///
    /// # Errors
    /// `Malformed`; `NotFound` for a job that is not there.
    pub async fn runs(&self, c: &Caller, f: RunFilter, p: Paging) -> Result<Page<Run>, Error> {
        c.permit(Action::ReadJobs, Target::Cluster)?;
        let state = self.consensus().state();
        let job = match &f.job {
            Some(name) => {
                let which = Which { name, deleted: f.deleted };
                Some(self.known_job(c, &state, which).await?)
            }
            None => None,
        };
        if let Some(flow) = f.flow {
            self.run_for(c, Action::ReadJobs, flow).await?;
        }
        let limit = p.limit()?;
        let question = Question::new(&("runs", &f, job.as_ref().map(|job| job.no)));
        let place = question.after::<Place>(&p)?;
        let items = Vec::new();
        let mut walk = Walk { caller: c, filter: &f, state, limit, looked: 0, items, place };
        let more = self.walk(&mut walk, job.as_deref()).await?;
        let place = walk.place.filter(|_| more);
        let next_cursor = place.and_then(|place| question.cursor(&place));
        Ok(Page { items: walk.items, next_cursor })
    }

    /// Fills the page; whether there may be more.
    async fn walk(&self, walk: &mut Walk<'_>, job: Option<&Job>) -> Result<bool, Error> {
        if matches!(walk.place, None | Some(Place::Open(_))) {
            if walk.open(job) {
                return Ok(true);
            }
            walk.place = Some(Place::OpenDone);
        }
        let closed = walk.filter.status.is_empty()
            || walk.filter.status.iter().any(|status| status.is_terminal());
        match job {
            _ if !closed => Ok(false),
            _ if walk.filter.flow.is_some() => self.walk_tasks(walk).await,
            Some(job) => self.walk_rows(walk, job).await,
            None => self.walk_feed(walk).await,
        }
    }

    /// Closed runs of a job, by their ids.
    async fn walk_rows(&self, walk: &mut Walk<'_>, job: &Job) -> Result<bool, Error> {
        let mut scan = Scan::prefix(&runs_prefix(job.no), Direction::Backward, ROWS);
        if let Some(before) = walk.filter.before {
            // A run is never fired before the time in its id.
            let above = RunId::floor(Timestamp::from_micros(before.micros() + 1_000));
            scan.to = row_key(job.no, above);
        }
        if let Some(Place::Row(last)) = walk.place {
            scan = scan.after(&row_key(job.no, last));
        }
        loop {
            let rows = self.consensus().history().scan(scan.clone()).await?;
            let (full, last) = (rows.len() == ROWS, rows.last().map(|(key, _)| key.clone()));
            for (_, value) in rows {
                if walk.is_full() {
                    return Ok(true);
                }
                let run: Run = unpack(&value)?;
                walk.take(Place::Row(run.id), run);
            }
            match last {
                Some(last) if full => scan = scan.after(&last),
                _ => return Ok(false),
            }
        }
    }

    /// Closed runs of all jobs, in the order of their ends.
    async fn walk_feed(&self, walk: &mut Walk<'_>) -> Result<bool, Error> {
        let below = match walk.place {
            Some(Place::Feed(n)) => n,
            _ => u64::MAX,
        };
        let (state, caller) = (Arc::clone(&walk.state), walk.caller);
        let mut feed = Feed::new(self, below, move |id| in_sight(caller, &state, id));
        while let Some(Closed { n, run }) = feed.next().await? {
            if walk.is_full() {
                return Ok(true);
            }
            let Some(run) = run else {
                walk.looked += 1;
                walk.place = Some(Place::Feed(n));
                continue;
            };
            let over = matches!((walk.filter.after, run.finished_at), (Some(a), Some(f)) if f < a);
            walk.take(Place::Feed(n), run);
            if over {
                return Ok(false);
            }
        }
        Ok(false)
    }
}

impl Service {
    /// Closed runs of the tasks of a workflow's run: under the number of the workflow's tasks, and
    /// under those of the jobs that its tasks are runs of.
    async fn walk_tasks(&self, walk: &mut Walk<'_>) -> Result<bool, Error> {
        let Some(flow) = walk.filter.flow else { return Ok(false) };
        let state = Arc::clone(&walk.state);
        let open = state.runs.get(&flow).map(|open| open.run.clone());
        let run = match open {
            Some(run) => run,
            None => self.closed_run(flow).await?.ok_or_else(|| Error::no_run(flow))?,
        };
        let mut numbers: std::collections::BTreeSet<JobNo> =
            state.task_numbers.of_job.get(&flow.job_no()).copied().into_iter().collect();
        let spec = match state.runs.get(&flow) {
            Some(open) => Some(open.spec.clone()),
            None => self.version_row(flow.job_no(), run.version).await?.map(|row| row.spec),
        };
        let jobs = spec.iter().flat_map(|spec| spec.tasks.iter().filter_map(|it| it.job.as_ref()));
        numbers.extend(jobs.filter_map(|name| state.names.get(name)));
        let row = self.flow_row(flow).await?;
        let told = row.iter().flat_map(|row| row.tasks.iter().filter_map(|task| task.state.run));
        numbers.extend(told.map(RunId::job_no));
        let from = RunId::floor(run.fired_at);
        let until = run.finished_at.map(|end| RunId::floor(end.plus(Span::from_secs(1))));
        let (first, after) = match walk.place {
            Some(Place::Task(no, last)) => (no, Some(last)),
            _ => (0, None),
        };
        for no in numbers.range(first..).copied() {
            let mut scan = Scan::prefix(&runs_prefix(no), Direction::Backward, ROWS);
            scan.from = row_key(no, from);
            if let Some(until) = until {
                scan.to = row_key(no, until);
            }
            if let Some(last) = after.filter(|_| no == first) {
                scan = scan.after(&row_key(no, last));
            }
            loop {
                let rows = self.consensus().history().scan(scan.clone()).await?;
                let (full, last) = (rows.len() == ROWS, rows.last().map(|(key, _)| key.clone()));
                for (_, value) in rows {
                    if walk.is_full() {
                        return Ok(true);
                    }
                    let run: Run = unpack(&value)?;
                    walk.take(Place::Task(no, run.id), run);
                }
                match last {
                    Some(last) if full => scan = scan.after(&last),
                    _ => break,
                }
            }
        }
        Ok(false)
    }
}

/// Whether the run is of a job, and the caller may see its runs, as far as the state tells.
fn in_sight(caller: &Caller, state: &State, id: RunId) -> bool {
    if state.task_numbers.jobs.contains_key(&id.job_no()) {
        return false;
    }
    match (state.jobs.get(&id.job_no()), state.graves.by_no.get(&id.job_no())) {
        (Some(job), _) => caller.sees(job.spec.name.as_str(), &job.spec.tags),
        (None, Some(grave)) => caller.sees(grave.name.as_str(), &grave.tags),
        (None, None) => true,
    }
}

/// Where the row of a run would stand among those of a job, whosever run it is.
fn row_key(no: JobNo, id: RunId) -> Vec<u8> {
    [&runs_prefix(no), id.0.as_bytes().as_slice()].concat()
}

impl Walk<'_> {
    fn is_full(&self) -> bool {
        self.items.len() >= self.limit || self.looked >= LOOKED_MAX
    }

    /// Open runs, newest first; whether the page is full and there may be more.
    fn open(&mut self, job: Option<&Job>) -> bool {
        if !self.filter.status.is_empty()
            && self.filter.status.iter().all(|status| status.is_terminal())
        {
            return false;
        }
        let below = match self.place {
            Some(Place::Open(id)) => Bound::Excluded(id),
            _ => Bound::Unbounded,
        };
        let state = Arc::clone(&self.state);
        let flow = self.filter.flow;
        let mut walk = |runs: &mut dyn Iterator<Item = &Run>| {
            for run in runs {
                if self.is_full() {
                    return true;
                }
                let counts = state.flows.get(&run.id).map(|flow| flow.counts());
                let shown = Run { tasks: counts.or(run.tasks), ..run.clone() };
                self.take(Place::Open(run.id), shown);
            }
            false
        };
        if let Some(flow) = flow {
            let open = state.flows.get(&flow).map(|flow| flow.open.clone()).unwrap_or_default();
            let runs = open.range((Bound::Unbounded, below)).rev();
            return walk(&mut runs.filter_map(|id| state.runs.get(id)).map(|open| &open.run));
        }
        match job {
            Some(job) => {
                // Few enough by their limit.
                let mut runs: Vec<&Run> = state.open_of(job.no).map(|open| &open.run).collect();
                runs.retain(|run| match below {
                    Bound::Excluded(id) => run.id < id,
                    _ => true,
                });
                walk(&mut runs.into_iter().rev())
            }
            None => {
                let range = state.runs.range((Bound::Unbounded, below)).rev();
                walk(&mut range.map(|(_, open)| &open.run))
            }
        }
    }

    /// Looks at a run, and keeps it if it is wanted.
    fn take(&mut self, place: Place, run: Run) {
        self.looked += 1;
        self.place = Some(place);
        let f = self.filter;
        // One that was closed since the state was read was shown as open.
        let twice = run.status.is_terminal() && self.state.runs.contains_key(&run.id);
        let wanted = !twice
            && (f.status.is_empty() || f.status.contains(&run.status))
            && f.trigger.is_none_or(|trigger| run.trigger == trigger)
            && f.node.is_none_or(|node| run.node == Some(node))
            && f.after.is_none_or(|after| run.fired_at >= after)
            && f.before.is_none_or(|before| run.fired_at < before)
            && match f.flow {
                Some(flow) => run.task.as_ref().is_some_and(|task| task.flow == flow),
                None => f.job.is_some() || run.task.is_none(),
            };
        if wanted && may_run(self.caller, Action::ReadJobs, &self.state, &run).is_ok() {
            self.items.push(run);
        }
    }
}
