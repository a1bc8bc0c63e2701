//! Starts that are planned ahead of an edit: who edits asks for them back first, as the
//! service does for its callers.

use std::time::Duration;

use cronapi::consensus::{Handle, Intended};
use cronapi::machine::prepare::Intent;
use cronapi::machine::{Op, State};
use cronapi::model::RunId;
use tokio::time::timeout;

/// How long it is waited for what was asked back.
const PATIENCE: Duration = Duration::from_secs(1);

/// Asks for a planned start back, and waits until it is or has begun.
pub async fn take_back(consensus: &Handle, run: RunId) {
    let mut applied = consensus.applied();
    let withdraw = Intent::Plain(Box::new(Op::Withdraw { run }));
    if consensus.submit(Intended::new(withdraw, None, None)).await.is_err() {
        return;
    }
    let planned = |state: &State| state.ahead(run.job_no()).is_some_and(|(id, _)| id == run);
    let given_back =
        async { while planned(&consensus.state()) && applied.changed().await.is_ok() {} };
    // Whoever asked looks again in any case.
    let _ = timeout(PATIENCE, given_back).await;
}
