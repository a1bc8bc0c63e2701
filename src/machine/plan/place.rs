//! Which node a queued run goes to: one with its required labels and a free slot, then the
//! most preferred labels, then the least load.

use std::collections::BTreeMap;

use crate::machine::command::{Op, Place};
use crate::machine::prepare::parameters;
use crate::machine::state::{Job, Node, OpenRun, State};
use crate::model::placement::Labels;
use crate::model::{JobSpec, Name, NodeId};

use super::{OPS_MAX, Plan};

/// Queued runs that are looked at in one step: those behind wait until the ones before
/// them are placed, so a long queue does not make a step long.
const LOOKED_AT_MAX: usize = 2_048;

/// Free slots as the step uses them up.
pub struct Slots {
    nodes: Vec<Free>,
    queues: BTreeMap<Name, u32>,
}

struct Free {
    id: NodeId,
    place: Place,
    slots: u32,
    busy: u32,
    labels: Labels,
}

impl Slots {
    /// The free slots of `state`.
    pub fn of(state: &State) -> Slots {
        let free = |node: &std::sync::Arc<Node>| Free {
            id: node.id,
            place: Place { node: node.id, boot: node.boot },
            slots: node.slots,
            busy: node.busy,
            labels: node.labels.clone(),
        };
        let nodes = state.nodes.values().filter(|node| node.accepting).map(free).collect();
        let queues = state
            .queues
            .iter()
            .filter_map(|(name, queue)| {
                let most = queue.concurrency?;
                Some((name.clone(), most.saturating_sub(queue.busy)))
            })
            .collect();
        Slots { nodes, queues }
    }

    /// Whether no node has a free slot.
    fn none_left(&self) -> bool {
        self.nodes.iter().all(|node| node.busy >= node.slots)
    }

    /// Takes a slot for a run of `job`.
    pub(super) fn take(&mut self, job: &Job) -> Option<Place> {
        self.take_for(&job.spec)
    }

    fn take_for(&mut self, spec: &JobSpec) -> Option<Place> {
        if spec.queue.as_ref().and_then(|name| self.queues.get(name)) == Some(&0) {
            return None;
        }
        let wanted = spec.placement.as_deref();
        let best = self
            .nodes
            .iter_mut()
            .filter(|node| node.busy < node.slots)
            .filter(|node| wanted.is_none_or(|placement| placement.allows(&node.labels)))
            .max_by_key(|node| {
                let liked = wanted.map_or(0, |placement| placement.matches(&node.labels));
                // Free share of the node in thousandths, then the lower id.
                let free = u64::from(node.slots - node.busy) * 1_000 / u64::from(node.slots);
                (liked, free, std::cmp::Reverse(node.id))
            })?;
        best.busy += 1;
        let place = best.place;
        if let Some(left) = spec.queue.as_ref().and_then(|name| self.queues.get_mut(name)) {
            *left -= 1;
        }
        Some(place)
    }
}

/// Gives queued runs to nodes, first in order first. A run that fits nowhere does not hold
/// up the ones behind it.
pub(super) fn assign(state: &State, slots: &mut Slots, plan: &mut Plan) {
    for (_, _, id) in state.ready.iter().take(LOOKED_AT_MAX) {
        if plan.ops.len() >= OPS_MAX {
            return;
        }
        let Some(open) = state.runs.get(id) else { continue };
        if let Some(error) = refused(open) {
            plan.ops.push(Op::Refuse { run: *id, error });
            continue;
        }
        let place = if open.spec.is_no_op() {
            Some(Place { node: 0, boot: uuid::Uuid::nil() })
        } else if slots.none_left() {
            None
        } else {
            slots.take_for(&open.spec)
        };
        if let Some(place) = place {
            let attempt = open.run.attempt + 1;
            plan.ops.push(Op::Assign { run: *id, attempt, place });
        }
    }
}

/// Why the parameters that were passed on to a run do not fit, if they don't.
fn refused(open: &OpenRun) -> Option<String> {
    let schema = open.spec.parameters_schema.as_ref().filter(|_| open.unchecked)?;
    let faults = parameters::fits(schema, &open.run.parameters, "parameters").err()?;
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    Some(told.join("; "))
}
