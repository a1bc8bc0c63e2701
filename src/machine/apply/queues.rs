//! Queues: who waits in them, and what their rules say of a start.

use std::sync::Arc;

use crate::machine::state::{FORMAT_OF_QUEUES, Governed, OpenRun};
use crate::model::flow::QueueRules;
use crate::model::{JobSpec, Name, RunId, Timestamp};

use super::Cx;

impl Cx<'_> {
    /// Puts a run that may start into the order of those that wait.
    pub(super) fn line_up(&mut self, open: &OpenRun, since: Timestamp) {
        match self.s.governed(&open.spec) {
            Some(governed) => {
                let spot = governed.spot(open, since);
                self.edit_line(&open.spec, |governed| governed.line.insert(open.run.id, spot));
            }
            None => {
                let key = self.s.ready_key(open);
                self.s.ready.insert(key);
            }
        }
    }

    /// Takes a run out of the order, if it stands in it.
    pub(super) fn leave_line(&mut self, open: &OpenRun) {
        match self.s.governed(&open.spec) {
            Some(governed) if governed.line.spot(open.run.id).is_some() => {
                self.edit_line(&open.spec, |governed| governed.line.remove(open.run.id));
            }
            _ => {
                let key = self.s.ready_key(open);
                self.s.ready.remove(&key);
            }
        }
    }

    /// Takes a run out of the order that starts now.
    pub(super) fn start_from_line(&mut self, open: &OpenRun) {
        if self.s.governed(&open.spec).is_none() {
            let key = self.s.ready_key(open);
            self.s.ready.remove(&key);
            return;
        }
        let (id, at) = (open.run.id, self.at);
        self.edit_line(&open.spec, |governed| {
            let share = governed.line.spot(id).map(|spot| spot.share.clone());
            let weight = share.map_or(1, |share| governed.rules.weight(&share));
            governed.line.start(id, weight);
            governed.started(at);
        });
    }

    fn edit_line(&mut self, spec: &JobSpec, edit: impl FnOnce(&mut Governed)) {
        if let Some(name) = &spec.queue
            && let Some(queue) = self.s.queues.get_mut(name)
            && let Some(governed) = &mut queue.governed
        {
            edit(Arc::make_mut(governed));
        }
    }

    /// Whether the rules or the bound of its queue keep an attempt from starting now.
    pub(super) fn is_held_back(&self, spec: &JobSpec) -> bool {
        let queue = spec.queue.as_ref().and_then(|name| self.s.queues.get(name));
        queue.is_some_and(|queue| queue.blocked(self.at).is_some())
    }

    /// Whether one run more would be too many for the queue to keep.
    pub(super) fn queue_overflows(&self, spec: &JobSpec) -> bool {
        self.s.governed(spec).is_some_and(|governed| {
            governed.rules.max_waiting.is_some_and(|most| governed.line.len() >= most as usize)
        })
    }

    /// Whether no other run of its queue is to start before this one.
    pub(super) fn is_next(&self, id: RunId) -> bool {
        let Some(open) = self.s.runs.get(&id) else { return false };
        let governed = self.s.governed(&open.spec);
        governed.is_none_or(|governed| governed.line.first().is_some_and(|(first, _)| first == id))
    }

    /// Puts the definition of a queue in force; none: it has none any more. The runs that wait for
    /// it stay in line, in the order of the new rules.
    pub(super) fn govern(
        &mut self,
        name: &Name,
        concurrency: Option<u32>,
        rules: Option<&QueueRules>,
    ) {
        let mut queue = self.s.queues.get(name).cloned().unwrap_or_default();
        let rules = rules.filter(|_| self.s.format() >= FORMAT_OF_QUEUES);
        let before = queue.governed.take();
        queue.concurrency = concurrency;
        let kept = before.as_ref().zip(rules).filter(|(before, rules)| before.orders_as(rules));
        if let Some((before, rules)) = kept {
            let mut governed = Governed { rules: rules.clone(), ..Governed::clone(before) };
            governed.trim(governed.rules.remembered());
            queue.governed = Some(Arc::new(governed));
            self.s.queues.insert(name.clone(), queue);
            return;
        }
        let waiting = self.waiting_for(name, before.as_deref());
        for open in &waiting {
            self.leave_line(open);
        }
        queue.governed = rules.map(|rules| {
            let starts = before.map(|before| before.starts.clone()).unwrap_or_default();
            let mut governed = Governed { rules: rules.clone(), starts, ..Governed::default() };
            governed.trim(governed.rules.remembered());
            Arc::new(governed)
        });
        if queue.is_idle() {
            self.s.queues.remove(name);
        } else {
            self.s.queues.insert(name.clone(), queue);
        }
        for open in &waiting {
            self.line_up(open, open.queued_at.unwrap_or(self.at));
        }
    }

    /// The runs that wait for a queue, in order of creation.
    fn waiting_for(&self, name: &Name, governed: Option<&Governed>) -> Vec<Arc<OpenRun>> {
        let of = |open: &Arc<OpenRun>| open.spec.queue.as_ref() == Some(name);
        let mut waiting: Vec<Arc<OpenRun>> = match governed {
            Some(governed) => {
                governed.line.ids().filter_map(|id| self.s.runs.get(id)).cloned().collect()
            }
            None => {
                let ready = self.s.ready.iter().filter_map(|(_, _, id)| self.s.runs.get(id));
                ready.filter(|open| of(open)).cloned().collect()
            }
        };
        waiting.sort_by_key(|open| open.seq);
        waiting
    }

    /// From the format on that has lanes, those that wait stand by lane. `before` is the format
    /// that they were put in order under.
    pub(super) fn order_by_lane(&mut self, before: u32) {
        if before >= FORMAT_OF_QUEUES || self.s.format() < FORMAT_OF_QUEUES {
            return;
        }
        let old = std::mem::take(&mut self.s.ready);
        for (_, _, id) in &old {
            if let Some(open) = self.s.runs.get(id).cloned() {
                let key = self.s.ready_key(&open);
                self.s.ready.insert(key);
            }
        }
    }
}
