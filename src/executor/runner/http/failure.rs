//! What went wrong with a request, in one sentence.

use std::error::Error;
use std::io;

use reqwest::Url;

use super::guard::Denied;
use crate::causes;

/// Names the place and the reason; no path or query, which may hold secrets.
pub(super) fn sentence(error: &reqwest::Error, sent_to: &Url) -> String {
    let place = place(sent_to);
    let causes: Vec<&(dyn Error + 'static)> = causes::of(error).collect();
    if let Some(denied) = causes.iter().find_map(|cause| cause.downcast_ref::<Denied>()) {
        return denied.to_string();
    }
    let innermost = causes.last().map_or_else(|| error.to_string(), |cause| cause.to_string());
    if let Some(refused) = causes.iter().find_map(|cause| tls(*cause)) {
        return format!("can't connect to {place}: {}", plainly(refused));
    }
    if error.is_dns() {
        return format!("DNS: the name of {place} could not be resolved: {innermost}");
    }
    if error.is_timeout() {
        return format!("connecting to {place} timed out");
    }
    let kinds = causes.iter().filter_map(|cause| cause.downcast_ref::<io::Error>());
    let kind = kinds.map(io::Error::kind).find(|kind| *kind != io::ErrorKind::Other);
    if kind == Some(io::ErrorKind::ConnectionRefused) {
        return format!("connection to {place} refused");
    }
    if error.is_connect() {
        return format!("can't connect to {place}: {innermost}");
    }
    format!("{place}: {innermost}")
}

/// The host and the port of a URL.
pub(super) fn place(url: &Url) -> String {
    match (url.host_str(), url.port_or_known_default()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        _ => "the server".to_owned(),
    }
}

/// The fault of TLS in a cause: errors of I/O do not show what they wrap as their source.
fn tls<'a>(mut cause: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    loop {
        if let Some(found) = cause.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        cause = cause.downcast_ref::<io::Error>()?.get_ref()?;
    }
}

/// A fault of TLS as an administrator would say it.
fn plainly(error: &rustls::Error) -> String {
    use rustls::{CertificateError as Fault, Error as Tls};
    let Tls::InvalidCertificate(fault) = error else {
        return match error {
            Tls::InvalidMessage(_) => "what answers there does not speak TLS".to_owned(),
            Tls::AlertReceived(alert) => format!("the server refused TLS with the alert {alert:?}"),
            other => format!("TLS failed: {other}"),
        };
    };
    let why = match fault {
        Fault::Expired | Fault::ExpiredContext { .. } => "it has expired".to_owned(),
        Fault::NotValidYet | Fault::NotValidYetContext { .. } => {
            "it is not valid yet; is a clock wrong?".to_owned()
        }
        Fault::NotValidForName | Fault::NotValidForNameContext { .. } => {
            "it is for other names than this one".to_owned()
        }
        Fault::UnknownIssuer => {
            "nobody that this node trusts has signed it: it is self-signed, or its authority is \
             missing (SSL_CERT_FILE names a file of authorities)"
                .to_owned()
        }
        Fault::BadSignature => {
            "its signature is wrong: it names an authority that did not sign it".to_owned()
        }
        Fault::Revoked => "it was revoked".to_owned(),
        Fault::InvalidPurpose | Fault::InvalidPurposeContext { .. } => {
            "it is not meant for servers".to_owned()
        }
        // What the verifier has no variant for.
        other if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "it is self-signed, and this node does not trust it (SSL_CERT_FILE names a file of \
             authorities; a server needs a certificate that is none)"
                .to_owned()
        }
        other if format!("{other:?}").contains("UnsupportedCertVersion") => {
            "it is of an old version, without names; make one of version 3".to_owned()
        }
        other => other.to_string(),
    };
    format!("invalid peer certificate: {why}")
}
