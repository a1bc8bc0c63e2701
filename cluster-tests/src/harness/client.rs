//! A small REST client that outlives restarts of what it talks to, and asks any of several
//! nodes.

use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep, timeout};

/// How long a request is tried: longer than any outage of the scenarios.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(25);
/// Until a connection stands: packets to a node that is cut off vanish.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// One try, of those that may wait for the end of a run.
const WAIT_MAX: Duration = Duration::from_secs(45);
/// One try: a process that is stopped in its tracks takes requests and does not answer.
const TRY_MAX: Duration = Duration::from_secs(10);

/// Why there is no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody answered in time.
    #[error("{what}: no answer within {PATIENCE:?}, the last: {last}")]
    Silent {
        /// The request.
        what: String,
        /// What came instead of an answer.
        last: String,
    },
    /// The answer is not the one that was due.
    #[error("{what}: {status} {body}")]
    Refused {
        /// The request.
        what: String,
        /// Its status.
        status: u16,
        /// Its body.
        body: String,
    },
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Body as JSON; null when it is not.
    pub body: Value,
    /// Body as text.
    pub text: String,
    /// The URL of the node that gave it.
    pub node: String,
}

/// A client that is logged in as one user.
pub struct Client {
    http: reqwest::Client,
    bases: watch::Receiver<Vec<String>>,
    turn: AtomicUsize,
    user: String,
    password: String,
    token: Mutex<Option<String>>,
}

fn http() -> reqwest::Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // An error says that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let builder = reqwest::Client::builder().no_proxy().timeout(WAIT_MAX);
    let builder = builder.connect_timeout(CONNECT_MAX);
    builder.build().expect("a client without TLS settings can be built")
}

/// The status of a GET without a token.
///
/// # Errors
/// Nobody answers.
pub async fn plain(url: &str) -> Result<u16, reqwest::Error> {
    let answer = http().get(url).timeout(TRY_MAX).send().await;
    answer.map(|answer| answer.status().as_u16())
}

/// An answer to a GET without a token.
#[derive(Clone, Debug)]
pub struct PlainAnswer {
    /// Status.
    pub status: u16,
    /// Body.
    pub text: String,
}

/// What a GET without a token gets.
///
/// # Errors
/// Nobody answers.
pub async fn plain_text(url: &str) -> Result<PlainAnswer, reqwest::Error> {
    let answer = http().get(url).timeout(TRY_MAX).send().await?;
    let status = answer.status().as_u16();
    Ok(PlainAnswer { status, text: answer.text().await? })
}

impl Client {
    /// For the nodes that `bases` has at the time, in turn, as `user`; it logs in when it
    /// has to.
    pub fn new(bases: watch::Receiver<Vec<String>>, user: &str, password: &str) -> Client {
        Client {
            http: http(),
            bases,
            turn: AtomicUsize::new(0),
            user: user.to_string(),
            password: password.to_string(),
            token: Mutex::new(None),
        }
    }

    /// For one address.
    pub fn at(url: &str, user: &str, password: &str) -> Client {
        Client::new(watch::channel(vec![url.to_string()]).1, user, password)
    }

    /// Whose turn it is.
    fn base(&self) -> String {
        let bases = self.bases.borrow();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        bases.get(turn % bases.len().max(1)).cloned().unwrap_or_default()
    }

    /// The status of a login, and the token.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn login(&self) -> Result<(u16, Option<String>), reqwest::Error> {
        let (status, text) = self.login_told().await?;
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        Ok((status, body["access_token"].as_str().map(str::to_string)))
    }

    /// The status of a login, and all that it is answered.
    pub async fn login_told(&self) -> Result<(u16, String), reqwest::Error> {
        let url = format!("{}/auth/token", self.base());
        let form = format!(
            "grant_type=password&username={}&password={}",
            encode(&self.user),
            encode(&self.password)
        );
        let request = self.http.post(url).timeout(TRY_MAX);
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let answer = request.body(form).send().await?;
        let status = answer.status().as_u16();
        Ok((status, answer.text().await?))
    }

    async fn token(&self) -> Result<String, String> {
        let mut known = self.token.lock().await;
        if let Some(token) = &*known {
            return Ok(token.clone());
        }
        match self.login().await {
            Ok((200, Some(token))) => {
                *known = Some(token.clone());
                Ok(token)
            }
            Ok((status, _)) => Err(format!("the login gives {status}")),
            Err(error) => Err(format!("the login: {error:?}")),
        }
    }

    /// Logs in, if that has not happened yet.
    ///
    /// # Errors
    /// There is no token to be had: what came instead.
    pub async fn prepare(&self) -> Result<(), String> {
        self.token().await.map(drop)
    }

    /// One try, at the node whose turn it is.
    ///
    /// # Errors
    /// There is no answer, and so it is not known whether the request was done.
    pub async fn attempt(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Result<Answer, String> {
        let token = self.token().await?;
        let node = self.base();
        let most = if path.contains("wait=") { WAIT_MAX } else { TRY_MAX };
        let mut request = self.http.request(method.clone(), format!("{node}{path}"));
        request = request.timeout(most).header(AUTHORIZATION, format!("Bearer {token}"));
        if let Some(body) = body {
            let kind = match *method {
                Method::PATCH => "application/merge-patch+json",
                _ => "application/json",
            };
            request = request.header(CONTENT_TYPE, kind).body(body.to_string());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.map_err(|error| format!("{node}: {error:?}"))?;
        let status = answer.status().as_u16();
        let text = answer.text().await.map_err(|error| format!("{node}: {error:?}"))?;
        if status == 401 {
            *self.token.lock().await = None;
        }
        let body = serde_json::from_str(&text).unwrap_or_default();
        Ok(Answer { status, body, text, node })
    }

    /// The events after a place, `<index>.<sub>`, up to another one, as one node streams them.
    ///
    /// # Errors
    /// The stream ends before, or is not answered.
    pub async fn events(&self, after: &str, until: (u64, u64)) -> Result<Vec<Value>, String> {
        let (token, node) = (self.token().await?, self.base());
        let request = self.http.get(format!("{node}/events")).timeout(WAIT_MAX);
        let request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        let answer = request.header("Last-Event-ID", after).send().await;
        let mut answer = answer.map_err(|error| format!("{node}: {error:?}"))?;
        let (mut text, mut events): (Vec<u8>, Vec<Value>) = Default::default();
        while let Some(part) = answer.chunk().await.map_err(|error| format!("{node}: {error:?}"))? {
            text.extend_from_slice(&part);
            while let Some(end) = text.windows(2).position(|two| two == b"\n\n") {
                let block: Vec<u8> = text.drain(..end + 2).collect();
                let block = String::from_utf8_lossy(&block);
                if block.lines().any(|line| line == "event: reset") {
                    return Err(format!("{node}: some are gone"));
                }
                let Some(data) = block.lines().find_map(|line| line.strip_prefix("data: ")) else {
                    continue;
                };
                let event: Value = serde_json::from_str(data).unwrap_or_default();
                let place = (event["index"].as_u64(), event["sub"].as_u64());
                if let (Some(index), Some(sub)) = place {
                    if (index, sub) > until {
                        return Ok(events);
                    }
                    events.push(event);
                    if (index, sub) == until {
                        return Ok(events);
                    }
                }
            }
        }
        Err(format!("{node}: the stream of events has ended"))
    }

    /// Sends a request until it is answered. What must not be done twice carries a `key`:
    /// a lost answer does not say whether the request was done.
    ///
    /// # Errors
    /// [`Error::Silent`].
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        key: Option<&str>,
    ) -> Result<Answer, Error> {
        let deadline = Instant::now() + PATIENCE;
        let key = key.map(|key| ("Idempotency-Key", key));
        loop {
            let tried = timeout(WAIT_MAX, self.attempt(&method, path, body, key.as_slice()));
            let last = match tried.await {
                Ok(Ok(answer)) if !matches!(answer.status, 401 | 429 | 503) => return Ok(answer),
                Ok(Ok(answer)) => format!("{}: {} {}", answer.node, answer.status, answer.text),
                Ok(Err(error)) => error,
                Err(_) => format!("nothing in {WAIT_MAX:?}"),
            };
            if Instant::now() >= deadline {
                return Err(Error::Silent { what: format!("{method} {path}"), last });
            }
            sleep(PAUSE).await;
        }
    }

    /// A write that is due to succeed; it may be done twice when `key` is empty.
    ///
    /// # Errors
    /// There is no answer, or it is a refusal.
    pub async fn write(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        key: &str,
    ) -> Result<Answer, Error> {
        let what = format!("{method} {path}");
        let key = Some(key).filter(|key| !key.is_empty());
        let answer = self.send(method, path, body, key).await?;
        due(what, answer)
    }

    /// A read that is due to succeed.
    ///
    /// # Errors
    /// There is no answer, or it is a refusal.
    pub async fn get(&self, path: &str) -> Result<Value, Error> {
        let answer = self.send(Method::GET, path, None, None).await?;
        Ok(due(format!("GET {path}"), answer)?.body)
    }

    /// Creates a job.
    ///
    /// # Errors
    /// There is no answer, or it is a refusal.
    pub async fn create(&self, definition: &Value, key: &str) -> Result<Value, Error> {
        Ok(self.write(Method::POST, "/jobs", Some(definition), key).await?.body)
    }

    /// Runs a job by hand and gives the run as it is when it has ended, or after 40 s.
    ///
    /// # Errors
    /// There is no answer, or it is a refusal.
    pub async fn run_to_end(&self, job: &str, key: &str) -> Result<Value, Error> {
        let path = format!("/jobs/{job}/run?wait=40s");
        Ok(self.write(Method::POST, &path, Some(&json!({})), key).await?.body)
    }

    /// All items of a list. `path` may have a query.
    ///
    /// # Errors
    /// There is no answer, it is a refusal, or an item is not of that kind.
    pub async fn list<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, Error> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mark = if path.contains('?') { '&' } else { '?' };
            let mut page = format!("{path}{mark}limit=1000");
            if let Some(cursor) = &cursor {
                page.push_str(&format!("&cursor={}", encode(cursor)));
            }
            let answer = self.get(&page).await?;
            let whole: Map<String, Value> = match answer {
                Value::Object(map) => map,
                _ => Map::new(),
            };
            for item in whole.get("items").and_then(Value::as_array).into_iter().flatten() {
                let read = T::deserialize(item).map_err(|error| Error::Refused {
                    what: format!("GET {page}: {error}"),
                    status: 200,
                    body: item.to_string(),
                })?;
                items.push(read);
            }
            cursor = whole.get("next_cursor").and_then(Value::as_str).map(str::to_string);
            if cursor.is_none() {
                return Ok(items);
            }
        }
    }
}

fn due(what: String, answer: Answer) -> Result<Answer, Error> {
    if (200..300).contains(&answer.status) {
        return Ok(answer);
    }
    Err(Error::Refused { what, status: answer.status, body: answer.text })
}

/// Percent-encodes everything that is not plainly safe.
pub fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}
