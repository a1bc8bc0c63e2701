//! Writing definitions: put, patch, pause, resume, delete.

use serde_json::{Map, Value};

use super::views::JobView;
use super::{Caller, Error, Meta, PutMode, Service, WriteOptions, Written};

impl Service {
    /// Creates or replaces a definition. Faults are reported all at once; references to
    /// jobs that do not exist are warnings.
    ///
    /// # Errors
    /// `Invalid`, `Forbidden`, `Exists`, `NotFound` (update), `Precondition`, `KeyReused`,
    /// `Limit`, `Unavailable`.
    pub async fn put_job(
        &self,
        c: &Caller,
        map: Map<String, Value>,
        mode: PutMode,
        o: WriteOptions,
    ) -> Result<Written<JobView>, Error> {
        let _ = (c, map, mode, o);
        Err(Error::Internal(String::new()))
    }

    /// Changes the fields that `patch` (RFC 7396) names.
    ///
    /// # Errors
    /// As [`Service::put_job`].
    pub async fn patch_job(
        &self,
        c: &Caller,
        name: &str,
        patch: Value,
        o: WriteOptions,
    ) -> Result<Written<JobView>, Error> {
        let _ = (c, name, patch, o);
        Err(Error::Internal(String::new()))
    }

    /// Pauses or resumes a job.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, `Precondition`, `KeyReused`, `Unavailable`.
    pub async fn set_enabled(
        &self,
        c: &Caller,
        name: &str,
        enabled: bool,
        o: WriteOptions,
    ) -> Result<Written<JobView>, Error> {
        let _ = (c, name, enabled, o);
        Err(Error::Internal(String::new()))
    }

    /// Deletes a definition and cancels its open runs; its history stays until retention
    /// takes it.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, `Precondition`, `KeyReused`, `Unavailable`.
    pub async fn delete_job(&self, c: &Caller, name: &str, o: WriteOptions) -> Result<Meta, Error> {
        let _ = (c, name, o);
        Err(Error::Internal(String::new()))
    }
}
