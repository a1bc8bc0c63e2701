//! The heartbeat of the cluster: which monitor is told, and how often.

use std::time::Duration;

use reqwest::Url;

use super::sources::Sources;
use crate::model::Span;

const EVERY_MIN: Span = Span::from_secs(1);
const EVERY_MAX: Span = Span::from_secs(24 * 3_600);

/// The monitor elsewhere, and how often it is told.
#[derive(Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// Its address. Who knows it may call it.
    pub url: Url,
    /// From one call to the next.
    pub every: Duration,
}

impl std::fmt::Debug for Heartbeat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Heartbeat").field("every", &self.every).finish_non_exhaustive()
    }
}

impl Sources<'_> {
    pub(super) fn heartbeat(&mut self) -> Option<Heartbeat> {
        let every = self.read("heartbeat_every", |text| {
            let every = Span::parse(text)?;
            if (EVERY_MIN..=EVERY_MAX).contains(&every) {
                return Ok(every.std());
            }
            Err(format!("{text} is not from {EVERY_MIN} to {EVERY_MAX}"))
        });
        let (url, at) = self.secret("heartbeat_url")?;
        let url =
            Url::parse(url.0.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        if url.is_none() {
            // Without what it is: it may be right but for a letter.
            self.fault(at, "is no address that begins with https:// or http://");
        }
        url.map(|url| Heartbeat { url, every })
    }
}
