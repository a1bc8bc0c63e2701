//! Finding jobs: one by name, or a list that is filtered, sorted and paged.

use std::ops::Bound;
use std::sync::Arc;

use super::paging::{Question, bound};
use super::views::JobView;
use super::{Action, Caller, Error, Page, Paging, Service, Target, Which};
use crate::machine::State;
use crate::machine::state::Job;
use crate::model::{JobNo, Name, Timestamp};

/// Which jobs are wanted, in which order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// In the name or description, any case.
    pub q: Option<String>,
    /// All of these tags.
    pub tags: Vec<String>,
    /// Enabled or paused.
    pub enabled: Option<bool>,
    /// `python`, `shell`, `http` or `none`.
    pub runner: Option<String>,
    /// Workflows (true), or all others.
    pub workflow: Option<bool>,
    /// The queue its runs wait in.
    pub queue: Option<String>,
    /// The order.
    pub sort: JobSort,
    /// Those that were deleted, the last one first, in place of those that are there.
    pub deleted: bool,
}

/// An order of jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobSort {
    /// By what; the name decides between equals.
    pub key: JobSortKey,
    /// The last first.
    pub descending: bool,
}

/// What jobs can be sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JobSortKey {
    /// The name.
    #[default]
    Name,
    /// The next nominal time; jobs without one come last.
    NextFireAt,
    /// The creation.
    CreatedAt,
    /// The last change.
    UpdatedAt,
    /// The end of the last run; jobs without one come last.
    LastRunAt,
}

impl JobSort {
    /// Reads `name`, `-updated_at` and the like.
    ///
    /// # Errors
    /// `Malformed`, with the names there are.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (descending, name) = match text.strip_prefix('-') {
            Some(name) => (true, name),
            None => (false, text),
        };
        let key = match name {
            "name" => JobSortKey::Name,
            "next_fire_at" => JobSortKey::NextFireAt,
            "created_at" => JobSortKey::CreatedAt,
            "updated_at" => JobSortKey::UpdatedAt,
            "last_run_at" => JobSortKey::LastRunAt,
            _ => {
                return Err(Error::Malformed(format!(
                    "sort: {text:?} is none of name, next_fire_at, created_at, updated_at, \
                     last_run_at, each with an optional - before it"
                )));
            }
        };
        Ok(JobSort { key, descending })
    }
}

impl Service {
    /// A job.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn job(&self, c: &Caller, which: impl Into<Which<'_>>) -> Result<JobView, Error> {
        let state = self.consensus().state();
        let known = self.known_job(c, &state, which.into()).await?;
        Ok(self.view_of_known(c, &state, &known))
    }

    /// The jobs that the caller may see.
    ///
    /// # Errors
    /// `Malformed`.
    pub async fn jobs(&self, c: &Caller, f: JobFilter, p: Paging) -> Result<Page<JobView>, Error> {
        c.permit(Action::ReadJobs, Target::Cluster)?;
        if f.deleted {
            return self.deleted_jobs(c, &f, &p).await;
        }
        let limit = p.limit()?;
        let question = Question::new(&("jobs", &f));
        let wanted = Wanted::of(c, &f);
        let state = self.consensus().state();
        let (found, next_cursor) = if f.sort.key == JobSortKey::Name {
            let after = question.after::<String>(&p)?;
            let (found, last) = by_name(&state, &wanted, f.sort.descending, after, limit);
            (found, last.and_then(|last| question.cursor(&last)))
        } else {
            let after = question.after::<SortKey>(&p)?;
            let (found, last) = by_key(&state, &wanted, f.sort, after, limit);
            (found, last.and_then(|last| question.cursor(&last)))
        };
        let items = found.iter().map(|job| JobView::of(c, &state, job, &self.0.compiled)).collect();
        Ok(Page { items, next_cursor })
    }
}

/// Jobs looked at for one page in the order of names.
const LOOKED_MAX: usize = bound(50_000, 4);

/// A filter, ready to be held against many jobs.
pub(super) struct Wanted<'a> {
    caller: &'a Caller,
    filter: &'a JobFilter,
    q: Option<String>,
}

impl<'a> Wanted<'a> {
    pub(super) fn of(caller: &'a Caller, filter: &'a JobFilter) -> Self {
        let q = filter.q.as_deref().map(str::trim).filter(|q| !q.is_empty());
        Wanted { caller, filter, q: q.map(str::to_lowercase) }
    }

    pub(super) fn takes(&self, job: &Job) -> bool {
        let (spec, f) = (&job.spec, self.filter);
        self.caller.sees(spec.name.as_str(), &spec.tags)
            && f.enabled.is_none_or(|enabled| spec.enabled.0 == enabled)
            && f.tags.iter().all(|tag| spec.tags.contains(tag))
            && f.runner.as_deref().is_none_or(|runner| spec.runner_kind() == runner)
            && f.workflow.is_none_or(|workflow| spec.is_workflow() == workflow)
            && f.queue
                .as_deref()
                .is_none_or(|queue| spec.queue.as_ref().is_some_and(|name| name.as_str() == queue))
            && self.q.as_deref().is_none_or(|q| {
                spec.name.as_str().to_lowercase().contains(q)
                    || spec.description.as_deref().is_some_and(|d| d.to_lowercase().contains(q))
            })
    }
}

/// Jobs in the order of their names, and the last name looked at when there may be more.
fn by_name(
    state: &State,
    wanted: &Wanted<'_>,
    descending: bool,
    after: Option<String>,
    limit: usize,
) -> (Vec<Arc<Job>>, Option<String>) {
    let mut found = Vec::new();
    let mut walk = |names: &mut dyn Iterator<Item = (&Name, &JobNo)>| {
        for (looked, (name, no)) in names.enumerate() {
            if let Some(job) = state.jobs.get(no).filter(|job| wanted.takes(job)) {
                if found.len() == limit {
                    return found.last().map(|job: &Arc<Job>| job.spec.name.to_string());
                }
                found.push(job.clone());
            }
            if looked + 1 == LOOKED_MAX {
                return Some(name.to_string());
            }
        }
        None
    };
    let bound = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let last = if descending {
        walk(&mut state.names.range::<_, str>((Bound::Unbounded, bound)).rev())
    } else {
        walk(&mut state.names.range::<_, str>((bound, Bound::Unbounded)))
    };
    (found, last)
}

/// What other orders compare: jobs that have none last, the value, the name.
type SortKey = (bool, i64, String);

fn by_key(
    state: &State,
    wanted: &Wanted<'_>,
    sort: JobSort,
    after: Option<SortKey>,
    limit: usize,
) -> (Vec<Arc<Job>>, Option<SortKey>) {
    let mut all: Vec<(SortKey, &Arc<Job>)> = state
        .jobs
        .values()
        .filter(|job| wanted.takes(job))
        .map(|job| (sort_key(job, sort), job))
        .filter(|(key, _)| after.as_ref().is_none_or(|after| key > after))
        .collect();
    let more = all.len() > limit;
    if more {
        all.select_nth_unstable_by(limit, |(a, _), (b, _)| a.cmp(b));
        all.truncate(limit);
    }
    all.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    let last = all.last().filter(|_| more).map(|(key, _)| key.clone());
    (all.into_iter().map(|(_, job)| job.clone()).collect(), last)
}

fn sort_key(job: &Job, sort: JobSort) -> SortKey {
    let value = match sort.key {
        JobSortKey::Name => None,
        JobSortKey::NextFireAt => job.live.next.map(|next| next.nominal),
        JobSortKey::CreatedAt => Some(job.created_at),
        JobSortKey::UpdatedAt => Some(job.updated_at),
        JobSortKey::LastRunAt => job.live.last_run.map(|run| run.finished_at),
    };
    let micros = value.map_or(0, Timestamp::micros);
    (value.is_none(), if sort.descending { -micros } else { micros }, job.spec.name.to_string())
}
