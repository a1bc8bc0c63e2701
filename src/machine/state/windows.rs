//! Windows: which of them are open. The leader decides that, who knows zones.

use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use super::State;
use crate::model::kind::window::WindowSpec;
use crate::model::{Facts, Kind, Name, Notice, Spec, Timestamp};

/// What is live of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// It is open.
    pub active: bool,
    /// When it has to be looked at: it ends, or where it is not open, begins. None: never again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// All of them.
pub type Windows = OrdMap<Name, Window>;

impl State {
    /// The definition of a window.
    pub fn window(&self, name: &Name) -> Option<&Arc<WindowSpec>> {
        match &self.definitions.get(Kind::Window, name.as_str())?.spec {
            Spec::Window(window) => Some(window),
            _ => None,
        }
    }

    /// Windows that are open and mean what a notice is about.
    pub fn windows_over<'a>(
        &'a self,
        facts: &'a Facts,
    ) -> impl Iterator<Item = (&'a Name, &'a Window, &'a Arc<WindowSpec>)> {
        let open = self.windows.iter().filter(|(_, window)| window.active);
        let open = open.filter_map(|(name, window)| Some((name, window, self.window(name)?)));
        open.filter(move |(_, _, spec)| {
            if facts.part.is_some() {
                return spec.takes_all();
            }
            let tags = self.tags(facts.job_no);
            spec.takes(facts.is_of_monitor(), facts.job.as_str(), tags)
        })
    }

    /// Whether a notice waits for the end of a window. One that an earlier end let go does not.
    pub fn is_deferred(&self, notice: &Notice) -> bool {
        if notice.tries > 0 || notice.not_before <= notice.at {
            return false;
        }
        let window = notice.window.as_ref().and_then(|name| self.windows.get(name));
        window.is_some_and(|window| window.active)
    }

    /// Notices that wait for the end of a window.
    pub fn deferred(&self, window: &Name) -> usize {
        let of = |notice: &&Arc<Notice>| notice.window.as_ref() == Some(window);
        self.outbox.waiting.values().filter(of).filter(|notice| self.is_deferred(notice)).count()
    }
}
