//! One message to one channel, once.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::call::{Call, Fault};
use super::{Opened, hook, mail, ntfy, pagerduty, slack, teams};
use crate::clock::Clock;
use crate::executor::runner::RunnerEnv;
use crate::metrics::Metrics;
use crate::model::kind::channel::ChannelType;
use crate::model::limits::DELIVERY_TIMEOUT;
use crate::model::notice::Message;

/// Characters of a detail, at most.
const DETAIL_LEN_MAX: usize = 500;

/// The receiver has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// What the receiver said, and why the template was not used where it was not.
    pub detail: String,
    /// How long it took.
    pub latency: Duration,
}

/// Delivers messages from this node. Cheap to clone.
#[derive(Clone)]
pub struct Courier {
    env: Arc<RunnerEnv>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
}

impl Courier {
    /// One with the connections and the guard of this node's runs.
    pub fn new(env: Arc<RunnerEnv>, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Self {
        Courier { env, clock, metrics }
    }

    /// Delivers a message, within `DELIVERY_TIMEOUT`. Sent again, it has the same key.
    ///
    /// # Errors
    /// [`Fault`]: it was not delivered, or nobody knows.
    pub async fn deliver(&self, channel: &Opened, message: &Message) -> Result<Delivered, Fault> {
        let Some(of) = channel.spec().r#type else {
            return Err(Fault::lasting("the channel has no type"));
        };
        let began = Instant::now();
        let message = message.bounded();
        let text = message.text(channel.spec().template.as_ref());
        let (env, clock) = (&*self.env, &*self.clock);
        let call = Call { channel, message: &message, text: &text, env, clock };
        let done = timeout(DELIVERY_TIMEOUT.std(), by_type(of, &call)).await;
        let done = done.unwrap_or_else(|_| {
            Err(Fault::passing(format!("it was not taken within {DELIVERY_TIMEOUT}")))
        });
        let outcome = match &done {
            Ok(_) => "delivered",
            Err(fault) if fault.retry => "failed",
            Err(_) => "refused",
        };
        self.metrics.sends.sent(of, outcome);
        match done {
            Ok(said) => {
                let detail = match &text.fallback {
                    Some(why) => {
                        format!("{said}; the plain text was sent, not the template: {why}")
                    }
                    None => said,
                };
                Ok(Delivered { detail: told(channel, &detail), latency: began.elapsed() })
            }
            Err(fault) => Err(Fault { detail: told(channel, &fault.detail), ..fault }),
        }
    }
}

async fn by_type(of: ChannelType, call: &Call<'_>) -> Result<String, Fault> {
    match of {
        ChannelType::Email => mail::send(call).await,
        ChannelType::Slack => slack::send(call).await,
        ChannelType::Teams => teams::send(call).await,
        ChannelType::Webhook => hook::send(call).await,
        ChannelType::Pagerduty => pagerduty::send(call).await,
        ChannelType::Ntfy => ntfy::send(call).await,
    }
}

/// A detail for people: one line, not long, without secrets.
fn told(channel: &Opened, detail: &str) -> String {
    let hidden = channel.hide(detail);
    let words = hidden.split(|c: char| c.is_control() || c.is_whitespace());
    let line = words.filter(|word| !word.is_empty()).collect::<Vec<&str>>().join(" ");
    line.chars().take(DETAIL_LEN_MAX).collect()
}
