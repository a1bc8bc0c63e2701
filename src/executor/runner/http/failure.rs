//! What went wrong with a request, in one sentence.

use std::error::Error;
use std::io;

use reqwest::Url;

use super::guard::Denied;

/// Names the place and the reason; no path or query, which may hold secrets.
pub(super) fn sentence(error: &reqwest::Error, sent_to: &Url) -> String {
    let place = match (sent_to.host_str(), sent_to.port_or_known_default()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        _ => "the server".to_owned(),
    };
    let causes: Vec<&(dyn Error + 'static)> = chain(error).collect();
    if let Some(denied) = causes.iter().find_map(|cause| cause.downcast_ref::<Denied>()) {
        return denied.to_string();
    }
    let innermost = causes.last().map_or_else(|| error.to_string(), |cause| cause.to_string());
    if error.is_redirect() {
        return format!("{place}: {innermost}");
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

fn chain<'a>(error: &'a reqwest::Error) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = error.source();
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}
