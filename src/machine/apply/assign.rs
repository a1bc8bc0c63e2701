//! Queued runs go to nodes: an attempt begins, with its fencing token.

use std::sync::Arc;

use crate::machine::command::Place;
use crate::machine::reply::{Answer, Rejection, Reply};
use crate::machine::state::{OpenRun, Wait};
use crate::model::{Attempt, JobSpec, RunId, RunStatus, SkipReason};

use super::Cx;
use super::admit::until_of;

impl Cx<'_> {
    pub(super) fn assign(&mut self, id: RunId, attempt: u32, place: Place) -> Answer {
        let open = self.s.runs.get(&id).cloned().ok_or(Rejection::Stale)?;
        let queued = open.run.status == RunStatus::Queued && open.run.attempt + 1 == attempt;
        if !queued {
            return Err(Rejection::Stale);
        }
        if open.spec.is_workflow() {
            self.open_flow(&open);
            return Ok(Reply::Run { id });
        }
        if open.spec.is_no_op() {
            self.close(id, RunStatus::Succeeded, None);
            return Ok(Reply::Run { id });
        }
        if !self.assign_ready(id, place) {
            return Err(Rejection::Stale);
        }
        Ok(Reply::Run { id })
    }

    /// Gives a queued run to `place`, when that boot is up and has a slot.
    pub(super) fn assign_ready(&mut self, id: RunId, place: Place) -> bool {
        let Some(open) = self.s.runs.get(&id).cloned() else { return false };
        if !self.fits(&open.spec, place) {
            return false;
        }
        self.s.counters.fence += 1;
        let attempt = Attempt {
            attempt: open.run.attempt + 1,
            node: place.node,
            boot: place.boot,
            fence: self.s.counters.fence,
            assigned_at: self.at,
            started_at: None,
            finished_at: None,
            status: RunStatus::Assigned,
            exit_code: None,
            signal: None,
            http_status: None,
            error: None,
            usage: None,
        };
        self.start_from_line(&open);
        self.s.placed.insert((place.node, id));
        self.take_place(&open, place);
        self.edit_run(id, |open| {
            open.unchecked = false;
            open.run.status = RunStatus::Assigned;
            open.run.node = Some(place.node);
            open.run.attempt = attempt.attempt;
            open.run.attempts.push(attempt);
        });
        self.event("run.assigned", Some(&open.run.job), Some((id, RunStatus::Assigned)));
        true
    }

    /// Whether that boot is up and has a slot, and the queue of `spec` a place.
    pub(super) fn fits(&self, spec: &JobSpec, place: Place) -> bool {
        let free = self.s.nodes.get(&place.node).is_some_and(|node| {
            node.boot == place.boot && node.accepting && node.busy < node.slots
        });
        free && !self.is_held_back(spec)
    }

    fn take_place(&mut self, open: &OpenRun, place: Place) {
        if let Some(node) = self.s.nodes.get_mut(&place.node) {
            Arc::make_mut(node).busy += 1;
        }
        if let Some(name) = &open.spec.queue {
            let mut queue = self.s.queues.get(name).cloned().unwrap_or_default();
            queue.busy += 1;
            self.s.queues.insert(name.clone(), queue);
        }
    }

    /// The open attempt of a run gives its slot back.
    pub(super) fn free_place(&mut self, open: &OpenRun) {
        let Some(node) = open.run.node else { return };
        self.s.placed.remove(&(node, open.run.id));
        if let Some(node) = self.s.nodes.get_mut(&node) {
            let node = Arc::make_mut(node);
            node.busy = node.busy.saturating_sub(1);
        }
        if let Some(name) = &open.spec.queue
            && let Some(mut queue) = self.s.queues.get(name).cloned()
        {
            queue.busy = queue.busy.saturating_sub(1);
            if queue.is_idle() {
                self.s.queues.remove(name);
            } else {
                self.s.queues.insert(name.clone(), queue);
            }
        }
    }

    pub(super) fn refuse(&mut self, id: RunId, error: &str) -> Answer {
        let open = self.s.runs.get(&id).cloned().ok_or(Rejection::Stale)?;
        if open.run.status != RunStatus::Queued {
            return Err(Rejection::Stale);
        }
        self.edit_run(id, |open| {
            open.run.skip = Some(SkipReason::ParametersRefused);
            open.run.error = Some(error.to_string());
        });
        let reason = SkipReason::ParametersRefused.as_str().to_string();
        self.close(id, RunStatus::Skipped, Some(reason));
        Ok(Reply::Skipped(SkipReason::ParametersRefused))
    }

    /// The time that a waiting run waited for.
    pub(super) fn due(&mut self, id: RunId) -> Answer {
        let open = self.s.runs.get(&id).cloned().ok_or(Rejection::Stale)?;
        let Some(wait) = open.wait else { return Err(Rejection::Stale) };
        let come = until_of(&wait).is_some_and(|until| until <= self.at);
        if !come {
            return Err(Rejection::Stale);
        }
        match wait {
            Wait::Gate { .. } => self.close_skipped(id, SkipReason::DependenciesUnmet),
            Wait::Retry { .. } => self.make_ready(id),
            Wait::Behind { .. } => {}
        }
        Ok(Reply::Run { id })
    }
}
