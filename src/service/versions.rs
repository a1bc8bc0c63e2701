//! The versions that a definition went through.

use std::sync::Arc;

use serde::Serialize;

use super::paging::Question;
use super::views::{JobLive, JobView, shown, unresolved};
use super::{Caller, Error, Page, Paging, Service, Which};
use crate::machine::State;
use crate::machine::history::{VersionRow, unpack, version_key, versions_prefix};
use crate::model::{JobNo, JobSpec, JobUid, Timestamp};
use crate::storage::{Direction, Scan};

/// A version of a definition.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct VersionView {
    /// From 1.
    pub version: u64,
    /// When it took effect.
    pub at: Timestamp,
    /// The times of its schedule count from exactly `at` on. Of versions from before format 5
    /// it is not told, and they may count from up to two seconds before.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub exact: bool,
    /// Who made it.
    pub by: String,
    /// `create`, `update`, `pause` or `resume`.
    pub verb: String,
    /// The definition, without the secrets that the caller may not see.
    pub definition: Arc<JobSpec>,
}

impl VersionView {
    fn of(c: &Caller, row: VersionRow) -> Self {
        let definition = shown(c, &row.spec);
        let VersionRow { version, at, by, verb, exact, .. } = row;
        VersionView { version, at, exact, by, verb, definition }
    }
}

impl Service {
    /// The versions of a job, newest first, as far as retention kept them.
    ///
    /// # Errors
    /// `NotFound`, `Malformed`.
    pub async fn versions(
        &self,
        c: &Caller,
        which: impl Into<Which<'_>>,
        p: Paging,
    ) -> Result<Page<VersionView>, Error> {
        let job = self.known_job(c, &self.consensus().state(), which.into()).await?;
        let limit = p.limit()?;
        let question = Question::new(&("versions", job.no));
        let mut scan = Scan::prefix(&versions_prefix(job.no), Direction::Backward, limit + 1);
        if let Some(last) = question.after::<u64>(&p)? {
            scan = scan.after(&version_key(job.no, last));
        }
        let mut items = Vec::new();
        for (_, value) in self.consensus().history().scan(scan).await? {
            items.push(VersionView::of(c, unpack(&value)?));
        }
        Ok(question.page(items, limit, |version| version.version))
    }

    /// One version of a job.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn version(
        &self,
        c: &Caller,
        which: impl Into<Which<'_>>,
        version: u64,
    ) -> Result<VersionView, Error> {
        let which = which.into();
        let job = self.known_job(c, &self.consensus().state(), which).await?;
        let row = self.version_row(job.no, version).await?;
        let (what, name) = ("version".to_string(), format!("{version} of {}", which.name));
        row.map(|row| VersionView::of(c, row)).ok_or(Error::NotFound { what, name })
    }

    pub(super) async fn version_row(
        &self,
        no: JobNo,
        version: u64,
    ) -> Result<Option<VersionRow>, Error> {
        match self.consensus().history().get(&version_key(no, version)).await? {
            Some(value) => Ok(Some(unpack(&value)?)),
            None => Ok(None),
        }
    }

    /// A job as it was at a version that is not in force any more: the answer to a write
    /// that others have written over.
    pub(super) async fn view_of_version(
        &self,
        c: &Caller,
        state: &State,
        no: JobNo,
        version: u64,
    ) -> Result<JobView, Error> {
        let row = self.version_row(no, version).await?.ok_or_else(|| Error::no_job(no))?;
        let created_at = match state.jobs.get(&no) {
            Some(job) => job.created_at,
            None => self.version_row(no, 1).await?.map_or(row.at, |first| first.at),
        };
        let live = JobLive {
            uid: JobUid::new(created_at, no),
            version,
            created_at,
            updated_at: row.at,
            next_fire_at: None,
            last_run: state.jobs.get(&no).and_then(|job| job.live.last_run),
            open_runs: state.jobs.get(&no).map_or(0, |job| job.live.open),
            unresolved: unresolved(state, &row.spec),
            schedule_text: super::preview::text_of(&row.spec, created_at),
            heartbeat: None,
            deleted_at: state.graves.by_no.get(&no).map(|grave| grave.deleted_at),
        };
        Ok(JobView { spec: shown(c, &row.spec), live })
    }
}
