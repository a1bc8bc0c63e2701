//! Runs: start one, look at it, wait for it, stop it, repeat it.

use serde_json::{Map, Value};

use super::{Caller, Error, Service, WriteOptions, Written};
use crate::model::{Run, RunId, Span};

impl Service {
    /// Starts a run. `force` passes over dependencies and the overlap policy, and takes
    /// the role that manages jobs.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, `Invalid` (parameters), `Conflict` (`overlap`), `Limit`,
    /// `Precondition`, `KeyReused`, `Unavailable`.
    pub async fn trigger(
        &self,
        c: &Caller,
        name: &str,
        parameters: Map<String, Value>,
        force: bool,
        o: WriteOptions,
    ) -> Result<Written<Run>, Error> {
        let _ = (c, name, parameters, force, o);
        Err(Error::Internal(String::new()))
    }

    /// The run, once it is closed or `most` (an hour at most) has passed.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn wait_for(&self, c: &Caller, id: RunId, most: Span) -> Result<Run, Error> {
        let _ = (c, id, most);
        Err(Error::Internal(String::new()))
    }

    /// A run.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn run(&self, c: &Caller, id: RunId) -> Result<Run, Error> {
        let _ = (c, id);
        Err(Error::Internal(String::new()))
    }

    /// Stops a run: at once when no node has it, else by asking its node.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, `Conflict` (`run-ended`), `KeyReused`, `Unavailable`.
    pub async fn cancel(
        &self,
        c: &Caller,
        id: RunId,
        o: WriteOptions,
    ) -> Result<Written<Run>, Error> {
        let _ = (c, id, o);
        Err(Error::Internal(String::new()))
    }

    /// Runs a closed run's job again with the same parameters.
    ///
    /// # Errors
    /// As [`Service::trigger`]; `Conflict` (`run-open`) while it is open.
    pub async fn retry(
        &self,
        c: &Caller,
        id: RunId,
        o: WriteOptions,
    ) -> Result<Written<Run>, Error> {
        let _ = (c, id, o);
        Err(Error::Internal(String::new()))
    }
}
