//! What is live of a definition: shown beside it, and set by the cluster. A kind that has
//! something names its fields in `Define::live`, and gives their values here.

use serde_json::{Map, Value};

use crate::machine::State;
use crate::model::kind::queue::QueueSpec;
use crate::model::{Kind, Name, Spec};

/// The live fields of a definition.
pub(super) fn fields(kind: Kind, state: &State, name: &Name) -> Map<String, Value> {
    let mut live = Map::new();
    if kind == Kind::Queue {
        let busy = state.queues.get(name).map_or(0, |queue| queue.busy);
        live.insert("busy".into(), busy.into());
    }
    live
}

/// What is there of a kind without a definition: queues that have runs in them and no limit.
pub(super) fn undefined(kind: Kind, state: &State) -> Vec<Spec> {
    if kind != Kind::Queue {
        return Vec::new();
    }
    let lacks = |name: &Name| state.definitions.get(kind, name.as_str()).is_none();
    let queues = state.queues.iter().filter(|(name, _)| lacks(name));
    let spec = |(name, queue): (&Name, &crate::machine::state::Queue)| {
        let (name, concurrency) = (name.clone(), queue.concurrency);
        Spec::Queue(QueueSpec { name, concurrency }.into())
    };
    queues.map(spec).collect()
}
