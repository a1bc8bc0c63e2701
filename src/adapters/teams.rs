//! The type `teams`: an adaptive card for a workflow of Microsoft Teams ("Post to a channel when
//! a webhook request is received").

use serde_json::{Value, json};

use super::Fault;
use super::call::Call;
use super::request::{self, document};
use super::slack::cut;
use crate::model::MessageKind;
use crate::model::notice::{Message, Text};

/// Characters of the text: a message of Teams has 28 KiB at most, and a character up to 12 bytes
/// when it is escaped.
const TEXT_LEN_MAX: usize = 4_000;

pub(super) async fn send(call: &Call<'_>) -> Result<String, Fault> {
    let Some(url) = &call.channel.spec().config.url else {
        return Err(Fault::lasting("the channel has no url"));
    };
    let body = document(&card(call.text, call.message))?;
    request::send(call, &call.channel.setting(url), [], body).await
}

/// Runs of text are not read as Markdown: what a run printed makes no link.
fn card(text: &Text, message: &Message) -> Value {
    let color = match message.kind {
        MessageKind::Recovered | MessageKind::MonitorUp | MessageKind::BackfillDone => "Good",
        MessageKind::Test | MessageKind::Digest => "Default",
        MessageKind::Late
        | MessageKind::LongRunning
        | MessageKind::Skipped
        | MessageKind::SinkBehind => "Warning",
        MessageKind::Failed
        | MessageKind::Missed
        | MessageKind::MonitorDown
        | MessageKind::NodeLost => "Attention",
    };
    let run = |text: &str| json!({ "type": "TextRun", "text": text });
    let heading = json!({ "type": "TextRun", "text": text.subject, "size": "Medium",
        "weight": "Bolder", "color": color });
    let rich = |inlines: Vec<Value>| json!({ "type": "RichTextBlock", "inlines": inlines });
    let mut body = vec![rich(vec![heading])];
    let text = cut(text.body.trim(), TEXT_LEN_MAX);
    body.extend(text.lines().map(|line| rich(vec![run(if line.is_empty() { " " } else { line })])));
    let mut content = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    });
    if let Some(link) = &message.link {
        content["actions"] =
            json!([{ "type": "Action.OpenUrl", "title": "Open in CronAPI", "url": link }]);
    }
    let card = json!({ "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": null, "content": content });
    json!({ "type": "message", "attachments": [card] })
}
