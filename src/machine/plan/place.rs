//! Which node a queued run goes to: one with its required labels and a free slot, then the
//! most preferred labels, then the least load; of those that are alike, each in turn.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::machine::command::{Op, Place};
use crate::machine::prepare::parameters;
use crate::machine::state::{Job, Node, OpenRun, State};
use crate::model::placement::Labels;
use crate::model::{JobNo, JobSpec, Name, NodeId, limits};

use super::{OPS_MAX, Plan};

/// Queued runs that a place is sought for in one step: those behind wait until the ones
/// before them are placed, so a long queue does not make a step long.
const LOOKED_AT_MAX: usize = 2_048;
/// Queued runs that are walked over in one step, those included that are like one that
/// found no place (a full queue, labels that no node has).
const PASSED_MAX: usize = 32_768;

/// Free slots as the step uses them up.
pub struct Slots {
    nodes: Vec<Free>,
    queues: BTreeMap<Name, u32>,
    /// How many runs there have been, and those that got a slot of this.
    turn: usize,
}

struct Free {
    id: NodeId,
    place: Place,
    slots: u32,
    busy: u32,
    labels: Labels,
}

impl Free {
    /// Half of its slots would be free beside one more attempt.
    fn is_half_free(&self) -> bool {
        (self.busy + 1) * 2 <= self.slots
    }
}

impl Slots {
    /// The free slots of `state`, those of silent nodes left out.
    pub fn of(state: &State, silent: &BTreeSet<NodeId>) -> Slots {
        let free = |node: &Arc<Node>| Free {
            id: node.id,
            place: Place { node: node.id, boot: node.boot },
            slots: node.slots,
            busy: node.busy,
            labels: node.labels.clone(),
        };
        let takes = |node: &&Arc<Node>| node.accepting && !silent.contains(&node.id);
        let nodes = state.nodes.values().filter(takes).map(free).collect();
        let queues = state
            .queues
            .iter()
            .filter_map(|(name, queue)| {
                let most = queue.concurrency?;
                Some((name.clone(), most.saturating_sub(queue.busy)))
            })
            .collect();
        let closed = &state.totals;
        let closed = closed.succeeded + closed.failed + closed.cancelled + closed.lost;
        let turn = state.runs.len().wrapping_add(closed as usize);
        Slots { nodes, queues, turn }
    }

    /// Takes a slot for a run of `job`.
    pub(in crate::machine) fn take(&mut self, job: &Job) -> Option<Place> {
        self.take_for(&job.spec)
    }

    /// Whether a node other than `own` has room for a planned start: see `ahead.rs`.
    pub(super) fn half_free(&self, own: Option<NodeId>) -> bool {
        self.nodes.iter().any(|node| Some(node.id) != own && node.is_half_free())
    }

    /// Takes a slot for a start that is planned.
    pub(super) fn take_ahead(&mut self, job: &Job, own: Option<NodeId>) -> Option<Place> {
        self.take_where(&job.spec, |node| Some(node.id) != own && node.is_half_free())
    }

    fn take_for(&mut self, spec: &JobSpec) -> Option<Place> {
        self.take_where(spec, |_| true)
    }

    fn take_where(&mut self, spec: &JobSpec, fits: impl Fn(&Free) -> bool) -> Option<Place> {
        if spec.queue.as_ref().and_then(|name| self.queues.get(name)) == Some(&0) {
            return None;
        }
        let wanted = spec.placement.as_deref();
        let count = self.nodes.len().max(1);
        let first = self.turn % count;
        let (_, best) = self
            .nodes
            .iter_mut()
            .enumerate()
            .filter(|(_, node)| node.busy < node.slots && fits(node))
            .filter(|(_, node)| wanted.is_none_or(|placement| placement.allows(&node.labels)))
            .max_by_key(|(place, node)| {
                let liked = wanted.map_or(0, |placement| placement.matches(&node.labels));
                // Free share of the node in thousandths, then whose turn it is.
                let free = u64::from(node.slots - node.busy) * 1_000 / u64::from(node.slots);
                (liked, free, std::cmp::Reverse((place + count - first) % count))
            })?;
        best.busy += 1;
        self.turn = self.turn.wrapping_add(1);
        let place = best.place;
        if let Some(left) = spec.queue.as_ref().and_then(|name| self.queues.get_mut(name)) {
            *left -= 1;
        }
        Some(place)
    }

    fn give_back(&mut self, place: Place, spec: &JobSpec) {
        if let Some(node) = self.nodes.iter_mut().find(|node| node.id == place.node) {
            node.busy -= 1;
        }
        if let Some(left) = spec.queue.as_ref().and_then(|name| self.queues.get_mut(name)) {
            *left += 1;
        }
    }
}

/// Gives queued runs to nodes, first in order first. A run that fits nowhere does not hold
/// up the ones behind it: the runs of a definition that found no place are passed over.
pub(super) fn assign(state: &State, slots: &mut Slots, plan: &mut Plan) {
    let mut without_place: BTreeSet<(JobNo, u64)> = BTreeSet::new();
    let mut looked_at = 0;
    for (_, _, id) in state.ready.iter().take(PASSED_MAX) {
        if plan.ops.len() >= OPS_MAX || looked_at >= LOOKED_AT_MAX {
            return;
        }
        let Some(open) = state.runs.get(id) else { continue };
        let kind = (open.run.id.job_no(), open.run.version);
        if without_place.contains(&kind) {
            continue;
        }
        looked_at += 1;
        if open.spec.is_no_op() {
            let place = Place { node: 0, boot: uuid::Uuid::nil() };
            plan.ops.push(start(open, place));
        } else if let Some(place) = slots.take_for(&open.spec) {
            let op = start(open, place);
            if matches!(op, Op::Refuse { .. }) {
                slots.give_back(place, &open.spec);
            }
            plan.ops.push(op);
        } else {
            without_place.insert(kind);
        }
    }
}

/// Starts a run at `place`, or refuses it. Held against the schema only here, where it would
/// start: not at each step that it waits for a slot.
fn start(open: &OpenRun, place: Place) -> Op {
    let run = open.run.id;
    match refused(open) {
        Some(error) => Op::Refuse { run, error },
        None => Op::Assign { run, attempt: open.run.attempt + 1, place },
    }
}

/// Why the parameters that were passed on to a run do not fit, if they don't.
fn refused(open: &OpenRun) -> Option<String> {
    let schema = open.spec.parameters_schema.as_ref().filter(|_| open.unchecked)?;
    let faults = parameters::fits(schema, &open.run.parameters, "parameters").err()?;
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    Some(told.join("; ").chars().take(limits::TEXT_LEN_MAX).collect())
}
