//! The rules of the dialect, one table each. Brute force is in `tests/schedule_oracle.rs`.

use chrono::DateTime;

use super::{Definition, DstFold, DstGap, EXPR_LEN_MAX, Fault, Schedule, zone_names};

fn definition<'a>(expr: &'a str, timezone: &'a str) -> Definition<'a> {
    Definition {
        name: "backup",
        expr,
        timezone,
        anchor: 0,
        start_at: None,
        end_at: None,
        dst_gap: DstGap::RunAfter,
        dst_fold: None,
    }
}

fn parse(expr: &str, timezone: &str) -> Schedule {
    Schedule::parse(&definition(expr, timezone)).unwrap_or_else(|e| panic!("{expr}: {e:?}"))
}

fn fault(expr: &str) -> Fault {
    Schedule::parse(&definition(expr, "")).map(|_| ()).expect_err(expr).remove(0)
}

fn at(text: &str) -> i64 {
    DateTime::parse_from_rfc3339(text).unwrap().timestamp()
}

/// The local times of the nominal times in `(from, to]`.
fn between(schedule: &Schedule, from: &str, to: &str) -> Vec<String> {
    let (from, to) = (at(from), at(to));
    schedule.upcoming(from).take_while(|t| *t <= to).map(|t| schedule.local(t).0).collect()
}

fn with_policy(expr: &str, zone: &str, gap: DstGap, fold: Option<DstFold>) -> Schedule {
    Schedule::parse(&Definition { dst_gap: gap, dst_fold: fold, ..definition(expr, zone) }).unwrap()
}

#[test]
fn days_of_23_24_and_25_hours() {
    let hourly = parse("@hourly", "Europe/London");
    for (day, hours) in [("2027-03-28", 23), ("2027-06-01", 24), ("2027-10-31", 25)] {
        let date = day.parse::<chrono::NaiveDate>().unwrap();
        let on_day = hourly.upcoming(at("2027-01-01T00:00:00Z"));
        let times: Vec<i64> = on_day
            .skip_while(|t| hourly.local(*t).1 < date)
            .take_while(|t| hourly.local(*t).1 == date)
            .collect();
        assert_eq!(times.len(), hours, "{day}");
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 3_600), "{day}");
    }
}

#[test]
fn a_fixed_time_in_the_gap_runs_once_after_it_or_not_at_all() {
    let (from, to) = ("2027-03-28T00:00:00Z", "2027-03-28T12:00:00Z");
    for (expr, gap, expected) in [
        ("30 1 * * *", DstGap::RunAfter, vec!["2027-03-28T02:00:00+01:00"]),
        ("0,20,40 1 * * *", DstGap::RunAfter, vec!["2027-03-28T02:00:00+01:00"]),
        ("0 1,2 * * *", DstGap::RunAfter, vec!["2027-03-28T02:00:00+01:00"]),
        ("30 1 * * *", DstGap::Skip, vec![]),
        ("0 1,2 * * *", DstGap::Skip, vec!["2027-03-28T02:00:00+01:00"]),
        ("*/30 1 * * *", DstGap::RunAfter, vec![]),
        ("H/30 1 * * *", DstGap::RunAfter, vec![]),
        ("*/10 30 1 * * *", DstGap::RunAfter, vec!["2027-03-28T02:00:00+01:00"]),
    ] {
        let schedule = with_policy(expr, "Europe/London", gap, None);
        assert_eq!(between(&schedule, from, to), expected, "{expr} {gap:?}");
    }
}

#[test]
fn a_wall_time_that_comes_twice_runs_in_the_passes_chosen() {
    let (from, to) = ("2027-10-30T23:59:59Z", "2027-10-31T02:00:00Z");
    let (first, second) = ("2027-10-31T01:30:00+01:00", "2027-10-31T01:30:00+00:00");
    for (expr, fold, expected) in [
        ("30 1 * * *", None, vec![first]),
        ("30 1 * * *", Some(DstFold::First), vec![first]),
        ("30 1 * * *", Some(DstFold::Both), vec![first, second]),
        ("30 * * * *", None, vec![first, second]),
        ("30 * * * *", Some(DstFold::First), vec![first]),
    ] {
        let schedule = with_policy(expr, "Europe/London", DstGap::RunAfter, fold);
        assert_eq!(between(&schedule, from, to), expected, "{expr} {fold:?}");
    }
}

#[test]
fn the_worked_examples_of_the_manual_are_true() {
    for (expr, gap, fold, march, october) in [
        ("30 1 * * *", DstGap::RunAfter, None, vec!["02:00+01:00"], vec!["01:30+01:00"]),
        (
            "30 1 * * *",
            DstGap::Skip,
            Some(DstFold::Both),
            vec![],
            vec!["01:30+01:00", "01:30+00:00"],
        ),
        (
            "0,20,40 1 * * *",
            DstGap::RunAfter,
            None,
            vec!["02:00+01:00"],
            vec!["01:00+01:00", "01:20+01:00", "01:40+01:00"],
        ),
        (
            "0 1,2 * * *",
            DstGap::RunAfter,
            None,
            vec!["02:00+01:00"],
            vec!["01:00+01:00", "02:00+00:00"],
        ),
        (
            "*/30 1 * * *",
            DstGap::RunAfter,
            None,
            vec![],
            vec!["01:00+01:00", "01:30+01:00", "01:00+00:00", "01:30+00:00"],
        ),
    ] {
        let schedule = with_policy(expr, "Europe/London", gap, fold);
        for (day, expected) in [("2027-03-28", march), ("2027-10-31", october)] {
            let (from, to) = (format!("{day}T00:00:00Z"), format!("{day}T12:00:00Z"));
            // London is an hour ahead when October's day begins.
            let from = if day.contains("-10-") { "2027-10-30T23:00:00Z".to_owned() } else { from };
            let times = between(&schedule, &from, &to);
            let times: Vec<String> =
                times.iter().map(|t| format!("{}{}", &t[11..16], &t[19..])).collect();
            assert_eq!(times, expected, "{expr} on {day}");
        }
    }
}

#[test]
fn lord_howe_moves_by_half_an_hour() {
    let zone = "Australia/Lord_Howe";
    // 2027-10-03 02:00 +10:30 becomes 02:30 +11:00; 2027-04-04 02:00 +11:00 becomes 01:30 +10:30.
    let (from, to) = ("2027-10-02T15:00:00Z", "2027-10-02T16:00:00Z");
    let gap = ["2027-10-03T02:30:00+11:00"];
    assert_eq!(between(&parse("15 2 * * *", zone), from, to), gap);
    assert_eq!(between(&parse("15,30 2 * * *", zone), from, to), gap);
    let (from, to) = ("2027-04-03T14:00:00Z", "2027-04-03T16:00:00Z");
    assert_eq!(between(&parse("45 1 * * *", zone), from, to), ["2027-04-04T01:45:00+11:00"]);
    assert_eq!(
        between(&parse("*/30 * * * *", zone), from, to),
        [
            "2027-04-04T01:30:00+11:00",
            "2027-04-04T01:30:00+10:30",
            "2027-04-04T02:00:00+10:30",
            "2027-04-04T02:30:00+10:30",
        ]
    );
}

#[test]
fn apia_has_no_30_december_2011() {
    let zone = "Pacific/Apia";
    let (from, to) = ("2011-12-29T10:30:00-10:00", "2012-01-01T00:00:00+14:00");
    // The missing day's run comes at the first instant after it, which is also the next day's.
    let midnights = ["2011-12-31T00:00:00+14:00", "2012-01-01T00:00:00+14:00"];
    assert_eq!(between(&parse("@daily", zone), from, to), midnights);
    let noons = with_policy("0 12 * * *", zone, DstGap::RunAfter, None);
    let expected =
        ["2011-12-29T12:00:00-10:00", "2011-12-31T00:00:00+14:00", "2011-12-31T12:00:00+14:00"];
    assert_eq!(between(&noons, from, to), expected);
    let skipping = with_policy("0 12 * * *", zone, DstGap::Skip, None);
    assert_eq!(between(&skipping, from, to), [expected[0], expected[2]]);
    let seconds = with_policy("* * 3 30 12 * 2011", zone, DstGap::Skip, None);
    assert_eq!(seconds.next_after(at(from)), None);
}

#[test]
fn a_midnight_that_does_not_exist_runs_at_one() {
    let daily = parse("@daily", "America/Sao_Paulo");
    let (from, to) = ("2018-11-03T12:00:00-03:00", "2018-11-05T00:00:00-02:00");
    let expected = ["2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"];
    assert_eq!(between(&daily, from, to), expected);
}

#[test]
fn every_counts_from_the_anchor_in_real_time() {
    let d = definition("@every 90s", "Europe/London");
    let anchored =
        Schedule::parse(&Definition { anchor: at("2027-03-28T00:59:00Z"), ..d }).unwrap();
    let expected = ["2027-03-28T02:00:30+01:00", "2027-03-28T02:02:00+01:00"];
    assert_eq!(between(&anchored, "2020-01-01T00:00:00Z", "2027-03-28T01:03:00Z"), expected);
    assert_eq!(anchored.next_after(at("2027-03-28T01:00:29Z")), Some(at("2027-03-28T01:00:30Z")));
}

#[test]
fn at_is_one_instant() {
    let once = parse("@at 2027-01-01T00:00:00+01:00", "Asia/Tokyo");
    let t = at("2026-12-31T23:00:00Z");
    assert_eq!(once.upcoming(0).collect::<Vec<_>>(), [t]);
    assert!(once.fires_after(t - 1) && !once.fires_after(t));
}

#[test]
fn start_and_end_are_inclusive() {
    let bounded = |expr, start_at, end_at| {
        Schedule::parse(&Definition { start_at, end_at, ..definition(expr, "") })
    };
    let schedule = bounded("* * * * *", Some(120), Some(240)).unwrap();
    assert_eq!(schedule.upcoming(i64::MIN).collect::<Vec<_>>(), [120, 180, 240]);
    let schedule = bounded("@every 1m", Some(121), Some(240)).unwrap();
    assert_eq!(schedule.upcoming(0).collect::<Vec<_>>(), [180, 240]);
    let schedule = bounded("@at 1970-01-01T00:02:00Z", Some(121), None).unwrap();
    assert_eq!(schedule.next_after(0), None);
    assert_eq!(bounded("@daily", Some(5), Some(5)).unwrap_err()[0].field, "end_at");
    assert_eq!(bounded("@daily", Some(super::HORIZON_S), None).unwrap_err()[0].field, "start_at");
}

#[test]
fn extreme_instants_are_answered() {
    for expr in ["* * * * * *", "0 0 L * *", "@every 1s", "@at 2099-12-31T23:59:59Z", "@daily"] {
        for zone in ["", "Pacific/Apia", "Pacific/Kiritimati", "America/Adak"] {
            let schedule = parse(expr, zone);
            for t in [i64::MIN, -1, 0, super::HORIZON_S - 100_000, super::HORIZON_S, i64::MAX] {
                let next = schedule.next_after(t);
                assert!(next.is_none_or(|next| next > t && (0..super::HORIZON_S).contains(&next)));
                schedule.local(t);
            }
        }
    }
    let (text, _) = parse("@daily", "").local(i64::MAX);
    assert!(text.starts_with("9999-"), "{text}");
}

#[test]
fn rare_days_are_found_and_impossible_ones_end() {
    for (expr, next) in [
        ("0 0 29 2 *", Some("2028-02-29T00:00:00+00:00")),
        ("0 0 29 2 * ", Some("2028-02-29T00:00:00+00:00")),
        ("0 0 0 29 2 ? 2029-2031", None),
        ("0 0 */28 2 MON", Some("2038-02-01T00:00:00+00:00")),
        ("0 0 29 2 */6", Some("2032-02-29T00:00:00+00:00")),
        ("0 0 29W 2 */5", Some("2032-02-27T00:00:00+00:00")),
        ("0 0 29W 2 *", Some("2028-02-29T00:00:00+00:00")),
        ("0 0 31 2 *", None),
        ("0 0 31W 2,4,6,9,11 *", None),
        ("0 0 L-30 2,4 *", None),
        ("0 0 */16 * MON#5", None),
        ("0 0 31W * */6", None),
        ("0 0 29 2 MON#5", Some("2028-02-29T00:00:00+00:00")),
        ("0 0 0 1 1 * 2026", None),
    ] {
        let schedule = parse(expr, "");
        let found = schedule.next_after(at("2027-03-02T00:00:00Z"));
        let found = found.map(|t| schedule.local(t).0);
        assert_eq!(found.as_deref(), next, "{expr}");
    }
}

#[test]
fn the_day_fields_follow_vixie() {
    // June 2027 begins on a Tuesday; its Fridays are 4, 11, 18 and 25.
    for (expr, days) in [
        ("0 0 13 6 5", vec![4, 11, 13, 18, 25]),
        ("0 0 13 6 *", vec![13]),
        ("0 0 * 6 5", vec![4, 11, 18, 25]),
        ("0 0 */2 6 5", vec![11, 25]),
        ("0 0 1-31/2 6 5", vec![1, 3, 4, 5, 7, 9, 11, 13, 15, 17, 18, 19, 21, 23, 25, 27, 29]),
        ("0 0 ? 6 FRI", vec![4, 11, 18, 25]),
        ("0 0 13 6 ?", vec![13]),
        ("0 0 ? JUN 0,7", vec![6, 13, 20, 27]),
        ("0 0 ? jun fri-Sun", vec![4, 5, 6, 11, 12, 13, 18, 19, 20, 25, 26, 27]),
        ("0 0 * 6 6-7", vec![5, 6, 12, 13, 19, 20, 26, 27]),
        ("0 0 L,15W 6 *", vec![15, 30]),
        ("0 0 L-3 6 *", vec![27]),
        ("0 0 LW 6 *", vec![30]),
        ("0 0 12W,13W 6 *", vec![11, 14]),
        ("0 0 * 6 5L", vec![25]),
        ("0 0 * 6 friL,MON#2", vec![14, 25]),
        ("0 0 1 6 7#1", vec![1, 6]),
        ("0 0 * 6 TUE#5", vec![29]),
    ] {
        let schedule = parse(expr, "");
        let june = schedule.upcoming(at("2027-05-31T23:00:00Z"));
        let june = june.take_while(|t| *t < at("2027-07-01T00:00:00Z"));
        let got: Vec<u32> = june.map(|t| chrono::Datelike::day(&schedule.local(t).1)).collect();
        assert_eq!(got, days, "{expr}");
    }
}

#[test]
fn aliases_are_their_expressions_in_any_case() {
    for (alias, expr) in [
        ("@hourly", "0 * * * *"),
        ("@Daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@WEEKLY", "0 0 * * 0"),
        (" @monthly ", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0\t0 1  1 *"),
    ] {
        let (a, b) = (parse(alias, "Europe/London"), parse(expr, "Europe/London"));
        let from = at("2027-03-27T12:00:00Z");
        assert!(a.upcoming(from).take(50).eq(b.upcoming(from).take(50)), "{alias}");
    }
}

#[test]
fn h_is_stable_by_name_and_by_field() {
    let at_h = |name, expr| {
        let schedule = Schedule::parse(&Definition { name, ..definition(expr, "") }).unwrap();
        between(&schedule, "2027-01-01T00:00:00Z", "2027-01-02T00:00:00Z")
            .iter()
            .map(|local| local[11..19].to_owned())
            .collect::<Vec<_>>()
            .join(" ")
    };
    // Golden: these move only if `spread` or its salts change, which would move users' jobs.
    for (name, expr, times) in [
        ("backup", "H H * * *", "19:59:00"),
        ("report", "H H * * *", "08:09:00"),
        ("backup", "H H(0-6) * * *", "03:59:00"),
        ("backup", "H(10-40)/10 5 * * *", "05:19:00 05:29:00 05:39:00"),
        ("backup", "H/20 5 * * *", "05:19:00 05:39:00 05:59:00"),
        ("backup", "H H/8 * * *", "03:59:00 11:59:00 19:59:00"),
        ("backup", "H 0 1 * * *", "01:00:13"),
    ] {
        assert_eq!(at_h(name, expr), times, "{name} {expr}");
    }
    let february = parse("0 0 H 2 *", "");
    let days = february.upcoming(0).take(100).filter(|t| *t < super::HORIZON_S).count();
    assert_eq!(days, 100, "H in day-of-month stays below 29");
}

#[test]
fn sentences_are_readable() {
    for (expr, sentence) in [
        ("*/5 * * * *", "Every 5 minutes, UTC"),
        ("* * * * *", "Every minute, UTC"),
        ("* * * * * *", "Every second, UTC"),
        ("*/10 * * * * *", "Every 10 seconds, UTC"),
        ("*/7 * * * *", "At minutes 0, 7, 14, 21, 28, 35, 42, 49 and 56 of every hour, UTC"),
        ("@hourly", "Every hour, on the hour, UTC"),
        ("30 2 * * 1-5", "At 02:30 on Monday through Friday, UTC"),
        ("15 30 2 * * ? 2027", "At 02:30:15 in 2027, UTC"),
        ("0 9,17 * * SAT,SUN", "At 09:00 and 17:00 on Saturday or Sunday, UTC"),
        ("0 0 13 * 5", "At 00:00 on day 13 of the month or on Friday, UTC"),
        (
            "0 0 */10 * 5",
            "At 00:00 on days 1, 11, 21 and 31 of the month, if that is also Friday, UTC",
        ),
        ("*/15 9-17 * * *", "Every 15 minutes from 09:00 to 17:59, UTC"),
        ("*/15 9,17 * 1-3 *", "Every 15 minutes of hours 9 and 17 in January through March, UTC"),
        ("5 9-17 * * *", "At minute 5 of hours 9 through 17, UTC"),
        ("* 5 9-17 * * *", "Every second of minute 5 of hours 9 through 17, UTC"),
        ("5,30 * 9 * * *", "At seconds 5 and 30 of every minute from 09:00 to 09:59, UTC"),
        ("*/30 * 9 * * *", "Every 30 seconds from 09:00 to 09:59, UTC"),
        (
            "0 0 L,1W * *",
            "At 00:00 on the last day of the month or the working day (Monday to \
          Friday) nearest to day 1 of the month, UTC",
        ),
        (
            "0 0 * * MON#2,5L",
            "At 00:00 on the second Monday of the month or the last Friday of \
          the month, UTC",
        ),
        ("0 0 1-31 * 5", "At 00:00, UTC"),
        ("@every 90m", "Every 1 hour 30 minutes, counted from 1970-01-01T00:00:00Z"),
        ("@every 1h", "Every hour, counted from 1970-01-01T00:00:00Z"),
        ("@at 2027-01-01T00:00:00+01:00", "Once, at 2026-12-31T23:00:00Z"),
    ] {
        assert_eq!(parse(expr, "").describe(), sentence, "{expr}");
    }
    assert_eq!(
        parse("0 0 1 1 *", "Europe/London").describe(),
        "At 00:00 on day 1 of the month in January, Europe/London"
    );
}

#[test]
fn the_examples_of_the_manual_are_true() {
    let manual = include_str!("../../docs/schedules.md");
    let examples = manual.split("\n## ").find(|part| part.starts_with("Examples")).unwrap();
    let rows: Vec<&str> = examples.lines().filter_map(|line| line.strip_prefix("| `")).collect();
    assert!(rows.len() > 8);
    for row in rows.iter().filter(|row| !row.starts_with("expr`")) {
        let (expr, rest) = row.split_once("` | ").unwrap();
        let sentence = rest.trim_end_matches(" |").to_owned() + ", UTC";
        assert_eq!(parse(expr, "").describe(), sentence, "{expr}");
    }
}

#[test]
fn refusals_say_what_to_do() {
    for (expr, says) in [
        ("", "is empty"),
        ("* * * *", "has 4 fields; write 5"),
        ("* * * * * * * *", "has 8 fields"),
        ("61 * * * *", "minute field (`61`, 1 of 5): 61 is outside 0-59"),
        ("* 24 * * *", "hour field (`24`, 2 of 5): 24 is outside 0-23; a day begins with hour 0"),
        ("* * 0 * *", "0 is outside 1-31"),
        ("* * * 13 *", "13 is outside 1-12"),
        ("* * * * 8", "8 is outside 0-7"),
        ("* * * * * * 1969", "1969 is outside 1970-2099"),
        ("5/15 * * * *", "write `5-59/15` for every 15 from 5"),
        ("* 22-2 * * *", "backwards; to wrap around, write `22-23,0-2`"),
        ("* * * * 5-0", "to wrap around, write `5-7`"),
        ("*/60 * * * *", "a step of 60 is larger than the range 0-59"),
        ("0-5/6 * * * *", "larger than the range 0-5"),
        ("*/0 * * * *", "a step is at least 1"),
        ("*/x * * * *", "must be a whole number"),
        ("1,,2 * * * *", "a comma with nothing"),
        ("-5 * * * *", "`` is not a number"),
        ("+5 * * * *", "`+5` is not a number"),
        ("* * * FOO *", "or a name (JAN FEB"),
        ("* * * * MONDAY", "write `MON`"),
        ("? * * * *", "belongs in the two day fields"),
        ("0 0 ?,5 * *", "`?` stands alone"),
        ("0 0 ?/2 * *", "`?` stands alone"),
        ("0 L * * *", "belong in the two day fields"),
        ("0 0 * * L", "write `SAT`, or `FRIL`"),
        ("0 0 * * 15W", "`W` belongs in the day-of-month field"),
        ("0 0 MON#1 * *", "`#` belongs in the day-of-week field"),
        ("0 0 FRIL * *", "belongs in the day-of-week field"),
        ("0 0 W * *", "as in `15W`"),
        ("0 0 1-5W * *", "as in `15W`"),
        ("0 0 32W * *", "one day from 1 to 31"),
        ("0 0 L-31 * *", "n from 1 to 30"),
        ("0 0 L/2 * *", "takes no step"),
        ("0 0 * * MON#6", "a number from 1 to 5"),
        ("0 0 * * 1-5L", "write `1L,2L,3L,4L,5L`"),
        ("H(0-60) * * * *", "60 is outside 0-59"),
        ("H(5) * * * *", "the forms are `H`, `H/2`"),
        ("HH * * * *", "the forms are `H`, `H/2`"),
        ("H(0-9)/10 * * * *", "the step is larger"),
        ("0 0 0 1 1 * H", "`H` can't spread over years"),
        ("@reboot", "no meaning in a cluster"),
        ("@fortnightly", "known are @hourly"),
        ("@daily 5", "takes nothing after it"),
        ("@every", "no duration"),
        ("@every 500ms", "whole seconds"),
        ("@at tomorrow", "write for example `@at 2027"),
        ("@at 2027-01-01T00:00:00", "with an offset"),
        ("@at 2027-01-01T00:00:00.5Z", "lies in is `@at 2027-01-01T00:00:00Z`"),
        ("@at 2100-01-01T00:00:00Z", "outside the years"),
        ("TZ=Europe/London 0 5 * * *", "set `timezone`"),
        ("CRON_TZ=Europe/London 0 0 5 * * * *", "set `timezone`"),
        ("0 0 * * MО#1", "character 10"),
        ("0 0\n* * *", "character 4"),
        ("99999999999 * * * *", "is not a number 0-59"),
    ] {
        let fault = fault(expr);
        assert_eq!(fault.field, "expr", "{expr}");
        assert!(fault.detail.contains(says), "{expr}: {}", fault.detail);
    }
    assert!(fault(&"1,".repeat(EXPR_LEN_MAX)).detail.contains("the limit is 512"));
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let (start_at, end_at) = (Some(5), Some(5));
    let wrong = Definition { start_at, end_at, ..definition("61 * * * *", "Mars/Olympus") };
    let faults = Schedule::parse(&wrong).unwrap_err();
    let fields: Vec<_> = faults.iter().map(|fault| fault.field).collect();
    assert_eq!(fields, ["expr", "timezone", "end_at"]);
}

#[test]
fn unknown_zones_get_a_suggestion() {
    for (zone, better) in [
        ("London", "Europe/London"),
        ("europe/london", "Europe/London"),
        ("Europe/Lodnon", "Europe/London"),
        ("America/New York", "America/New_York"),
        ("Asia/Calcuta", "Asia/Calcutta"),
        ("+00:00", "UTC"),
    ] {
        let fault = Schedule::parse(&definition("@daily", zone)).unwrap_err().remove(0);
        assert_eq!(fault.field, "timezone");
        assert!(fault.detail.contains(&format!("did you mean `{better}`?")), "{}", fault.detail);
    }
    for zone in ["Mars/Olympus", "?", &"x".repeat(5_000), "Ωmega/Zone"] {
        let fault = Schedule::parse(&definition("@daily", zone)).unwrap_err().remove(0);
        assert!(fault.detail.contains("write a name such as"), "{}", fault.detail);
        assert!(fault.detail.len() < 400);
    }
    assert!(zone_names().count() > 500 && zone_names().any(|name| name == "Pacific/Apia"));
}

#[test]
fn no_text_panics() {
    let pieces: Vec<&str> =
        "* * * * * * ? 0 5 7 1-5 */3 L 15W LW FRIL MON#2 H H/5 H(1-5) ? JAN , - / ( # \
        L- @every 1h @at 99 2027 W"
            .split(' ')
            .collect();
    let mut state = 7_u64;
    let mut next = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % bound
    };
    let mut accepted = 0;
    for _ in 0..30_000 {
        let mut text = String::new();
        for _ in 0..5 + next(3) {
            for _ in 0..1 + next(9) / 8 {
                text.push_str(pieces[next(pieces.len())]);
            }
            text.push(' ');
        }
        if let Ok(schedule) = Schedule::parse(&definition(&text, "")) {
            accepted += 1;
            assert!(!schedule.describe().is_empty());
            schedule.next_after(1_800_000_000);
        }
    }
    assert!(accepted > 100, "only {accepted} random texts were accepted");
}
