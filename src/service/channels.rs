//! A test of a channel: one message, now, from this node.

use serde::Serialize;
use serde_json::json;

use super::definitions::{manages, seen};
use super::{Caller, Error, Service, Target};
use crate::adapters::{Courier, Fault, Opened};
use crate::executor::secret_value;
use crate::model::{Kind, Message, Name, Spec};

/// Tests at a time at a node.
pub(super) const TESTS_MAX: usize = 4;

/// What came of a test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ChannelTest {
    /// Whether the receiver took the message.
    pub ok: bool,
    /// How long it took, in milliseconds.
    pub latency_ms: u64,
    /// What the receiver said, or what went wrong.
    pub detail: String,
}

impl Service {
    /// Sends a test to a channel. What goes wrong on the way is the answer, not an error.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Throttled`.
    pub async fn test_channel(&self, c: &Caller, name: &Name) -> Result<ChannelTest, Error> {
        c.permit(manages(Kind::Channel), Target::Cluster)?;
        let state = self.consensus().state();
        let Some(Spec::Channel(spec)) =
            seen(c, &state, Kind::Channel, name.as_str())?.map(|defined| defined.spec.clone())
        else {
            return Err(Error::NotFound { what: "channel".into(), name: name.to_string() });
        };
        let (deps, now) = (&self.0.deps, self.now());
        let throttled = |retry_after| Error::Throttled { retry_after };
        self.0.channel_tests.take(name.as_str(), now).map_err(throttled)?;
        let turn = self.0.channel_turns.try_acquire();
        let _turn = turn.map_err(|_| throttled(crate::model::Span::from_secs(1)))?;
        let key = format!("test-{}", now.micros());
        let cluster = self.consensus().status().cluster_id;
        let message = Message::test(key, cluster, name.as_str(), &c.actor.name, now);
        let open = |place: &_| secret_value(place, &state, deps.vault.as_deref());
        let began = tokio::time::Instant::now();
        let courier = Courier::new(deps.runners.clone(), deps.clock.clone(), deps.metrics.clone());
        let sent = match Opened::new(spec, open) {
            Ok(channel) => courier.deliver(&channel, &message).await,
            Err(detail) => Err(Fault { retry: true, after: None, detail }),
        };
        let (ok, detail) = match sent {
            Ok(delivered) => (true, delivered.detail),
            Err(fault) => (false, fault.detail),
        };
        let change = json!({ "ok": ok, "detail": detail });
        self.remark(c, "channel.test", name.as_str(), change);
        let took = began.elapsed().as_millis();
        Ok(ChannelTest { ok, latency_ms: u64::try_from(took).unwrap_or(u64::MAX), detail })
    }
}
