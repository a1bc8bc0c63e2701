//! Asks `plan` what is due, proposes it, and sleeps until something can be.

use std::time::Duration;

use crate::consensus::SubmitError;
use crate::machine::Command;
use crate::machine::plan::{Around, Plan, plan};
use crate::machine::prepare::timing::Compiled;
use crate::model::Timestamp;

use super::liveness::silent;
use super::{Term, barrier};

/// The longest sleep: a step of the wall clock is noticed within it.
const SLEEP_MAX: Duration = Duration::from_millis(500);
/// Pause when nothing of a batch was accepted, so that a refusal does not spin.
const REFUSED_PAUSE: Duration = Duration::from_millis(20);

/// Runs until the term ends.
pub(super) async fn run(duties: &Term) {
    let compiled = Compiled::default();
    let mut applied = duties.consensus.applied();
    loop {
        applied.borrow_and_update();
        let state = duties.consensus.state();
        let now = duties.clock.now();
        let own = Some(duties.consensus.node_id());
        let early = duties.options.plan_ahead;
        let around = Around { silent: silent(duties, &state), own, early };
        let Plan { ops, wake_at } = plan(&state, now, &compiled, &around);
        drop(state);
        if ops.is_empty() {
            tokio::select! {
                () = tokio::time::sleep(until(wake_at, duties.clock.now())) => {}
                changed = applied.changed() => if changed.is_err() { return },
            }
            continue;
        }
        // By the clock of the plan: read anew, one that was set back meanwhile would date a
        // fire before times that the plan has passed.
        let batch = ops.into_iter().map(|op| Command { at: now, ..duties.command(op) }).collect();
        match duties.consensus.propose(duties.term, batch).await {
            Ok(answers) if answers.iter().all(Result::is_err) => {
                tracing::debug!(refused = answers.len(), first = ?answers.first(), "refused");
                tokio::time::sleep(REFUSED_PAUSE).await;
            }
            Ok(_) => {}
            Err(SubmitError::TermMoved { .. } | SubmitError::NoLeader { .. }) => return,
            Err(SubmitError::Stopping) => return,
            Err(error) => {
                tracing::warn!(%error, "a step of the scheduler is planned again");
                if !settled(duties, &error).await {
                    return;
                }
            }
        }
    }
}

/// Waits until nothing of a step that failed can be applied any more; false: the term is over.
/// Planned again beside the first, a skip of the second would count after the fires of the first.
async fn settled(duties: &Term, failed: &SubmitError) -> bool {
    tokio::time::sleep(REFUSED_PAUSE).await;
    if !failed.ambiguous() {
        return true;
    }
    // Entries keep their order: what stands before an empty one is applied before it.
    while let Err(error) = barrier(duties).await {
        match error {
            SubmitError::TermMoved { .. } | SubmitError::NoLeader { .. } => return false,
            SubmitError::Stopping => return false,
            error => tracing::debug!(%error, "it is not known yet what became of a step"),
        }
        tokio::time::sleep(REFUSED_PAUSE).await;
    }
    true
}

fn until(wake_at: Option<Timestamp>, now: Timestamp) -> Duration {
    let Some(wake_at) = wake_at else { return SLEEP_MAX };
    let micros = (wake_at.micros() - now.micros()).max(0) as u64;
    Duration::from_micros(micros).min(SLEEP_MAX)
}
