//! Clients that write and read the register.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use super::op::{Asked, Op, State, Told};
use crate::harness::client::{Answer, Error};
use crate::harness::{Client, Cluster};
use crate::moment::Moment;
use crate::random::Random;

/// The job whose description is the register.
pub const NAME: &str = "register";
/// How long a client waits for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(3);

/// Lets `count` clients at a new register until `until`; gives what they asked and were
/// told, and what the register held at first.
///
/// # Errors
/// The register can't be made.
pub async fn operate(
    cluster: &Cluster,
    count: usize,
    seed: u64,
    until: Moment,
) -> Result<(Vec<Op>, State), Error> {
    let made = cluster.client().create(&json!({"name": NAME, "description": "0"}), NAME).await?;
    let initial = state(&made).unwrap_or(State { version: 0, value: 0 });
    let begin = Instant::now();
    let mut clients = Vec::new();
    for number in 0..count {
        let client = Arc::new(cluster.client());
        let random = Random::new(seed, &format!("register {number}"));
        let one = One { client, number, random, begin, seen: initial.version };
        clients.push(tokio::spawn(one.operate(until)));
    }
    let mut ops = Vec::new();
    for client in clients {
        ops.extend(client.await.expect("a client ends"));
    }
    ops.sort_by_key(|op| op.sent);
    Ok((ops, initial))
}

struct One {
    client: Arc<Client>,
    number: usize,
    random: Random,
    begin: Instant,
    /// The newest version it was told of.
    seen: u64,
}

impl One {
    async fn operate(mut self, until: Moment) -> Vec<Op> {
        let mut ops = Vec::new();
        let mut count = 0;
        while Moment::now() < until {
            count += 1;
            // Values are new, so that each tells which write it is of.
            let value = count * 100 + self.number as u64;
            let asked = match self.random.within(0, 9) {
                0..=5 => Asked::Read,
                6..=7 => Asked::Write(value),
                _ => Asked::Swap { expected: self.seen, value },
            };
            ops.extend(self.ask(asked).await);
            // The pace of the clients, not a wait for something.
            sleep(Duration::from_millis(self.random.within(5, 80))).await;
        }
        ops
    }

    /// None: it is certain that nothing happened, or a read told nothing.
    async fn ask(&mut self, asked: Asked) -> Option<Op> {
        // A login belongs to no operation.
        if !matches!(timeout(ANSWER_MAX, self.client.prepare()).await, Ok(Ok(()))) {
            return None;
        }
        let path = format!("/jobs/{NAME}");
        let tag = match asked {
            Asked::Swap { expected, .. } => format!("\"{expected}\""),
            _ => "*".to_string(),
        };
        let headers = [("If-Match", tag.as_str())];
        let whole = |value: u64| json!({"name": NAME, "description": value.to_string()});
        let part = |value: u64| json!({"description": value.to_string()});
        let (method, body, headers) = match asked {
            Asked::Read => (Method::GET, None, &[][..]),
            Asked::Write(value) if self.random.chance(50) => {
                (Method::PUT, Some(whole(value)), &[][..])
            }
            Asked::Write(value) => (Method::PATCH, Some(part(value)), &[][..]),
            Asked::Swap { value, .. } => (Method::PATCH, Some(part(value)), &headers[..]),
        };
        let sent = self.micros();
        let tried = self.client.attempt(&method, &path, body.as_ref(), headers);
        let answer = timeout(ANSWER_MAX, tried).await.ok().and_then(Result::ok);
        let answered = self.micros();
        let told = told(asked, answer.as_ref())?;
        match told {
            Told::Holds(State { version, .. }) | Told::Written(version) => self.seen = version,
            Told::Refused | Told::Nothing => {}
        }
        let node = answer.map(|answer| answer.node).unwrap_or_default();
        Some(Op { client: self.number, node, asked, sent, answered, told })
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

fn state(body: &Value) -> Option<State> {
    let version = body["version"].as_u64()?;
    let value = body["description"].as_str()?.parse().ok()?;
    Some(State { version, value })
}

/// None: it is certain that nothing happened, or a read told nothing.
fn told(asked: Asked, answer: Option<&Answer>) -> Option<Told> {
    let is_read = asked == Asked::Read;
    let Some(answer) = answer else { return (!is_read).then_some(Told::Nothing) };
    match answer.status {
        200 if is_read => state(&answer.body).map(Told::Holds),
        200 => answer.body["version"].as_u64().map(Told::Written),
        412 => Some(Told::Refused),
        // Turned away at the door.
        401 | 429 => None,
        // An answer that a register never gives: no order explains it.
        404 => Some(Told::Holds(State { version: 0, value: 0 })),
        _ => (!is_read).then_some(Told::Nothing),
    }
}
