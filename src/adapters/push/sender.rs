//! Who sends pushes: the one node that has their duty.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::envelope::Sealer;
use super::key::{Opened, opened_key, short_id};
use super::places::Places;
use super::words::Words;
use crate::adapters::hold::{Hold, RETRY, SLEEP_MAX, keep};
use crate::adapters::parts::DutyParts;
use crate::consensus::SubmitError;
use crate::executor::runner::RunnerEnv;
use crate::machine::command::PushStep;
use crate::machine::{Command, Op, State};
use crate::model::limits::{PUSH_PAUSE, PUSH_SINGLE_MAX, PUSHES_AT_ONCE};
use crate::model::{DutyKind, PushNotice, PushOutcome, PushSubscription, Pushed, Timestamp};

/// The state is looked at so often, at most: it changes with every entry.
const LOOK: Duration = Duration::from_millis(20);
/// From a record that could not be written to the next try.
const RECORD_PAUSE: Duration = Duration::from_millis(100);

/// Runs until `stop` turns true. What is under way is finished first.
pub async fn keep_pushes(parts: DutyParts, places: Places, stop: watch::Receiver<bool>) {
    let places = Arc::new(places);
    keep(parts, DutyKind::Push, stop, move |parts, hold| {
        let places = Arc::clone(&places);
        Sender { parts, places, hold, key: None, under_way: JoinSet::new(), busy: BTreeSet::new() }
            .run()
    })
    .await;
}

/// Sends one push that tries a subscription, now, from this node.
///
/// # Errors
/// What is in the way here.
pub async fn send_test(
    key: &Opened,
    places: &Places,
    env: &RunnerEnv,
    to: &PushSubscription,
    (who, now): (&str, Timestamp),
) -> PushOutcome {
    Sealer { key, places, env, now }.send(to, &Words::test(who, now)).await
}

/// Notices that go out in one push.
struct Batch {
    to: Arc<PushSubscription>,
    notices: Vec<Arc<PushNotice>>,
}

/// The duty of all pushes, while this node has it under one fence.
struct Sender {
    parts: DutyParts,
    places: Arc<Places>,
    hold: Hold,
    /// The key, once it was opened.
    key: Option<Arc<Opened>>,
    under_way: JoinSet<Pushed>,
    /// The subscriptions that a push is under way to.
    busy: BTreeSet<Uuid>,
}

impl Sender {
    async fn run(mut self) {
        let mut retry = RETRY[0];
        let mut applied = self.parts.consensus.applied();
        while let Some((state, duty)) = self.hold.mine() {
            if !self.hold.may_act(&duty) {
                drop(state);
                self.collect().await;
                self.hold.rest(SLEEP_MAX).await;
                continue;
            }
            applied.borrow_and_update();
            let (batches, withheld) = self.ready(&state);
            if !batches.is_empty()
                && let Err(fault) = self.open(&state)
            {
                drop(state);
                self.hold.fail(&duty, &fault, &mut retry).await;
                continue;
            }
            let cluster = self.parts.consensus.status().cluster_id;
            drop(state);
            batches.into_iter().for_each(|batch| self.send(batch, &cluster));
            self.record(withheld).await;
            if duty.fault.is_some() && self.key.is_some() {
                retry = RETRY[0];
                self.hold.record_now(duty.position, None).await;
            }
            self.wait(&mut applied).await;
            self.collect().await;
        }
        while let Some(done) = self.under_way.join_next().await {
            self.ended(done.into_iter().collect()).await;
        }
    }

    /// Waits until there may be something to do.
    async fn wait(&mut self, applied: &mut watch::Receiver<u64>) {
        let (under_way, any) = (&mut self.under_way, !self.busy.is_empty());
        let mut done = None;
        let before = async {
            tokio::select! {
                ended = under_way.join_next(), if any => done = ended,
                _ = applied.changed() => tokio::time::sleep(LOOK).await,
            }
        };
        self.hold.rest_until(SLEEP_MAX, before).await;
        if let Some(Ok(done)) = done {
            self.ended(vec![done]).await;
        }
    }

    /// Records what has ended.
    async fn collect(&mut self) {
        let mut ended = Vec::new();
        while let Some(done) = self.under_way.try_join_next() {
            ended.extend(done);
        }
        self.ended(ended).await;
    }

    async fn ended(&mut self, pushed: Vec<Pushed>) {
        for Pushed { to, .. } in &pushed {
            self.busy.remove(to);
        }
        self.record(pushed).await;
    }

    fn open(&mut self, state: &State) -> Result<(), String> {
        if self.key.is_none() {
            let key = state.pushes.key.as_ref().ok_or("there is no key of pushes")?;
            self.key = Some(Arc::new(opened_key(key, self.parts.vault.as_deref())?));
        }
        Ok(())
    }

    /// What may go out now, and what its user may not see any more.
    fn ready(&self, state: &State) -> (Vec<Batch>, Vec<Pushed>) {
        let (now, free) = (self.parts.clock.now(), PUSHES_AT_ONCE.saturating_sub(self.busy.len()));
        let (mut batches, mut withheld) = (Vec::new(), Vec::new());
        let waits = state.pushes.subscriptions.values().filter(|one| one.waiting > 0);
        for to in waits.filter(|one| !self.busy.contains(&one.id)) {
            if batches.len() >= free {
                break;
            }
            // Not in a row: a phone is no screen of logs.
            if to.sent_at.is_some_and(|sent| sent.plus(PUSH_PAUSE) > now) {
                continue;
            }
            let mut notices = Vec::new();
            for notice in state.pushes.of(to.id) {
                if notice.not_before > now {
                    // What failed goes before all that came after it.
                    if notice.tries > 0 {
                        break;
                    }
                } else if state.may_push(to, &notice.facts) {
                    notices.push(Arc::clone(notice));
                } else {
                    let (seqs, outcome) = (vec![notice.seq], PushOutcome::Withheld);
                    withheld.push(Pushed { to: to.id, seqs, outcome });
                }
            }
            if notices.len() <= PUSH_SINGLE_MAX {
                notices.truncate(1);
            }
            if !notices.is_empty() {
                batches.push(Batch { to: Arc::clone(to), notices });
            }
        }
        (batches, withheld)
    }

    fn send(&mut self, batch: Batch, cluster: &str) {
        let Some(key) = self.key.clone() else { return };
        let Batch { to, notices } = batch;
        let words = match notices.as_slice() {
            [one] => Words::one(one, cluster, to.left_out),
            many => Words::several(many.iter().map(|notice| &**notice), cluster, to.left_out),
        };
        let (places, env) = (Arc::clone(&self.places), Arc::clone(&self.parts.env));
        let now = self.parts.clock.now();
        self.busy.insert(to.id);
        self.under_way.spawn(async move {
            let sealer = Sealer { key: &key, places: &places, env: &env, now };
            let outcome = sealer.send(&to, &words).await;
            let seqs = notices.iter().map(|notice| notice.seq).collect();
            Pushed { to: to.id, seqs, outcome }
        });
    }

    /// Also while the node stops: what is out is recorded.
    fn is_mine(&self) -> bool {
        let state = self.parts.consensus.state();
        let duty = state.duties.all.get(&self.hold.key);
        duty.is_some_and(|duty| duty.fence == self.hold.fence)
    }

    /// Records what became of pushes. Until that is known nothing else is sent.
    async fn record(&self, pushed: Vec<Pushed>) {
        if pushed.is_empty() {
            return;
        }
        for Pushed { to, outcome, .. } in &pushed {
            self.parts.metrics.sends.pushed(outcome);
            if let PushOutcome::Retry { error, .. } | PushOutcome::Refused { error } = outcome {
                tracing::warn!(subscription = short_id(*to), error, "a push could not be sent");
            }
        }
        let fence = self.hold.fence;
        let op = Op::Push(PushStep::Done { fence, pushed });
        while self.is_mine() {
            let at = self.parts.clock.now();
            let command = Command { at, actor: None, request: None, op: op.clone() };
            match self.parts.consensus.submit(command).await {
                // What was told twice was told.
                Ok(_) | Err(SubmitError::Stopping) => return,
                Err(error) => {
                    tracing::debug!(%error, "what became of pushes is recorded later");
                    tokio::time::sleep(RECORD_PAUSE).await;
                }
            }
        }
    }
}
