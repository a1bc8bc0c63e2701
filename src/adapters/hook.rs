//! The type `webhook`: all facts of the message as a JSON document, signed.

use serde::Serialize;

use super::Fault;
use super::call::Call;
use super::request::{self, document, header};
use crate::executor::runner::sign;
use crate::model::Message;

/// What is sent.
#[derive(Serialize)]
struct Document<'a> {
    /// One more when a field goes or means something else.
    version: u32,
    #[serde(flatten)]
    message: &'a Message,
    subject: &'a str,
    text: &'a str,
}

pub(super) async fn send(call: &Call<'_>) -> Result<String, Fault> {
    let config = &call.channel.spec().config;
    let Some(url) = &config.url else { return Err(Fault::lasting("the channel has no url")) };
    let (subject, text) = (call.text.subject.as_str(), call.text.body.as_str());
    let body = document(&Document { version: 1, message: call.message, subject, text })?;
    let mut headers = Vec::new();
    for (name, value) in &config.headers {
        headers.push(header(name, &call.channel.setting(value))?);
    }
    headers.push(header("idempotency-key", &call.message.key)?);
    if let Some(key) = &config.sign {
        let signed = sign(&call.channel.secret(key), call.clock.now().secs(), &body);
        headers.push(header("x-cronapi-signature", &signed.map_err(Fault::lasting)?)?);
    }
    request::send(call, &call.channel.setting(url), headers, body).await
}
