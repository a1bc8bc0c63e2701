//! The type `slack`: an incoming webhook.

use serde_json::{Value, json};

use super::Fault;
use super::call::Call;
use super::request::{self, document};
use crate::model::notice::Text;

/// Characters of a heading that Slack takes.
const HEADING_LEN_MAX: usize = 150;
/// Characters of a text that Slack takes.
const TEXT_LEN_MAX: usize = 3_000;

pub(super) async fn send(call: &Call<'_>) -> Result<String, Fault> {
    let Some(url) = &call.channel.spec().config.url else {
        return Err(Fault::lasting("the channel has no url"));
    };
    let body = document(&blocks(call.text, call.message.link.as_deref()))?;
    request::send(call, &call.channel.setting(url), [], body).await
}

/// Texts are plain: what a run printed makes no link and calls nobody.
fn blocks(text: &Text, link: Option<&str>) -> Value {
    let plain = |text: &str, most| json!({ "type": "plain_text", "text": cut(text, most) });
    let mut blocks =
        vec![json!({ "type": "header", "text": plain(&text.subject, HEADING_LEN_MAX) })];
    if !text.body.trim().is_empty() {
        let text = plain(text.body.trim(), TEXT_LEN_MAX);
        blocks.push(json!({ "type": "section", "text": text }));
    }
    if let Some(link) = link {
        let link = format!("<{}|Open in CronAPI>", escaped(link).replace('|', "%7C"));
        let element = json!({ "type": "mrkdwn", "text": link });
        blocks.push(json!({ "type": "context", "elements": [element] }));
    }
    json!({ "text": escaped(&text.subject), "blocks": blocks, "unfurl_links": false })
}

/// What Slack reads as a link or a call stands as it is.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// At most so many characters.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(most - 1).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_printed_calls_nobody() {
        let text = Text {
            subject: "<!channel> \"a\" & b".into(),
            body: "<https://x|y>\n*b* ü".repeat(1_000),
            fallback: None,
        };
        let made = blocks(&text, Some("https://cron/ui/a|b"));
        assert_eq!(made["text"], "&lt;!channel&gt; \"a\" &amp; b");
        assert_eq!(made["blocks"][0]["text"]["type"], "plain_text");
        let body = made["blocks"][1]["text"]["text"].as_str().unwrap();
        assert_eq!((body.chars().count(), body.ends_with('…')), (TEXT_LEN_MAX, true));
        assert_eq!(
            made["blocks"][2]["elements"][0]["text"],
            "<https://cron/ui/a%7Cb|Open in CronAPI>"
        );
    }
}
