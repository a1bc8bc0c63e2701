//! What is live of a definition: shown beside it, and set by the cluster. A kind that has
//! something names its fields in `Define::live`, and gives their values here.

use serde_json::{Map, Value, json};

use crate::machine::State;
use crate::machine::state::{Blocked, Queue};
use crate::model::fields::Fields;
use crate::model::kind::queue::{QueueShare, QueueSpec};
use crate::model::{Kind, Name, Spec};
use crate::service::waiting::held_back;

/// Runs that are looked at for one answer.
const WAITING_MAX: usize = 10_000;
/// Shares that are told.
const SHARES_MAX: usize = 100;

/// The live fields of a definition.
pub(super) fn fields(kind: Kind, state: &State, name: &Name) -> Map<String, Value> {
    let mut live = Map::new();
    if kind == Kind::Queue {
        let none = Queue::default();
        queue(state, state.queues.get(name).unwrap_or(&none), &mut live);
    }
    live
}

/// Who waits in a queue, and what holds it back.
fn queue(state: &State, queue: &Queue, live: &mut Map<String, Value>) {
    let at = state.last_at;
    let governed = queue.governed.as_deref();
    let runs = governed.into_iter().flat_map(|governed| governed.line.ids());
    let oldest = runs.take(WAITING_MAX).filter_map(|id| state.runs.get(id)?.queued_at).min();
    let next = match queue.blocked(at) {
        Some(Blocked::Rate(_, until) | Blocked::Spread(until)) => Some(until),
        _ => None,
    };
    live.insert("busy".into(), queue.busy.into());
    live.insert("waiting".into(), queue.waiting().into());
    live.insert("oldest_at".into(), json!(oldest));
    live.insert("next_start_at".into(), json!(next));
    live.insert("blocked".into(), json!(held_back(queue, at)));
    let shares = governed.filter(|governed| governed.rules.fair_by.is_some());
    let shares = shares.map(|governed| {
        let mut shares = governed.line.shares(WAITING_MAX);
        shares.sort_by_key(|(_, waiting)| std::cmp::Reverse(*waiting));
        let shares = shares.into_iter().take(SHARES_MAX).map(|(share, waiting)| {
            let weight = governed.rules.weight(&share);
            json!(QueueShare { share: share.to_string(), waiting: waiting as u64, weight })
        });
        shares.collect::<Vec<Value>>()
    });
    live.insert("shares".into(), shares.unwrap_or_default().into());
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
        Spec::Queue(QueueSpec { concurrency, ..QueueSpec::empty(name) }.into())
    };
    queues.map(spec).collect()
}
