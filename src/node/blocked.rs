//! How long queues hold back what waits in them: looked at every second by the node that leads,
//! since nothing is written when nothing starts.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::clock;
use crate::consensus::Handle;
use crate::machine::state::Blocked;
use crate::metrics::Metrics;
use crate::model::Name;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// Queues with series of their own; the rest are one.
const QUEUES_MAX: usize = 200;
/// What those are called; no queue can be called so.
const OTHERS: &str = "(others)";

/// Looks until the process ends.
pub async fn keep(consensus: Handle, metrics: Arc<Metrics>) {
    let leadership = consensus.leadership();
    let mut known: BTreeSet<Name> = BTreeSet::new();
    let mut looked = Instant::now();
    loop {
        sleep(EVERY).await;
        let since = looked.elapsed();
        looked = Instant::now();
        if !leadership.borrow().is_leader {
            continue;
        }
        let state = consensus.state();
        let at = clock::now().max(state.last_at);
        for (name, queue) in state.queues.iter().filter(|(_, queue)| queue.waiting() > 0) {
            let Some(blocked) = queue.blocked(at) else { continue };
            let by = match blocked {
                Blocked::Paused => "paused",
                Blocked::Full(_) => "concurrency",
                Blocked::Rate(..) => "rate",
                Blocked::Spread(_) => "spread",
            };
            if known.len() < QUEUES_MAX {
                known.insert(name.clone());
            }
            let name = if known.contains(name) { name.as_str() } else { OTHERS };
            metrics.parts.queue_blocked(name, by, since);
        }
    }
}
