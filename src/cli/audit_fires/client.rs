//! Questions to nodes: TLS, login, and patience while a cluster elects a leader.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{StatusCode, Url};
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

/// How long one answer may take; a whole audit is proved in one.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Pauses before an unanswered question is asked again: an election takes less.
const PAUSES_MS: [u64; 5] = [250, 500, 1_000, 2_000, 4_000];

/// Why the command could not do its work.
#[derive(Debug)]
pub(in crate::cli) enum Trouble {
    /// It was asked wrongly.
    Usage(String),
    /// A node does not answer, or not so that it can be understood.
    Unavailable(String),
    /// The login, or a right, is missing.
    Refused(String),
    /// There is no such thing.
    NotFound(String),
}

impl Trouble {
    /// As sysexits.h numbers them.
    pub(in crate::cli) fn exit_code(&self) -> u8 {
        match self {
            Trouble::Usage(_) => 2,
            Trouble::Unavailable(_) | Trouble::NotFound(_) => 69,
            Trouble::Refused(_) => 77,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Trouble::Usage(text)
        | Trouble::Unavailable(text)
        | Trouble::Refused(text)
        | Trouble::NotFound(text)) = self;
        f.write_str(text)
    }
}

/// How the caller shows who it is.
pub(super) enum Login {
    Token(String),
    Password { user: String, password: String },
}

/// Asks nodes, each known by its place in the list of URLs.
pub(super) struct Client {
    http: reqwest::Client,
    bases: Vec<String>,
    login: Login,
    token: Mutex<String>,
}

#[derive(Deserialize)]
struct Issued {
    access_token: String,
}

#[derive(Deserialize)]
struct Told {
    detail: Option<String>,
    title: Option<String>,
}

impl Client {
    pub(super) fn new(urls: &[String], login: Login) -> Result<Self, Trouble> {
        let mut bases = Vec::new();
        for url in urls.iter().map(|url| url.trim_end_matches('/')) {
            let usable = Url::parse(url).is_ok_and(|url| {
                matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none()
            });
            if !usable {
                return Err(Trouble::Usage(format!("--url: {url:?} is not http://host:port")));
            }
            bases.push(url.to_owned());
        }
        let token = match &login {
            Login::Token(token) => token.clone(),
            Login::Password { .. } => String::new(),
        };
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls()?)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("cronapi/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Trouble::Unavailable(format!("no HTTP client: {error}")))?;
        Ok(Self { http, bases, login, token: Mutex::new(token) })
    }

    /// How many nodes there are to ask.
    pub(super) fn places(&self) -> usize {
        self.bases.len()
    }

    pub(super) fn name(&self, place: usize) -> &str {
        &self.bases[place]
    }

    /// Gets a token, when there is a password to get one for.
    pub(super) async fn login(&self) -> Result<(), Trouble> {
        let Login::Password { user, password } = &self.login else { return Ok(()) };
        let body = json!({"username": user, "password": password}).to_string();
        let (status, body) = self.patiently(0, "/auth/token", Some(body)).await?;
        let issued: Issued = understood(self.name(0), "/auth/token", status, &body)?;
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = issued.access_token;
        Ok(())
    }

    /// What a node answers to `path`, a query included.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        place: usize,
        path: &str,
    ) -> Result<T, Trouble> {
        let (mut status, mut body) = self.patiently(place, path, None).await?;
        if status == StatusCode::UNAUTHORIZED && matches!(self.login, Login::Password { .. }) {
            // An access token lasts for an hour, an audit may take longer.
            self.login().await?;
            (status, body) = self.patiently(place, path, None).await?;
        }
        understood(self.name(place), path, status, &body)
    }

    /// Asks until there is an answer, for a while.
    async fn patiently(
        &self,
        place: usize,
        path: &str,
        post: Option<String>,
    ) -> Result<(StatusCode, Vec<u8>), Trouble> {
        let mut pauses = PAUSES_MS.iter();
        loop {
            let trouble = match self.once(place, path, post.clone()).await {
                Ok((status, body)) if !passes(status) => return Ok((status, body)),
                Ok((status, body)) => told(status, &body),
                Err(error) => reasons(&error),
            };
            let Some(pause) = pauses.next() else {
                let name = self.name(place);
                return Err(Trouble::Unavailable(format!("{name}{path}: {trouble}")));
            };
            tokio::time::sleep(Duration::from_millis(*pause)).await;
        }
    }

    async fn once(
        &self,
        place: usize,
        path: &str,
        post: Option<String>,
    ) -> Result<(StatusCode, Vec<u8>), reqwest::Error> {
        let url = format!("{}{path}", self.bases[place]);
        let request = match post {
            Some(body) => self.http.post(url).header(CONTENT_TYPE, "application/json").body(body),
            None => {
                let token = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
                self.http.get(url).header(AUTHORIZATION, format!("Bearer {token}"))
            }
        };
        let answer = request.send().await?;
        let status = answer.status();
        Ok((status, answer.bytes().await?.to_vec()))
    }
}

/// Whether waiting may help.
fn passes(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

fn understood<T: DeserializeOwned>(
    name: &str,
    path: &str,
    status: StatusCode,
    body: &[u8],
) -> Result<T, Trouble> {
    if status.is_success() {
        return serde_json::from_slice(body).map_err(|error| {
            Trouble::Unavailable(format!("{name}{path}: an answer that can't be read: {error}"))
        });
    }
    let text = format!("{name}{path}: {}", told(status, body));
    Err(match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Trouble::Refused(text),
        StatusCode::NOT_FOUND => Trouble::NotFound(text),
        _ => Trouble::Unavailable(text),
    })
}

/// What an answer that is an error says.
fn told(status: StatusCode, body: &[u8]) -> String {
    let told: Option<Told> = serde_json::from_slice(body).ok();
    let said = told.and_then(|told| told.detail.or(told.title));
    said.map_or_else(|| status.to_string(), |said| format!("{}: {said}", status.as_u16()))
}

/// An error with what lies behind it.
fn reasons(error: &reqwest::Error) -> String {
    let chain = std::iter::successors(Some(error as &dyn std::error::Error), |e| e.source());
    chain.last().map_or_else(|| error.to_string(), ToString::to_string)
}

pub(in crate::cli) fn tls() -> Result<ClientConfig, Trouble> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Trouble::Unavailable(format!("TLS can't be set up: {error}")))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
