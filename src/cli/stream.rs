//! Server-sent events, followed across broken connections and nodes that stop.

use std::pin::Pin;
use std::time::Duration;

use eventsource_stream::{Event, Eventsource};
use futures_util::{Stream, StreamExt};
use tokio::time::timeout;

use super::client::{Client, Request};
use super::exit::{Code, Failure};

/// A node sends a comment every 15 s: after this long a connection is dead.
const SILENCE: Duration = Duration::from_secs(45);
/// Connections in a row that bring nothing, before it is given up.
const ATTEMPTS: u32 = 20;
const BROKEN: &str = "the stream breaks off again and again";
const PAUSE: Duration = Duration::from_millis(500);

type Bytes = Pin<Box<dyn Stream<Item = Result<Event, String>>>>;

/// A stream of events that goes on where it broke off.
pub(super) struct Events<'a> {
    client: &'a Client,
    path: String,
    open: Option<Bytes>,
    last: Option<String>,
    fruitless: u32,
}

impl<'a> Events<'a> {
    pub(super) fn new(client: &'a Client, path: impl Into<String>) -> Self {
        Events { client, path: path.into(), open: None, last: None, fruitless: 0 }
    }

    /// Connects, so that nothing that happens from now on is missed.
    pub(super) async fn connect(&mut self) -> Result<(), Failure> {
        let mut request = Request::get(&self.path).header("accept", "text/event-stream");
        if let Some(last) = &self.last {
            request = request.header("last-event-id", last);
        }
        let response = self.client.open(&request, None).await?;
        let status = response.status();
        if !status.is_success() {
            let body = response.bytes().await.unwrap_or_default();
            return Err(self.client.refusal(status, &body));
        }
        let events = response.bytes_stream().eventsource();
        self.open = Some(Box::pin(events.map(|event| event.map_err(|error| error.to_string()))));
        Ok(())
    }

    /// The next event; `end` is given too, and the stream may be asked on after it.
    pub(super) async fn next(&mut self) -> Result<Event, Failure> {
        loop {
            let Some(open) = self.open.as_mut() else {
                if self.fruitless > 0 {
                    tokio::time::sleep(PAUSE).await;
                }
                match self.connect().await {
                    Err(failure) if failure.code == Code::Unavailable => self.count(failure)?,
                    other => other?,
                }
                continue;
            };
            match timeout(SILENCE, open.next()).await {
                Ok(Some(Ok(event))) => {
                    if event.event == "end" {
                        self.open = None;
                        self.count(Failure::new(Code::Unavailable, BROKEN))?;
                    } else {
                        self.fruitless = 0;
                    }
                    if !event.id.is_empty() {
                        self.last = Some(event.id.clone());
                    }
                    return Ok(event);
                }
                Ok(Some(Err(_)) | None) | Err(_) => {
                    self.open = None;
                    self.count(Failure::new(Code::Unavailable, BROKEN))?;
                }
            }
        }
    }

    /// One more connection that brought nothing.
    fn count(&mut self, failure: Failure) -> Result<(), Failure> {
        self.fruitless += 1;
        if self.fruitless > ATTEMPTS { Err(failure) } else { Ok(()) }
    }
}
