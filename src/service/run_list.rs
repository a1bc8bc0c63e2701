//! Lists of runs: open ones first, then closed ones, each newest first.

use super::{Caller, Error, Page, Paging, Service};
use crate::model::{NodeId, Run, RunStatus, Timestamp, Trigger};

/// Which runs are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Of this job.
    pub job: Option<String>,
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
}

impl Service {
    /// The runs that the caller may see. A page may be short when many runs were looked at.
    ///
    /// # Errors
    /// `Malformed`; `NotFound` for a job that is not there.
    pub async fn runs(&self, c: &Caller, f: RunFilter, p: Paging) -> Result<Page<Run>, Error> {
        let _ = (c, f, p);
        Err(Error::Internal(String::new()))
    }
}
