//! The format of the cluster is raised once every member reads a newer one.

use std::time::Duration;

use super::Term;
use crate::machine::Op;

/// From one look to the next.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Runs until the term ends.
pub(super) async fn run(duties: &Term) {
    loop {
        look(duties).await;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn look(duties: &Term) {
    let now = duties.consensus.state().format();
    let Some(to) = duties.consensus.format_read_by_all().filter(|to| *to > now) else { return };
    tracing::info!(from = now, to, "all members read a newer format: it is written from here");
    let raise = duties.command(Op::RaiseFormat { to });
    // What could not be proposed now is found again at the next look.
    if let Err(error) = duties.consensus.propose(duties.term, vec![raise]).await {
        tracing::debug!(%error, "the format is raised later");
    }
}
