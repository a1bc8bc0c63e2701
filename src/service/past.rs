//! Jobs that are there, and jobs that were: a deleted job's past stays readable until retention
//! takes it (contract 2.11). A name means the job that has it now; those that had it before are
//! asked for as deleted, or by their uid.

use std::ops::Deref;
use std::sync::Arc;

use super::paging::{Question, bound};
use super::views::JobView;
use super::{Action, Caller, Error, JobFilter, Page, Paging, Service, Target, listing};
use crate::machine::State;
use crate::machine::state::{Grave, Job};
use crate::model::{JobNo, JobSpec, JobUid, Name, Timestamp};

/// Deleted jobs looked at for one page.
const LOOKED_MAX: usize = bound(2_000, 4);

/// Which job is meant.
#[derive(Clone, Copy, Debug)]
pub struct Which<'a> {
    /// Its name, or its uid.
    pub name: &'a str,
    /// Of the jobs that had the name, the one that was deleted last.
    pub deleted: bool,
}

impl<'a> From<&'a str> for Which<'a> {
    fn from(name: &'a str) -> Self {
        Which { name, deleted: false }
    }
}

/// A job that is there, or was.
pub(super) struct Known {
    pub job: Arc<Job>,
    /// When it was deleted; none: it is there.
    pub deleted_at: Option<Timestamp>,
}

impl Deref for Known {
    type Target = Job;

    fn deref(&self) -> &Job {
        &self.job
    }
}

enum Place<'a> {
    Here(&'a Arc<Job>),
    Buried(&'a Arc<Grave>),
}

impl Service {
    /// The job that is meant, if `c` may read it.
    pub(super) async fn known_job(
        &self,
        c: &Caller,
        state: &State,
        which: Which<'_>,
    ) -> Result<Known, Error> {
        c.permit(Action::ReadJobs, Target::Cluster)?;
        match place(c, state, which).ok_or_else(|| Error::no_job(which.name))? {
            Place::Here(job) => Ok(Known { job: Arc::clone(job), deleted_at: None }),
            Place::Buried(grave) => {
                let deleted_at = Some(grave.deleted_at);
                Ok(Known { job: self.as_it_was(grave).await?, deleted_at })
            }
        }
    }

    /// A deleted job with its last definition.
    async fn as_it_was(&self, grave: &Grave) -> Result<Arc<Job>, Error> {
        let row = self.version_row(grave.no, grave.version).await?;
        let spec = row.map(|row| row.spec).unwrap_or_else(|| Arc::new(bare(grave)));
        Ok(Arc::new(Job {
            no: grave.no,
            uid: grave.uid,
            version: grave.version,
            spec,
            created_at: grave.created_at,
            updated_at: grave.deleted_at,
            live: grave.live.clone(),
        }))
    }

    /// The view of a job that is there, or was.
    pub(super) fn view_of_known(&self, c: &Caller, state: &State, known: &Known) -> JobView {
        let mut view = JobView::of(c, state, known, &self.0.compiled);
        view.live.deleted_at = known.deleted_at;
        view
    }

    /// Deleted jobs whose past can still be read, the one that was deleted last first.
    pub(super) async fn deleted_jobs(
        &self,
        c: &Caller,
        f: &JobFilter,
        p: &Paging,
    ) -> Result<Page<JobView>, Error> {
        let limit = p.limit()?;
        let question = Question::new(&("deleted jobs", f));
        let below = question.after::<(Timestamp, JobNo)>(p)?;
        let wanted = listing::Wanted::of(c, f);
        let state = self.consensus().state();
        let range = ..below.unwrap_or((Timestamp::MAX, JobNo::MAX));
        let (mut items, mut last) = (Vec::new(), None);
        for (looked, place) in state.graves.by_age.range(range).rev().enumerate() {
            if items.len() == limit || looked == LOOKED_MAX {
                let next_cursor = last.as_ref().and_then(|last| question.cursor(last));
                return Ok(Page { items, next_cursor });
            }
            last = Some(*place);
            let Some(grave) = state.graves.by_no.get(&place.1) else { continue };
            if !c.sees(grave.name.as_str(), &grave.tags) {
                continue;
            }
            let job = self.as_it_was(grave).await?;
            if wanted.takes(&job) {
                let known = Known { job, deleted_at: Some(grave.deleted_at) };
                items.push(self.view_of_known(c, &state, &known));
            }
        }
        Ok(Page { items, next_cursor: None })
    }
}

/// The job that is meant, among those that `c` sees.
fn place<'a>(c: &Caller, state: &'a State, which: Which<'_>) -> Option<Place<'a>> {
    let sees = |name: &Name, tags: &[String]| c.sees(name.as_str(), tags);
    let here = |job: &&Arc<Job>| sees(&job.spec.name, &job.spec.tags);
    let buried = |grave: &&Arc<Grave>| sees(&grave.name, &grave.tags);
    let named = match (which.deleted, Name::parse(which.name)) {
        (_, Err(_)) => None,
        (false, Ok(_)) => state.job(which.name).filter(here).map(Place::Here),
        (true, Ok(name)) => state.graves.named(&name).find(buried).map(Place::Buried),
    };
    named.or_else(|| {
        let uid = JobUid(which.name.parse().ok()?);
        let no = uid.job_no();
        let job = state.jobs.get(&no).filter(|job| job.uid == uid && !which.deleted);
        let grave = state.graves.by_no.get(&no).filter(|grave| grave.uid == uid);
        let job = job.filter(here).map(Place::Here);
        job.or_else(|| grave.filter(buried).map(Place::Buried))
    })
}

/// What is left of a definition whose last version is not kept.
fn bare(grave: &Grave) -> JobSpec {
    JobSpec { tags: grave.tags.clone(), ..JobSpec::new(grave.name.clone()) }
}
