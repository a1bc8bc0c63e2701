//! Where a sink goes on: by what the database says, and what the log does.

use crate::adapters::kept::position_of;
use crate::consensus::Handle;
use crate::machine::state::{Duty, EventRows};
use crate::model::Position;

/// The place of an event: entry of the log, and which of its events.
pub(in crate::adapters::sinks) type Place = (u64, u32);

/// What a database says of a sink: its row or document among the positions.
#[derive(Debug)]
pub(in crate::adapters::sinks) struct There {
    /// The fence of whoever moved it last.
    pub fence: i64,
    /// Everything up to here is there.
    pub place: Place,
    /// See [`Plan::filling`].
    pub filling: Option<Vec<u8>>,
}

/// What things are called in a kind of database, for faults.
pub(in crate::adapters::sinks) struct Words {
    /// What rows are in, such as `the tables`.
    pub rows: &'static str,
    /// What says how far the sink is, such as `the sink's row of cronapi.positions`.
    pub position: &'static str,
}

/// Where a sink goes on.
#[derive(Debug, PartialEq)]
pub(in crate::adapters::sinks) struct Plan {
    /// From here on. A number of 0: it has to be found.
    pub at: Position,
    /// What people should know.
    pub lost: Option<String>,
    /// The history of before is copied, from this key on; none: it is there.
    pub filling: Option<Vec<u8>>,
}

/// Decides where a sink goes on, and finds that place in the history.
///
/// # Errors
/// Somebody else writes the sink, or the history can't be read.
pub(in crate::adapters::sinks) async fn begin(
    consensus: &Handle,
    there: Option<&There>,
    duty: &Duty,
    events: EventRows,
    words: &Words,
) -> Result<Plan, String> {
    let applied = *consensus.applied().borrow();
    let mut plan = plan(there, duty, events, applied, words)?;
    if events.covers(plan.at.place()) && plan.at.number == 0 {
        let at = position_of(consensus.history(), plan.at.place(), events.last).await;
        plan.at = at.map_err(|e| format!("the history can't be read: {e}"))?;
    }
    Ok(plan)
}

/// A number of the log as databases have it, which know none without a sign.
pub(in crate::adapters::sinks) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Decides where a sink goes on. `applied` is the last entry that this node has.
fn plan(
    there: Option<&There>,
    duty: &Duty,
    events: EventRows,
    applied: u64,
    words: &Words,
) -> Result<Plan, String> {
    let Words { rows, position } = words;
    let Some(there) = there else {
        let begins = duty.begin.is_none_or(|begin| begin == duty.position);
        let lost = format!(
            "{rows} have nothing of this sink any more: what the history has is written again"
        );
        return Ok(Plan {
            // What was before is copied: no event of it is needed.
            at: duty.position.max(events.floor()),
            lost: (!begins).then_some(lost),
            filling: Some(Vec::new()),
        });
    };
    let (entry, sub) = there.place;
    if there.fence > signed(duty.fence) {
        return Err(format!(
            "a newer holder writes this sink, under the fence {}; this node has {}",
            there.fence, duty.fence
        ));
    }
    if entry > applied {
        return Err(format!(
            "{rows} are at {entry}-{sub}, ahead of this cluster's log: another cluster writes \
             them under this one's name, or did; delete {position}"
        ));
    }
    let filling = there.filling.clone();
    if there.place < duty.position.place() {
        let at = Position { index: entry, sub, number: 0 };
        let lost = format!(
            "{rows} lost what came after {entry}-{sub}: what the history has is written again"
        );
        return Ok(Plan { at, lost: Some(lost), filling });
    }
    // It was set back, or was not told yet: the same rows are written again.
    let all = duty.position <= events.floor() && there.place > duty.position.place();
    let filling = if all { Some(Vec::new()) } else { filling };
    Ok(Plan { at: duty.position, lost: None, filling })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    fn at(index: u64) -> Position {
        Position { index, sub: 0, number: index }
    }

    fn duty(position: u64, fence: u64) -> Duty {
        Duty { fence, begin: Some(at(5)), ..Duty::new(at(position), Timestamp::ZERO) }
    }

    fn there(index: u64, fence: i64) -> There {
        There { fence, place: (index, 0), filling: None }
    }

    fn plan(
        there: Option<&There>,
        duty: &Duty,
        events: EventRows,
        applied: u64,
    ) -> Result<Plan, String> {
        let words = Words { rows: "the tables", position: "the sink's row of cronapi.positions" };
        super::plan(there, duty, events, applied, &words)
    }

    const EVENTS: EventRows = EventRows { on: true, from: 4, first: 4, last: 90 };

    #[test]
    fn a_new_sink_begins_where_it_was_made_and_copies_what_was_before() {
        let plan = plan(None, &duty(5, 1), EVENTS, 99).unwrap();
        assert_eq!((plan.at, plan.lost, plan.filling), (at(5), None, Some(Vec::new())));
    }

    #[test]
    fn tables_that_are_gone_are_filled_again_and_that_is_told() {
        let told = plan(None, &duty(50, 1), EVENTS, 99).unwrap();
        assert!(told.lost.unwrap().contains("nothing of this sink any more"));
        assert_eq!(told.filling, Some(Vec::new()));
        // Events that are gone are no gap: what they told of is copied.
        let late = EventRows { from: 70, first: 70, ..EVENTS };
        assert_eq!(plan(None, &duty(50, 1), late, 99).unwrap().at, late.floor());
    }

    #[test]
    fn a_holder_whose_fence_is_old_is_refused() {
        let told = plan(Some(&there(50, 3)), &duty(50, 2), EVENTS, 99).unwrap_err();
        assert!(told.contains("a newer holder"), "{told}");
        assert!(plan(Some(&there(50, 3)), &duty(50, 3), EVENTS, 99).is_ok());
    }

    #[test]
    fn tables_of_another_log_are_left_alone() {
        let told = plan(Some(&there(100, 1)), &duty(50, 2), EVENTS, 99).unwrap_err();
        assert!(told.contains("ahead of this cluster's log"), "{told}");
    }

    #[test]
    fn what_was_not_told_yet_or_is_set_back_is_written_again() {
        let again = plan(Some(&there(60, 1)), &duty(50, 2), EVENTS, 99).unwrap();
        assert_eq!((again.at, again.lost, again.filling), (at(50), None, None));
        // Set back to all that there is: so is the history of before.
        let all = plan(Some(&there(60, 1)), &duty(3, 2), EVENTS, 99).unwrap();
        assert_eq!(all.filling, Some(Vec::new()));
    }

    #[test]
    fn a_database_that_is_behind_gets_what_it_lost() {
        let plan = plan(Some(&there(40, 1)), &duty(50, 2), EVENTS, 99).unwrap();
        assert_eq!(plan.at, Position { index: 40, sub: 0, number: 0 });
        assert!(plan.lost.unwrap().contains("after 40-0"));
    }
}
