//! Who sends pushes: the one node that has their duty.

use std::sync::Arc;

use tokio::sync::watch;
use uuid::Uuid;

use super::envelope::Sealer;
use super::key::{Opened, opened_key, short_id};
use super::places::Places;
use super::words::Words;
use crate::adapters::hold::keep;
use crate::adapters::outgoing::{Outgoing, UnderWay, serve};
use crate::adapters::parts::DutyParts;
use crate::executor::runner::RunnerEnv;
use crate::machine::command::PushStep;
use crate::machine::{Op, State};
use crate::model::limits::{PUSH_PAUSE, PUSH_SINGLE_MAX, PUSHES_AT_ONCE};
use crate::model::{DutyKind, Fence, PushNotice, PushOutcome, PushSubscription, Pushed, Timestamp};

/// Runs until `stop` turns true. What is under way is finished first.
pub async fn keep_pushes(parts: DutyParts, places: Places, stop: watch::Receiver<bool>) {
    let places = Arc::new(places);
    keep(parts, DutyKind::Push, stop, move |parts, hold| {
        let sender = Sender { parts: parts.clone(), places: Arc::clone(&places), key: None };
        serve(sender, parts, hold, PUSHES_AT_ONCE)
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

/// Sends pushes.
struct Sender {
    parts: DutyParts,
    places: Arc<Places>,
    /// The key, once it was opened.
    key: Option<Arc<Opened>>,
}

impl Outgoing for Sender {
    type To = Uuid;
    type Done = Pushed;

    fn begin(
        &mut self,
        state: &State,
        under_way: &mut UnderWay<Uuid, Pushed>,
    ) -> Result<Vec<Pushed>, String> {
        let now = self.parts.clock.now();
        let mut withheld = Vec::new();
        let waits = state.pushes.subscriptions.values().filter(|one| one.waiting > 0);
        for to in waits.filter(|one| under_way.takes(&one.id)).collect::<Vec<_>>() {
            // Not in a row: a phone is no screen of logs.
            let soon = to.sent_at.is_some_and(|sent| sent.plus(PUSH_PAUSE) > now);
            if soon || !under_way.takes(&to.id) {
                continue;
            }
            let (notices, hidden) = ready(state, to, now);
            withheld.extend(hidden);
            if !notices.is_empty() {
                let key = self.open(state)?;
                self.send(key, to, notices, now, under_way);
            }
        }
        Ok(withheld)
    }

    fn record(&self, fence: Fence, pushed: Vec<Pushed>) -> Op {
        self.count(&pushed);
        Op::Push(PushStep::Done { fence, pushed })
    }
}

/// What of a subscription may go out in one push, and what its user may not see any more.
fn ready(
    state: &State,
    to: &PushSubscription,
    now: Timestamp,
) -> (Vec<Arc<PushNotice>>, Option<Pushed>) {
    let (mut notices, mut hidden) = (Vec::new(), Vec::new());
    for notice in state.pushes.of(to.id) {
        if notice.not_before > now {
            // What failed goes before all that came after it.
            if notice.tries > 0 {
                break;
            }
        } else if state.may_push(to, &notice.facts) {
            notices.push(Arc::clone(notice));
        } else {
            hidden.push(notice.seq);
        }
    }
    if notices.len() <= PUSH_SINGLE_MAX {
        notices.truncate(1);
    }
    let outcome = PushOutcome::Withheld;
    let hidden = (!hidden.is_empty()).then_some(Pushed { to: to.id, seqs: hidden, outcome });
    (notices, hidden)
}

impl Sender {
    fn open(&mut self, state: &State) -> Result<Arc<Opened>, String> {
        if let Some(key) = &self.key {
            return Ok(Arc::clone(key));
        }
        let key = state.pushes.key.as_ref().ok_or("there is no key of pushes")?;
        let key = Arc::new(opened_key(key, self.parts.vault.as_deref())?);
        Ok(Arc::clone(self.key.insert(key)))
    }

    fn send(
        &self,
        key: Arc<Opened>,
        to: &Arc<PushSubscription>,
        notices: Vec<Arc<PushNotice>>,
        now: Timestamp,
        under_way: &mut UnderWay<Uuid, Pushed>,
    ) {
        let cluster = self.parts.consensus.status().cluster_id;
        let words = match notices.as_slice() {
            [one] => Words::one(one, &cluster, to.left_out),
            many => Words::several(many.iter().map(|notice| &**notice), &cluster, to.left_out),
        };
        let (places, env) = (Arc::clone(&self.places), Arc::clone(&self.parts.env));
        let to = Arc::clone(to);
        under_way.start(to.id, async move {
            let sealer = Sealer { key: &key, places: &places, env: &env, now };
            let outcome = sealer.send(&to, &words).await;
            let seqs = notices.iter().map(|notice| notice.seq).collect();
            Pushed { to: to.id, seqs, outcome }
        });
    }

    fn count(&self, pushed: &[Pushed]) {
        for Pushed { to, outcome, .. } in pushed {
            self.parts.metrics.sends.pushed(outcome);
            if let PushOutcome::Retry { error, .. } | PushOutcome::Refused { error } = outcome {
                tracing::warn!(subscription = short_id(*to), error, "a push could not be sent");
            }
        }
    }
}
