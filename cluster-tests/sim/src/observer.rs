//! Watches a node while it runs: what it shows at an index must be what every other node
//! shows there, and keep the machine's own rules.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cronapi::consensus::{Handle, Leadership};
use cronapi::machine::{State, invariants};
use cronapi::model::{JobNo, Timestamp};

use crate::node::note_applied;
use crate::record::{Latest, Seen, digest};
use crate::seat::Seat;

/// A node with nothing to do is seen as well.
const SHOWS_EVERY: Duration = Duration::from_secs(1);

/// Runs as long as the node.
pub async fn run(seat: Arc<Seat>, consensus: Handle) {
    let mut applied = consensus.applied();
    let mut leadership = consensus.leadership();
    let mut observer = Observer { seat, consensus, last: 0, told: (0, 0), jobs: BTreeMap::new() };
    loop {
        let index = *applied.borrow_and_update();
        let leadership_now = *leadership.borrow_and_update();
        observer.look(index);
        observer.show(index, leadership_now);
        tokio::select! {
            changed = applied.changed() => if changed.is_err() { return },
            changed = leadership.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(SHOWS_EVERY) => {}
        }
    }
}

struct Observer {
    seat: Arc<Seat>,
    consensus: Handle,
    /// The last index that was looked at.
    last: u64,
    /// The position of the last event that was noted.
    told: (u64, u32),
    /// The last decided time, and the next, of each version.
    jobs: BTreeMap<(JobNo, u64), (Timestamp, Option<Timestamp>)>,
}

impl Observer {
    fn look(&mut self, index: u64) {
        if index < self.last {
            self.broken(&format!("applied index {index} after {}", self.last));
        }
        if index == self.last {
            return;
        }
        self.last = index;
        note_applied(&self.seat, index);
        let state = self.consensus.state();
        self.compare(index, &state);
        self.events();
        for broken in invariants::check(&state) {
            self.broken(&format!("the machine's invariants at index {index}: {broken}"));
        }
        self.times(index, &state);
    }

    fn show(&mut self, index: u64, leadership: Leadership) {
        let latest = Latest { index, state: self.consensus.state(), leadership };
        let name = self.seat.name.clone();
        let before = self.seat.record.locked().latest.insert(name, latest);
        if before.is_none_or(|before| before.leadership != leadership) {
            self.seat.trace(&format!("sees {leadership:?}"));
        }
    }

    /// Equal index, equal state.
    fn compare(&mut self, index: u64, state: &State) {
        let encoded = rmp_serde::to_vec_named(state).unwrap_or_default();
        let mine = digest(&encoded);
        self.seat.trace(&format!("applied {index}: {mine:016x}"));
        let mut inner = self.seat.record.locked();
        inner.samples += 1;
        inner.last_at = inner.last_at.max(state.last_at);
        let by = self.seat.name.clone();
        let first = inner.seen.entry(index).or_insert(Seen { digest: mine, by }).clone();
        drop(inner);
        if first.digest != mine {
            self.broken(&format!("equal index, equal state: {index} differs from {}", first.by));
        }
    }

    /// Every node tells the same events.
    fn events(&mut self) {
        let news = match self.consensus.events_since(self.told.0, self.told.1) {
            Ok(news) => news,
            Err(gone) => {
                self.told = (gone.index, gone.sub);
                return;
            }
        };
        let mut differ = Vec::new();
        {
            let mut inner = self.seat.record.locked();
            for event in news {
                self.told = (event.index, event.sub);
                let known = inner.events.entry(self.told).or_insert_with(|| event.clone());
                if *known != event {
                    differ.push(format!("{event:?} and {known:?}"));
                }
            }
        }
        for pair in differ {
            self.broken(&format!("every node tells the same: {pair}"));
        }
    }

    /// Neither what is decided nor what comes next ever goes back for a version, but to the one
    /// time whose planned start its node gave back.
    fn times(&mut self, index: u64, state: &State) {
        let mut back = Vec::new();
        for job in state.jobs.values() {
            let next = job.live.next.map(|next| next.nominal);
            let now = (job.live.decided, next);
            let before = self.jobs.insert((job.no, job.version), now);
            let Some((decided, was)) = before else { continue };
            let goes_back = now.0 < decided || (next.is_some() && was.is_some() && next < was);
            let given_back = next.is_some_and(|at| job.live.given_back == Some(at) && at > now.0);
            if goes_back && !given_back {
                let name = &job.spec.name;
                back.push(format!("next time goes back: {name} {was:?} to {next:?} at {index}"));
            }
        }
        for text in back {
            self.broken(&text);
        }
    }

    fn broken(&self, what: &str) {
        self.seat.record.found(&self.seat.name, what);
    }
}
