//! A push as a request: encrypted for the browser, signed for its push service.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, Request, StatusCode};
use sha2::{Digest, Sha256};
use web_push_native::{Auth, p256};

use super::key::Opened;
use super::places::Places;
use super::words::Words;
use crate::executor::runner::{Answer, RunnerEnv, post};
use crate::model::limits::{DELIVERY_ANSWER_BYTES_MAX, DELIVERY_TIMEOUT, NOTICE_AGE_MAX};
use crate::model::{PushOutcome, PushSubscription, Span, Timestamp};

/// Characters of an answer that are told.
const ANSWER_LEN_MAX: usize = 120;
/// Bytes of a topic: 32 characters, RFC 8030 §5.4.
const TOPIC_BYTES: usize = 24;

/// What a push needs beside its words.
pub(super) struct Sealer<'a> {
    pub key: &'a Opened,
    pub places: &'a Places,
    pub env: &'a RunnerEnv,
    pub now: Timestamp,
}

impl Sealer<'_> {
    /// Sends one push, within `DELIVERY_TIMEOUT`, and says what became of it.
    pub async fn send(&self, to: &PushSubscription, words: &Words) -> PushOutcome {
        let request = match self.request(to, words) {
            Ok(request) => request,
            Err(error) => return PushOutcome::Refused { error },
        };
        let sent = post(self.env, request, DELIVERY_ANSWER_BYTES_MAX, self.now.secs());
        match tokio::time::timeout(DELIVERY_TIMEOUT.std(), sent).await {
            Ok(Ok(answer)) => judge(&answer),
            Ok(Err((error, true))) => PushOutcome::Retry { error, after: None },
            Ok(Err((error, false))) => PushOutcome::Refused { error },
            Err(_) => {
                let error = format!("it was not taken within {DELIVERY_TIMEOUT}");
                PushOutcome::Retry { error, after: None }
            }
        }
    }

    fn request(&self, to: &PushSubscription, words: &Words) -> Result<Request, String> {
        let why = |why: String| format!("the address of the subscription {why}");
        let url = self.places.read(&to.endpoint).map_err(why)?;
        let origin = url.origin().ascii_serialization();
        let token = self.key.sign(&origin, self.places.contact.as_deref(), self.now)?;
        let public = URL_SAFE_NO_PAD.encode(self.key.public());
        let mut request = Request::new(Method::POST, url);
        let headers = [
            ("authorization", format!("vapid t={token}, k={public}")),
            ("ttl", NOTICE_AGE_MAX.std().as_secs().to_string()),
            ("urgency", if words.wrong { "high" } else { "normal" }.to_owned()),
            ("topic", topic(&words.tag)),
        ];
        for (name, value) in headers {
            let value = HeaderValue::from_str(&value).map_err(|e| e.to_string())?;
            request.headers_mut().insert(HeaderName::from_static(name), value);
        }
        let octets = HeaderValue::from_static("application/octet-stream");
        request.headers_mut().insert(CONTENT_TYPE, octets);
        request.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("aes128gcm"));
        *request.body_mut() = Some(encrypt(to, words)?.into());
        Ok(request)
    }
}

fn encrypt(to: &PushSubscription, words: &Words) -> Result<Vec<u8>, String> {
    let bad = "the subscription has no key that a browser gives";
    let public = p256::PublicKey::from_sec1_bytes(&to.p256dh).map_err(|_| bad)?;
    let auth: [u8; 16] = to.auth.as_slice().try_into().map_err(|_| bad)?;
    web_push_native::encrypt(words.payload()?, &public, &Auth::from(auth))
        .map_err(|e| format!("it can't be encrypted: {e}"))
}

/// Of pushes with one topic a service keeps the newest, while the browser is away.
fn topic(tag: &str) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(tag.as_bytes())[..TOPIC_BYTES])
}

fn judge(answer: &Answer) -> PushOutcome {
    let status = answer.status;
    if status.is_success() {
        return PushOutcome::Sent;
    }
    if matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE) {
        return PushOutcome::Gone;
    }
    let words = answer.body.split(|c: char| c.is_control() || c.is_whitespace());
    let said = words.filter(|word| !word.is_empty()).collect::<Vec<&str>>().join(" ");
    let said: String = said.chars().take(ANSWER_LEN_MAX).collect();
    let error = match said.as_str() {
        "" => format!("the push service said HTTP {status}"),
        said => format!("the push service said HTTP {status}: {said}"),
    };
    let passing = status.is_server_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
    if passing {
        let after = answer.retry_after.map(|after| Span::from_millis(after.as_millis() as u64));
        return PushOutcome::Retry { error, after };
    }
    PushOutcome::Refused { error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_answer_means() {
        let told = |status: u16| {
            let status = StatusCode::from_u16(status).unwrap();
            judge(&Answer { status, body: "no\nwords".into(), retry_after: None })
        };
        assert_eq!(told(201), PushOutcome::Sent);
        assert_eq!((told(404), told(410)), (PushOutcome::Gone, PushOutcome::Gone));
        for passing in [429, 500, 503] {
            assert!(matches!(told(passing), PushOutcome::Retry { .. }), "{passing}");
        }
        for lasting in [301, 400, 403, 413] {
            let PushOutcome::Refused { error } = told(lasting) else { panic!("{lasting}") };
            assert!(error.ends_with("no words"), "{error}");
        }
    }

    #[test]
    fn a_topic_is_as_long_as_it_may_be() {
        assert_eq!(topic("job:nightly-dump").len(), 32);
        assert_ne!(topic("job:a"), topic("job:b"));
    }
}
