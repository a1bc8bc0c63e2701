//! Reports to the log, repeated until they are answered.

use std::time::Duration;

use crate::clock::Clock;
use crate::consensus::{Handle, SubmitError};
use crate::machine::{Answer, Command, Op};

/// First and longest pause between two tries.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// Submits `op` until the log has answered it. None: the node is stopping.
///
/// An answer that is lost may mean that the report was applied: repeating it is harmless,
/// because the attempt's fence is refused once it has ended.
pub(super) async fn report(consensus: &Handle, clock: &dyn Clock, op: Op) -> Option<Answer> {
    let mut pause = PAUSE.0;
    loop {
        let command = Command { at: clock.now(), actor: None, request: None, op: op.clone() };
        match consensus.submit(command).await {
            Ok(committed) => return Some(committed.answer),
            Err(SubmitError::Stopping) => return None,
            Err(error) if error.retryable() => {
                tracing::debug!(%error, "a report is repeated");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE.1);
            }
            Err(error) => {
                tracing::error!(%error, "a report can't be made");
                return None;
            }
        }
    }
}
