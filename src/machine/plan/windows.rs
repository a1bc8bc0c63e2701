//! Windows whose time to begin or to end has come: `apply` gets instants, and no zones.

use crate::machine::command::Op;
use crate::machine::prepare::windows::at;
use crate::machine::state::{Defined, State};
use crate::model::{Kind, Spec, Timestamp};

use super::Plan;

/// Looks at those whose time has come; gives when the next one's does.
pub(super) fn look(state: &State, now: Timestamp, plan: &mut Plan) -> Option<Timestamp> {
    let mut next = None;
    for (name, window) in &state.windows {
        let Some(until) = window.until else { continue };
        if until > now {
            next = Some(next.map_or(until, |next: Timestamp| next.min(until)));
            continue;
        }
        let defined = state.definitions.get(Kind::Window, name.as_str());
        let Some(Defined { spec: Spec::Window(spec), version, created_at, .. }) =
            defined.map(|defined| &**defined)
        else {
            continue;
        };
        let (active, until) = at(spec, *created_at, now);
        let (name, version) = (name.clone(), *version);
        plan.ops.push(Op::Window { name, version, active, until });
    }
    next
}
