//! Whether operations that overlapped can have happened one after the other, each at some
//! instant between its question and its answer: Herlihy and Wing's linearizability.
//!
//! The search is Wing and Gong's ("Testing and verifying concurrent objects", 1993) as Lowe
//! refined it ("Testing for linearizability", 2017): take any operation that was asked before
//! the first answer that is still open, see whether it fits, go on without it; go back at a
//! dead end; never look twice at the same set of operations done with the same state.

use std::collections::HashSet;

use super::op::{Op, State, Told};

/// There is no order: how far the best one came.
#[derive(Clone, Debug)]
pub struct Stuck {
    /// Operations that could be put in order.
    pub done: usize,
    /// What the register held then.
    pub state: State,
    /// The last of them, by their number.
    pub before: Vec<usize>,
    /// The operation, by its number, whose answer had to be explained next.
    pub open: usize,
}

impl Stuck {
    /// Is as good as this, if this is better.
    fn improve(&mut self, events: &Events, taken: &[(usize, State)], state: State, open: usize) {
        if taken.len() >= self.done {
            let from = taken.len().saturating_sub(SHOWN);
            let before = taken[from..].iter().map(|(at, _)| events.0[*at].op).collect();
            *self = Stuck { done: taken.len(), state, before, open };
        }
    }
}

/// A question or an answer, in order of time, linked so that operations that are done can be
/// taken out and put back.
struct Event {
    op: usize,
    /// Of a question: where the answer stands.
    answer: Option<usize>,
    before: usize,
    after: usize,
}

/// Operations that are named before the one that can't be explained.
const SHOWN: usize = 6;
/// Questions and answers that are looked at beyond the next.
const AHEAD: usize = 256;
/// The list begins and ends here.
const HEAD: usize = 0;

struct Events(Vec<Event>);

impl Events {
    fn new(ops: &[Op]) -> Events {
        let mut times: Vec<(u64, bool, usize)> = Vec::new();
        for (at, op) in ops.iter().enumerate() {
            let end = if op.told == Told::Nothing { u64::MAX } else { op.answered };
            // At the same time questions come first: such operations overlap.
            times.extend([(op.sent, false, at), (end, true, at)]);
        }
        times.sort_unstable();
        let mut list = vec![Event { op: usize::MAX, answer: None, before: times.len(), after: 1 }];
        let mut asked = vec![0; ops.len()];
        for (at, (_, is_answer, op)) in (1..).zip(times) {
            let after = at + 1;
            list.push(Event { op, answer: None, before: at - 1, after });
            if is_answer {
                let question: &mut Event = &mut list[asked[op]];
                question.answer = Some(at);
            } else {
                asked[op] = at;
            }
        }
        let last = list.len() - 1;
        list[last].after = HEAD;
        if last == HEAD {
            list[HEAD].after = HEAD;
        }
        Events(list)
    }

    fn first(&self) -> usize {
        self.0[HEAD].after
    }

    fn unlink(&mut self, at: usize) {
        let (before, after) = (self.0[at].before, self.0[at].after);
        self.0[before].after = after;
        self.0[after].before = before;
    }

    fn link(&mut self, at: usize) {
        let (before, after) = (self.0[at].before, self.0[at].after);
        self.0[before].after = at;
        self.0[after].before = at;
    }

    /// An operation that is still to be done and can't be once `op` has led to `state`. Without this look ahead, writes of unknown outcome are tried in all their subsets.
    fn strand(&self, ops: &[Op], op: usize, state: State) -> Option<usize> {
        let mut at = self.first();
        for _ in 0..AHEAD {
            let event = &self.0[at];
            if at == HEAD {
                return None;
            }
            if event.answer.is_some() && event.op != op && ops[event.op].is_late(state) {
                return Some(event.op);
            }
            at = event.after;
        }
        None
    }

    /// Takes a question and its answer out.
    fn take(&mut self, question: usize) {
        self.unlink(question);
        if let Some(answer) = self.0[question].answer {
            self.unlink(answer);
        }
    }

    /// Puts back what was taken out last.
    fn put_back(&mut self, question: usize) {
        if let Some(answer) = self.0[question].answer {
            self.link(answer);
        }
        self.link(question);
    }
}

/// Looks for an order of the operations on a register that holds `initial`.
///
/// # Errors
/// There is none.
pub fn order(ops: &[Op], initial: State) -> Result<(), Stuck> {
    let mut events = Events::new(ops);
    let mut state = initial;
    let mut done = vec![0_u64; ops.len().div_ceil(64)];
    let mut seen: HashSet<(Vec<u64>, State)> = HashSet::new();
    // Questions that were taken out, each with the state before it.
    let mut taken: Vec<(usize, State)> = Vec::new();
    let mut best = Stuck { done: 0, state, before: Vec::new(), open: 0 };
    let mut at = events.first();
    while events.first() != HEAD {
        let Event { op, answer, after, .. } = events.0[at];
        let flip = |done: &mut Vec<u64>, op: usize| done[op / 64] ^= 1 << (op % 64);
        // The answer of an operation that is not done.
        if answer.is_none() {
            best.improve(&events, &taken, state, op);
            let Some((question, earlier)) = taken.pop() else { return Err(best) };
            state = earlier;
            flip(&mut done, events.0[question].op);
            events.put_back(question);
            at = events.0[question].after;
            continue;
        }
        let fits = ops[op].step(state).filter(|next| {
            if let Some(open) = events.strand(ops, op, *next) {
                taken.push((at, state));
                best.improve(&events, &taken, *next, open);
                taken.pop();
                return false;
            }
            flip(&mut done, op);
            let is_new = seen.insert((done.clone(), *next));
            if !is_new {
                flip(&mut done, op);
            }
            is_new
        });
        at = match fits {
            Some(next) => {
                taken.push((at, state));
                state = next;
                events.take(at);
                events.first()
            }
            None => after,
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
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
        let mut ops: Vec<Op> = (0..60).map(|at| lost(1_000 + at, at)).collect();
        for version in 2..2_000 {
            let sent = version * 10;
            ops.push(write(version, sent, sent + 15, version));
            ops.push(read(sent + 16, sent + 17, version, version));
        }
        assert!(fits(&ops));
        ops.push(read(30_000, 30_001, 5, 5));
        assert!(!fits(&ops));
    }
}
