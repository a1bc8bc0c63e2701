//! Windows: what is told within one is kept and never sent, or waits for its end.

use std::sync::Arc;

use crate::machine::reply::{Answer, Rejection, Reply};
use crate::machine::state::Window;
use crate::model::kind::window::WindowMode;
use crate::model::{Facts, Kind, Name, NoticeKind, Timestamp};

use super::Cx;
use super::alerts::short;

/// What becomes of a notice within a window.
pub(super) enum Held {
    /// It is kept, for that reason.
    Muted(Name, String),
    /// It waits, until about then.
    Deferred(Name, Timestamp),
}

impl Cx<'_> {
    /// A window is there, or says something else: the leader looks whether it is open. Or it is
    /// gone, and what waited for its end goes out.
    pub(super) fn window_put(&mut self, name: &Name, there: bool) {
        if there {
            let at = self.at;
            self.s.windows.entry(name.clone()).or_default().until = Some(at);
        } else if self.s.windows.remove(name).is_some_and(|window| window.active) {
            self.window_over(name);
        }
    }

    /// The leader has looked at a window.
    pub(super) fn window_seen(
        &mut self,
        name: &Name,
        version: u64,
        active: bool,
        until: Option<Timestamp>,
    ) -> Answer {
        let defined = self.s.definitions.get(Kind::Window, name.as_str());
        let known = defined.is_some_and(|defined| defined.version == version);
        let before = self.s.windows.get(name).copied().filter(|_| known);
        let before = before.ok_or(Rejection::Stale)?;
        let now = Window { active, until };
        if before == now {
            return Err(Rejection::Stale);
        }
        self.s.windows.insert(name.clone(), now);
        if before.active && !active {
            self.window_over(name);
        } else if !before.active && active {
            self.event_because("window.began", None, None, Some(name.as_str()));
        }
        if active {
            self.defer_until(name, until);
        }
        Ok(Reply::Done)
    }

    /// After a restore: what they are now is not known.
    pub(super) fn look_at_windows(&mut self) {
        let names: Vec<Name> = self.s.windows.keys().cloned().collect();
        for name in names {
            self.window_put(&name, true);
        }
    }

    /// What waited for its end goes out now.
    fn window_over(&mut self, name: &Name) {
        let at = self.at;
        for key in self.deferred_by(name) {
            if let Some(notice) = self.s.outbox.waiting.get_mut(&key) {
                let notice = Arc::make_mut(notice);
                // How long it may be tried counts from here on.
                (notice.at, notice.not_before) = (at, at);
            }
        }
        self.event_because("window.ended", None, None, Some(name.as_str()));
    }

    fn defer_until(&mut self, name: &Name, until: Option<Timestamp>) {
        let Some(until) = until else { return };
        for key in self.deferred_by(name) {
            if let Some(notice) = self.s.outbox.waiting.get_mut(&key)
                // What went out at an earlier end is tried on.
                && notice.not_before > self.at
                && notice.tries == 0
            {
                Arc::make_mut(notice).not_before = until;
            }
        }
    }

    fn deferred_by(&self, name: &Name) -> Vec<(Name, u64)> {
        let all = self.s.outbox.waiting.iter();
        let of = all.filter(|(_, notice)| notice.window.as_ref() == Some(name));
        of.map(|(key, _)| key.clone()).collect()
    }

    /// What becomes of a notice by the windows that are open. One that mutes comes before one that
    /// defers, and of several that defer the one that ends last.
    pub(super) fn held_by_window(&self, facts: &Facts) -> Option<Held> {
        if self.s.windows.is_empty() {
            return None;
        }
        let mut deferred: Option<(Name, Timestamp)> = None;
        for (name, window, spec) in self.s.windows_over(facts) {
            match spec.mode() {
                WindowMode::Mute if facts.kind != NoticeKind::Resolved => {
                    let why = match spec.reason.as_str() {
                        "" => String::new(),
                        reason => format!(": {reason}"),
                    };
                    let why = short(&format!("muted by the window {name}{why}"));
                    return Some(Held::Muted(name.clone(), why));
                }
                // Whoever was told of the beginning has to learn of the end.
                WindowMode::Mute | WindowMode::Defer => {
                    let until = window.until.unwrap_or(self.at);
                    if deferred.as_ref().is_none_or(|(_, known)| *known < until) {
                        deferred = Some((name.clone(), until));
                    }
                }
            }
        }
        deferred.map(|(name, until)| Held::Deferred(name, until))
    }
}
