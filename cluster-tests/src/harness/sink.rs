//! The other end of a channel: it keeps what it got, and answers as it is told.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::moment::Moment;

/// How long an answer is held back, at most.
const HELD_MAX: Duration = Duration::from_secs(8);

/// A message that came.
#[derive(Clone, Debug)]
pub struct Told {
    /// Its key.
    pub key: String,
    /// What it said.
    pub body: Value,
    /// When it came.
    pub at: Moment,
    /// The status that it was answered with, or would have been.
    pub status: u16,
}

/// How messages are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Taken.
    Taken,
    /// Taken, and the answer is held back until the manner is another.
    Held,
    /// Refused, with that status.
    Refused(u16),
}

struct Inner {
    told: Mutex<Vec<Told>>,
    count: watch::Sender<usize>,
    manner: watch::Sender<Manner>,
}

/// A server that takes `POST /`, and `GET /` with nothing in it.
pub struct Sink {
    address: SocketAddr,
    inner: Arc<Inner>,
    task: JoinHandle<()>,
}

impl Sink {
    /// Listens at a free port of `address`.
    ///
    /// # Panics
    /// There is no free port.
    pub async fn start(address: Ipv4Addr) -> Sink {
        let listener = TcpListener::bind((address, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (count, manner) = (watch::Sender::new(0), watch::Sender::new(Manner::Taken));
        let inner = Arc::new(Inner { told: Mutex::default(), count, manner });
        let router = Router::new().route("/", get(take).post(take)).with_state(Arc::clone(&inner));
        let task = tokio::spawn(async move {
            // It ends with the task.
            let _ = axum::serve(listener, router).await;
        });
        Sink { address, inner, task }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Answers so from here on.
    pub fn answer(&self, manner: Manner) {
        self.inner.manner.send_replace(manner);
    }

    /// All that came.
    pub fn told(&self) -> Vec<Told> {
        self.inner.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first message from the place `from` on that `wanted` names; none: it did not come.
    pub async fn next(
        &self,
        from: usize,
        most: Duration,
        wanted: impl Fn(&Told) -> bool,
    ) -> Option<Told> {
        let mut count = self.inner.count.subscribe();
        let look = async {
            loop {
                count.borrow_and_update();
                if let Some(found) = self.told().into_iter().skip(from).find(|told| wanted(told)) {
                    return Some(found);
                }
                if count.changed().await.is_err() {
                    return None;
                }
            }
        };
        timeout(most, look).await.ok().flatten()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(State(sink): State<Arc<Inner>>, headers: HeaderMap, body: String) -> StatusCode {
    let manner = *sink.manner.borrow();
    let status = match manner {
        Manner::Taken | Manner::Held => StatusCode::OK,
        Manner::Refused(status) => StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY),
    };
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok());
    let key = key.unwrap_or_default().to_owned();
    let body = serde_json::from_str(&body).unwrap_or_default();
    let told = Told { key, body, at: Moment::now(), status: status.as_u16() };
    sink.told.lock().unwrap_or_else(PoisonError::into_inner).push(told);
    sink.count.send_modify(|count| *count += 1);
    if manner == Manner::Held {
        let mut manner = sink.manner.subscribe();
        let other = manner.wait_for(|manner| *manner != Manner::Held);
        // Whoever asked may be gone by then.
        let _ = timeout(HELD_MAX, other).await;
    }
    status
}
