//! Whether this node's clock can be decided by: it is compared with those of the other voters.
//!
//! The leader's pulses bring back what the others' clocks show. Each is kept as its distance from
//! the steady clock of this process, which no setting of the time moves, so that a jump of this
//! node's own clock is seen in the moment that it is read, and one of another with its next answer.
//! What counts is the **median** of a majority. A leader that is over 2 s from it decides nothing
//! (log time would be carried away for all), and hands leadership to a voter whose clock is right.
//! It tells each voter what is right, so a new leader knows of itself from the start.
//!
//! When the clocks that are known do not say who is right (two that differ), what was right last
//! goes on being right: whoever jumped since is wrong. A node that votes alone has nobody to ask,
//! and its clock is right by definition (ADR 3).

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::types::NodeId;
use crate::clock::Clock;
use crate::model::Timestamp;

/// A clock further from the median is wrong; what is not known of the way comes on top.
pub(super) const APART_MICROS: i64 = 2_000_000;
/// Answers of another clock that are remembered, and how long they count. The one that was fastest
/// says most.
const ANSWERS: usize = 40;
const COUNTS: Duration = Duration::from_secs(5);
/// A leader that was never told of its clock waits so long for the others' before it decides: they
/// may be of a version that does not tell.
const GRACE: Duration = Duration::from_secs(2);

/// What another clock showed, once.
#[derive(Clone, Copy)]
struct Answer {
    /// Its distance from this process's steady clock, in microseconds.
    base: i64,
    trip: Duration,
    at: Instant,
}

#[derive(Default)]
struct Known {
    others: BTreeMap<NodeId, VecDeque<Answer>>,
    /// The distance from the steady clock that was right last.
    right: Option<i64>,
    /// Since when it is waited for the others to tell.
    waits: Option<Instant>,
}

/// What is known of the clocks.
pub(super) struct Clocks {
    clock: Arc<dyn Clock>,
    began: Instant,
    known: Mutex<Known>,
}

/// What a comparison says, of distances ahead of this node's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Median {
    /// So far from this node's clock.
    At(i64),
    /// Too few are known, or they do not say who is right.
    Open,
}

/// The median of what a majority shows; of an even number, only if both in the middle agree with
/// this clock or neither does.
fn median(mut ahead: Vec<i64>, voters: usize) -> Median {
    if ahead.len() <= voters / 2 {
        return Median::Open;
    }
    ahead.sort_unstable();
    let (upper, lower) = (ahead.len() / 2, (ahead.len() - 1) / 2);
    let (Some(low), Some(high)) = (ahead.get(lower), ahead.get(upper)) else { return Median::Open };
    let nearer = if low.abs() <= high.abs() { *low } else { *high };
    let agrees = |micros: &i64| micros.abs() <= APART_MICROS;
    let one_side = low.signum() * high.signum() > 0;
    match (agrees(low), agrees(high)) {
        (true, true) => Median::At(nearer),
        (false, false) if one_side => Median::At(nearer),
        _ => Median::Open,
    }
}

impl Clocks {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, began: Instant::now(), known: Mutex::default() }
    }

    fn steady(&self) -> i64 {
        i64::try_from(self.began.elapsed().as_micros()).unwrap_or(i64::MAX)
    }

    /// Another clock showed `shown` in the middle of a round trip that ends now.
    pub fn answered(&self, node: NodeId, shown: i64, trip: Duration) {
        let half = i64::try_from(trip.as_micros() / 2).unwrap_or_default();
        let base = shown.saturating_sub(self.steady().saturating_sub(half));
        let mut known = self.locked();
        let answers = known.others.entry(node).or_default();
        if answers.len() >= ANSWERS {
            answers.pop_front();
        }
        // It was set: what it showed before says nothing any more.
        let jumped = |last: &Answer| {
            let doubt = i64::try_from((last.trip + trip).as_micros()).unwrap_or(i64::MAX);
            last.base.abs_diff(base) > APART_MICROS.saturating_add(doubt).unsigned_abs()
        };
        if answers.back().is_some_and(jumped) {
            answers.clear();
        }
        answers.push_back(Answer { base, trip, at: Instant::now() });
    }

    /// The leader says what is right. On the way it has become a little late.
    pub fn told(&self, right: i64) {
        self.locked().right = Some(right.saturating_sub(self.steady()));
    }

    /// What is right now, by what was right last.
    pub fn right_now(&self) -> Option<i64> {
        self.locked().right.map(|right| right.saturating_add(self.steady()))
    }

    /// The time to decide by, among these voters; none: this clock is wrong, or it is not known
    /// yet.
    pub fn time(&self, own: NodeId, voters: &[NodeId]) -> Option<Timestamp> {
        let now = self.clock.now();
        let base = now.micros() - self.steady();
        let mut known = self.locked();
        if voters.iter().all(|voter| *voter == own) {
            known.right = Some(base);
            return Some(now);
        }
        if let Median::At(ahead) = median(known.ahead_of(base, own, voters), voters.len()) {
            known.right = Some(if ahead.abs() <= APART_MICROS { base } else { base + ahead });
        }
        match known.right {
            Some(right) if right.abs_diff(base) <= APART_MICROS.unsigned_abs() => {
                known.waits = None;
                Some(now)
            }
            Some(_) => None,
            None => {
                let since = *known.waits.get_or_insert_with(Instant::now);
                (since.elapsed() >= GRACE).then_some(now)
            }
        }
    }

    /// How far this clock is ahead of what is right, in microseconds, when that is known.
    pub fn ahead(&self) -> Option<i64> {
        let base = self.clock.now().micros() - self.steady();
        self.locked().right.map(|right| base - right)
    }

    /// How far another voter's clock is ahead of what is right.
    pub fn ahead_of(&self, node: NodeId) -> Option<i64> {
        let known = self.locked();
        let right = known.right?;
        known.base_of(node).map(|base| base - right)
    }

    fn locked(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn base_of(&self, node: NodeId) -> Option<i64> {
        let answers = self.others.get(&node)?.iter();
        let lately = answers.filter(|answer| answer.at.elapsed() < COUNTS);
        lately.min_by_key(|answer| answer.trip).map(|answer| answer.base)
    }

    /// How far each clock that is known is ahead of this one, which is one of them.
    fn ahead_of(&self, base: i64, own: NodeId, voters: &[NodeId]) -> Vec<i64> {
        let others = voters.iter().filter(|voter| **voter != own);
        let others = others.filter_map(|voter| Some(self.base_of(*voter)? - base));
        let own_votes = voters.contains(&own).then_some(0);
        others.chain(own_votes).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Manual;
    use crate::model::Span;

    const HOUR: i64 = 3_600_000_000;
    const VOTERS: [NodeId; 3] = [1, 2, 3];

    fn clocks() -> (Arc<Manual>, Clocks) {
        let clock = Arc::new(Manual::at(Timestamp::from_micros(10 * HOUR)));
        (clock.clone(), Clocks::new(clock))
    }

    fn answer(clocks: &Clocks, node: NodeId, ahead: i64) {
        clocks.answered(node, 10 * HOUR + ahead, Duration::ZERO);
    }

    #[test]
    fn the_median_of_a_majority_counts() {
        assert_eq!(median(vec![0], 3), Median::Open, "no majority");
        assert_eq!(median(vec![0, HOUR, -HOUR], 3), Median::At(0));
        assert_eq!(median(vec![0, HOUR, HOUR], 3), Median::At(HOUR));
        assert_eq!(median(vec![0, HOUR], 3), Median::Open, "one word against the other");
        assert_eq!(median(vec![0, 900_000], 3), Median::At(0));
        assert_eq!(median(vec![0, HOUR, HOUR, HOUR], 5), Median::At(HOUR));
        assert_eq!(median(vec![0, 0, HOUR, HOUR], 5), Median::Open);
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_jumps_is_not_decided_by_from_that_moment() {
        let (clock, clocks) = clocks();
        VOTERS[1..].iter().for_each(|node| answer(&clocks, *node, 500_000));
        assert!(clocks.time(1, &VOTERS).is_some());
        clock.advance(Span::from_secs(3_600));
        assert_eq!(clocks.time(1, &VOTERS), None);
        assert_eq!(clocks.ahead_of(2), Some(0));
        clock.set(Timestamp::from_micros(10 * HOUR));
        assert!(clocks.time(1, &VOTERS).is_some(), "it was set right");
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_that_differ_the_one_that_jumped_is_wrong() {
        let (clock, clocks) = clocks();
        answer(&clocks, 2, 0);
        assert!(clocks.time(1, &VOTERS).is_some());
        // The third is away. The other one jumps: this one goes on.
        answer(&clocks, 2, HOUR);
        assert!(clocks.time(1, &VOTERS).is_some());
        answer(&clocks, 2, 0);
        clock.advance(Span::from_secs(3_600));
        assert_eq!(clocks.time(1, &VOTERS), None, "this one jumps");
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_leader_told_counts_for_whoever_leads_next() {
        let (_, clocks) = clocks();
        clocks.told(9 * HOUR);
        assert_eq!((clocks.time(1, &VOTERS), clocks.ahead()), (None, Some(HOUR)));
        clocks.told(10 * HOUR + 1_000);
        assert!(clocks.time(1, &VOTERS).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_votes_alone_has_nobody_to_ask() {
        let (clock, clocks) = clocks();
        clock.advance(Span::from_secs(3_600));
        assert!(clocks.time(1, &[1]).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn others_that_tell_no_time_are_waited_for_a_while() {
        let (_, clocks) = clocks();
        assert_eq!(clocks.time(1, &VOTERS), None);
        tokio::time::sleep(GRACE).await;
        assert!(clocks.time(1, &VOTERS).is_some());
    }
}
