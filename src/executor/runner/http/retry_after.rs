//! `Retry-After`: when a server wants to be asked again.

use std::time::Duration;

use chrono::DateTime;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// Longer than any job waits.
const SECONDS_MAX: u64 = 366 * 24 * 3_600;

/// How long to wait from now; none: nothing is said that can be read.
pub(super) fn wait(headers: &HeaderMap, now_seconds: i64) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(seconds(text.parse().unwrap_or(SECONDS_MAX)));
    }
    // The form of dates that HTTP has is one that mail has too.
    let at = DateTime::parse_from_rfc2822(text).ok()?.timestamp();
    Some(seconds(u64::try_from(at.saturating_sub(now_seconds)).unwrap_or(0)))
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds.min(SECONDS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates() {
        let wait = |text: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            wait(&headers, 784_111_777).map(|wait| wait.as_secs())
        };
        assert_eq!(wait("120"), Some(120));
        assert_eq!(wait("0"), Some(0));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT"), Some(0));
        assert_eq!(wait("Sun, 06 Nov 1994 08:50:07 GMT"), Some(30));
        assert_eq!(wait("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        assert_eq!(wait("99999999999999999999"), Some(SECONDS_MAX));
        assert_eq!((wait("soon"), wait("-1"), wait("")), (None, None, None));
    }
}
