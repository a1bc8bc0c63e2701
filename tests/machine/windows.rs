//! Windows: what is told within one is kept and never sent, or goes out at its end.

use cronapi::machine::history::{NoticeRow, notice_key, unpack};
use cronapi::machine::prepare::windows::at as window_at;
use cronapi::machine::prepare::{Intent, PutMode};
use cronapi::machine::reply::Rejection;
use cronapi::machine::{Op, State};
use cronapi::model::alert::NoticeEnd;
use cronapi::model::kind::window::WindowSpec;
use cronapi::model::{Kind, Notice, NoticeKind, RunStatus, Spec, Timestamp};
use serde_json::{Value, json};

use super::alerts::{channel, put};
use super::world::{World, at, name, object};

use RunStatus::{Failed, Succeeded};

fn window(mut value: Value) -> Spec {
    value["name"] = json!("w");
    Kind::Window.read(object(value)).unwrap()
}

fn define(world: &mut World, value: Value) {
    let (mode, expected) = (PutMode::Upsert, None);
    world.submit(Intent::Put { spec: window(value), mode, expected }).unwrap();
    world.settle();
}

/// A job that runs each minute and tells the channel `ops` when it fails and when it is well.
fn telling(now: &str) -> World {
    let mut world = World::newest();
    world.now = at(now);
    put(&mut world, channel("ops"));
    let notify = json!({ "channels": ["ops"], "on": ["failed", "recovered"] });
    world.work(json!({ "name": "j", "expr": "* * * * *", "tags": ["t"], "notify": notify }));
    world
}

fn waiting(state: &State) -> Vec<Notice> {
    state.outbox.waiting.values().map(|notice| (**notice).clone()).collect()
}

fn row(world: &World, seq: u64) -> NoticeRow {
    unpack(&world.rows[&notice_key(seq)]).unwrap()
}

#[test]
fn what_is_muted_is_kept_and_never_sent_and_neither_is_its_end() {
    let mut world = telling("2027-01-04T00:00:10Z");
    define(
        &mut world,
        json!({ "from": "2027-01-04T00:00:30Z", "to": "2027-01-04T00:02:30Z", "reason": "a move" }),
    );
    world.script("j", &[(Failed, 1), (Failed, 1), (Succeeded, 1)]);
    world.run_for(60);
    assert_eq!(waiting(&world.state), []);
    assert_eq!(world.state.alerts.by_id.len(), 1, "the incident is there");
    let muted = row(&world, 1);
    assert_eq!(muted.end, NoticeEnd::Muted);
    assert_eq!(muted.notice.window, Some(name("w")));
    assert_eq!(muted.notice.error.as_deref(), Some("muted by the window w: a move"));
    // It is well again when the window is over: nobody knew that it was not.
    world.run_for(150);
    assert!(!world.state.windows[&name("w")].active);
    assert_eq!(waiting(&world.state), []);
    assert!(world.state.alerts.by_id.is_empty());
    let end = row(&world, 2);
    assert_eq!((end.end, end.notice.facts.kind), (NoticeEnd::Muted, NoticeKind::Resolved));
    // The next trouble is told.
    world.script("j", &[(Failed, 1)]);
    world.run_for(60);
    assert_eq!(waiting(&world.state).len(), 1);
}

#[test]
fn only_what_it_matches_is_held_back() {
    for (wanted, held) in [
        (json!({ "jobs": ["j*"] }), true),
        (json!({ "tags": ["t"] }), true),
        (json!({ "jobs": ["k"] }), false),
        (json!({ "monitors": ["j"] }), false),
    ] {
        let mut world = telling("2027-01-04T00:00:10Z");
        let (from, to) = ("2027-01-04T00:00:00Z", "2027-01-04T01:00:00Z");
        define(&mut world, json!({ "from": from, "to": to, "match": wanted }));
        world.script("j", &[(Failed, 1)]);
        world.run_for(60);
        assert_eq!(waiting(&world.state).is_empty(), held, "{wanted}");
    }
}

#[test]
fn what_is_put_off_goes_out_at_the_end_and_may_be_tried_from_then_on() {
    let mut world = telling("2027-01-04T00:00:10Z");
    let (from, to) = ("2027-01-04T00:00:00Z", "2027-01-04T00:10:00Z");
    define(&mut world, json!({ "from": from, "to": to, "mode": "defer" }));
    world.script("j", &[(Failed, 1), (Succeeded, 1), (Failed, 1), (Succeeded, 1)]);
    world.run_for(300);
    let held = waiting(&world.state);
    assert_eq!(held.len(), 4, "two that begin and two that end");
    assert!(held.iter().all(|notice| world.state.is_deferred(notice)));
    assert!(held.iter().all(|notice| notice.not_before == at(to)));
    assert_eq!(world.state.deferred(&name("w")), 4);
    world.run_for(320);
    let out = waiting(&world.state);
    assert!(out.iter().all(|notice| notice.window == Some(name("w"))), "they go together");
    assert!(out.iter().all(|notice| !world.state.is_deferred(notice)));
    assert!(out.iter().all(|notice| at(to) <= notice.at && notice.not_before == notice.at));
    let told = world.events.iter().filter(|event| event.kind.starts_with("window."));
    let told: Vec<&str> = told.map(|event| event.kind.as_str()).collect();
    assert_eq!(told, ["window.began", "window.ended"]);
}

#[test]
fn a_window_that_is_removed_or_changed_lets_go_what_waited() {
    let mut world = telling("2027-01-04T00:00:10Z");
    let (from, to) = ("2027-01-04T00:00:00Z", "2027-01-05T00:00:00Z");
    define(&mut world, json!({ "from": from, "to": to, "mode": "defer" }));
    world.script("j", &[(Failed, 1), (Succeeded, 1), (Failed, 1)]);
    world.run_for(60);
    assert_eq!(world.state.deferred(&name("w")), 1);
    // It ends sooner by now.
    define(&mut world, json!({ "from": from, "to": "2027-01-04T00:00:30Z", "mode": "defer" }));
    assert_eq!(world.state.deferred(&name("w")), 0);
    define(&mut world, json!({ "from": from, "to": to, "mode": "defer" }));
    world.run_for(120);
    assert!(world.state.deferred(&name("w")) > 0);
    let remove = Intent::Remove { kind: Kind::Window, name: name("w"), expected: None };
    world.submit(remove).unwrap();
    assert!(world.state.windows.is_empty());
    assert!(waiting(&world.state).iter().all(|notice| notice.not_before <= world.now));
}

#[test]
fn a_look_at_a_definition_of_before_is_stale() {
    let mut world = telling("2027-01-04T00:00:10Z");
    define(&mut world, json!({ "expr": "@daily", "duration": "1h" }));
    let seen = |version, active| Op::Window { name: name("w"), version, active, until: None };
    assert_eq!(world.op(seen(2, false)), Err(Rejection::Stale));
    assert!(world.op(seen(1, false)).is_ok());
    assert_eq!(world.op(seen(1, false)), Err(Rejection::Stale), "it is so");
}

#[test]
fn a_schedule_that_is_none_is_refused() {
    let mut world = World::newest();
    for (expr, zone) in [("61 * * * *", "UTC"), ("@daily", "Mars/Olympus")] {
        let spec = window(json!({ "expr": expr, "duration": "1h", "timezone": zone }));
        let put = Intent::Put { spec, mode: PutMode::Upsert, expected: None };
        assert!(matches!(world.submit(put), Err(Rejection::Invalid(_))), "{expr} {zone}");
    }
}

fn times(value: Value, from: &str, until: &str) -> Vec<(String, String)> {
    let Spec::Window(spec) = window(value) else { unreachable!() };
    let spec: &WindowSpec = &spec;
    let (mut now, end, mut found) = (at(from), at(until), Vec::new());
    while now < end {
        let (active, until) = window_at(spec, Timestamp::ZERO, now);
        let Some(until) = until else { break };
        assert!(until > now, "it is looked at without end");
        if active {
            found.push((now.to_string(), until.to_string()));
        }
        now = until;
    }
    found
}

#[test]
fn a_window_begins_by_the_clock_on_the_wall_and_lasts_as_long_as_it_says() {
    let nightly = json!({ "expr": "30 1 * * *", "duration": "2h", "timezone": "Europe/London" });
    let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    // Clocks go back on 31 October 2027 at 01:00 UTC: 01:30 comes twice, the window once.
    let autumn = times(nightly.clone(), "2027-10-30T12:00:00Z", "2027-11-01T12:00:00Z");
    assert_eq!(
        autumn,
        [
            pair("2027-10-31T00:30:00Z", "2027-10-31T02:30:00Z"),
            pair("2027-11-01T01:30:00Z", "2027-11-01T03:30:00Z"),
        ]
    );
    // They go forward on 28 March 2027 at 01:00 UTC: there is no 01:30.
    let spring = times(nightly, "2027-03-27T12:00:00Z", "2027-03-28T12:00:00Z");
    assert_eq!(spring, [pair("2027-03-28T01:00:00Z", "2027-03-28T03:00:00Z")]);
    // Windows that meet are one.
    let always = json!({ "expr": "0 * * * *", "duration": "1h" });
    let all = times(always, "2027-01-01T00:30:00Z", "2027-01-01T03:00:00Z");
    assert_eq!(all.len(), 3, "{all:?}");
}

/// Acceptance: put off over the night on which clocks go back, what happened goes out once.
#[test]
fn over_a_change_of_clocks_there_is_one_summary() {
    let mut world = telling("2027-10-31T00:20:10Z");
    define(
        &mut world,
        json!({ "expr": "30 1 * * *", "duration": "2h", "timezone": "Europe/London",
            "mode": "defer" }),
    );
    let ends = [(Succeeded, 1), (Failed, 1)];
    world.script("j", &ends.repeat(80));
    world.run_for(15 * 60);
    let before = waiting(&world.state).len();
    world.run_for(110 * 60);
    let held = waiting(&world.state);
    let held: Vec<&Notice> = held.iter().filter(|notice| notice.window.is_some()).collect();
    assert!(held.len() > 100, "{} of {before}", held.len());
    assert!(held.iter().all(|notice| world.state.is_deferred(notice)), "the hour comes twice");
    world.run_for(6 * 60);
    let out = waiting(&world.state);
    let out: Vec<&Notice> = out.iter().filter(|notice| notice.window.is_some()).collect();
    let ends: std::collections::BTreeSet<Timestamp> =
        out.iter().map(|notice| notice.not_before).collect();
    assert_eq!(ends.len(), 1, "all at one time: {ends:?}");
    assert!(out.iter().all(|notice| !world.state.is_deferred(notice)));
}

#[test]
fn the_end_of_what_was_told_before_waits_for_the_end_of_a_window_that_mutes() {
    let mut world = telling("2027-01-04T00:00:10Z");
    world.script("j", &[(Failed, 1), (Succeeded, 1)]);
    world.run_for(60);
    assert_eq!(waiting(&world.state).len(), 1, "it is told");
    let (from, to) = ("2027-01-04T00:00:00Z", "2027-01-04T01:00:00Z");
    define(&mut world, json!({ "from": from, "to": to }));
    world.run_for(60);
    let held = waiting(&world.state);
    assert_eq!((held.len(), held[1].facts.kind), (2, NoticeKind::Resolved));
    assert!(world.state.is_deferred(&held[1]) && held[1].not_before == at(to));
}
