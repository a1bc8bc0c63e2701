//! What must hold of a world, a file for each property. Each gives what breaks it, in words.
//!
//! Equal state at equal index, the machine's invariants and times that never go back are
//! looked at while the world runs (`observer`), liveness when it has been mended
//! (`liveness::after_heal`); the rest here, at its end.

mod acknowledged;
mod attempts;
mod backfills;
mod edits;
mod events;
mod fires;
mod flows;
mod gaps;
mod heartbeats;
mod lanes;
pub mod liveness;
mod outcomes;
mod overlap;
mod policy;
mod queues;
mod reads;
mod replicas;
mod triggers;

use crate::history::History;
use crate::plan::Plan;
use crate::record::Record;

type Check = fn(&History<'_>) -> Vec<String>;

/// All of them.
const CHECKS: [(&str, Check); 17] = [
    ("one start an attempt", attempts::check),
    ("one run a nominal time", fires::check),
    ("every nominal time has one outcome", outcomes::check),
    ("no time is left out", gaps::check),
    ("outcomes follow the policy", policy::check),
    ("acknowledged is there", acknowledged::check),
    ("edits count", edits::check),
    ("events are kept", events::check),
    ("overlap", overlap::check),
    ("rates of queues", queues::check),
    ("backfills run each time once", backfills::check),
    ("an entry starts one run", triggers::check),
    ("heartbeats tell of successes", heartbeats::check),
    ("tasks follow their edges", flows::check),
    ("the past goes behind, shares are fair", lanes::check),
    ("reads and refusals are not old", reads::check),
    ("equal index, equal history", replicas::check),
];

/// Everything that is broken.
pub fn all(plan: &Plan, record: &Record) -> Vec<String> {
    let history = History::of(plan, record);
    let mut found = history.inner.found.clone();
    for (name, check) in CHECKS {
        found.extend(check(&history).into_iter().map(|what| format!("{name}: {what}")));
    }
    found
}
