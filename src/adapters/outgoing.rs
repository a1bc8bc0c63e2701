//! Duties that send many things, each on its own: pushes to browsers, heartbeats of jobs.
//!
//! Owns: that of one receiver one thing is under way at a time, that one which is slow holds up no
//! other, and that what became of each is recorded under the fence of the duty. Does not own: what
//! there is to send, and how ([`Outgoing`]).

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::hold::{Hold, RETRY, SLEEP_MAX};
use super::parts::DutyParts;
use crate::consensus::SubmitError;
use crate::machine::{Command, Op, State};
use crate::model::Fence;

/// The state is looked at so often, at most: it changes with every entry.
const LOOK: Duration = Duration::from_millis(20);
/// From a record that could not be written to the next try.
const RECORD_PAUSE: Duration = Duration::from_millis(100);

/// What is sent by a duty.
pub(super) trait Outgoing {
    /// Whom it goes to.
    type To: Ord + Copy + Send + 'static;
    /// What became of it.
    type Done: Send + 'static;

    /// Starts what may go out now, to those that nothing is under way to. Gives what is settled
    /// without being sent.
    ///
    /// # Errors
    /// What is in the way of all of it.
    fn begin(
        &mut self,
        state: &State,
        under_way: &mut UnderWay<Self::To, Self::Done>,
    ) -> Result<Vec<Self::Done>, String>;

    /// The record of what became of some.
    fn record(&self, fence: Fence, done: Vec<Self::Done>) -> Op;
}

/// What is under way.
pub(super) struct UnderWay<K, D> {
    tasks: JoinSet<(K, D)>,
    busy: BTreeSet<K>,
    most: usize,
}

impl<K: Ord + Copy + Send + 'static, D: Send + 'static> UnderWay<K, D> {
    /// Whether nothing is under way to `to`, and there may be more of it.
    pub fn takes(&self, to: &K) -> bool {
        self.busy.len() < self.most && !self.busy.contains(to)
    }

    /// Starts one.
    pub fn start(&mut self, to: K, work: impl Future<Output = D> + Send + 'static) {
        self.busy.insert(to);
        self.tasks.spawn(async move { (to, work.await) });
    }

    fn over(&mut self, ended: Option<(K, D)>) -> Option<D> {
        let (to, done) = ended?;
        self.busy.remove(&to);
        Some(done)
    }

    /// What has ended.
    fn ended(&mut self) -> Vec<D> {
        let mut all = Vec::new();
        while let Some(ended) = self.tasks.try_join_next() {
            all.extend(self.over(ended.ok()));
        }
        all
    }

    /// What ends next; it never comes while nothing is under way.
    async fn next(&mut self) -> Option<D> {
        match self.tasks.join_next().await {
            Some(ended) => self.over(ended.ok()),
            None => std::future::pending().await,
        }
    }
}

/// Does a duty, while this node has it; `most` things are under way at a time. What is under way
/// at the end is finished, and recorded.
pub(super) async fn serve<W: Outgoing>(mut work: W, parts: DutyParts, mut hold: Hold, most: usize) {
    let mut retry = RETRY[0];
    let mut applied = parts.consensus.applied();
    let mut under_way = UnderWay { tasks: JoinSet::new(), busy: BTreeSet::new(), most };
    while let Some((state, duty)) = hold.mine() {
        applied.borrow_and_update();
        if !hold.may_act(&duty) {
            drop(state);
            hold.rest(SLEEP_MAX).await;
        } else {
            let begun = work.begin(&state, &mut under_way);
            drop(state);
            match begun {
                Ok(settled) => {
                    record(&work, &parts, &hold, settled).await;
                    if duty.fault.is_some() {
                        retry = RETRY[0];
                        hold.record_now(duty.position, None).await;
                    }
                    wait(&work, &parts, &mut hold, &mut under_way, &mut applied).await;
                }
                Err(fault) => hold.fail(&duty, &fault, &mut retry).await,
            }
        }
        let ended = under_way.ended();
        record(&work, &parts, &hold, ended).await;
    }
    while let Some(ended) = under_way.tasks.join_next().await {
        let done = under_way.over(ended.ok());
        record(&work, &parts, &hold, done.into_iter().collect()).await;
    }
}

/// Waits until there may be something to do.
async fn wait<W: Outgoing>(
    work: &W,
    parts: &DutyParts,
    hold: &mut Hold,
    under_way: &mut UnderWay<W::To, W::Done>,
    applied: &mut watch::Receiver<u64>,
) {
    let mut done = None;
    let before = async {
        tokio::select! {
            ended = under_way.next() => done = ended,
            _ = applied.changed() => sleep(LOOK).await,
        }
    };
    hold.rest_until(SLEEP_MAX, before).await;
    record(work, parts, hold, done.into_iter().collect()).await;
}

/// Records what became of some. Until that is known nothing else is sent. Also while the node
/// stops: what is out is recorded.
async fn record<W: Outgoing>(work: &W, parts: &DutyParts, hold: &Hold, done: Vec<W::Done>) {
    if done.is_empty() {
        return;
    }
    let op = work.record(hold.fence, done);
    let is_mine = || {
        let state = parts.consensus.state();
        let duty = state.duties.all.get(&hold.key);
        duty.is_some_and(|duty| duty.fence == hold.fence)
    };
    while is_mine() {
        let at = parts.clock.now();
        let command = Command { at, actor: None, request: None, op: op.clone() };
        match parts.consensus.submit(command).await {
            // What was told twice was told.
            Ok(_) | Err(SubmitError::Stopping) => return,
            Err(error) => {
                tracing::debug!(%error, duty = %hold.key, "what became of it is recorded later");
                sleep(RECORD_PAUSE).await;
            }
        }
    }
}
