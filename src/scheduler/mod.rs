//! The leader's duties: fires that are due, waits that are over, nodes that are silent,
//! history that may go.
//!
//! Owns: when `machine::plan` is asked, and that its answer is proposed in the term it was
//! made in. Does not own: what is due (`machine::plan`), whether it counts
//! (`machine::apply`).
//!
//! ```text
//! leadership ──► a term begins: barrier ──► due.rs        plan, propose, sleep
//!                                      ├──► liveness.rs   nodes that are not heard of
//!                                      ├──► clock_watch.rs  a clock that jumped
//!                                      ├──► format.rs     what all members can read
//!                                      ├──► backfills.rs  past times that are run on purpose
//!                                      └──► retention.rs  small deletes, last in line
//! ```
//!
//! Invariants: nothing is planned before the barrier shows that this node has applied what
//! earlier terms committed; a term's duties end with it; a duty that comes late is harmless
//! because `apply` judges again.
//!
//! To add a duty: a file with an async loop over `Term`, a line in [`run`].

mod backfills;
mod clock_watch;
mod due;
mod format;
mod liveness;
mod retention;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::consensus::{Handle, SubmitError};
use crate::machine::{Command, Op};

pub use liveness::verdicts;

/// What the duties of one term share.
#[derive(Clone)]
struct Term {
    consensus: Handle,
    clock: Arc<dyn Clock>,
    term: u64,
    options: Options,
}

/// What a node does as leader that is left to whoever runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Fires are decided shortly before they are due, where that decides nothing else
    /// (docs/adr/0012).
    pub plan_ahead: bool,
}

impl Term {
    fn command(&self, op: Op) -> Command {
        Command { at: self.clock.now(), actor: None, request: None, op }
    }
}

/// Pause after an attempt at a barrier that failed.
const RETRY: Duration = Duration::from_millis(50);

/// Does the leader's duties whenever this node leads, until `stop` turns true.
pub async fn run(
    consensus: Handle,
    clock: Arc<dyn Clock>,
    options: Options,
    mut stop: watch::Receiver<bool>,
) {
    let mut leadership = consensus.leadership();
    loop {
        let leads = tokio::select! {
            leads = leadership.wait_for(|now| now.is_leader) => leads.map(|now| now.term),
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let Ok(term) = leads else { return };
        let duties = Term { consensus: consensus.clone(), clock: clock.clone(), term, options };
        let over = leadership.clone();
        tokio::select! {
            () = serve(duties) => {}
            () = moved(over, term) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Resolves when `term` is no longer this node's.
async fn moved(mut leadership: watch::Receiver<crate::consensus::Leadership>, term: u64) {
    // An error means that the node stops, which ends the term too.
    let _ = leadership.wait_for(|now| !now.is_leader || now.term != term).await;
}

async fn serve(duties: Term) {
    if let Err(error) = barrier(&duties).await {
        tracing::debug!(%error, term = duties.term, "no barrier yet");
        return;
    }
    tracing::info!(term = duties.term, "leading: fires are decided here");
    // A task of its own, which ends with this one: what it reads holds up no fire.
    let mut beside = tokio::task::JoinSet::new();
    let own = duties.clone();
    beside.spawn(async move { retention::run(&own).await });
    let own = duties.clone();
    beside.spawn(async move { backfills::run(&own).await });
    tokio::select! {
        () = due::run(&duties) => {}
        () = liveness::run(&duties) => {}
        () = clock_watch::run(&duties) => {}
        () = format::run(&duties) => {}
    }
}

/// Commits an empty step in this term: when it is applied, so is all that came before.
async fn barrier(duties: &Term) -> Result<(), SubmitError> {
    let empty = duties.command(Op::Note { entries: Vec::new() });
    duties.consensus.propose(duties.term, vec![empty]).await.map(|_| ())
}
