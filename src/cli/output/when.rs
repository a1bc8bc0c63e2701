//! Times: as people say them on a terminal, RFC 3339 elsewhere; and times that people give.

use crate::model::{Span, Timestamp};

use super::super::exit::Failure;

/// `5m ago`, `in 2h`; two units at most.
pub(in crate::cli) fn relative(at: Timestamp, now: Timestamp) -> String {
    let (span, past) = if at <= now { (now.since(at), true) } else { (at.since(now), false) };
    if span.secs() == 0 {
        return "now".to_owned();
    }
    let text = rough(span);
    if past { format!("{text} ago") } else { format!("in {text}") }
}

/// A span to two units: `3d4h`, `1h30m`, `45s`.
pub(in crate::cli) fn rough(span: Span) -> String {
    let secs = span.secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let Some(first) = units.iter().position(|(size, _)| secs >= *size) else {
        return format!("{}ms", span.millis());
    };
    let (size, unit) = units[first];
    let mut text = format!("{}{unit}", secs / size);
    // Over ten of a unit, the next tells nothing.
    if let Some((next, unit)) = units.get(first + 1).filter(|_| secs / size < 10) {
        let rest = secs % size / next;
        if rest > 0 {
            text.push_str(&format!("{rest}{unit}"));
        }
    }
    text
}

/// RFC 3339, or how long ago.
pub(in crate::cli) fn parse(flag: &str, text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    if let Ok(ago) = Span::parse(text) {
        return Ok(now.minus(ago));
    }
    Timestamp::parse(text).map_err(|_| {
        Failure::usage(format!("{flag}: {text:?} is no time"))
            .advise("write RFC 3339, such as 2027-01-01T00:00:00Z, or how long ago, such as 24h")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_two_units_at_most() {
        let rows = [
            (45, "45s"),
            (60, "1m"),
            (90, "1m30s"),
            (600, "10m"),
            (630, "10m"),
            (5_400, "1h30m"),
            (3 * 86_400 + 4 * 3_600, "3d4h"),
            (86_400 * 400, "400d"),
        ];
        for (secs, text) in rows {
            assert_eq!(rough(Span::from_secs(secs)), text);
        }
        assert_eq!(rough(Span::from_millis(12)), "12ms");
    }

    #[test]
    fn before_and_after_now() {
        let at = Timestamp::from_secs;
        assert_eq!(relative(at(100), at(160)), "1m ago");
        assert_eq!(relative(at(220), at(160)), "in 1m");
        assert_eq!(relative(at(160), at(160)), "now");
    }
}
