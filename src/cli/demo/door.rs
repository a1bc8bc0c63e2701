//! The door of the demo: an address that nobody guesses, which logs a browser in.
//!
//! A cookie is of a host, whatever the port: the one that a node gives for a login is handed on
//! from here, and the browser is sent to the page.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, HOST, LOCATION, REFERRER_POLICY, SET_COOKIE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::secret::secret;
use crate::cli::client::{self, Client};
use crate::cli::exit::Failure;

/// Connections at a time.
const AT_A_TIME: usize = 8;
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Door {
    listener: TcpListener,
    address: SocketAddr,
    path: String,
    page: String,
    login: String,
}

impl Door {
    /// A door to `page` for whoever has its address.
    pub(super) async fn build(page: String, password: &str) -> Result<Door, Failure> {
        let failed = |error| Failure::failed(format!("no address of this machine: {error}"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let path = format!("/{}", secret()?);
        let login = format!("username=admin&password={}", client::escaped(password));
        Ok(Door { listener, address, path, page, login })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}{}", self.address, self.path)
    }

    /// Lets in whoever comes, for good.
    pub(super) async fn keep(self, nodes: Arc<Client>) {
        let door = Arc::new(self);
        let places = Arc::new(Semaphore::new(AT_A_TIME));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let Ok((stream, _)) = door.listener.accept().await else { continue };
            let (door, nodes) = (Arc::clone(&door), Arc::clone(&nodes));
            tokio::spawn(async move {
                let _place = place;
                let answers = service_fn(|request| {
                    let (door, nodes) = (Arc::clone(&door), Arc::clone(&nodes));
                    async move { Ok::<_, Infallible>(door.answer(&request, &nodes).await) }
                });
                let mut http = http1::Builder::new();
                http.timer(TokioTimer::new()).header_read_timeout(PATIENCE).keep_alive(false);
                let served = http.serve_connection(TokioIo::new(stream), answers);
                let _ = tokio::time::timeout(PATIENCE, served).await;
            });
        }
    }

    async fn answer(&self, request: &Request<Incoming>, nodes: &Client) -> Response<String> {
        // Under another name of this address somebody else's page may be asking.
        let host = request.headers().get(HOST).map(|host| host.as_bytes());
        let ours = host == Some(self.address.to_string().as_bytes());
        let given = request.uri().path().as_bytes();
        let known: bool = given.ct_eq(self.path.as_bytes()).into();
        if !(ours && known && request.method() == Method::GET) {
            return plain(StatusCode::NOT_FOUND, "There is nothing here.\n");
        }
        let asked = client::Request::new(reqwest::Method::POST, "/auth/session")
            .header("x-cronapi-page", "1")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(self.login.clone().into_bytes());
        let answer = nodes.ask(&asked).await;
        let cookie = answer.ok().and_then(|answer| answer.headers.get(SET_COOKIE).cloned());
        let Some(cookie) = cookie else {
            let text = "No node answers yet. Load this address again in a moment.\n";
            return plain(StatusCode::SERVICE_UNAVAILABLE, text);
        };
        let mut response = plain(StatusCode::SEE_OTHER, "");
        let headers = response.headers_mut();
        headers.insert(SET_COOKIE, cookie);
        if let Ok(page) = self.page.parse() {
            headers.insert(LOCATION, page);
        }
        response
    }
}

fn plain(status: StatusCode, text: &str) -> Response<String> {
    let mut response = Response::new(text.to_owned());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, hyper::header::HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, hyper::header::HeaderValue::from_static("no-referrer"));
    response
}
