//! `GET /cluster/backup`: everything, as one file.

use std::io;

use axum::body::{Body, Bytes};
use axum::extract::{OriginalUri, State};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use super::guard::Who;
use super::jobs::Bare;
use super::problem::Problem;
use super::query::Query;
use crate::service::BackupStream;

/// Pieces that wait for a slow client; then reading waits too.
const WAITING_MAX: usize = 2;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(get_backup))
}

/// Take a backup
///
/// One file with everything as it was at one index, while writes and fires go on. It holds
/// password hashes and keys: keep it as safe as the cluster itself. Save it with
/// `cronapi backup`, which checks it, and can encrypt it; it ends with a digest, without which it
/// is not whole. One at a time is given by a node. With `consistency=local` it is what this node
/// has applied, for one that knows no leader; else everything that was committed before.
#[utoipa::path(get, path = "/cluster/backup", tag = "cluster",
    responses((status = 200, description = "The file.", body = String,
        content_type = "application/octet-stream")))]
async fn get_backup(
    State(api): State<Api>,
    Who(caller): Who,
    OriginalUri(uri): OriginalUri,
    Query(Bare {}): Query<Bare>,
) -> Result<Response, Problem> {
    let mut asked = uri.query().unwrap_or_default().split('&');
    let local = asked.any(|asked| asked == "consistency=local");
    let stream = api.service.backup(&caller, local).await?;
    let name = format!("attachment; filename=\"cronapi-{}.backup\"", stream.index);
    let (out, pieces) = mpsc::channel(WAITING_MAX);
    tokio::spawn(send(stream, out, api.options.shutdown.clone()));
    let mut response = Body::from_stream(ReceiverStream::new(pieces)).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// Sends what there is. An error breaks the connection off: a file without its end is none.
async fn send(
    mut stream: BackupStream,
    out: mpsc::Sender<io::Result<Bytes>>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let piece = tokio::select! {
            piece = stream.next() => piece,
            () = stopped(&mut stop) => return cut(&out),
        };
        let piece = match piece {
            Ok(Some(piece)) => piece,
            Ok(None) => return,
            Err(error) => {
                tracing::error!(%error, "a backup was broken off");
                return cut(&out);
            }
        };
        let sent = tokio::select! {
            sent = out.send(Ok(piece)) => sent.is_ok(),
            () = stopped(&mut stop) => return cut(&out),
        };
        if !sent {
            return;
        }
    }
}

/// Returns once the node stops, or nobody is left to say so.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // What it gives is a lock, which must not be held any longer.
    let _ = stop.wait_for(|stop| *stop).await;
}

fn cut(out: &mpsc::Sender<io::Result<Bytes>>) {
    // Who reads slowly enough to fill the channel sees the connection end all the same.
    let _ = out.try_send(Err(io::Error::other("the backup was broken off")));
}
