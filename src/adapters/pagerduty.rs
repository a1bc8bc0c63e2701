//! The type `pagerduty`: events of version 2.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Fault;
use super::call::Call;
use super::request::{self, document};
use super::slack::cut;
use crate::model::kind::channel::Severity;
use crate::model::{Message, MessageKind, Name};

/// Where events go.
const EVENTS: &str = "https://events.pagerduty.com/v2/enqueue";
/// Bytes of a key by which events belong together, at most.
const KEY_BYTES_MAX: usize = 255;
/// Characters of a summary, at most.
const SUMMARY_LEN_MAX: usize = 1_024;

pub(super) async fn send(call: &Call<'_>) -> Result<String, Fault> {
    let (channel, config) = (call.channel, &call.channel.spec().config);
    let Some(routing_key) = &config.routing_key else {
        return Err(Fault::lasting("the channel has no routing_key"));
    };
    let routing_key = channel.secret(routing_key);
    let url = config.url.as_ref().map_or_else(|| EVENTS.to_owned(), |url| channel.setting(url));
    // What is over at once: nobody has to close it.
    let actions: &[&str] = match call.message.kind {
        MessageKind::Recovered | MessageKind::MonitorUp => &["resolve"],
        MessageKind::Test | MessageKind::BackfillDone => &["trigger", "resolve"],
        _ => &["trigger"],
    };
    let mut said = String::new();
    for action in actions {
        let event = event(call, action, &routing_key);
        said = request::send(call, &url, [], document(&event)?).await?;
    }
    Ok(said)
}

fn event(call: &Call<'_>, action: &str, routing_key: &str) -> Value {
    let message = call.message;
    let mut event = json!({
        "routing_key": routing_key,
        "event_action": action,
        "dedup_key": dedup_key(message),
    });
    if action == "resolve" {
        return event;
    }
    let severity = match (message.kind, call.channel.spec().config.severity) {
        (MessageKind::Test | MessageKind::BackfillDone, _) => Severity::Info,
        (_, severity) => severity.unwrap_or(Severity::Error),
    };
    event["payload"] = json!({
        "summary": cut(&call.text.subject, SUMMARY_LEN_MAX),
        "source": message.cluster,
        "severity": severity,
        "timestamp": message.at,
        "component": message.job.as_ref().map(Name::as_str),
        "group": message.group,
        "class": message.kind,
        "custom_details": {
            "text": call.text.body,
            "key": message.key,
            "run_id": message.run_id,
            "nominal_time": message.nominal_time,
            "count": message.count,
            "since": message.since,
            "rule": message.rule,
        },
    });
    event["client"] = Value::from("CronAPI");
    if let Some(link) = &message.link {
        event["client_url"] = Value::from(link.as_str());
        event["links"] = json!([{ "href": link, "text": "Open in CronAPI" }]);
    }
    event
}

/// What the beginning and the end of an incident have in common.
fn dedup_key(message: &Message) -> String {
    let key = message.incident.as_deref().unwrap_or(&message.key);
    let key = format!("cronapi/{}/{key}", message.cluster);
    if key.len() <= KEY_BYTES_MAX {
        return key;
    }
    let digest = Sha256::digest(key.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
