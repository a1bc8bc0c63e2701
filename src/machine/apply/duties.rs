//! Duties are given to nodes, and taken from nodes that are gone.
//!
//! Each time a duty is given it gets a higher fence, which its holder shows with every report: a
//! holder that was taken for dead and is not is no longer listened to. `apply` gives one only
//! while nobody has it, and only to the boot of a node that is there.

use std::sync::Arc;

use crate::machine::command::Place;
use crate::machine::reply::{Answer, Rejection, Reply};
use crate::machine::state::{Duty, State};
use crate::model::{DutyKey, DutyKind, Fence, NodeId, Position, limits};

use super::Cx;

impl Cx<'_> {
    pub(super) fn give_duty(&mut self, key: &DutyKey, former: Fence, place: Place) -> Answer {
        let duty = self.s.duties.all.get(key).ok_or(Rejection::Stale)?;
        let node = self.s.nodes.get(&place.node).ok_or(Rejection::Stale)?;
        let there = node.boot == place.boot && node.accepting && self.s.can_do(key, node);
        if duty.holder.is_some() || duty.fence != former || !there {
            return Err(Rejection::Stale);
        }
        self.s.counters.fence += 1;
        let (fence, index, since) = (self.s.counters.fence, self.index, self.at);
        self.edit_duty(key, |duty| {
            duty.holder = Some((place.node, place.boot));
            (duty.former, duty.fence) = (former, fence);
            (duty.given_in, duty.since) = (index, since);
        });
        self.s.duties.free.remove(key);
        let told = format!("{key}: node {}", place.node);
        self.event_because("duty.given", None, None, Some(&told));
        Ok(Reply::Done)
    }

    pub(super) fn duty_moved(
        &mut self,
        key: &DutyKey,
        fence: Fence,
        position: Position,
        fault: Option<&str>,
    ) -> Answer {
        let duty = self.s.duties.all.get(key).ok_or(Rejection::Fenced)?;
        if duty.holder.is_none() || duty.fence != fence {
            return Err(Rejection::Fenced);
        }
        if position < duty.position {
            return Err(Rejection::Stale);
        }
        let behind = self.s.events.last.saturating_sub(position.number);
        let paused = duty.paused;
        let new = self.move_duty(key, position, fault);
        if key.kind == DutyKind::Sink && !paused {
            let told = self.s.duties.all.get(key).and_then(|duty| duty.fault.clone());
            self.judge_sink(&key.name, told.as_deref(), new, behind);
        }
        Ok(Reply::Done)
    }

    /// How far a duty is, and what is in its way from here on; whether that is new.
    pub(super) fn move_duty(
        &mut self,
        key: &DutyKey,
        position: Position,
        fault: Option<&str>,
    ) -> bool {
        let fault = fault.map(|text| text.chars().take(limits::TEXT_LEN_MAX).collect::<String>());
        let before = self.s.duties.all.get(key).and_then(|duty| duty.fault.clone());
        let (new, since) = (before != fault, self.at);
        self.edit_duty(key, |duty| {
            duty.position = position;
            if new {
                (duty.fault, duty.since) = (fault.clone(), since);
            }
        });
        // Whoever reads events must not be told of each step that it makes itself.
        match (before, fault) {
            (_, Some(fault)) if new => {
                let told = format!("{key}: {fault}");
                self.event_because("duty.fault", None, None, Some(&told));
            }
            (Some(_), None) => {
                let told = key.to_string();
                self.event_because("duty.recovered", None, None, Some(&told));
            }
            _ => {}
        }
        new
    }

    /// What a node did for the cluster, another one may do from here on.
    pub(super) fn free_duties(&mut self, node: NodeId) {
        self.free_duties_if(node, |_, _| true);
    }

    /// The same, of those that `also` names.
    pub(super) fn free_duties_if(&mut self, node: NodeId, also: impl Fn(&State, &DutyKey) -> bool) {
        let held = self.s.duties.held_by(node).map(|(key, _)| key);
        let held: Vec<DutyKey> = held.filter(|key| also(self.s, key)).cloned().collect();
        for key in held {
            self.free_duty(&key);
            self.event_because("duty.freed", None, None, Some(&format!("{key}: node {node}")));
        }
    }

    /// What it serves is there, or says something else: whoever does it begins anew.
    pub(super) fn begin_duty(&mut self, key: &DutyKey, duty: impl FnOnce(&Self) -> Duty) {
        if self.s.duties.all.contains_key(key) {
            return self.free_duty(key);
        }
        let duty = duty(self);
        self.s.duties.all.insert(key.clone(), Arc::new(duty));
        self.s.duties.free.insert(key.clone());
    }

    /// What it serves is gone.
    pub(super) fn end_duty(&mut self, key: &DutyKey) {
        self.s.duties.all.remove(key);
        self.s.duties.free.remove(key);
    }

    pub(super) fn free_duty(&mut self, key: &DutyKey) {
        let since = self.at;
        self.edit_duty(key, |duty| {
            duty.holder = None;
            duty.since = since;
        });
        self.s.duties.free.insert(key.clone());
    }

    pub(super) fn edit_duty(&mut self, key: &DutyKey, edit: impl FnOnce(&mut Duty)) {
        if let Some(duty) = self.s.duties.all.get_mut(key) {
            edit(Arc::make_mut(duty));
        }
    }
}
