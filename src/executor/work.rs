//! What carries attempts out: the runners, or in a simulation a script.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc::Sender;

use super::last_check::LastCheck;
use super::runner::{self, CancelToken, Chunk, Outcome, RunnerEnv, Spec};
use crate::clock;

/// Carries out attempts without processes and calls.
pub trait Script: Send + Sync + 'static {
    /// Carries one out. Like the runners it asks and tells `last_check`, stops soon after it is
    /// cancelled, and may be dropped on the way.
    fn carry_out<'a>(
        &'a self,
        spec: Spec,
        cancel: CancelToken,
        output: Sender<Vec<Chunk>>,
        last_check: LastCheck<'a>,
    ) -> BoxFuture<'a, Outcome>;
}

/// What a node carries attempts out with.
#[derive(Clone)]
pub enum Work {
    /// Processes and calls of this machine.
    Runners(Arc<RunnerEnv>),
    /// A script, in a simulation.
    Script(Arc<dyn Script>),
}

impl Work {
    /// Carries one attempt out.
    pub(super) async fn carry_out(
        &self,
        spec: Spec,
        cancel: CancelToken,
        output: Sender<Vec<Chunk>>,
        last_check: LastCheck<'_>,
    ) -> Outcome {
        match self {
            Work::Runners(found) => {
                runner::run(spec, cancel, output, last_check, now_micros, found).await
            }
            Work::Script(script) => script.carry_out(spec, cancel, output, last_check).await,
        }
    }
}

/// When output was read.
fn now_micros() -> i64 {
    clock::now().micros()
}
