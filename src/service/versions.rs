//! The versions that a definition went through.

use serde::Serialize;

use super::{Caller, Error, Page, Paging, Service};
use crate::model::{JobSpec, Timestamp};

/// A version of a definition.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct VersionView {
    /// From 1.
    pub version: u64,
    /// When it took effect.
    pub at: Timestamp,
    /// Who made it.
    pub by: String,
    /// `create`, `update`, `pause` or `resume`.
    pub verb: String,
    /// The definition, without the secrets that the caller may not see.
    pub definition: JobSpec,
}

impl Service {
    /// The versions of a job, newest first, as far as retention kept them.
    ///
    /// # Errors
    /// `NotFound`, `Malformed`.
    pub async fn versions(
        &self,
        c: &Caller,
        name: &str,
        p: Paging,
    ) -> Result<Page<VersionView>, Error> {
        let _ = (c, name, p);
        Err(Error::Internal(String::new()))
    }

    /// One version of a job.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn version(
        &self,
        c: &Caller,
        name: &str,
        version: u64,
    ) -> Result<VersionView, Error> {
        let _ = (c, name, version);
        Err(Error::Internal(String::new()))
    }
}
