//! How far a trigger is, for whoever shows it.

use serde::Serialize;

use crate::machine::State;
use crate::model::{DutyKey, EntryId, Name, NodeId, Timestamp};

/// How far a trigger is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TriggerStatus {
    /// Its name.
    pub name: Name,
    /// The id of the last entry that was taken; 0-0: none was.
    pub position: String,
    /// Entries that started no run, for what was in them.
    pub refused: u64,
    /// The last of them, and why.
    #[schema(required)]
    pub last_refused: Option<String>,
    /// What is in the way; null: nothing.
    #[schema(required)]
    pub fault: Option<String>,
    /// Since when the node reads it, none does, or the fault is there.
    pub since: Timestamp,
    /// The node that reads; null: none does.
    #[schema(required)]
    pub node: Option<NodeId>,
    /// Nothing is read.
    pub paused: bool,
}

impl TriggerStatus {
    /// Of the trigger of this name, if there is one.
    pub(super) fn of(state: &State, name: &Name) -> Option<Self> {
        let key = DutyKey::trigger(name.clone());
        let duty = state.duties.all.get(&key)?;
        let refused = duty.refused.as_ref();
        Some(TriggerStatus {
            name: name.clone(),
            position: EntryId::from(duty.position).to_string(),
            refused: refused.map_or(0, |refused| refused.count),
            last_refused: refused.map(|refused| format!("{}: {}", refused.last, refused.why)),
            fault: state.in_the_way(&key),
            since: duty.since,
            node: duty.holder.map(|(node, _)| node),
            paused: duty.paused,
        })
    }
}
