//! Pushes: the browsers of a user that are told of troubles when no page is open.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::access::random_id;
use super::caller::Right;
use super::{Caller, ChannelTest, Error, Meta, RequestKey, Service};
use crate::adapters::{new_key, opened_key, resealed_key, send_test};
use crate::machine::command::PushStep;
use crate::machine::{Op, Reply};
use crate::model::kind::rule::RuleMatch;
use crate::model::{
    DutyKey, Invalid, NodeId, PushKey, PushOutcome, PushSubscription, Span, Timestamp, Trouble,
};

/// What a subscription is called that nobody gives a name.
const LABEL: &str = "browser";

/// The key that browsers subscribe with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PushKeyView {
    /// For `applicationServerKey` of `pushManager.subscribe`: base64url, without padding.
    pub key: String,
}

/// The keys of a subscription, as `PushSubscription.toJSON()` of a browser gives them.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PushKeys {
    /// The browser's public key: 65 bytes, base64url.
    #[schema(max_length = 128)]
    pub p256dh: String,
    /// The secret shared with the browser: 16 bytes, base64url.
    #[schema(max_length = 64, write_only)]
    pub auth: String,
}

/// A browser that wants to be told.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPushSubscription {
    /// Where pushes go: an address of a push service.
    #[schema(max_length = 1024)]
    pub endpoint: String,
    /// What pushes are encrypted with.
    pub keys: PushKeys,
    /// What is told; `failed`, `missed` and `recovered`, `monitor_down` and `monitor_up` unless
    /// given.
    #[serde(default)]
    #[schema(max_items = 11, required = false)]
    pub on: Vec<Trouble>,
    /// Of which jobs and monitors; of all that the user may see by default.
    #[serde(default)]
    pub r#match: Option<RuleMatch>,
    /// What to call it, such as `phone`.
    #[serde(default)]
    #[schema(max_length = 128, required = false)]
    pub label: String,
}

/// A browser that is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PushSubscriptionView {
    /// Identity.
    pub id: Uuid,
    /// What it is called.
    pub label: String,
    /// The host of its push service.
    pub service: String,
    /// The first 16 hexadecimal digits of SHA-256 of its address, by which a browser knows its own.
    pub fingerprint: String,
    /// What is told.
    pub on: Vec<Trouble>,
    /// Of which jobs and monitors; null: of all that the user may see.
    #[schema(required)]
    pub r#match: Option<RuleMatch>,
    /// Creation.
    pub created_at: Timestamp,
    /// When the push service last took a push; null: never.
    #[schema(required)]
    pub sent_at: Option<Timestamp>,
    /// Why the last try failed; null: it did not.
    #[schema(required)]
    pub fault: Option<String>,
    /// Troubles that it was told of and that are not over.
    pub open: u32,
    /// Notices that wait to be pushed.
    pub waiting: u32,
}

impl From<&PushSubscription> for PushSubscriptionView {
    fn from(one: &PushSubscription) -> Self {
        let host = one.endpoint.split('/').nth(2).unwrap_or_default();
        let digest = Sha256::digest(one.endpoint.as_bytes());
        PushSubscriptionView {
            id: one.id,
            label: one.label.clone(),
            service: host.to_owned(),
            fingerprint: digest[..8].iter().map(|byte| format!("{byte:02x}")).collect(),
            on: one.on().to_vec(),
            r#match: one.wanted.clone(),
            created_at: one.created_at,
            sent_at: one.sent_at,
            fault: one.fault.clone(),
            open: one.open,
            waiting: one.waiting,
        }
    }
}

/// The caller's browsers, and what becomes of pushes at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PushSubscriptionList {
    /// By label.
    pub items: Vec<PushSubscriptionView>,
    /// The node that sends pushes; null: nobody has to.
    #[schema(required)]
    pub node: Option<NodeId>,
    /// What is in the way of all pushes; null: nothing.
    #[schema(required)]
    pub fault: Option<String>,
}

fn decoded(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).unwrap_or_default()
}

fn no_subscription(id: Uuid) -> Error {
    Error::NotFound { what: "push subscription".into(), name: id.to_string() }
}

/// A subscription is of a browser, which somebody is logged in with.
fn by_a_user(c: &Caller) -> Result<(), Error> {
    match c.via_token {
        None => Ok(()),
        Some(_) => {
            let detail = "an API token has no browser; log in for that";
            Err(Error::Forbidden(detail.into()))
        }
    }
}

impl Service {
    /// The key that browsers subscribe with. It is made when it is first asked for.
    ///
    /// # Errors
    /// `UpgradeNeeded`, or as any write.
    pub async fn push_key(&self, c: &Caller) -> Result<PushKeyView, Error> {
        let key = self.key_of_pushes(c.own()).await?;
        Ok(PushKeyView { key: URL_SAFE_NO_PAD.encode(&key.public) })
    }

    async fn key_of_pushes(&self, right: Right<'_>) -> Result<PushKey, Error> {
        let there = || self.consensus().state().pushes.key.clone();
        if let Some(key) = there() {
            return Ok(key);
        }
        // It may be made elsewhere already.
        self.catch_up().await?;
        if let Some(key) = there() {
            return Ok(key);
        }
        let vault = self.0.deps.vault.as_deref();
        let key = new_key(vault, self.now()).map_err(Error::Internal)?;
        let step = PushStep::PutKey { key: Box::new(key), again: false };
        let done = self.plain(right, Op::Push(step)).await;
        // Another was faster, or nothing could be written.
        match (there(), done) {
            (Some(key), _) => Ok(key),
            (None, Err(error)) => Err(error),
            (None, Ok(_)) => Err(Error::unavailable("the key of pushes is not there yet", true)),
        }
    }

    /// Seals the key of pushes with the first key that this node was started with.
    ///
    /// # Errors
    /// As any write.
    pub(super) async fn reseal_push_key(&self, right: Right<'_>) -> Result<(), Error> {
        let state = self.consensus().state();
        let (Some(vault), Some(key)) = (self.0.deps.vault.as_deref(), &state.pushes.key) else {
            return Ok(());
        };
        let again = resealed_key(key, vault, self.now()).map_err(Error::Internal)?;
        let Some(key) = again else { return Ok(()) };
        let step = PushStep::PutKey { key: Box::new(key), again: true };
        self.plain(right, Op::Push(step)).await.map(drop)
    }

    /// The caller's browsers that are told.
    pub async fn push_subscriptions(&self, c: &Caller) -> PushSubscriptionList {
        let state = self.consensus().state();
        let own = state.pushes.subscriptions.values().filter(|one| one.user == c.user);
        let mut own: Vec<PushSubscriptionView> =
            own.map(|one| PushSubscriptionView::from(&**one)).collect();
        own.sort_by(|a, b| (&a.label, a.created_at, a.id).cmp(&(&b.label, b.created_at, b.id)));
        let duty = DutyKey::push().and_then(|key| state.duties.all.get(&key).cloned());
        let node = duty.as_ref().and_then(|duty| duty.holder).map(|(node, _)| node);
        PushSubscriptionList { items: own, node, fault: duty.and_then(|duty| duty.fault.clone()) }
    }

    /// Has a browser of the caller's told from here on. One that is known by its address says what
    /// it tells anew, and keeps its id. Gives it, and whether it is new.
    ///
    /// # Errors
    /// `Forbidden` with an API token, `Invalid`, `Limit`, or as any write.
    pub async fn push_subscribe(
        &self,
        c: &Caller,
        new: NewPushSubscription,
        request: Option<RequestKey>,
    ) -> Result<(PushSubscriptionView, bool, Meta), Error> {
        by_a_user(c)?;
        let label = if new.label.trim().is_empty() { LABEL.into() } else { new.label };
        let subscription = PushSubscription {
            id: random_id()?,
            user: c.user.clone(),
            user_uid: self.user(c, c.user.as_str()).await?.uid,
            p256dh: decoded(&new.keys.p256dh),
            auth: decoded(&new.keys.auth),
            endpoint: new.endpoint,
            on: new.on,
            wanted: new.r#match,
            label,
            created_at: self.now(),
            sent_at: None,
            fault: None,
            open: 0,
            waiting: 0,
            left_out: 0,
        };
        let mut faults = subscription.check();
        if let Err(why) = self.0.deps.local.push_places.read(&subscription.endpoint) {
            faults.push(Invalid::new("endpoint", why));
        }
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        let drawn = subscription.id;
        let session = c.session.clone();
        let step = PushStep::Subscribe { subscription: Box::new(subscription), session };
        let (meta, reply) = self.carry_out(c.own(), Op::Push(step), request).await?;
        let id = match reply {
            Reply::Created(id) => id,
            _ => drawn,
        };
        let state = self.consensus().state();
        let there = state.pushes.subscriptions.get(&id).ok_or_else(|| no_subscription(id))?;
        Ok((PushSubscriptionView::from(&**there), id == drawn || meta.replayed, meta))
    }

    fn own_subscription(&self, c: &Caller, id: Uuid) -> Result<PushSubscription, Error> {
        let state = self.consensus().state();
        let there = state.pushes.subscriptions.get(&id).filter(|one| one.user == c.user);
        there.map(|one| (**one).clone()).ok_or_else(|| no_subscription(id))
    }

    /// Has a browser of the caller's told no more.
    ///
    /// # Errors
    /// `NotFound`, also for those of others; or as any write.
    pub async fn push_unsubscribe(
        &self,
        c: &Caller,
        id: Uuid,
        request: Option<RequestKey>,
    ) -> Result<Meta, Error> {
        if let Some(done) = self.replay(c, &self.consensus().state(), request)? {
            return Ok(done.meta);
        }
        by_a_user(c)?;
        self.own_subscription(c, id)?;
        let op = Op::Push(PushStep::Unsubscribe { id });
        self.carry_out(c.own(), op, request).await.map(|(meta, _)| meta)
    }

    /// Sends a test to a browser of the caller's. What goes wrong on the way is the answer, not an
    /// error.
    ///
    /// # Errors
    /// `NotFound`, `Throttled`.
    pub async fn push_test(&self, c: &Caller, id: Uuid) -> Result<ChannelTest, Error> {
        by_a_user(c)?;
        let to = self.own_subscription(c, id)?;
        let (deps, now) = (&self.0.deps, self.now());
        let throttled = |retry_after| Error::Throttled { retry_after };
        self.0.channel_tests.take(&id.to_string(), now).map_err(throttled)?;
        let turn = self.0.channel_turns.try_acquire();
        let _turn = turn.map_err(|_| throttled(Span::from_secs(1)))?;
        let began = tokio::time::Instant::now();
        let state = self.consensus().state();
        let key = state.pushes.key.as_ref().ok_or_else(|| "there is no key of pushes".to_owned());
        let key = key.and_then(|key| opened_key(key, deps.vault.as_deref()));
        drop(state);
        let outcome = match key {
            Ok(key) => {
                let who = (c.actor.name.as_str(), now);
                send_test(&key, &deps.local.push_places, &deps.runners, &to, who).await
            }
            Err(error) => PushOutcome::Refused { error },
        };
        deps.metrics.sends.pushed(&outcome);
        let (ok, detail) = match outcome {
            PushOutcome::Sent => (true, "the push service has it".to_owned()),
            PushOutcome::Retry { error, .. } | PushOutcome::Refused { error } => (false, error),
            PushOutcome::Gone | PushOutcome::Withheld => {
                (false, "the browser does not want pushes any more".to_owned())
            }
        };
        let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(ChannelTest { ok, latency_ms: took, detail })
    }
}
