//! The connections of HTTP attempts: TLS, redirects, and the guard at every door.

use std::error::Error as _;
use std::sync::Arc;

use ipnet::IpNet;
use reqwest::redirect::{Attempt as Redirect, Policy};
use reqwest::{Request, Response, Url};
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, RootCertStore};

use super::failure::sentence;
use super::guard::Guard;
use crate::executor::runner::limits::{CONNECT_TIMEOUT, REDIRECTS_MAX};

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
    pub(in super::super) fn new(deny: &[IpNet]) -> Result<Self, String> {
        let guard = Guard { deny: deny.to_vec() };
        let (tls, has_roots) = tls()?;
        let inner = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(Arc::new(guard.clone()))
            .redirect(redirects(guard.clone()))
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
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let has_roots = !roots.is_empty();
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| format!("TLS can't be set up on this node: {e}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((config, has_roots))
}

/// Only to the same place: headers and signature are meant for it alone. Another host's
/// redirect becomes the response of the attempt.
fn redirects(guard: Guard) -> Policy {
    Policy::custom(move |next: Redirect<'_>| {
        let Some(first) = next.previous().first() else {
            return next.stop();
        };
        if next.previous().len() > REDIRECTS_MAX {
            return next.error(format!("more than {REDIRECTS_MAX} redirects"));
        }
        if let Err(denied) = guard.check_url(next.url()) {
            return next.error(denied);
        }
        if same_place(first, next.url()) { next.follow() } else { next.stop() }
    })
}

/// The same host and port, or its change from plain to encrypted on the usual ports.
fn same_place(from: &Url, to: &Url) -> bool {
    let port = Url::port_or_known_default;
    let same = from.scheme() == to.scheme() && port(from) == port(to);
    let upgrade = (from.scheme(), port(from), to.scheme(), port(to))
        == ("http", Some(80), "https", Some(443));
    from.host_str() == to.host_str() && (same || upgrade)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_stays_in_the_same_place() {
        let same =
            |from: &str, to: &str| same_place(&from.parse().expect(from), &to.parse().expect(to));
        assert!(same("http://a/x", "http://a/y"));
        assert!(same("http://a/x", "http://a:80/y"));
        assert!(same("http://a/x", "https://a/y"));
        assert!(!same("https://a/x", "http://a/y"));
        assert!(!same("http://a/x", "http://b/x"));
        assert!(!same("http://a/x", "http://a:81/x"));
    }
}
