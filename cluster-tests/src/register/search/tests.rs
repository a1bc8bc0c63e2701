//! Histories that have an order, and histories that have none.

use super::super::op::Asked;
use super::*;

const INITIAL: State = State { version: 1, value: 0 };

fn op(asked: Asked, sent: u64, answered: u64, told: Told) -> Op {
    Op { client: 0, node: String::new(), asked, sent, answered, told }
}

fn write(value: u64, sent: u64, answered: u64, version: u64) -> Op {
    op(Asked::Write(value), sent, answered, Told::Written(version))
}

fn lost(value: u64, sent: u64) -> Op {
    op(Asked::Write(value), sent, sent + 1, Told::Nothing)
}

fn read(sent: u64, answered: u64, version: u64, value: u64) -> Op {
    op(Asked::Read, sent, answered, Told::Holds(State { version, value }))
}

fn swap(expected: u64, value: u64, sent: u64, answered: u64, told: Told) -> Op {
    op(Asked::Swap { expected, value }, sent, answered, told)
}

fn fits(ops: &[Op]) -> bool {
    order(ops, INITIAL).is_ok()
}

#[test]
fn what_can_have_happened_has_an_order() {
    assert!(fits(&[]));
    assert!(fits(&[write(7, 0, 9, 2), read(10, 11, 2, 7)]));
    // Read during the write: before or after it.
    assert!(fits(&[write(7, 0, 9, 2), read(1, 2, 1, 0)]));
    assert!(fits(&[write(7, 0, 9, 2), read(1, 2, 2, 7), read(3, 4, 2, 7)]));
    // Two writes at a time, seen in the order of their versions.
    assert!(fits(&[write(7, 0, 9, 3), write(8, 0, 9, 2), read(2, 3, 2, 8), read(4, 5, 3, 7)]));
    assert!(fits(&[swap(1, 5, 0, 3, Told::Written(2)), swap(1, 6, 0, 3, Told::Refused)]));
}

#[test]
fn what_is_unknown_may_happen_late_or_never() {
    assert!(fits(&[lost(7, 0), read(10, 11, 1, 0), read(20, 21, 2, 7)]));
    assert!(fits(&[lost(7, 0), read(10, 11, 1, 0)]));
    assert!(fits(&[lost(7, 0), write(8, 10, 11, 3), read(12, 13, 3, 8)]));
    let unsure = swap(2, 9, 5, 6, Told::Nothing);
    assert!(fits(&[lost(7, 0), unsure.clone(), read(20, 21, 3, 9)]));
    assert!(fits(&[unsure, read(20, 21, 1, 0)]));
}

#[test]
fn what_cannot_have_happened_has_none() {
    // A stale read, after the answer to a write, and after a newer read.
    assert!(!fits(&[write(7, 0, 9, 2), read(10, 11, 1, 0)]));
    assert!(!fits(&[write(7, 0, 9, 2), read(1, 2, 2, 7), read(3, 4, 1, 0)]));
    // A value from nowhere, and one before it was written.
    assert!(!fits(&[read(0, 1, 2, 7)]));
    assert!(!fits(&[read(0, 1, 2, 7), write(7, 2, 3, 2)]));
    // A lost write: its version was given twice, or it vanished.
    assert!(!fits(&[write(7, 0, 1, 2), write(8, 2, 3, 2)]));
    assert!(!fits(&[write(7, 0, 1, 2), lost(8, 2), read(9, 10, 2, 8)]));
    // What was unknown happened, and was undone.
    assert!(!fits(&[lost(7, 0), read(5, 6, 2, 7), read(7, 8, 1, 0)]));
    // Two swaps of one version, and a refusal without a cause.
    let both = [swap(1, 5, 0, 9, Told::Written(2)), swap(1, 6, 0, 9, Told::Written(3))];
    assert!(!fits(&both));
    assert!(!fits(&[swap(1, 5, 0, 9, Told::Refused)]));
}

#[test]
fn what_is_stuck_names_what_could_not_be_explained() {
    let ops = [write(7, 0, 1, 2), read(2, 3, 2, 7), read(4, 5, 1, 0)];
    let stuck = order(&ops, INITIAL).unwrap_err();
    assert_eq!((stuck.done, stuck.open, stuck.state.value), (1, 2, 7));
    assert_eq!(stuck.before, [0]);
}

#[test]
fn many_unknown_writes_do_not_slow_it() {
    let mut ops: Vec<Op> = (0..60).map(|at| lost(100_000 + at, at)).collect();
    for version in 2..2_000 {
        let sent = version * 10;
        ops.push(write(version, sent, sent + 15, version));
        ops.push(read(sent + 16, sent + 17, version, version));
    }
    assert!(fits(&ops));
    ops.push(read(30_000, 30_001, 5, 5));
    assert!(!fits(&ops));
}
