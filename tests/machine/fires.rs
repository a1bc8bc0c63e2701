//! Contract 2.1, 2.2, 2.6: each nominal time is decided once, by whoever proposes it first.

use cronapi::machine::command::{Command, Op};
use cronapi::machine::plan::{Around, plan};
use cronapi::machine::prepare::Intent;
use cronapi::machine::reply::{Rejection, Reply};
use cronapi::model::{RunStatus, Timestamp};
use serde_json::json;

use crate::world::{World, at, name, secs, spec, working};

const EACH_MINUTE: &str = "* * * * *";

fn minutely() -> World {
    let mut world = World::new();
    world.work(json!({"name": "m", "expr": EACH_MINUTE}));
    world
}

fn planned(world: &World) -> Vec<Command> {
    let ops = plan(&world.state, world.now, &world.compiled, &Around::default()).ops;
    ops.into_iter().map(|op| world.command(op)).collect()
}

#[test]
fn each_nominal_time_fires_exactly_once() {
    let mut world = minutely();
    world.run_until("2027-01-04T00:10:30Z");
    let want: Vec<String> = (1..=10).map(|m| format!("00:{m:02} fired")).collect();
    assert_eq!(world.ledger("m"), want);
    assert!(world.runs("m").iter().all(|run| run.status == RunStatus::Succeeded));
    assert!(world.runs("m").iter().all(|run| Some(run.fired_at) == run.nominal_time));
}

#[test]
fn nothing_fires_before_its_time() {
    let mut world = minutely();
    world.now = Timestamp::from_micros(at("2027-01-04T00:01:00Z").micros() - 1);
    assert!(planned(&world).is_empty());
    world.now = at("2027-01-04T00:01:00Z");
    assert_eq!(planned(&world).len(), 1);
}

#[test]
fn a_replayed_fire_is_refused_and_changes_nothing() {
    let mut world = minutely();
    world.now = at("2027-01-04T00:01:00Z");
    let fire = planned(&world).remove(0);
    assert!(matches!(world.entry(std::slice::from_ref(&fire))[0], Ok(Reply::Run { .. })));
    let (before, rows) = (world.state.clone(), world.rows.clone());
    assert_eq!(world.entry(&[fire.clone(), fire]), [Err(Rejection::Stale), Err(Rejection::Stale)]);
    assert!(world.state == before && world.rows == rows);
}

#[test]
fn two_planners_on_one_state_fire_once_in_either_order() {
    let mut world = minutely();
    world.work(json!({"name": "n", "expr": EACH_MINUTE}));
    world.now = at("2027-01-04T00:01:00Z");
    let (mut ours, theirs) = (planned(&world), planned(&world));
    ours.reverse();
    let answers = [world.entry(&ours), world.entry(&theirs)].concat();
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 2);
    assert_eq!(world.ledger("m"), ["00:01 fired"]);
    assert_eq!(world.ledger("n"), ["00:01 fired"]);
}

#[test]
fn a_stale_fire_is_refused_after_failover() {
    let mut world = minutely();
    world.now = at("2027-01-04T00:01:00Z");
    let of_the_old_leader = planned(&world);
    world.run_until("2027-01-04T00:03:00Z");
    assert_eq!(world.entry(&of_the_old_leader), [Err(Rejection::Stale)]);
    assert_eq!(world.ledger("m"), ["00:01 fired", "00:02 fired", "00:03 fired"]);
}

#[test]
fn no_fire_of_an_old_version_pause_or_job_is_taken() {
    type Change = fn(&mut World);
    let changes: [(&str, Change); 4] = [
        ("edit", |w| {
            w.work(json!({"name": "m", "expr": "*/2 * * * *"}));
        }),
        ("unrelated edit", |w| {
            w.work(json!({"name": "m", "expr": EACH_MINUTE, "description": "x"}));
        }),
        ("pause", |w| w.enable("m", false)),
        ("delete", |w| w.delete("m")),
    ];
    for (what, change) in changes {
        let mut world = minutely();
        world.now = at("2027-01-04T00:01:00Z");
        let fire = planned(&world);
        change(&mut world);
        assert_eq!(world.entry(&fire), [Err(Rejection::Stale)], "{what}");
        assert!(world.runs_of(1).is_empty(), "{what}");
    }
}

#[test]
fn a_clock_that_steps_back_an_hour_fires_nothing_twice_and_nothing_early() {
    let mut world = minutely();
    world.run_until("2027-01-04T01:00:00Z");
    world.now = at("2027-01-04T00:00:00Z");
    world.settle();
    assert_eq!(world.ledger("m").len(), 60);
    world.run_until("2027-01-04T01:05:00Z");
    let ledger = world.ledger("m");
    assert_eq!(ledger.len(), 65);
    assert!(ledger.iter().all(|row| row.ends_with("fired")), "{ledger:?}");
}

#[test]
fn a_clock_that_steps_ahead_an_hour_is_a_time_without_a_leader() {
    let mut world = minutely();
    world.run_until("2027-01-04T00:02:00Z");
    world.now = at("2027-01-04T01:02:30Z");
    world.settle();
    world.now = at("2027-01-04T00:03:00Z");
    world.run_until("2027-01-04T01:04:00Z");
    assert_eq!(
        world.ledger("m"),
        [
            "00:01 fired",
            "00:02 fired",
            "00:03..01:02/59 skipped misfire",
            "01:02 fired",
            "01:03 fired",
            "01:04 fired"
        ]
    );
}

#[test]
fn log_time_never_runs_backwards() {
    let mut world = minutely();
    world.run_until("2027-01-04T00:05:00Z");
    world.now = at("2026-01-01T00:00:00Z");
    let id = world.trigger("m");
    assert_eq!(world.run(id).fired_at, at("2027-01-04T00:05:00Z"));
}

#[test]
fn jitter_moves_the_start_and_not_the_nominal_time() {
    let mut world = World::new();
    world.work(json!({"name": "m", "expr": EACH_MINUTE, "jitter": "40s"}));
    world.run_until("2027-01-04T00:30:00Z");
    let runs = world.runs("m");
    assert!(runs.len() >= 29);
    let late: Vec<u64> =
        runs.iter().map(|run| run.fired_at.since(run.nominal_time.unwrap()).millis()).collect();
    assert!(late.iter().all(|ms| *ms == late[0] && *ms <= 40_000 && *ms > 0), "{late:?}");
    assert!(runs.iter().all(|run| run.nominal_time.unwrap().secs() % 60 == 0));
}

#[test]
fn an_end_of_start_at_end_at_and_max_runs_ends_the_schedule() {
    let mut world = World::new();
    world.work(json!({"name": "window", "expr": EACH_MINUTE,
        "start_at": "2027-01-04T00:03:00Z", "end_at": "2027-01-04T00:05:00Z"}));
    world.work(json!({"name": "thrice", "expr": EACH_MINUTE, "max_runs": 3}));
    world.run_until("2027-01-04T00:20:00Z");
    assert_eq!(world.ledger("window"), ["00:03 fired", "00:04 fired", "00:05 fired"]);
    assert_eq!(world.ledger("thrice"), ["00:01 fired", "00:02 fired", "00:03 fired"]);
    assert_eq!(world.job("thrice").live.next, None);
}

#[test]
fn a_skipped_fire_does_not_count_for_max_runs() {
    let mut world = World::new();
    world.work(json!({"name": "m", "expr": EACH_MINUTE, "max_runs": 2}));
    world.script("m", &[(RunStatus::Succeeded, 150), (RunStatus::Succeeded, 0)]);
    world.run_until("2027-01-04T00:20:00Z");
    assert_eq!(
        world.ledger("m"),
        ["00:01 fired", "00:02 skipped overlap", "00:03 skipped overlap", "00:04 fired"]
    );
}

#[test]
fn raising_max_runs_brings_a_schedule_back() {
    let mut world = World::new();
    world.work(json!({"name": "m", "expr": EACH_MINUTE, "max_runs": 1}));
    world.run_until("2027-01-04T00:05:30Z");
    world.work(json!({"name": "m", "expr": EACH_MINUTE, "max_runs": 2}));
    world.run_until("2027-01-04T00:10:00Z");
    assert_eq!(world.ledger("m"), ["00:01 fired", "00:06 fired"]);
}

#[test]
fn lowering_max_runs_loses_no_time_that_is_undecided() {
    let mut world = minutely();
    world.run_until("2027-01-04T00:02:30Z");
    world.enable("m", false);
    world.run_until("2027-01-04T00:05:30Z");
    world.work(json!({"name": "m", "expr": EACH_MINUTE, "max_runs": 2, "enabled": false}));
    world.run_until("2027-01-04T00:08:30Z");
    world.enable("m", true);
    world.run_until("2027-01-04T00:10:00Z");
    let told: Vec<String> = world.ledger_of(1).iter().map(crate::world::told).collect();
    assert_eq!(told, ["00:01 fired", "00:02 fired", "00:03..00:05:31/3 skipped paused"]);

    let mut world = minutely();
    world.run_until("2027-01-04T00:02:30Z");
    world.now = at("2027-01-04T00:04:30Z");
    world.work(json!({"name": "m", "expr": EACH_MINUTE, "max_runs": 1}));
    world.run_until("2027-01-04T00:10:00Z");
    let told: Vec<String> = world.ledger_of(1).iter().map(crate::world::told).collect();
    assert_eq!(told, ["00:01 fired", "00:02 fired", "00:03..00:04:31/2 superseded"]);
}

#[test]
fn calendars_record_the_days_they_leave_out() {
    let mut world = World::new();
    world.work(json!({"name": "m", "expr": "0 12 * * *", "calendars": [
        {"exclude": ["2027-01-05"]}, {"include": ["2027-01-04..2027-01-06"]}]}));
    world.run_until("2027-01-08T00:00:00Z");
    assert_eq!(
        world.ledger("m"),
        ["12:00 fired", "12:00 skipped calendar", "12:00 fired", "12:00 skipped calendar"]
    );
}

#[test]
fn dst_rows_of_the_contract_come_through_plan() {
    // zone, expr, from, until, fires in UTC
    let rows = [
        (
            "Europe/Berlin",
            "30 2 * * *",
            "2027-03-27T12:00:00Z",
            "2027-03-29T12:00:00Z",
            vec!["2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z"],
        ),
        (
            "Europe/Berlin",
            "30 2 * * *",
            "2027-10-30T12:00:00Z",
            "2027-11-01T12:00:00Z",
            vec!["2027-10-31T00:30:00Z", "2027-11-01T01:30:00Z"],
        ),
        (
            "America/New_York",
            "0 * * * *",
            "2027-11-07T04:30:00Z",
            "2027-11-07T07:30:00Z",
            vec!["2027-11-07T05:00:00Z", "2027-11-07T06:00:00Z", "2027-11-07T07:00:00Z"],
        ),
        (
            "Australia/Lord_Howe",
            "15 2 * * *",
            "2027-10-02T12:00:00Z",
            "2027-10-03T14:30:00Z",
            vec!["2027-10-02T15:30:00Z"],
        ),
        (
            "Pacific/Apia",
            "0 12 * * *",
            "2011-12-28T23:00:00Z",
            "2012-01-01T00:00:00Z",
            vec![
                "2011-12-29T22:00:00Z",
                "2011-12-30T10:00:00Z",
                "2011-12-30T22:00:00Z",
                "2011-12-31T22:00:00Z",
            ],
        ),
    ];
    for (zone, expr, from, until, want) in rows {
        let mut world = World::bare(from);
        world.node(1, 10);
        world.work(json!({"name": "m", "expr": expr, "timezone": zone}));
        world.run_until(until);
        let have: Vec<String> =
            world.runs("m").iter().map(|run| run.nominal_time.unwrap().to_string()).collect();
        assert_eq!(have, want, "{expr} in {zone}");
    }
}

#[test]
fn every_counts_from_creation_though_the_log_was_ahead() {
    let mut world = World::new();
    world.now = at("2027-01-04T00:00:10Z");
    let create =
        world.prepare(World::put_intent(working(json!({"name": "e", "expr": "@every 90s"}))));
    world.now = at("2027-01-04T00:00:12Z");
    world.node(2, 1);
    assert!(world.entry(&[create])[0].is_ok());
    world.run_until("2027-01-04T00:06:00Z");
    assert_eq!(world.ledger("e"), ["00:01:40 fired", "00:03:10 fired", "00:04:40 fired"]);
}

/// Both halves of a race: an edit prepared before a fire and applied after it.
fn raced(edit: serde_json::Value) -> World {
    let mut world = minutely();
    world.now = Timestamp::from_micros(at("2027-01-04T00:01:00Z").micros() - 1_000);
    let put = world.prepare(World::put_intent(working(edit)));
    world.now = at("2027-01-04T00:01:00Z");
    world.plan_once();
    if world.entry(std::slice::from_ref(&put))[0] == Err(Rejection::Stale) {
        let Op::PutJob(put) = put.op else { unreachable!() };
        world.try_put(serde_json::Value::Object(put.spec.to_map())).unwrap();
    }
    world
}

#[test]
fn an_edit_that_races_a_fire_leaves_the_schedule_alive() {
    let mut world = raced(json!({"name": "m", "expr": EACH_MINUTE, "description": "x"}));
    world.run_until("2027-01-04T00:03:00Z");
    assert_eq!(world.ledger("m"), ["00:01 fired", "00:02 fired", "00:03 fired"]);
    assert_eq!(world.job("m").version, 2);
}

#[test]
fn a_changed_schedule_that_races_a_fire_leaves_the_schedule_alive() {
    let mut world = raced(json!({"name": "m", "expr": "*/1 * * * *"}));
    world.run_until("2027-01-04T00:03:00Z");
    assert_eq!(world.ledger("m"), ["00:01 fired", "00:02 fired", "00:03 fired"]);
}

#[test]
fn an_edit_never_supersedes_what_has_fired() {
    // The time was due when edit, pause or delete were prepared, and fired before they came.
    let intents = [
        World::put_intent(working(json!({"name": "m", "expr": "*/2 * * * *"}))),
        World::put_intent(working(json!({"name": "m"}))),
        Intent::SetEnabled { name: name("m"), enabled: false, expected: None },
        Intent::DeleteJob { name: name("m"), expected: Some(1) },
    ];
    for intent in intents {
        let mut world = minutely();
        world.now = at("2027-01-04T00:01:01Z");
        let late = world.prepare(intent.clone());
        world.settle();
        let answer = world.entry(&[late]).remove(0);
        if answer == Err(Rejection::Stale) {
            world.submit(intent).unwrap();
        }
        let told: Vec<String> = world.ledger_of(1).iter().map(crate::world::told).collect();
        assert_eq!(told, ["00:01 fired"]);
    }
}

#[test]
fn a_limit_reached_meanwhile_holds_for_an_edit_prepared_before() {
    let mut world = World::new();
    world.work(json!({"name": "m", "expr": EACH_MINUTE, "max_runs": 1}));
    world.now = Timestamp::from_micros(at("2027-01-04T00:01:00Z").micros() - 1_000);
    let put = world.prepare(World::put_intent(working(
        json!({"name": "m", "expr": "*/5 * * * *", "max_runs": 1}),
    )));
    world.now = at("2027-01-04T00:01:00Z");
    world.settle();
    world.entry(&[put]);
    world.run_until("2027-01-04T00:20:00Z");
    assert_eq!(world.ledger("m"), ["00:01 fired"]);
}

#[test]
fn an_edit_settles_what_was_due_as_superseded_and_a_pause_as_paused() {
    let mut world = minutely();
    world.now = at("2027-01-04T00:03:10Z");
    world.work(json!({"name": "m", "expr": "*/5 * * * *"}));
    world.run_until("2027-01-04T00:06:00Z");
    world.enable("m", false);
    world.run_until("2027-01-04T00:21:00Z");
    world.enable("m", true);
    world.run_until("2027-01-04T00:26:00Z");
    world.now = at("2027-01-04T00:31:00Z");
    world.enable("m", false);
    world.now = at("2027-01-04T00:32:00Z");
    world.work(json!({"name": "m", "expr": "*/10 * * * *", "enabled": false}));
    world.now = at("2027-01-04T00:42:00Z");
    world.delete("m");
    let told: Vec<String> = world.ledger_of(1).iter().map(crate::world::told).collect();
    assert_eq!(
        told,
        [
            "00:01..00:03:11/3 superseded",
            "00:05 fired",
            "00:10..00:21:01/3 skipped paused",
            "00:25 fired",
            "00:30 skipped paused",
            "00:40 skipped paused",
        ]
    );
}

#[test]
fn a_job_that_is_made_again_is_another_job() {
    let mut world = minutely();
    world.script("m", &[(RunStatus::Succeeded, 300), (RunStatus::Succeeded, 0)]);
    world.run_until("2027-01-04T00:01:00Z");
    let first = (world.job("m").no, world.job("m").uid, world.runs("m")[0].id);
    world.executor = false;
    world.delete("m");
    assert!(world.open(first.2).cancel && world.open(first.2).orphan);
    world.work(json!({"name": "m", "expr": EACH_MINUTE}));
    assert_ne!((first.0, first.1), (world.job("m").no, world.job("m").uid));
    assert_eq!(world.state.occupying(world.job("m").no), 0, "the old run holds no place");
    world.executor = true;
    world.run_until("2027-01-04T00:02:00Z");
    assert_eq!(world.status(first.2), RunStatus::Cancelled);
    assert_eq!(world.ledger("m"), ["00:02 fired"]);
}

#[test]
fn a_run_keeps_the_version_that_it_was_fired_with() {
    let mut world = World::new();
    world.work(json!({"name": "m", "expr": EACH_MINUTE, "retry": {"max_attempts": 2}}));
    world.script("m", &[(RunStatus::Failed, 10), (RunStatus::Succeeded, 0)]);
    world.run_until("2027-01-04T00:01:05Z");
    world.work(json!({"name": "m", "expr": EACH_MINUTE, "priority": 7}));
    world.run_until("2027-01-04T00:01:30Z");
    let run = &world.runs("m")[0];
    assert_eq!((run.version, run.attempt, run.status), (1, 2, RunStatus::Succeeded));
    world.run_until("2027-01-04T00:02:00Z");
    assert_eq!(world.runs("m")[1].version, 2);
}

#[test]
fn a_definition_that_can_never_fire_is_refused() {
    let mut world = World::new();
    for bad in [
        json!({"name": "m", "expr": "0 0 30 2 *"}),
        json!({"name": "m", "expr": "@at 2026-01-01T00:00:00Z"}),
        json!({"name": "m", "expr": EACH_MINUTE, "end_at": "2026-12-31T00:00:00Z"}),
    ] {
        let answer = world.try_put(bad.clone());
        assert!(matches!(answer, Err(Rejection::Invalid(_))), "{bad}: {answer:?}");
    }
    assert!(spec(json!({"name": "m"})).expr.is_none());
    assert!(world.state.jobs.is_empty());
    assert_eq!(secs(1).millis(), 1_000);
}
