//! What is said to a provider: discovery, keys, codes for tokens.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jsonwebtoken::jwk::Jwk;
use reqwest::{Client, RequestBuilder, Url};
use rustls::ClientConfig;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::id_token::{self, Expected};
use super::{OidcOptions, refuse};
use crate::model::Timestamp;
use crate::service::Error;
use crate::{causes, trust};

/// A request to the provider.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer, at most.
const ANSWER_MAX: usize = 1024 * 1024;
/// What was found out is believed for so long.
const FRESH: Duration = Duration::from_secs(3_600);

/// What a provider says about itself.
#[derive(Clone, Debug, Deserialize)]
struct Discovered {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    userinfo_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

/// What a code is good for.
#[derive(Deserialize)]
pub(super) struct Tokens {
    pub id_token: String,
    #[serde(default)]
    access_token: Option<String>,
}

/// Something with the time it was found out at.
type Known<T> = Mutex<Option<(Instant, Arc<T>)>>;

pub(super) struct Provider {
    options: OidcOptions,
    http: Client,
    discovered: Known<Discovered>,
    keys: Known<Vec<Jwk>>,
}

fn recall<T>(known: &Known<T>, fresh: Duration) -> Option<Arc<T>> {
    let known = known.lock().unwrap_or_else(PoisonError::into_inner);
    known.as_ref().filter(|(at, _)| at.elapsed() < fresh).map(|(_, value)| Arc::clone(value))
}

fn remember<T>(known: &Known<T>, value: T) -> Arc<T> {
    let value = Arc::new(value);
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    *known = Some((Instant::now(), Arc::clone(&value)));
    value
}

fn unavailable(what: &str, why: impl std::fmt::Display) -> Error {
    tracing::warn!(what, %why, "the login provider does not answer as it should");
    Error::unavailable(format!("the login provider does not answer as it should ({what})"), false)
}

impl Provider {
    pub(super) fn new(options: &OidcOptions) -> Result<Self, String> {
        let http = Client::builder()
            .tls_backend_preconfigured(tls(options.ca_file.as_deref())?)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .connect_timeout(TIMEOUT / 2)
            .user_agent(concat!("cronapi/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| format!("HTTP can't be set up: {error}"))?;
        let options = options.clone();
        Ok(Provider { options, http, discovered: Known::default(), keys: Known::default() })
    }

    async fn discovered(&self) -> Result<Arc<Discovered>, Error> {
        if let Some(known) = recall(&self.discovered, FRESH) {
            return Ok(known);
        }
        let issuer = &self.options.issuer;
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let found: Discovered = json("discovery", self.http.get(url)).await?;
        if found.issuer != *issuer {
            let why = format!("it calls itself {}, and is configured as {issuer}", found.issuer);
            return Err(unavailable("discovery", why));
        }
        let plain = issuer.starts_with("http:");
        for url in [&found.authorization_endpoint, &found.token_endpoint, &found.jwks_uri] {
            if !plain && !url.starts_with("https:") {
                return Err(unavailable("discovery", format!("{url} is not protected")));
            }
        }
        Ok(remember(&self.discovered, found))
    }

    /// Where a browser logs in.
    pub(super) async fn login_page(
        &self,
        state: &str,
        nonce: &str,
        challenge: &str,
    ) -> Result<String, Error> {
        let found = self.discovered().await?;
        let scopes = self.options.scopes.join(" ");
        let asked = [
            ("response_type", "code"),
            ("client_id", &self.options.client_id),
            ("redirect_uri", &self.options.redirect_url),
            ("scope", &scopes),
            ("state", state),
            ("nonce", nonce),
            ("code_challenge", challenge),
            ("code_challenge_method", "S256"),
        ];
        let url = Url::parse_with_params(&found.authorization_endpoint, asked);
        url.map(String::from).map_err(|error| unavailable("discovery", error))
    }

    /// Tokens for a code.
    pub(super) async fn exchange(&self, code: &str, verifier: &str) -> Result<Tokens, Error> {
        let (found, options) = (self.discovered().await?, &self.options);
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &options.redirect_url),
            ("code_verifier", verifier),
        ];
        let methods = &found.token_endpoint_auth_methods_supported;
        let basic = methods.is_empty() || methods.iter().any(|one| one == "client_secret_basic");
        let mut request = self.http.post(&found.token_endpoint);
        match &options.client_secret {
            Some(secret) if basic => {
                request = request.basic_auth(encoded(&options.client_id), Some(encoded(secret)));
            }
            secret => {
                form.push(("client_id", &options.client_id));
                form.extend(secret.as_deref().map(|secret| ("client_secret", secret)));
            }
        }
        let request = request
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .body(query_of(&form));
        let (status, body) = answer("code for tokens", request).await?;
        if (400..500).contains(&status) {
            let body: Value = serde_json::from_slice(&body).unwrap_or_default();
            let error = body["error"].as_str().unwrap_or("no reason");
            tracing::warn!(status, ?error, "the login provider gives no tokens for a code");
            return Err(refuse("the provider does not accept this login; begin again"));
        }
        read("code for tokens", status, &body)
    }

    /// The claims of an ID token, if it is good.
    pub(super) async fn verified(
        &self,
        token: &str,
        nonce: &str,
        now: Timestamp,
    ) -> Result<Map<String, Value>, Error> {
        let bad = |why: &str| {
            tracing::warn!(why, "an ID token is refused");
            refuse(format!("the provider's ID token is refused: {why}"))
        };
        let head = id_token::head(token).map_err(bad)?;
        let mut keys = self.keys(FRESH).await?;
        if id_token::key_for(&head, &keys).is_none() {
            // It may have new keys. Only who has a code gets as far as this.
            keys = self.keys(Duration::ZERO).await?;
        }
        let key = id_token::key_for(&head, &keys).ok_or_else(|| bad("its key is not known"))?;
        let (issuer, client_id) = (&self.options.issuer, &self.options.client_id);
        let expected = Expected { issuer, client_id, nonce, now };
        id_token::check(token, &head, key, &expected).map_err(bad)
    }

    async fn keys(&self, fresh: Duration) -> Result<Arc<Vec<Jwk>>, Error> {
        if let Some(known) = recall(&self.keys, fresh) {
            return Ok(known);
        }
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let found = self.discovered().await?;
        let set: Set = json("keys", self.http.get(&found.jwks_uri)).await?;
        // Kinds of keys that are not known here are of no use here.
        let keys = set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
        Ok(remember(&self.keys, keys.collect()))
    }

    /// The claims with the groups, which some providers tell when asked only.
    pub(super) async fn with_groups(
        &self,
        mut claims: Map<String, Value>,
        tokens: &Tokens,
        claim: &str,
    ) -> Result<Map<String, Value>, Error> {
        let found = self.discovered().await?;
        let (Some(url), Some(token), false) =
            (&found.userinfo_endpoint, &tokens.access_token, claims.contains_key(claim))
        else {
            return Ok(claims);
        };
        let request = self.http.get(url).bearer_auth(token);
        let told: Map<String, Value> = json("userinfo", request).await?;
        if told.get("sub") != claims.get("sub") {
            return Err(refuse("the provider tells about somebody else"));
        }
        for (claim, value) in told {
            claims.entry(claim).or_insert(value);
        }
        Ok(claims)
    }
}

fn tls(ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    let roots = match ca_file {
        None => trust::system(),
        Some(file) => trust::with_file(file).map_err(|e| format!("{}: {e}", file.display()))?,
    };
    trust::client(roots)
}

/// A form, as a browser would send it.
fn query_of(form: &[(&str, &str)]) -> String {
    let url = Url::parse_with_params("http://form.invalid/", form);
    url.ok().and_then(|url| url.query().map(str::to_owned)).unwrap_or_default()
}

/// A text as it stands in a form.
fn encoded(text: &str) -> String {
    query_of(&[("", text)]).trim_start_matches('=').to_owned()
}

async fn answer(what: &str, request: RequestBuilder) -> Result<(u16, Vec<u8>), Error> {
    let failed = |error: reqwest::Error| unavailable(what, causes::told(&error.without_url()));
    let mut response = request.send().await.map_err(failed)?;
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(failed)? {
        body.extend_from_slice(&piece);
        if body.len() > ANSWER_MAX {
            return Err(unavailable(what, "the answer is too large"));
        }
    }
    Ok((response.status().as_u16(), body))
}

fn read<T: DeserializeOwned>(what: &str, status: u16, body: &[u8]) -> Result<T, Error> {
    if status != 200 {
        return Err(unavailable(what, format!("HTTP status {status}")));
    }
    serde_json::from_slice(body).map_err(|error| unavailable(what, error))
}

async fn json<T: DeserializeOwned>(what: &str, request: RequestBuilder) -> Result<T, Error> {
    let (status, body) = answer(what, request.header("accept", "application/json")).await?;
    read(what, status, &body)
}
