//! Many wrong inputs, and each advice taken: it is read, and it means what was meant.

use std::collections::BTreeSet;

use crate::schedule::{Definition, DstFold, DstGap, Fault, Schedule};

/// The five fields: first value, last value, and whether 7 may be written for 0.
const FIELDS: [(u32, u32, bool); 5] =
    [(0, 59, false), (0, 23, false), (1, 31, false), (1, 12, false), (0, 6, true)];

fn parse(expr: &str, timezone: &str) -> Result<Schedule, Fault> {
    let definition = Definition {
        name: "backup",
        expr,
        timezone,
        anchor: 0,
        start_at: None,
        end_at: None,
        dst_gap: DstGap::RunAfter,
        dst_fold: None::<DstFold>,
    };
    Schedule::parse(&definition).map_err(|mut faults| faults.remove(0))
}

fn detail(expr: &str) -> String {
    parse(expr, "").map(|_| ()).expect_err(expr).detail
}

/// The texts in backticks after "write".
fn advised(detail: &str) -> Vec<&str> {
    let told = detail.split_once("write ").map_or("", |(_, told)| told);
    told.split('`').skip(1).step_by(2).collect()
}

/// `item` in one field, beside `rest` in the others.
fn whole(at: usize, item: &str, rest: [&str; 5]) -> String {
    let mut fields = rest;
    fields[at] = item;
    fields.join(" ")
}

/// A hundred times of a schedule.
fn times(expr: &str) -> Vec<i64> {
    let schedule = parse(expr, "Europe/London").unwrap_or_else(|fault| panic!("{expr}: {fault}"));
    schedule.upcoming(1_800_000_000).take(100).collect()
}

fn listed(values: &BTreeSet<u32>) -> String {
    values.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

const STARS: [&str; 5] = ["*"; 5];
const FIXED: [&str; 5] = ["7", "5", "9", "3", "2"];

#[test]
fn a_range_that_runs_backwards_is_written_as_it_wraps_around() {
    let mut told = 0;
    for (at, (first, last, seven)) in FIELDS.into_iter().enumerate() {
        let size = last - first + 1;
        for from in first..=last + u32::from(seven) {
            for to in (first..from).filter(|to| (from + to) % 3 == 0 || size < 13) {
                for step in [1, 2, 3, 5, 7, 11] {
                    let slash = if step == 1 { String::new() } else { format!("/{step}") };
                    let item = format!("{from}-{to}{slash}");
                    // Counted on the wheel, one by one.
                    let (from, to) = ((from - first) % size, (to - first) % size);
                    let end = if from <= to { to } else { to + size };
                    let meant: BTreeSet<u32> =
                        (from..=end).step_by(step).map(|v| v % size + first).collect();
                    let detail = detail(&whole(at, &item, STARS));
                    let advice = advised(&detail);
                    assert_eq!(advice.len(), 1, "{item}: {detail}");
                    for rest in [STARS, FIXED] {
                        let (ours, plain) =
                            (whole(at, advice[0], rest), whole(at, &listed(&meant), rest));
                        assert_eq!(times(&ours), times(&plain), "{item}: {detail}");
                    }
                    told += 1;
                }
            }
        }
    }
    assert!(told > 2_000, "{told}");
}

#[test]
fn a_step_after_one_value_is_written_in_both_readings() {
    for (at, (first, last, seven)) in FIELDS.into_iter().enumerate() {
        for value in first..=last + u32::from(seven) {
            for step in [1, 2, 3, 7, 15, 40] {
                let detail = detail(&whole(at, &format!("{value}/{step}"), STARS));
                let every: BTreeSet<u32> = (value..=last).step_by(step).collect();
                let advice = advised(&detail);
                let (on, alone) = match advice[..] {
                    [on, alone] => (Some(on), alone),
                    [alone] => (None, alone),
                    _ => panic!("{detail}"),
                };
                assert_eq!(on.is_some(), every.len() > 1, "{detail}");
                if let Some(on) = on {
                    let (ours, plain) = (whole(at, on, FIXED), whole(at, &listed(&every), FIXED));
                    assert_eq!(times(&ours), times(&plain), "{detail}");
                }
                assert_eq!(alone, value.to_string());
                times(&whole(at, alone, FIXED));
            }
        }
    }
}

/// A field that begins with `*` or `H/` is more than its values: the day fields are combined by
/// it, and a schedule follows real time by it.
#[test]
fn advice_keeps_what_the_star_says() {
    for (expr, advice) in [
        ("*/60 * * * *", vec!["0"]),
        ("*/60 5 * * *", vec![]),
        ("5 */24 * * *", vec![]),
        ("* */24 * * *", vec!["0"]),
        ("*/60 0 5 * * *", vec!["0"]),
        ("0 0 */40 * *", vec!["1"]),
        ("0 0 */40 * FRI", vec![]),
        ("0 0 9 * */8", vec![]),
        ("0 0 ? * */8", vec!["0"]),
        ("0 0 * */13 *", vec!["1"]),
        ("0-5/6 5 * * *", vec!["0"]),
        ("1,*/60 5 * * *", vec!["0"]),
        ("H/60 * * * *", vec!["H"]),
        ("H/60 5 * * *", vec![]),
        ("5 5 H/28 * *", vec!["H"]),
        ("H(0-9)/10 * * * *", vec!["H(0-9)"]),
        ("? * * * *", vec!["*"]),
        ("?/5 5 * * *", vec!["*/5"]),
        ("0 0 5,? * *", vec![]),
        ("0 0 ?/2 * *", vec![]),
    ] {
        let detail = detail(expr);
        assert_eq!(advised(&detail), advice, "{expr}: {detail}");
    }
}

#[test]
fn the_inputs_of_the_trials() {
    for (expr, advice) in [
        ("0 0 * * 6-1", vec!["6,0-1"]),
        ("0 21-5/3 * * *", vec!["21,0-5/3"]),
        ("0 22-2 * * *", vec!["22-23,0-2"]),
        ("0 0 * * FRI-MON", vec!["5-6,0-1"]),
        ("0 0 * * 5-0/2", vec!["5,0"]),
        ("0 0 * * 7-2", vec!["0-2"]),
        ("0 0 * * 7-0", vec!["0"]),
        ("0 0 0 1 1 ? 2030-2027", vec!["2027-2030"]),
        ("0 0 0 1 1 ? 2030-2027/2", vec![]),
        ("H(40-10) * * * *", vec![]),
        ("50/15 * * * *", vec!["50"]),
        ("0 0 * * MON/2", vec!["MON-6/2", "MON"]),
        ("0 0 * * 7/2", vec!["7"]),
        ("0 0 * SEPT *", vec!["SEP"]),
        ("0 0 * * WEDNESDAY-FRIDAY", vec!["WED"]),
        ("0 0 * * MONTHLY", vec![]),
        ("0 0 * JANE *", vec![]),
        ("0 0 * * THU-FRIL", vec!["4L,5L"]),
        ("0 0 * * FRI-THUL", vec![]),
        ("@at 2027-06-30T23:59:60Z", vec![]),
        ("@at 2027-06-30T23:59:60.5Z", vec![]),
        ("@at 1969-12-31T23:59:59.5Z", vec![]),
    ] {
        let detail = detail(expr);
        assert_eq!(advised(&detail), advice, "{expr}: {detail}");
    }
}

/// Random texts: an advice, put where the refused item was, is no longer refused for itself.
#[test]
fn no_advice_is_refused() {
    let pieces: Vec<&str> =
        "* ? 0 5 7 9 23 59 60 1-5 6-1 21-5 /3 /40 / , , , - L 15W LW FRIL MON#2 \
        MON#9 H H/5 H/60 H(1-5) H(5-1) JAN MONDAY FRI SUN"
            .split_whitespace()
            .collect();
    let mut state = 11_u64;
    let mut next = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % bound
    };
    let mut tried = 0;
    for _ in 0..60_000 {
        let at = next(5);
        let text: String = (0..1 + next(4)).map(|_| pieces[next(pieces.len())]).collect();
        let Err(fault) = parse(&whole(at, &text, STARS), "") else { continue };
        let Some((_, told)) = fault.detail.split_once(" of 5): ") else { continue };
        let Some(item) = told.strip_prefix('`').and_then(|told| told.split('`').next()) else {
            continue;
        };
        for advice in advised(told) {
            let items: Vec<&str> = text.split(',').collect();
            let mended: Vec<&str> = items
                .iter()
                .map(|other| if other.eq_ignore_ascii_case(item) { advice } else { other })
                .collect();
            if mended == items {
                // It is about a part of an item, such as a name.
                parse(&whole(at, advice, STARS), "").unwrap();
            } else if let Err(again) = parse(&whole(at, &mended.join(","), STARS), "") {
                assert!(!again.detail.contains(&format!("`{advice}`:")), "{fault} -> {again}");
                assert!(again.detail != fault.detail, "{fault}");
            }
            tried += 1;
        }
    }
    assert!(tried > 2_000, "{tried}");
}

#[test]
fn zones_are_advised_by_their_clocks() {
    let told = |name: &str| parse("@daily", name).map(|_| ()).expect_err(name).detail;
    // Offsets: whatever is advised for all year shows that offset.
    for hours in -15_i32..=15 {
        for text in [
            format!("GMT{hours:+}"),
            format!("UTC{hours:+03}:00"),
            format!("{hours:+03}:00"),
            format!("utc {hours:+}"),
            format!("{hours:+03}00"),
        ] {
            // This one is a name.
            let Err(fault) = parse("@daily", &text) else {
                assert!(text.starts_with("GMT") && hours == 0, "{text}");
                continue;
            };
            let names: Vec<&str> = fault.detail.split('`').skip(1).step_by(2).collect();
            for name in names.into_iter().filter(|name| name.starts_with("Etc/")) {
                let local = parse("@daily", name).unwrap().local(1_800_000_000).0;
                let wanted = format!("{hours:+03}:00");
                assert!(local.ends_with(&wanted), "{text}: {name} is {local}");
            }
            assert!(!fault.detail.contains("did you mean") || hours == 0, "{}", fault.detail);
        }
    }
    for (name, part) in [
        ("PST", "one that is known by it is `America/Los_Angeles`"),
        ("etc/gmt+3", "did you mean `Etc/GMT+3`?"),
        ("Etc/GMT+03", "did you mean `Etc/GMT+3`?"),
        ("+05:30", "but an offset: write the name of a place"),
        ("Europe/Pariss", "did you mean `Europe/Paris`?"),
        ("Mars", "write a name such as"),
        ("EST6EDT", "write a name such as"),
        ("Etc/GMT+31", "but an offset"),
    ] {
        assert!(told(name).contains(part), "{name}: {}", told(name));
    }
}
