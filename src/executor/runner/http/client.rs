//! The connections of HTTP attempts: TLS, and the guard at every door.

use std::error::Error as _;
use std::net::SocketAddr;
use std::sync::Arc;

use ipnet::IpNet;
use reqwest::redirect::Policy;
use reqwest::{Request, Response, Url};
use rustls::ClientConfig;

use super::failure::sentence;
use super::guard::{Denied, Guard};
use crate::executor::runner::limits::CONNECT_TIMEOUT;
use crate::{causes, trust};

/// Built at the first HTTP attempt and shared by all.
pub(in super::super) struct Client {
    inner: reqwest::Client,
    guard: Guard,
    /// Without any, no certificate can be verified and all of HTTPS fails.
    has_roots: bool,
}

impl Client {
    /// # Errors
    /// A sentence, when TLS can't be set up at all.
    pub(in super::super) fn new(deny: &[IpNet], allow: &[IpNet]) -> Result<Self, String> {
        let guard = Guard { deny: deny.to_vec(), allow: allow.to_vec() };
        let (tls, has_roots) = tls()?;
        let inner = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(Arc::new(guard.clone()))
            .redirect(Policy::none())
            // None is used twice: the server may be closing it at that moment.
            .pool_max_idle_per_host(0)
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("cronapi/", env!("CARGO_PKG_VERSION")))
            // A proxy would resolve names itself, past the guard.
            .no_proxy()
            .build()
            .map_err(|e| format!("HTTP can't be set up on this node: {e}"))?;
        Ok(Self { inner, guard, has_roots })
    }

    /// # Errors
    /// A sentence, when the URL names a denied address.
    pub(super) fn may_reach(&self, url: &Url) -> Result<(), String> {
        self.guard.check_url(url).map_err(|denied| denied.to_string())
    }

    /// The addresses of a host, without those that are denied.
    ///
    /// # Errors
    /// A sentence, and whether a later try may go better.
    pub(super) async fn addresses(
        &self,
        host: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, (String, bool)> {
        let found = tokio::net::lookup_host((host, port)).await;
        let lost = |e| (format!("DNS: the name {host} could not be resolved: {e}"), true);
        let found = found.map_err(lost)?;
        let (mut may, mut refused) = (Vec::new(), None);
        for address in found {
            match self.guard.check(address.ip()) {
                Ok(()) => may.push(address),
                Err(denied) => refused = Some(denied),
            }
        }
        match refused {
            Some(denied) if may.is_empty() => Err((denied.to_string(), false)),
            None if may.is_empty() => Err((format!("DNS: {host} has no address"), true)),
            _ => Ok(may),
        }
    }

    /// Whether a request was not sent because of where it would have gone.
    pub(super) fn denied(&self, error: &reqwest::Error) -> bool {
        causes::of(error).any(|cause| cause.is::<Denied>())
    }

    pub(super) async fn send(&self, request: Request) -> Result<Response, reqwest::Error> {
        self.inner.execute(request).await
    }

    pub(super) fn explain(&self, error: &reqwest::Error, sent_to: &Url) -> String {
        let mut text = sentence(error, sent_to);
        if !self.has_roots && sent_to.scheme() == "https" && error.source().is_some() {
            text.push_str("; this node has no CA certificates");
        }
        text
    }
}

fn tls() -> Result<(ClientConfig, bool), String> {
    let roots = trust::system();
    let has_roots = !roots.is_empty();
    let mut config = trust::client(roots)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((config, has_roots))
}
