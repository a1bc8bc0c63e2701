//! Which duties of a kind this node holds, as far as they are new to it.

use std::collections::BTreeMap;

use crate::machine::State;
use crate::model::{BootId, DutyKind, Fence, Name, NodeId};

/// The duties that were begun, each with its fence.
#[derive(Default)]
pub(super) struct Held(BTreeMap<Name, Fence>);

impl Held {
    /// Those that this boot of this node holds and has not begun yet. They are taken as begun.
    pub fn new_ones(
        &mut self,
        state: &State,
        kind: DutyKind,
        (node, boot): (NodeId, BootId),
    ) -> Vec<(Name, Fence)> {
        let held = state.duties.held_by(node);
        let held = held.filter(|(key, duty)| key.kind == kind && duty.is_held_by(node, boot));
        let new = held.filter(|(key, duty)| self.0.get(&key.name) != Some(&duty.fence));
        let new: Vec<(Name, Fence)> =
            new.map(|(key, duty)| (key.name.clone(), duty.fence)).collect();
        self.0.extend(new.iter().cloned());
        new
    }
}
