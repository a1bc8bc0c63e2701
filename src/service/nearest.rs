//! Nominal times around an instant.

use crate::machine::prepare::timing::Timing;
use crate::model::Timestamp;
use crate::schedule::Schedule;

/// Whether the schedule names `at`.
pub(super) fn names(timing: Option<&Timing>, at: Timestamp) -> bool {
    let next = timing.and_then(|timing| timing.next_from(at));
    next.is_some_and(|next| next.nominal == at)
}

/// The last nominal time before `at`.
pub(super) fn last_before(schedule: &Schedule, at: Timestamp) -> Option<Timestamp> {
    let end = at.secs();
    let before = |t: i64| schedule.next_after(t).filter(|found| *found < end);
    // Back in growing steps to a time that has one after it, then halve what is between.
    let mut step = 60;
    let mut low = loop {
        match before((end - step).max(-1)) {
            Some(found) => break found,
            None if step > end => return None,
            None => step *= 2,
        }
    };
    let mut high = end;
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        match before(middle - 1) {
            Some(found) => low = found,
            None => high = middle,
        }
    }
    Some(Timestamp::from_secs(low))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::DstGap;
    use crate::schedule::Definition;

    #[test]
    fn the_last_time_before_is_found_near_and_far() {
        let schedule = |expr| {
            Schedule::parse(&Definition {
                name: "a",
                expr,
                timezone: "",
                anchor: 0,
                start_at: None,
                end_at: None,
                dst_gap: DstGap::RunAfter,
                dst_fold: None,
            })
            .unwrap()
        };
        let at = |text| Timestamp::parse(text).unwrap();
        for (expr, asked, last) in [
            ("* * * * *", "2027-03-01T00:00:30Z", "2027-03-01T00:00:00Z"),
            ("* * * * *", "2027-03-01T00:00:00Z", "2027-02-28T23:59:00Z"),
            ("0 0 29 2 *", "2027-03-01T00:00:00Z", "2024-02-29T00:00:00Z"),
        ] {
            assert_eq!(last_before(&schedule(expr), at(asked)), Some(at(last)), "{expr} {asked}");
        }
        assert_eq!(
            last_before(&schedule("@at 2027-01-01T00:00:00Z"), at("2026-01-01T00:00:00Z")),
            None
        );
    }
}
