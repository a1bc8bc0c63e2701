//! The type `ntfy`: a message to a topic of <https://ntfy.sh>, or of a server of one's own.

use serde_json::{Value, json};

use super::Fault;
use super::call::Call;
use super::request::{self, document, header};
use crate::model::MessageKind;

/// Where topics are by default.
const SERVER: &str = "https://ntfy.sh/";
/// Bytes of a text that ntfy shows; a longer one becomes an attachment.
const TEXT_BYTES_MAX: usize = 4_000;

pub(super) async fn send(call: &Call<'_>) -> Result<String, Fault> {
    let (channel, config) = (call.channel, &call.channel.spec().config);
    let Some(topic) = &config.topic else {
        return Err(Fault::lasting("the channel has no topic"));
    };
    let (tag, priority) = match call.message.kind {
        MessageKind::Recovered | MessageKind::MonitorUp => ("white_check_mark", 3),
        MessageKind::Test | MessageKind::Digest | MessageKind::BackfillDone => {
            ("information_source", 3)
        }
        _ => ("warning", 4),
    };
    let text = call.text.body.trim();
    let text = &text[..text.floor_char_boundary(TEXT_BYTES_MAX)];
    let mut body = json!({
        "topic": channel.setting(topic),
        "title": call.text.subject,
        "message": text,
        "tags": [tag],
        "priority": config.priority.unwrap_or(priority),
    });
    if let Some(link) = &call.message.link {
        body["click"] = Value::from(link.as_str());
    }
    let token = config.token.as_ref().map(|token| channel.secret(token));
    let token = token.map(|token| header("authorization", &format!("Bearer {token}")));
    let headers = token.transpose()?;
    let url = config.url.as_ref().map_or_else(|| SERVER.to_owned(), |url| channel.setting(url));
    request::send(call, &url, headers, document(&body)?).await
}
