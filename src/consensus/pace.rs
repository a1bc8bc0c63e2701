//! How long things take between these nodes, and how patient they are by it.
//!
//! Two things are measured. A **round trip**: the leader's pulse to each voter and back, the
//! shortest of the last ones, so that a busy moment counts for nothing. A **flush**: how long the
//! log takes to make a write durable, the longest of late, or for how long one has been waiting.
//! The leader tells the longest of both with each pulse, so all nodes are equally patient.
//!
//! Within one site (a round trip of 10 ms, a flush of 10 ms) nothing is added to any patience.
//! Beyond, a silent leader is given four round trips more, for packets that are sent again, and an
//! election six flushes: a candidate's vote, the voters', the leader's, its first entry here and
//! there, and one that was under way.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::types::NodeId;

/// The bounds of an election's timeout in the library: one refuses every candidate for the longer
/// one after a heartbeat.
pub(super) const ELECTION_MS_MIN: u64 = 200;
pub(super) const ELECTION_MS_MAX: u64 = 300;

/// What costs no patience: within a site, or on a disk that is only busy.
const FREE: Duration = Duration::from_millis(10);
/// The longest that is reckoned with; beyond, something is broken.
const TRIP_MAX: Duration = Duration::from_secs(2);
const FLUSH_MAX: Duration = Duration::from_secs(5);
/// Voters refuse every candidate for so long after they heard the leader.
const LEASE: Duration = Duration::from_millis(ELECTION_MS_MAX + 1);
/// A leader that does not refuse connections may only be slow.
const SILENT: Duration = Duration::from_millis(ELECTION_MS_MAX + ELECTION_MS_MIN - 50);
/// What an election takes, before the next is tried.
const ELECTION: Duration = Duration::from_millis(150);
/// Until an append is given up, beside what the way and the disk take.
const APPEND: Duration = Duration::from_millis(500);
/// Round trips of a peer that are remembered, two seconds' worth.
const TRIPS: usize = 40;
/// Flushes count for once to twice this long.
const RECENT: Duration = Duration::from_secs(10);
/// What was measured elsewhere counts for so long.
const KEPT: Duration = Duration::from_secs(60);
/// Elections that come to nothing are tried further and further apart, up to this.
const ELECTION_MAX: Duration = Duration::from_secs(10);

/// How long the flushes of the log take.
#[derive(Default)]
pub(super) struct Flushes(Mutex<Pending>);

#[derive(Default)]
struct Pending {
    next: u64,
    begun: BTreeMap<u64, Instant>,
    worst: Worst,
}

/// The longest of late, in two spans of time that take turns.
#[derive(Default)]
struct Worst {
    since: Option<Instant>,
    now: Duration,
    before: Duration,
}

impl Worst {
    fn note(&mut self, took: Duration, now: Instant) {
        self.turn(now);
        self.now = self.now.max(took);
    }

    fn longest(&mut self, now: Instant) -> Duration {
        self.turn(now);
        self.now.max(self.before)
    }

    fn turn(&mut self, now: Instant) {
        let since = *self.since.get_or_insert(now);
        let passed = now.saturating_duration_since(since);
        if passed >= RECENT {
            let before = if passed < 2 * RECENT { self.now } else { Duration::ZERO };
            (self.before, self.now, self.since) = (before, Duration::ZERO, Some(now));
        }
    }
}

impl Flushes {
    /// A write is handed over; it is durable, or failed, when what is given is dropped.
    pub fn begin(self: &Arc<Self>) -> Flush {
        let mut pending = self.locked();
        pending.next += 1;
        let number = pending.next;
        pending.begun.insert(number, Instant::now());
        Flush { flushes: Arc::clone(self), number }
    }

    /// The longest of late, and of those under way.
    pub fn longest(&self) -> Duration {
        let now = Instant::now();
        let mut pending = self.locked();
        let oldest = pending.begun.values().min().copied();
        let waits = oldest.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        pending.worst.longest(now).max(waits).min(FLUSH_MAX)
    }

    fn locked(&self) -> MutexGuard<'_, Pending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A flush under way.
pub(super) struct Flush {
    flushes: Arc<Flushes>,
    number: u64,
}

impl Drop for Flush {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut pending = self.flushes.locked();
        if let Some(begun) = pending.begun.remove(&self.number) {
            pending.worst.note(now.saturating_duration_since(begun), now);
        }
    }
}

/// What the leader measured of a voter.
#[derive(Default)]
struct Voter {
    trips: VecDeque<Duration>,
    flush: Duration,
    at: Option<Instant>,
}

#[derive(Default)]
struct Measured {
    voters: BTreeMap<NodeId, Voter>,
    /// What the leader told last, and when.
    told: Option<(Duration, Duration, Instant)>,
}

/// How long things take.
pub(super) struct Pace {
    flushes: Arc<Flushes>,
    measured: Mutex<Measured>,
}

/// What is not within a site, of a time that was measured.
fn beyond(took: Duration) -> u32 {
    u32::try_from(took.saturating_sub(FREE).as_micros()).unwrap_or(u32::MAX)
}

fn times(many: u32, took: Duration) -> Duration {
    Duration::from_micros(u64::from(beyond(took)) * u64::from(many))
}

impl Pace {
    pub fn new(flushes: Arc<Flushes>) -> Self {
        Self { flushes, measured: Mutex::default() }
    }

    /// A voter answered a pulse of this node, which leads.
    pub fn answered(&self, node: NodeId, trip: Duration, flush: Duration) {
        let mut measured = self.locked();
        let voter = measured.voters.entry(node).or_default();
        if voter.trips.len() >= TRIPS {
            voter.trips.pop_front();
        }
        voter.trips.push_back(trip);
        (voter.flush, voter.at) = (flush, Some(Instant::now()));
    }

    /// The leader told the longest of all.
    pub fn told(&self, trip: Duration, flush: Duration) {
        self.locked().told = Some((trip, flush, Instant::now()));
    }

    /// How long this node's own flushes take.
    pub fn own_flush(&self) -> Duration {
        self.flushes.longest()
    }

    /// The longest round trip, and the longest flush, as far as they are known.
    pub fn longest(&self) -> (Duration, Duration) {
        let measured = self.locked();
        let lately = |at: Instant| at.elapsed() < KEPT;
        let told = measured.told.filter(|(_, _, at)| lately(*at));
        let (trip, flush) = told.map_or_else(Default::default, |(trip, flush, _)| (trip, flush));
        let (mut trip, mut flush) = (trip, flush.max(self.own_flush()));
        for voter in measured.voters.values().filter(|voter| voter.at.is_some_and(lately)) {
            let shortest = voter.trips.iter().min().copied().unwrap_or_default();
            (trip, flush) = (trip.max(shortest), flush.max(voter.flush));
        }
        (trip.min(TRIP_MAX), flush.min(FLUSH_MAX))
    }

    /// How long a leader that has ended is missed before anyone stands: no voter is bound to it
    /// then.
    pub fn lease(&self) -> Duration {
        LEASE + times(4, self.longest().0)
    }

    /// The same of a leader that is only silent.
    pub fn silent(&self) -> Duration {
        SILENT + times(4, self.longest().0)
    }

    /// What an election takes, at the most, after so many that came to nothing.
    pub fn election(&self, failed: u32) -> Duration {
        let (trip, flush) = self.longest();
        let once = ELECTION + times(4, trip) + times(6, flush);
        (once * 2_u32.pow(failed.min(6))).min(ELECTION_MAX.max(once))
    }

    /// Until an append is given up: the way and the other's disk take what they take.
    pub fn append(&self) -> Duration {
        let (trip, flush) = self.longest();
        APPEND + times(4, trip) + times(4, flush)
    }

    /// What is added to a patience that is meant for a site, when a majority is asked.
    pub fn slack(&self) -> Duration {
        let (trip, flush) = self.longest();
        times(4, trip) + times(4, flush)
    }

    /// What is added until a connection to another node stands or is refused.
    pub fn way(&self) -> Duration {
        times(2, self.longest().0)
    }

    fn locked(&self) -> MutexGuard<'_, Measured> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn pace() -> Pace {
        Pace::new(Arc::default())
    }

    #[tokio::test(start_paused = true)]
    async fn within_a_site_nothing_is_added() {
        let pace = pace();
        pace.answered(2, 9 * MS, 8 * MS);
        assert_eq!((pace.lease(), pace.silent()), (LEASE, SILENT));
        assert_eq!(
            (pace.election(0), pace.append(), pace.slack()),
            (ELECTION, APPEND, Duration::ZERO)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn patience_follows_the_way_and_the_disk() {
        let pace = pace();
        // A busy moment makes one answer late; the way is no longer for that.
        pace.answered(2, 900 * MS, MS);
        pace.answered(2, 210 * MS, MS);
        assert_eq!(pace.lease(), LEASE + 800 * MS);
        pace.told(20 * MS, 510 * MS);
        assert_eq!(pace.longest(), (210 * MS, 510 * MS));
        assert_eq!(pace.election(0), ELECTION + 800 * MS + 3_000 * MS);
        assert!(pace.election(1) > pace.election(0) && pace.election(60) <= ELECTION_MAX);
        tokio::time::sleep(KEPT).await;
        assert_eq!(pace.longest(), (Duration::ZERO, Duration::ZERO), "what is old counts no more");
    }

    #[tokio::test(start_paused = true)]
    async fn a_flush_under_way_counts_for_as_long_as_it_has_been() {
        let flushes = Arc::<Flushes>::default();
        let under_way = flushes.begin();
        tokio::time::sleep(70 * MS).await;
        assert_eq!(flushes.longest(), 70 * MS);
        drop(flushes.begin());
        drop(under_way);
        assert_eq!(flushes.longest(), 70 * MS);
        tokio::time::sleep(RECENT).await;
        assert_eq!(flushes.longest(), 70 * MS, "for a while");
        tokio::time::sleep(2 * RECENT).await;
        assert_eq!(flushes.longest(), Duration::ZERO);
    }
}
