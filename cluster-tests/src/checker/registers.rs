//! What clients of the register were told can have happened one after the other.

use super::Findings;
use crate::history::History;
use crate::register::{NAME, order};

/// Operations shown besides the one that can't be explained.
const SHOWN: usize = 12;

pub(super) fn linearizable(history: &History, findings: &mut Findings) {
    let Some(register) = &history.register else { return };
    let ops = &register.ops;
    let Err(stuck) = order(ops, register.initial) else { return };
    let open = &ops[stuck.open];
    let what = format!(
        "no order explains {} operations: at most {} of them, then it holds {:?}",
        ops.len(),
        stuck.done,
        stuck.state
    );
    let mut evidence = vec![format!("not explained: {open:?}")];
    evidence.extend(stuck.before.iter().map(|at| format!("just before: {:?}", ops[*at])));
    let near = ops.iter().filter(|op| op.sent < open.answered && op.answered > open.sent);
    evidence.extend(near.take(SHOWN).map(|op| format!("at the same time: {op:?}")));
    findings.add(NAME, what, evidence);
}
