//! Requests to the nodes of a cluster: TLS, tokens, and the next node when one is away.
//!
//! Owns: which node is asked, how long, how often, and with which token. Does not own: where
//! the nodes are (`connection`), what an answer means (the commands).
//!
//! Invariant: a request is sent again only when it can't have been carried out, or when that
//! does no harm: reads, and writes with an `Idempotency-Key`.
//!
//! To add a kind of request: a function of [`Request`], which says whether it may be repeated.

mod request;
mod tls;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::AUTHORIZATION;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::connection::Connection;
use super::exit::{Code, Failure};
use super::settings::{Settings, Tokens};
use crate::causes;
pub(super) use request::{Answer, Request, escaped, with_query};

/// Above what a node gives itself for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long nodes that answer "not now" are asked again: an election takes less.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(300);
const TOO_MANY: StatusCode = StatusCode::TOO_MANY_REQUESTS;

/// Asks the nodes of one cluster.
pub(super) struct Client {
    http: reqwest::Client,
    servers: Vec<String>,
    /// The server that answered last.
    preferred: AtomicUsize,
    tokens: Mutex<Option<Tokens>>,
    /// They come from CRONAPI_TOKEN.
    from_variable: bool,
    /// Where new tokens are kept.
    keep: Option<(Settings, String)>,
}

impl Client {
    pub(super) fn new(connection: Connection, settings: &Settings) -> Result<Self, Failure> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::config(connection.ca.as_deref())?)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("cronapi/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Failure::failed(format!("no HTTP client: {error}")))?;
        let keep = connection.context.map(|context| (settings.clone(), context));
        let (servers, tokens) = (connection.servers, Mutex::new(connection.tokens));
        let (from_variable, preferred) = (connection.from_variable, AtomicUsize::new(0));
        Ok(Client { http, servers, preferred, tokens, from_variable, keep })
    }

    /// A successful answer.
    pub(super) async fn send(&self, request: Request) -> Result<Answer, Failure> {
        let answer = self.ask(&request).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(self.refusal(answer.status, &answer.body))
    }

    /// The JSON of a successful answer.
    pub(super) async fn fetch(&self, request: Request) -> Result<Value, Failure> {
        self.send(request).await?.json()
    }

    /// What an answer with an error says.
    pub(super) fn refusal(&self, status: StatusCode, body: &[u8]) -> Failure {
        let failure = Failure::of_answer(status, body);
        if status == StatusCode::UNAUTHORIZED && self.from_variable {
            return failure.of("the token in CRONAPI_TOKEN is refused").advise(
                "it stands over what `cronapi login` keeps: set it anew, or unset CRONAPI_TOKEN",
            );
        }
        if status == StatusCode::UNAUTHORIZED && self.tokens().is_none() {
            let server = &self.servers[0];
            return Failure::new(Code::Access, format!("you are not logged in to {server}"))
                .advise(format!("cronapi login --server {server}; or set CRONAPI_TOKEN"));
        }
        failure
    }

    /// The servers; each is known by its place among them.
    pub(super) fn servers(&self) -> &[String] {
        &self.servers
    }

    /// What one server answers to a read, and no other: for what is told of each node. It is
    /// asked again for a while, as one that starts anew is soon back.
    pub(super) async fn fetch_from(&self, place: usize, path: &str) -> Result<Value, Failure> {
        let (request, began) = (Request::get(path), Instant::now());
        let mut renewed = false;
        let failure = loop {
            let (failure, passes) = match self.once(place, &request, Some(ANSWER_TIMEOUT)).await {
                Ok(answer) if answer.status().is_success() => return read(answer).await?.json(),
                Ok(answer) if answer.status() == StatusCode::UNAUTHORIZED && !renewed => {
                    renewed = true;
                    if self.renew().await? {
                        continue;
                    }
                    (self.refusal(answer.status(), &read(answer).await?.body), false)
                }
                Ok(answer) => {
                    let (status, answer) = (answer.status(), read(answer).await?);
                    (self.refusal(status, &answer.body), is_away(status) || status == TOO_MANY)
                }
                Err(error) => (Failure::new(Code::Unavailable, reason(&error)), true),
            };
            if !passes || began.elapsed() >= PATIENCE {
                break failure;
            }
            tokio::time::sleep(PAUSE).await;
        };
        Err(failure.of(&format!("{}{path}", self.servers[place])))
    }

    /// Any answer, whatever its status.
    pub(super) async fn ask(&self, request: &Request) -> Result<Answer, Failure> {
        read(self.open(request, Some(ANSWER_TIMEOUT)).await?).await
    }

    /// The head of an answer; its body is yet to be read. With a new token if it takes one.
    pub(super) async fn open(
        &self,
        request: &Request,
        timeout: Option<Duration>,
    ) -> Result<Response, Failure> {
        let response = self.patiently(request, timeout).await?;
        if response.status() != StatusCode::UNAUTHORIZED || !self.renew().await? {
            return Ok(response);
        }
        self.patiently(request, timeout).await
    }

    /// Asks until a node answers: each in turn, and again while a leader is elected.
    async fn patiently(
        &self,
        request: &Request,
        timeout: Option<Duration>,
    ) -> Result<Response, Failure> {
        let began = Instant::now();
        let mut away: Vec<String> = Vec::new();
        let mut tried = 0;
        loop {
            let place = self.preferred.load(Ordering::Relaxed) % self.servers.len();
            let last = tried % self.servers.len() == self.servers.len() - 1;
            match self.once(place, request, timeout).await {
                Ok(response) if !is_away(response.status()) => return Ok(response),
                Ok(response) if began.elapsed() >= PATIENCE => return Ok(response),
                Ok(response) if !request.repeatable => return Ok(response),
                Ok(_) => {
                    away.clear();
                    if last {
                        tokio::time::sleep(PAUSE).await;
                    }
                }
                Err(error) if error.is_connect() || request.repeatable => {
                    away.push(format!("{}: {}", self.servers[place], reason(&error)));
                    if away.len() >= self.servers.len() {
                        return Err(unanswered(&away, error.is_timeout()));
                    }
                }
                Err(error) => {
                    let text = format!("{}: {}", self.servers[place], reason(&error));
                    return Err(Failure::new(Code::Unavailable, text)
                        .advise("it may have been carried out: look before you repeat"));
                }
            }
            tried += 1;
            self.preferred.store((place + 1) % self.servers.len(), Ordering::Relaxed);
        }
    }

    async fn once(
        &self,
        place: usize,
        request: &Request,
        timeout: Option<Duration>,
    ) -> Result<Response, reqwest::Error> {
        let url = format!("{}{}", self.servers[place], request.path);
        let mut asked = self.http.request(request.method.clone(), url);
        if let Some(timeout) = timeout {
            asked = asked.timeout(timeout);
        }
        for (name, value) in &request.headers {
            asked = asked.header(name, value);
        }
        if let Some(body) = &request.body {
            asked = asked.body(body.clone());
        }
        if let Some(tokens) = self.tokens() {
            asked = asked.header(AUTHORIZATION, format!("Bearer {}", tokens.access));
        }
        asked.send().await
    }

    /// Gets a new access token, if there is a refresh token to get it for.
    async fn renew(&self) -> Result<bool, Failure> {
        let refresh = self.tokens().and_then(|tokens| tokens.refresh);
        let Some(refresh) = refresh else { return Ok(false) };
        // A refresh token is good once: of several commands at a time, one renews it for all.
        let _turn = match &self.keep {
            Some((settings, context)) => {
                let turn = settings.turn()?;
                let kept = settings.tokens(context)?;
                if let Some(tokens) = kept.filter(|kept| kept.refresh.as_ref() != Some(&refresh)) {
                    self.use_tokens(Some(tokens));
                    return Ok(true);
                }
                Some(turn)
            }
            None => None,
        };
        let body = json!({ "refresh_token": refresh });
        let request = Request::post("/auth/refresh", &body).repeatable();
        let response = self.patiently(&request, Some(ANSWER_TIMEOUT)).await?;
        if !response.status().is_success() {
            return Ok(false);
        }
        let body = response.bytes().await.unwrap_or_default();
        let issued: Value = serde_json::from_slice(&body).unwrap_or_default();
        let Some(tokens) = issued_tokens(&issued) else { return Ok(false) };
        if let Some((settings, context)) = &self.keep {
            settings.keep(context, Some(tokens.clone()))?;
        }
        self.use_tokens(Some(tokens));
        Ok(true)
    }

    /// Tokens for a user.
    pub(super) async fn log_in(&self, user: &str, password: &str) -> Result<Tokens, Failure> {
        let body = json!({ "username": user, "password": password });
        let answer = self.ask(&Request::post("/auth/token", &body).repeatable()).await?;
        if !answer.status.is_success() {
            let failure = Failure::of_answer(answer.status, &answer.body);
            // To log in is what was tried.
            let access = failure.code == Code::Access;
            return Err(if access { failure.without_advice() } else { failure });
        }
        let issued = answer.json()?;
        issued_tokens(&issued).ok_or_else(|| Failure::failed("the server's answer has no token"))
    }

    fn tokens(&self) -> Option<Tokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on with these tokens.
    pub(super) fn use_tokens(&self, tokens: Option<Tokens>) {
        *self.tokens.lock().unwrap_or_else(PoisonError::into_inner) = tokens;
    }
}

/// Reads an answer to its end.
async fn read(response: Response) -> Result<Answer, Failure> {
    let (status, headers) = (response.status(), response.headers().clone());
    let body = response.bytes().await.map_err(|error| {
        Failure::new(Code::Unavailable, format!("the answer broke off: {}", reason(&error)))
            .advise("it may have been carried out: look before you repeat")
    })?;
    Ok(Answer { status, headers, body: body.to_vec() })
}

/// The tokens in the answer to a login.
fn issued_tokens(issued: &Value) -> Option<Tokens> {
    let text = |key: &str| issued[key].as_str().map(str::to_owned);
    Some(Tokens { access: text("access_token")?, refresh: text("refresh_token") })
}

/// Whether another node, or the same a moment later, may do it.
fn is_away(status: StatusCode) -> bool {
    matches!(status.as_u16(), 502..=504)
}

fn unanswered(away: &[String], slow: bool) -> Failure {
    let code = if slow { Code::Timeout } else { Code::Unavailable };
    let text = match away {
        [one] => format!("no answer from {one}"),
        several => format!("no server answers:\n  {}", several.join("\n  ")),
    };
    Failure::new(code, text).advise(
        "start a node there (`cronapi serve`), or name another with --server, CRONAPI_SERVER \
         or a context",
    )
}

/// The innermost cause of an error, which says most.
pub(super) fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it took too long".to_owned();
    }
    let told = causes::of(error).last().map_or_else(|| error.to_string(), ToString::to_string);
    let scheme = error.url().map_or("", reqwest::Url::scheme);
    other_protocol(scheme, &told).map_or(told, str::to_owned)
}

/// What it means when a server speaks another protocol than the URL says.
fn other_protocol(scheme: &str, told: &str) -> Option<&'static str> {
    // The words of rustls, of hyper, and of a connection that is closed at the first bytes.
    let no_tls = ["InvalidContentType", "corrupt message", "tls handshake eof"];
    let no_http = ["invalid HTTP version", "invalid HTTP header", "HTTP/0.9", "message head is"];
    let says = |words: &[&str]| words.iter().any(|word| told.contains(word));
    match scheme {
        "https" if says(&no_tls) => {
            Some("it speaks plain HTTP there, not HTTPS: write http:// in its URL")
        }
        "http" if says(&no_http) => {
            Some("it does not speak plain HTTP there; if it is HTTPS, write https:// in its URL")
        }
        _ => None,
    }
}
