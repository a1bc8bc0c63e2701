//! The settings that concern REST.

use std::net::SocketAddr;

use crate::api::CertificateFiles;

use super::sources::Sources;

impl Sources<'_> {
    /// Where REST is served, and with what.
    pub(super) fn rest(&mut self) -> (SocketAddr, Option<CertificateFiles>) {
        let listen = self.address("listen");
        let listen_at = self.found("listen").unwrap_or_else(|| "--listen".into());
        let (cert, key) = (self.get("tls_cert"), self.get("tls_key"));
        let client_ca = self.get("tls_client_ca");
        let allowed = self.switch("allow_http");
        self.kept.extend(key.iter().map(|(path, _)| path.into()));
        let tls = match (cert, key) {
            (Some((cert, _)), Some((key, _))) => Some(CertificateFiles {
                cert: cert.into(),
                key: key.into(),
                client_ca: client_ca.map(|(path, _)| path.into()),
            }),
            (None, None) => {
                if let Some((_, at)) = client_ca {
                    self.fault(at, "counts with --tls-cert and --tls-key only; give both");
                } else if !allowed && !listen.ip().to_canonical().is_loopback() {
                    let detail = format!(
                        "{listen} can be reached from other machines, and passwords and tokens \
                         would pass unprotected: give --tls-cert and --tls-key, or, behind a \
                         proxy that speaks TLS, --allow-http (CRONAPI_ALLOW_HTTP=true)"
                    );
                    self.fault(listen_at, detail);
                }
                None
            }
            (Some((_, at)), None) => {
                self.fault(at, "needs its private key: give --tls-key (CRONAPI_TLS_KEY)");
                None
            }
            (None, Some((_, at))) => {
                self.fault(at, "needs its certificate: give --tls-cert (CRONAPI_TLS_CERT)");
                None
            }
        };
        (listen, tls)
    }

    /// Where people find this cluster in a browser, without a slash at the end; and whether that
    /// was given.
    pub(super) fn public_url(&mut self, listen: SocketAddr, tls: bool) -> (String, bool) {
        let given = self.get("public_url");
        let is_given = given.is_some();
        let scheme = if tls { "https" } else { "http" };
        let url = self.parse(given, &format!("{scheme}://{listen}"), |text| {
            let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
            let good = rest.is_some_and(|rest| {
                !rest.is_empty()
                    && !rest.contains(|c: char| "?#@".contains(c) || !c.is_ascii_graphic())
            });
            if good {
                return Ok(text.trim_end_matches('/').to_owned());
            }
            Err(format!("{text:?} is not an address such as https://cron.example.org"))
        });
        (url, is_given)
    }
}
