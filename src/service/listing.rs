//! Finding jobs: one by name, or a list that is filtered, sorted and paged.

use super::views::JobView;
use super::{Caller, Error, Page, Paging, Service};

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
    /// The queue its runs wait in.
    pub queue: Option<String>,
    /// The order.
    pub sort: JobSort,
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
    pub async fn job(&self, c: &Caller, name: &str) -> Result<JobView, Error> {
        let _ = (c, name);
        Err(Error::Internal(String::new()))
    }

    /// The jobs that the caller may see.
    ///
    /// # Errors
    /// `Malformed`.
    pub async fn jobs(&self, c: &Caller, f: JobFilter, p: Paging) -> Result<Page<JobView>, Error> {
        let _ = (c, f, p);
        Err(Error::Internal(String::new()))
    }
}
