//! What clients of the register were told can have happened one after the other.

use super::Findings;
use crate::history::History;
use crate::register::{NAME, Op, State, Told, culprit};

/// Operations shown of each kind, besides the one that can't be explained.
const SHOWN: usize = 12;

/// First what was read and written, then the refusals too: both say something of the state.
pub(super) fn linearizable(history: &History, findings: &mut Findings) {
    let Some(register) = &history.register else { return };
    let told: Vec<Op> =
        register.ops.iter().filter(|op| op.told != Told::Refused).cloned().collect();
    if explain(&told, register.initial, findings) {
        explain(&register.ops, register.initial, findings);
    }
}

/// Whether there is an order for all of it.
fn explain(ops: &[Op], initial: State, findings: &mut Findings) -> bool {
    let Some(at) = culprit(ops, initial) else { return true };
    let op = &ops[at];
    let what = format!("the answer {} µs after the begin has no explanation", op.answered);
    let mut evidence = vec![format!("not explained: {op:?}")];
    let mut before: Vec<_> = ops.iter().filter(|one| one.answered < op.sent).collect();
    before.sort_by_key(|one| one.answered);
    let last = &before[before.len().saturating_sub(SHOWN)..];
    evidence.extend(last.iter().map(|one| format!("before: {one:?}")));
    let near = ops.iter().filter(|one| one.sent <= op.answered && one.answered >= op.sent);
    let near = near.filter(|one| *one != op).take(2 * SHOWN);
    evidence.extend(near.map(|one| format!("at the same time: {one:?}")));
    let pending = ops.iter().filter(|one| one.told == Told::Nothing && one.sent <= op.answered);
    evidence.extend(pending.take(2 * SHOWN).map(|one| format!("unknown: {one:?}")));
    findings.add(NAME, what, evidence);
    false
}
