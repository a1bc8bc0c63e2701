//! Duties that nobody does go to nodes: not to the leader where another can, and to those first
//! that have the fewest.

use std::cmp::Reverse;

use crate::machine::command::{Op, Place};
use crate::machine::state::State;

use super::{Around, OPS_MAX, Plan};

pub(super) fn give(state: &State, around: &Around, plan: &mut Plan) {
    if state.duties.free.is_empty() {
        return;
    }
    let there = state
        .nodes
        .values()
        .filter(|node| node.accepting && !around.silent.contains(&node.id))
        .map(|node| (node, state.duties.held_by(node.id).count()));
    let mut nodes: Vec<_> = there.collect();
    for key in &state.duties.free {
        if plan.ops.len() >= OPS_MAX {
            return;
        }
        let Some(duty) = state.duties.all.get(key) else { continue };
        let able = nodes.iter_mut().filter(|(node, _)| state.can_do(key, node));
        let best = able.max_by_key(|(node, held)| {
            (Some(node.id) != around.own, Reverse(*held), Reverse(node.id))
        });
        let Some((node, held)) = best else { continue };
        *held += 1;
        let place = Place { node: node.id, boot: node.boot };
        plan.ops.push(Op::GiveDuty { key: key.clone(), former: duty.fence, place });
    }
}
