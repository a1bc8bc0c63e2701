//! `@every 1h30m`: a whole number of seconds, counted from the job's creation.

use super::fault::Fault;

/// The longest period: 3660 days. A bound, so that no arithmetic on it can overflow.
const PERIOD_MAX_S: i64 = 3_660 * 86_400;

/// Parses `90s`, `1h30m`, `2d` ... (units w d h m s, each at most once, largest first) to
/// seconds, 1 to [`PERIOD_MAX_S`].
pub(super) fn parse_period(text: &str) -> Result<i64, Fault> {
    const UNITS: [(u8, i64); 5] =
        [(b'w', 604_800), (b'd', 86_400), (b'h', 3_600), (b'm', 60), (b's', 1)];
    let fault = |why: &str| {
        Fault::expr(format!("@every `{text}`: {why}; write for example `90s`, `15m` or `1h30m`"))
    };
    let lower = text.to_ascii_lowercase();
    let mut rest = lower.as_str();
    let mut units = UNITS.iter();
    let mut total = 0_i64;
    if rest.is_empty() {
        return Err(Fault::expr("@every has no duration; write for example `@every 15m`"));
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let Some(unit) = tail.bytes().next() else {
            return Err(fault("the last number has no unit (w, d, h, m or s)"));
        };
        if digits == 0 || tail.starts_with("ms") {
            return Err(fault("expected whole numbers, each followed by w, d, h, m or s"));
        }
        // `units` only moves forward, which refuses repeats and `30m1h`.
        let Some((_, unit_s)) = units.find(|(letter, _)| *letter == unit) else {
            return Err(fault("units are w, d, h, m and s, each at most once, largest first"));
        };
        let amount = number.parse::<i64>().ok().and_then(|n| n.checked_mul(*unit_s));
        total = amount
            .and_then(|s| s.checked_add(total))
            .filter(|s| *s <= PERIOD_MAX_S)
            .ok_or_else(|| fault("is longer than 3660 days"))?;
        rest = &tail[1..];
    }
    if total < 1 {
        return Err(fault("a period is at least one second"));
    }
    Ok(total)
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
        for (text, s) in [("90s", 90), ("1h30m", 5_400), ("2D", 172_800), ("1w1s", 604_801)] {
            assert_eq!(parse_period(text), Ok(s));
        }
        for text in [
            "",
            "90",
            "s",
            "0s",
            "-5s",
            "1.5h",
            "500ms",
            "30m1h",
            "1h1h",
            "99999999999999999999s",
            "3661d",
            "1h 5m",
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
