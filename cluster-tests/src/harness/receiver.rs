//! The other end of HTTP jobs: it does their work and writes their witness.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::moment::Moment;
use crate::witness::{self, Mark};

/// A server that takes `POST /work/{job}?generation=&ms=&fail_up_to=`.
pub struct Receiver {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Listens at a free port of `address`; witness goes to `folder`.
    ///
    /// # Panics
    /// There is no free port.
    pub async fn start(address: Ipv4Addr, folder: PathBuf) -> Receiver {
        let listener = TcpListener::bind((address, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let router = Router::new().route("/work/{job}", post(work)).with_state(Arc::new(folder));
        let task = tokio::spawn(async move {
            // It ends with the task.
            let _ = axum::serve(listener, router).await;
        });
        Receiver { address, task }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A daemon that is killed drops its connection, and this with it: no end is written then.
async fn work(
    State(folder): State<Arc<PathBuf>>,
    Path(job): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> StatusCode {
    let Some(mut mark) = mark(&job, &query, &headers) else { return StatusCode::BAD_REQUEST };
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<u32>().ok());
    if witness::append(&folder, &mark).is_err() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    tokio::time::sleep(Duration::from_millis(number("ms").unwrap_or(0).into())).await;
    mark.end = true;
    mark.at = Moment::now();
    if witness::append(&folder, &mark).is_err() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let fails = mark.attempt <= number("fail_up_to").unwrap_or(0);
    if fails { StatusCode::IM_A_TEAPOT } else { StatusCode::OK }
}

fn mark(job: &str, query: &HashMap<String, String>, headers: &HeaderMap) -> Option<Mark> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    Some(Mark {
        job: job.to_string(),
        run: header("x-cronapi-run-id")?.to_string(),
        attempt: header("x-cronapi-attempt")?.parse().ok()?,
        fence: header("x-cronapi-fence")?.parse().ok()?,
        nominal: header("x-cronapi-nominal-time").and_then(Moment::parse),
        trigger: header("x-cronapi-trigger").map(str::to_string),
        node: header("x-cronapi-node").map(str::to_string),
        generation: query.get("generation")?.parse().ok()?,
        end: false,
        at: Moment::now(),
    })
}
