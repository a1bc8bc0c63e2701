//! Whether operations that overlapped can have happened one after the other, each at some
//! instant between its question and its answer: Herlihy and Wing's linearizability.
//!
//! The search is Wing and Gong's ("Testing and verifying concurrent objects", 1993) as Lowe
//! refined it ("Testing for linearizability", 2017): take any operation that was asked before
//! the first answer that is still open, see whether it fits, go on without it; go back at a
//! dead end; never look twice at the same set of operations done with the same state.
//!
//! Writes of unknown outcome may be left out, which is what makes the search hard: there are
//! as many ways as sets of them. Every value is written by one operation only, so one whose
//! value was read did happen, as the version that was read; those whose values nobody read
//! are alike, and only the one that was sent first is tried.

use std::collections::{HashMap, HashSet};

use super::op::{Asked, Op, State, Told};

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
    is_answer: bool,
    /// Of a question: where the answer stands; none: it never came.
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
            // At the same time questions come first: such operations overlap.
            times.push((op.sent, false, at));
            if op.told != Told::Nothing {
                times.push((op.answered, true, at));
            }
        }
        times.sort_unstable();
        let last = times.len();
        let head = Event { op: usize::MAX, is_answer: true, answer: None, before: last, after: 1 };
        let mut list = vec![head];
        let mut asked = vec![HEAD; ops.len()];
        for (at, (_, is_answer, op)) in (1..).zip(times) {
            list.push(Event { op, is_answer, answer: None, before: at - 1, after: at + 1 });
            if is_answer {
                list[asked[op]].answer = Some(at);
            } else {
                asked[op] = at;
            }
        }
        list[last].after = HEAD;
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

    /// An operation that is still to be done and can't be once `op` has led to `state`. Without
    /// this look ahead, writes of unknown outcome are tried in all their sets.
    fn strand(&self, ops: &[Op], op: usize, state: State) -> Option<usize> {
        let mut at = self.first();
        for _ in 0..AHEAD {
            let event = &self.0[at];
            if at == HEAD {
                return None;
            }
            if !event.is_answer && event.op != op && ops[event.op].is_late(state) {
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

/// Operations with what others tell of them: a write whose value was read did happen, though
/// its own client never heard of it.
fn settled(ops: &[Op]) -> Vec<Op> {
    let seen = ops.iter().filter_map(|op| match op.told {
        Told::Holds(state) => Some((state.value, state.version)),
        _ => None,
    });
    let versions: HashMap<u64, u64> = seen.collect();
    let settle = |mut op: Op| {
        if op.told == Told::Nothing
            && let Some(version) = op.value().and_then(|value| versions.get(&value))
        {
            (op.told, op.answered) = (Told::Written(*version), u64::MAX);
        }
        op
    };
    ops.iter().cloned().map(settle).collect()
}

/// Operations that were done, one bit each.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Done(Vec<u64>);

impl Done {
    fn flip(&mut self, op: usize) {
        self.0[op / 64] ^= 1 << (op % 64);
    }

    fn has(&self, op: usize) -> bool {
        self.0[op / 64] & (1 << (op % 64)) != 0
    }
}

/// Looks for an order of the operations on a register that holds `initial`.
///
/// # Errors
/// There is none.
pub fn order(ops: &[Op], initial: State) -> Result<(), Stuck> {
    let ops = &settled(ops)[..];
    let is_free = |op: &Op| op.told == Told::Nothing && matches!(op.asked, Asked::Write(_));
    let mut free: Vec<usize> = (0..ops.len()).filter(|at| is_free(&ops[*at])).collect();
    free.sort_by_key(|at| ops[*at].sent);
    let mut left = ops.iter().filter(|op| op.told != Told::Nothing).count();
    let mut events = Events::new(ops);
    let mut state = initial;
    let mut done = Done(vec![0; ops.len().div_ceil(64)]);
    let mut seen: HashSet<(Done, State)> = HashSet::new();
    // Questions that were taken out, each with the state before it.
    let mut taken: Vec<(usize, State)> = Vec::new();
    let mut best = Stuck { done: 0, state, before: Vec::new(), open: 0 };
    let mut at = events.first();
    while left > 0 {
        let Event { op, is_answer, after, .. } = events.0[at];
        // The answer of an operation that is not done.
        if is_answer {
            best.improve(&events, &taken, state, op);
            let Some((question, earlier)) = taken.pop() else { return Err(best) };
            let Event { op, answer, after, .. } = events.0[question];
            state = earlier;
            left += usize::from(answer.is_some());
            done.flip(op);
            events.put_back(question);
            at = after;
            continue;
        }
        let alike = is_free(&ops[op]) && free.iter().find(|one| !done.has(**one)) != Some(&op);
        let fits = ops[op].step(state).filter(|next| {
            if alike {
                return false;
            }
            if let Some(open) = events.strand(ops, op, *next) {
                taken.push((at, state));
                best.improve(&events, &taken, *next, open);
                taken.pop();
                return false;
            }
            done.flip(op);
            let is_new = seen.insert((done.clone(), *next));
            if !is_new {
                done.flip(op);
            }
            is_new
        });
        at = match fits {
            Some(next) => {
                taken.push((at, state));
                state = next;
                left -= usize::from(events.0[at].answer.is_some());
                events.take(at);
                events.first()
            }
            None => after,
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests;
