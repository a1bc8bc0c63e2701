//! `@every`: every form of a duration is taken, and what is kept is a form that each build reads.

use crate::model::span::Span;

/// `@every 1h30m` for `@every 1h 30m`, `@every PT90M` and `@every 5400`; none for a text that may
/// stay as it is.
pub(super) fn settled(expr: &str) -> Option<String> {
    let (word, period) = expr.trim().split_once([' ', '\t'])?;
    let period = period.trim();
    // What builds before format 5 read too.
    let plain = period.bytes().all(|b| b.is_ascii_alphanumeric())
        && period.starts_with(|c: char| c.is_ascii_digit())
        && period.ends_with(|c: char| c.is_ascii_alphabetic())
        && !period.to_ascii_lowercase().ends_with("ms");
    if plain || !word.eq_ignore_ascii_case("@every") {
        return None;
    }
    let span = Span::parse(period).ok().filter(|span| span.millis() % 1_000 == 0)?;
    Some(format!("@every {span}"))
}

#[cfg(test)]
mod tests {
    use super::settled;

    #[test]
    fn new_forms_become_the_one_that_all_builds_read() {
        for (given, kept) in [
            ("@every 1h 30m", "@every 1h30m"),
            ("@Every\tPT90M ", "@every 1h30m"),
            ("@every 90", "@every 1m30s"),
            ("@every 2000ms", "@every 2s"),
        ] {
            assert_eq!(settled(given).as_deref(), Some(kept), "{given}");
        }
        for stays in ["@every 90s", "@every 1W", "@every 500ms", "@every", "@daily", "1 2 * * *"] {
            assert_eq!(settled(stays), None, "{stays}");
        }
    }
}
