//! A write: the caller, the body, and the headers that make it safe to repeat.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::request::Parts;
use futures_util::future::poll_immediate;
use sha2::{Digest, Sha256};
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

use super::Api;
use super::body::{self, FromBody};
use super::conditional::Condition;
use super::guard;
use super::headers;
use super::problem::Problem;
use crate::model::limits::{BODY_BYTES_MAX, IDEMPOTENCY_KEY_LEN_MAX};
use crate::service::{Caller, PutMode, RequestKey, WriteOptions};

/// Makes a repeated request harmless.
#[derive(serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "for the document; the header is read by Write")]
pub(super) struct KeyHeader {
    /// A text of the caller's own: within 24 hours the same request with the same key is
    /// carried out once, and answered again with `Idempotent-Replayed: true`.
    #[serde(rename = "Idempotency-Key")]
    #[param(min_length = 1, max_length = 255, pattern = "^[ -~]+$")]
    idempotency_key: Option<String>,
}

/// Makes a write conditional.
#[derive(serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "for the document; the header is read by Write")]
pub(super) struct MatchHeader {
    /// The ETag that the definition must have, or `*`.
    #[serde(rename = "If-Match")]
    if_match: Option<String>,
}

/// Heavy requests at a time, and how long one waits for its turn.
pub(super) const HEAVY_MAX: usize = 2;
const TURN_PATIENCE: Duration = Duration::from_secs(30);
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// What a write came with.
pub(super) struct Write<B> {
    /// A turn of those that are heavy, until the answer is there.
    _turn: Option<OwnedSemaphorePermit>,
    /// Who asks.
    pub caller: Caller,
    /// What is sent.
    pub body: B,
    /// `If-Match`.
    pub if_match: Condition,
    /// `If-None-Match`.
    pub if_none_match: Condition,
    request: Option<RequestKey>,
}

impl<B: FromBody + Send + 'static> FromRequest<Api> for Write<B> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let mut caller = parts.extensions.get::<Caller>().cloned().ok_or_else(Problem::internal)?;
        headers::refuse_untaken(&parts)?;
        let if_match = Condition::if_match(&parts.headers)?;
        let if_none_match = Condition::if_none_match(&parts.headers)?;
        let key = idempotency_key(&parts)?;
        let turn = if B::HEAVY { Some(turn(api).await?) } else { None };
        let patience = api.options.body_timeout;
        let began = Instant::now();
        let mut coming = pin!(body::collect(&parts.headers, body, B::MAX, patience));
        let bytes = match poll_immediate(&mut coming).await {
            Some(there) => there?,
            None => {
                let bytes = coming.await?;
                caller = guard::judge_again(api, &parts, began.elapsed()).await?;
                bytes
            }
        };
        let request = key.map(|key| request_key(&caller, &parts, key, &bytes));
        let body = if bytes.is_empty() {
            B::read(None)?
        } else {
            body::check_type(&parts.headers, B::ALSO)?;
            parsed(bytes).await?
        };
        Ok(Write { _turn: turn, caller, body, if_match, if_none_match, request })
    }
}

/// Reads a text; a long one away from those who wait for other answers.
async fn parsed<B: FromBody + Send + 'static>(text: Bytes) -> Result<B, Problem> {
    if text.len() <= BODY_BYTES_MAX {
        return B::parse(&text);
    }
    let read = tokio::task::spawn_blocking(move || B::parse(&text));
    read.await.unwrap_or_else(|_| Err(Problem::internal()))
}

/// A turn of a heavy request, before any of it is read.
async fn turn(api: &Api) -> Result<OwnedSemaphorePermit, Problem> {
    let turn = Arc::clone(&api.heavy).acquire_owned();
    match tokio::time::timeout(TURN_PATIENCE, turn).await {
        Ok(Ok(turn)) => Ok(turn),
        _ => Err(Problem::busy("others like this are carried out; send it again in a while")),
    }
}

impl<B> Write<B> {
    /// How the write is meant, on a definition of which `If-Match` may name a version.
    pub(super) async fn options(
        &self,
        api: &Api,
        name: &str,
        dry_run: bool,
    ) -> Result<WriteOptions, Problem> {
        let present = match &self.if_match {
            Condition::Versions(versions) if versions.len() > 1 => {
                Some(api.service.job(&self.caller, name).await?.live.version)
            }
            _ => None,
        };
        Ok(self.options_by(|| present, dry_run))
    }

    /// The same, on a definition whose version in force is `present`.
    pub(super) fn options_by(
        &self,
        present: impl FnOnce() -> Option<u64>,
        dry_run: bool,
    ) -> WriteOptions {
        let expected = match &self.if_match {
            Condition::None | Condition::Any => None,
            Condition::Versions(versions) => match versions.as_slice() {
                [one] => Some(*one),
                many => present().filter(|present| many.contains(present)).or(Some(many[0])),
            },
        };
        WriteOptions { expected, request: self.request, dry_run }
    }

    /// What `If-Match` and `If-None-Match` say of whether the definition may, or must, exist.
    pub(super) fn mode(&self) -> Result<PutMode, Problem> {
        match (&self.if_none_match, &self.if_match) {
            (Condition::Any, Condition::None) => Ok(PutMode::Create),
            (Condition::None, Condition::Any) => Ok(PutMode::Update),
            (Condition::None, _) => Ok(PutMode::Upsert),
            _ => {
                let detail = "takes only *, and not together with If-Match";
                Err(Problem::header("If-None-Match", detail))
            }
        }
    }

    /// How a write is meant that no version bears on.
    pub(super) fn plain_options(&self, dry_run: bool) -> WriteOptions {
        WriteOptions { expected: None, request: self.request, dry_run }
    }
}

/// The header, checked: 1 to 255 printable ASCII characters, once.
fn idempotency_key(parts: &Parts) -> Result<Option<&str>, Problem> {
    let refuse = |why: String| Problem::header("Idempotency-Key", why);
    let mut given = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(first) = given.next() else { return Ok(None) };
    if given.next().is_some() {
        return Err(refuse("is given twice".into()));
    }
    let printable = first.as_bytes().iter().all(|byte| (0x20..0x7f).contains(byte));
    let text = first.to_str().ok().filter(|_| printable);
    match text {
        Some(key) if (1..=IDEMPOTENCY_KEY_LEN_MAX).contains(&key.len()) => Ok(Some(key)),
        _ => Err(refuse(format!(
            "must be 1 to {IDEMPOTENCY_KEY_LEN_MAX} printable ASCII characters"
        ))),
    }
}

/// Scoped to user and route: another caller's key, or the same on another path, is another.
fn request_key(caller: &Caller, parts: &Parts, key: &str, body: &[u8]) -> RequestKey {
    let (method, path) = (parts.method.as_str(), parts.uri.path());
    let user = caller.user.as_str();
    let query = parts.uri.query().unwrap_or_default();
    RequestKey {
        key: digest(&[user.as_bytes(), method.as_bytes(), path.as_bytes(), key.as_bytes()]),
        fingerprint: digest(&[query.as_bytes(), body]),
    }
}

/// The first half of SHA-256 over the parts, each after its length.
fn digest(parts: &[&[u8]]) -> Uuid {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let whole: [u8; 32] = hasher.finalize().into();
    let mut half = [0; 16];
    half.copy_from_slice(&whole[..16]);
    Uuid::from_bytes(half)
}
