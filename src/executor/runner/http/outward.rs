//! The door outward for what is not a run: the same connections, the same guard, no redirect, and
//! of the answer only its beginning.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::{Request, Response, StatusCode};

use super::client::Client;
use super::retry_after;
use crate::executor::runner::RunnerEnv;

/// How long the text of a refusal may take: its status was said.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The beginning of its body, as text; empty where the request was taken.
    pub body: String,
    /// How long the server wants to be left alone.
    pub retry_after: Option<Duration>,
}

/// Sends one request and reads the beginning of the answer. The caller bounds the time.
///
/// # Errors
/// A sentence, and whether a later try may go better.
pub async fn post(
    env: &RunnerEnv,
    request: Request,
    answer_max: usize,
    now_seconds: i64,
) -> Result<Answer, (String, bool)> {
    let client = client(env).map_err(|why| (why, false))?;
    client.may_reach(request.url()).map_err(|why| (why, false))?;
    let sent_to = request.url().clone();
    let lost = |e: &reqwest::Error| (client.explain(e, &sent_to), !client.denied(e));
    let mut response = client.send(request).await.map_err(|e| lost(&e))?;
    let (status, wait) = (response.status(), retry_after::wait(response.headers(), now_seconds));
    let mut body = Vec::new();
    // Where it was taken, what else is said decides nothing.
    if !status.is_success() {
        let read = beginning(&mut response, &mut body, answer_max);
        let _ = tokio::time::timeout(ANSWER_TIMEOUT, read).await;
    }
    let body = String::from_utf8_lossy(&body).into_owned();
    Ok(Answer { status, body, retry_after: wait })
}

/// Reads on until there is enough, or no more.
async fn beginning(response: &mut Response, body: &mut Vec<u8>, most: usize) {
    while body.len() < most
        && let Ok(Some(part)) = response.chunk().await
    {
        body.extend_from_slice(&part[..part.len().min(most - body.len())]);
    }
}

/// The addresses of a host that may be reached.
///
/// # Errors
/// A sentence, and whether a later try may go better.
pub async fn addresses(
    env: &RunnerEnv,
    host: &str,
    port: u16,
) -> Result<Vec<SocketAddr>, (String, bool)> {
    client(env).map_err(|why| (why, false))?.addresses(host, port).await
}

fn client(env: &RunnerEnv) -> Result<&Client, String> {
    let made = env.client.get_or_init(|| Client::new(&env.http_deny, &env.http_allow));
    made.as_ref().map_err(Clone::clone)
}
