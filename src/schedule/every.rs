//! `@every 1h30m`: a whole number of seconds, counted from the job's creation.

use super::fault::Fault;
use crate::model::Span;

/// The longest period: 3660 days. A bound, so that no arithmetic on it can overflow.
const PERIOD_MAX_S: i64 = 3_660 * 86_400;

/// Reads a duration, as everywhere ([`Span::parse`]), of 1 second to [`PERIOD_MAX_S`].
pub(super) fn parse_period(text: &str) -> Result<i64, Fault> {
    const EXAMPLES: &str = "write for example `90s`, `15m` or `1h30m`";
    if text.is_empty() {
        return Err(Fault::expr("@every has no duration; write for example `@every 15m`"));
    }
    let fault = |why: &str| Fault::expr(format!("@every `{text}`: {why}; {EXAMPLES}"));
    let span = Span::parse(text).map_err(|_| {
        fault("is not a duration: whole numbers with w, d, h, m or s, each once, largest first")
    })?;
    if span.millis() % 1_000 != 0 {
        return Err(fault("a period is whole seconds"));
    }
    match i64::try_from(span.secs()) {
        Ok(0) => Err(fault("a period is at least one second")),
        Ok(secs @ ..=PERIOD_MAX_S) => Ok(secs),
        _ => Err(fault("is longer than 3660 days")),
    }
}

/// The first instant after `t` of `anchor + k * period` with k >= 1.
pub(super) fn next_after(anchor: i64, period: i64, t: i64) -> Option<i64> {
    let elapsed = t.checked_sub(anchor)?.max(0);
    let k = elapsed.checked_div(period)?.checked_add(1)?;
    k.checked_mul(period)?.checked_add(anchor)
}

#[cfg(test)]
mod tests {
    use super::{next_after, parse_period};

    #[test]
    fn durations_are_read_and_bad_ones_refused() {
        for (text, s) in [
            ("90s", 90),
            ("1h30m", 5_400),
            ("2D", 172_800),
            ("1w1s", 604_801),
            ("1h 30m", 5_400),
            ("PT90M", 5_400),
            ("90", 90),
            ("2000ms", 2),
        ] {
            assert_eq!(parse_period(text), Ok(s), "{text}");
        }
        for text in [
            "",
            "s",
            "0s",
            "-5s",
            "1.5h",
            "500ms",
            "30m1h",
            "1h1h",
            "99999999999999999999s",
            "3661d",
            "P1M",
            "5y",
        ] {
            assert!(parse_period(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_hang_on_the_anchor_not_on_the_asker() {
        assert_eq!(next_after(100, 90, i64::MIN / 2), Some(190));
        assert_eq!(next_after(100, 90, 100), Some(190));
        assert_eq!(next_after(100, 90, 189), Some(190));
        assert_eq!(next_after(100, 90, 190), Some(280));
        assert_eq!(next_after(-50, 7, -44), Some(-43));
        assert_eq!(next_after(100, 90, i64::MAX), None);
    }
}
