//! Events in log order, for those who follow the cluster.

use tokio::sync::watch;

use super::{Action, Caller, Error, Service, Target, TooOld};
use crate::adapters::kept_after;
use crate::machine::State;
use crate::model::Event;

/// Rows of events that are read at a time.
const ROWS_MAX: usize = 64;

/// The place of an event: the index of its entry, and its place in it.
pub type EventPlace = (u64, u32);

/// Events that follow a place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventBatch {
    /// Those that are wanted, oldest first.
    pub events: Vec<Event>,
    /// Everything up to here was looked at.
    pub up_to: EventPlace,
    /// There is more at once.
    pub more: bool,
}

/// Why events can't be read.
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    /// Some are gone.
    #[error(transparent)]
    TooOld(#[from] TooOld),
    /// The history can't be read.
    #[error(transparent)]
    Unreadable(#[from] Error),
}

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

    /// The events after a place, from memory or, where they are kept, from the history: also those
    /// from before this node was started, and those that this node got with a checkpoint.
    ///
    /// # Errors
    /// Some are gone: read everything anew, then follow from now on.
    pub async fn events_after(
        &self,
        c: &Caller,
        after: EventPlace,
        filter: &EventFilter,
    ) -> Result<EventBatch, EventsError> {
        let floor = match self.events_since(c, after.0, after.1, filter) {
            Ok(events) => {
                let up_to = events.last().map_or(after, |event| (event.index, event.sub));
                return Ok(EventBatch { events, up_to, more: false });
            }
            Err(floor) => floor,
        };
        // Looked at after the floor: what is below it is in the history by now.
        let state = self.consensus().state();
        if !state.events.covers(after) {
            return Err(floor.into());
        }
        let (mut events, more) = self.kept_after(after).await?;
        // What was removed meanwhile may be missing.
        if !self.consensus().state().events.covers(after) {
            return Err(floor.into());
        }
        let last = events.last().map_or(after, |event| (event.index, event.sub));
        let up_to = if more { last } else { last.max((floor.index, floor.sub)) };
        events.retain(|event| filter.takes(event) && may_see(c, &state, event));
        Ok(EventBatch { events, up_to, more: true })
    }

    /// Some events of the history after a place, and whether there are more.
    async fn kept_after(&self, after: EventPlace) -> Result<(Vec<Event>, bool), Error> {
        let (kept, more) = kept_after(self.consensus().history(), after, ROWS_MAX).await?;
        Ok((kept.into_iter().map(|kept| kept.event).collect(), more))
    }

    /// Follows the place of the newest event.
    pub fn events_changed(&self) -> watch::Receiver<(u64, u32)> {
        self.consensus().events_changed()
    }
}

impl EventFilter {
    fn takes(&self, event: &Event) -> bool {
        event.is_of(&self.types, &self.jobs)
    }
}

/// Events without a job are about the cluster, which every caller may see.
fn may_see(c: &Caller, state: &State, event: &Event) -> bool {
    let Some(name) = &event.job else {
        return c.permit(Action::ReadCluster, Target::Cluster).is_ok();
    };
    let job = state.job(name.as_str());
    let monitor = state.monitors.named(name).map(|monitor| &monitor.tags[..]);
    let tags = job.map(|job| &job.spec.tags[..]).or(monitor).unwrap_or_default();
    c.permit(Action::ReadJobs, Target::Job { name: name.as_str(), tags }).is_ok()
}
