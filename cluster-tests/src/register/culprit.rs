//! The first answer that nothing explains.

use super::op::{Asked, Op, State, Told};
use super::search::order;

/// The number of the operation whose answer was the first after which there is no order: up
/// to the answer before it there is one. None: there is one for all.
pub fn culprit(ops: &[Op], initial: State) -> Option<usize> {
    if order(ops, initial).is_ok() {
        return None;
    }
    let mut answers: Vec<usize> =
        (0..ops.len()).filter(|at| ops[*at].told != Told::Nothing).collect();
    answers.sort_by_key(|at| ops[*at].answered);
    // With the first `low` answers there is an order, with the first `high` there is none.
    let (mut low, mut high) = (0, answers.len());
    while high - low > 1 {
        let middle = low.midpoint(high);
        let until = ops[answers[middle - 1]].answered;
        if order(&known_at(ops, until), initial).is_ok() {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(answers[high - 1])
}

/// What was known at an instant: what was asked later was not, answers to come were not.
fn known_at(ops: &[Op], until: u64) -> Vec<Op> {
    let asked = ops.iter().filter(|op| op.sent <= until).cloned();
    let open = |mut op: Op| {
        if op.answered > until {
            op.told = Told::Nothing;
        }
        op
    };
    // A read that tells nothing has nothing to explain.
    asked.map(open).filter(|op| op.asked != Asked::Read || op.told != Told::Nothing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_answer_without_an_explanation_is_named() {
        let op = |asked, sent, answered, told| Op {
            client: 0,
            node: String::new(),
            asked,
            sent,
            answered,
            told,
        };
        let held = |version, value| Told::Holds(State { version, value });
        let initial = State { version: 1, value: 0 };
        let mut ops = vec![
            op(Asked::Write(7), 0, 90, Told::Written(2)),
            op(Asked::Read, 1, 20, held(2, 7)),
            op(Asked::Read, 30, 95, held(1, 0)),
            op(Asked::Read, 97, 98, held(2, 7)),
        ];
        assert_eq!(culprit(&ops, initial), Some(2));
        ops.remove(2);
        assert_eq!(culprit(&ops, initial), None);
    }
}
