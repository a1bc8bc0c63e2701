//! The settings that concern REST.

use std::net::SocketAddr;

use crate::api::{CertificateFiles, Proxies};

use super::file::File;
use super::sources::Sources;

/// What the command line gave about REST.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct RestFlags {
    /// Address of REST and the API documentation [env: CRONAPI_LISTEN] [default: 127.0.0.1:8000]
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// Certificate of REST, PEM: HTTPS instead of HTTP [env: CRONAPI_TLS_CERT]
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<String>,
    /// Its private key, PEM [env: CRONAPI_TLS_KEY]
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<String>,
    /// Authorities, PEM: clients must show a certificate of one [env: CRONAPI_TLS_CLIENT_CA]
    #[arg(long, value_name = "FILE")]
    pub tls_client_ca: Option<String>,
    /// Serve HTTP at an address that other machines reach, behind a proxy that speaks TLS
    /// [env: CRONAPI_ALLOW_HTTP=true]
    #[arg(long)]
    pub allow_http: bool,
    /// Proxies that are believed when they say who asks [env: CRONAPI_TRUSTED_PROXIES]
    #[arg(long, value_name = "NETWORK,…")]
    pub trusted_proxies: Option<String>,
}

impl Sources<'_> {
    /// Where REST is served, and with what.
    pub(super) fn rest(
        &mut self,
        flags: &RestFlags,
        file: &mut File,
    ) -> (SocketAddr, Option<CertificateFiles>) {
        let listen = self.text("--listen", &flags.listen, "CRONAPI_LISTEN", file.listen.take());
        let listen_at = listen.as_ref().map_or("--listen".into(), |(_, at)| at.clone());
        let cert =
            self.text("--tls-cert", &flags.tls_cert, "CRONAPI_TLS_CERT", file.tls_cert.take());
        let key = self.text("--tls-key", &flags.tls_key, "CRONAPI_TLS_KEY", file.tls_key.take());
        let client_ca = self.text(
            "--tls-client-ca",
            &flags.tls_client_ca,
            "CRONAPI_TLS_CLIENT_CA",
            file.tls_client_ca.take(),
        );
        let allowed = self.allow_http(flags.allow_http, file.allow_http);
        let listen = self.address(listen, super::LISTEN);
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

    /// The proxies whose word counts.
    pub(super) fn proxies(&mut self, flags: &RestFlags, file: &mut File) -> Proxies {
        let listed = file.trusted_proxies.take().map(|list| list.join(","));
        let given = self.text(
            "--trusted-proxies",
            &flags.trusted_proxies,
            "CRONAPI_TRUSTED_PROXIES",
            listed,
        );
        self.parse(given, "", Proxies::parse)
    }

    fn allow_http(&mut self, flag: bool, file: Option<bool>) -> bool {
        let flag = flag.then(|| "true".to_string());
        let file = file.map(|allowed| allowed.to_string());
        let given = self.text("--allow-http", &flag, "CRONAPI_ALLOW_HTTP", file);
        self.parse(given, "false", |text| match text {
            "true" | "on" | "1" | "yes" => Ok(true),
            "false" | "off" | "0" | "no" => Ok(false),
            _ => Err(format!("{text:?} is neither true nor false")),
        })
    }
}
