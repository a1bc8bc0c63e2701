//! Templates of channels: Jinja, over the facts of one message and nothing else.
//!
//! No files, no other templates, no clock. What a template does is paid for: when its fuel is
//! used up it is given up, and the plain text is sent in its place. What it makes is text, never a
//! part of a JSON document or a header: those are made of it by what writes them.

use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value};
use serde_json::Value as Json;

use super::{Message, MessageKind, Text};
use crate::model::kind::channel::ChannelTemplate;
use crate::model::limits::{CHANNEL_TEMPLATE_FUEL, MESSAGE_TEXT_BYTES_MAX};
use crate::model::{Name, RunId, Timestamp};

/// The subject and the body that a template makes of a message.
///
/// # Errors
/// Why it makes none, in a sentence.
pub(super) fn words(
    message: &Message,
    plain: &Text,
    template: &ChannelTemplate,
) -> Result<(String, String), String> {
    let facts = facts(message, plain);
    let make = |text: &Option<String>, plain: &String| match text {
        Some(text) => render(text, &facts),
        None => Ok(plain.clone()),
    };
    Ok((make(&template.subject, &plain.subject)?, make(&template.body, &plain.body)?))
}

/// Whether a text can be used as a template.
///
/// # Errors
/// What is wrong with it, in a sentence.
pub fn check(text: &str) -> Result<(), String> {
    for message in [sample(), sparse()] {
        let plain = message.text(None);
        render(text, &facts(&message, &plain))?;
    }
    Ok(())
}

fn render(text: &str, facts: &Value) -> Result<String, String> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(CHANNEL_TEMPLATE_FUEL));
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    let made = environment.render_str(text, facts.clone()).map_err(|e| explain(&e, facts))?;
    match made.len() {
        len if len > MESSAGE_TEXT_BYTES_MAX * 2 => {
            Err(format!("it makes a text of {len} bytes; {MESSAGE_TEXT_BYTES_MAX} fit"))
        }
        _ => Ok(made),
    }
}

fn explain(error: &minijinja::Error, facts: &Value) -> String {
    let line = error.line().map_or_else(String::new, |line| format!("line {line}: "));
    let known = || {
        let names = facts.try_iter().into_iter().flatten();
        let mut names: Vec<String> = names.map(|name| name.to_string()).collect();
        names.sort();
        names.join(", ")
    };
    match error.kind() {
        ErrorKind::OutOfFuel => format!("{line}it takes too many steps and was given up"),
        ErrorKind::UndefinedError => {
            format!("{line}it names what there is not; known: {}", known())
        }
        kind => {
            let detail = error.detail().map_or_else(String::new, |detail| format!(": {detail}"));
            format!("{line}{kind}{detail}")
        }
    }
}

/// What a template may name. What is not known of a message is the empty text.
fn facts(message: &Message, plain: &Text) -> Value {
    let mut all = match serde_json::to_value(message) {
        Ok(Json::Object(map)) => map,
        _ => serde_json::Map::new(),
    };
    all.insert("subject".into(), plain.subject.clone().into());
    all.insert("body".into(), plain.body.clone().into());
    let value = |value: Json| match value {
        Json::String(text) => Value::from(text),
        Json::Number(number) => Value::from(number.as_u64().unwrap_or_default()),
        _ => Value::from(""),
    };
    Value::from_pairs(all.into_iter().map(|(name, json)| (name, value(json))))
}

/// A message with all that one can have.
fn sample() -> Message {
    let at = Timestamp::from_secs(1_767_225_600);
    Message {
        key: "sample".into(),
        kind: MessageKind::Failed,
        cluster: "cluster".into(),
        incident: Some("incident".into()),
        rule: Name::parse("rule").ok(),
        group: Some("nightly-dump".into()),
        job: Name::parse("nightly-dump").ok(),
        monitor: Name::parse("nightly-dump").ok(),
        node: Some(2),
        sink: Name::parse("reports").ok(),
        run_id: Some(RunId(uuid::Uuid::nil())),
        nominal_time: Some(at),
        at,
        reason: "The run ended with exit code 1.".into(),
        error: Some("no space left on device".into()),
        count: 2,
        since: Some(at),
        link: Some("https://cron.example.org/ui/jobs/nightly-dump".into()),
    }
}

/// A message with as little as one can have.
fn sparse() -> Message {
    let at = Timestamp::from_secs(1_767_225_600);
    Message::test("sample".into(), "cluster".into(), "channel", "somebody", at)
}
