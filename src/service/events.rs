//! Events in log order, for those who follow the cluster.

use tokio::sync::watch;

use super::{Action, Caller, Service, Target, TooOld};
use crate::machine::State;
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
        let state = self.consensus().state();
        let mut events = self.consensus().events_since(index, sub)?;
        events.retain(|event| filter.takes(event) && may_see(c, &state, event));
        Ok(events)
    }

    /// Follows the place of the newest event.
    pub fn events_changed(&self) -> watch::Receiver<(u64, u32)> {
        self.consensus().events_changed()
    }
}

impl EventFilter {
    fn takes(&self, event: &Event) -> bool {
        let job = event.job.as_ref().map_or("", |name| name.as_str());
        let family = event.kind.split('.').next().unwrap_or_default();
        (self.jobs.is_empty() || self.jobs.iter().any(|name| name == job))
            && (self.types.is_empty()
                || self.types.iter().any(|kind| *kind == event.kind || kind == family))
    }
}

/// Events without a job are about the cluster, which every caller may see.
fn may_see(c: &Caller, state: &State, event: &Event) -> bool {
    let Some(name) = &event.job else {
        return c.permit(Action::ReadCluster, Target::Cluster).is_ok();
    };
    let job = state.job(name.as_str());
    let tags = job.map_or(&[][..], |job| &job.spec.tags);
    c.permit(Action::ReadJobs, Target::Job { name: name.as_str(), tags }).is_ok()
}
