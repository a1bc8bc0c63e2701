//! Queues: how many start in a time, in which order, and what a leader's end changes of it:
//! nothing.

use std::collections::BTreeMap;
use std::time::Instant;

use cronapi::machine::Op;
use cronapi::machine::prepare::{Intent, PutMode};
use cronapi::machine::state::{Blocked, lane};
use cronapi::model::RunStatus::{Failed, Queued, Skipped, Succeeded};
use cronapi::model::{Kind, RunId, Timestamp};
use serde_json::{Value, json};

use crate::world::{World, at, name, object};

fn define(world: &mut World, queue: Value) {
    let spec = Kind::Queue.read(object(queue)).unwrap();
    world.submit(Intent::Put { spec, mode: PutMode::Upsert, expected: None }).unwrap();
}

fn job(world: &mut World, job: &str, queue: &str, more: Value) {
    let mut spec = json!({"name": job, "queue": queue, "overlap": "allow"});
    spec.as_object_mut().unwrap().extend(object(more));
    world.work(spec);
}

/// The attempt starts of all runs, by log time, with the job of each, in order.
fn starts(world: &World) -> Vec<(Timestamp, String)> {
    let mut starts = Vec::new();
    for job in world.state.names.keys() {
        for run in world.runs(job.as_str()) {
            starts.extend(
                run.attempts.iter().map(|it| (it.fence, it.assigned_at, run.job.to_string())),
            );
        }
    }
    starts.sort();
    starts.into_iter().map(|(_, at, job)| (at, job)).collect()
}

/// The most of `times`, which are in order, in any window of `per` seconds.
fn most_in(times: &[Timestamp], per: i64) -> usize {
    let mut first = 0;
    let mut most = 0;
    for (at, time) in times.iter().enumerate() {
        while times[first].micros() + per * 1_000_000 <= time.micros() {
            first += 1;
        }
        most = most.max(at + 1 - first);
    }
    most
}

/// Acceptance 1: all windows hold, whoever decides and however often it is proposed.
#[test]
fn no_window_has_more_starts_than_its_limit() {
    for (spread, repeats) in [(false, false), (false, true), (true, true)] {
        let mut world = World::newest();
        world.repeats = repeats;
        define(
            &mut world,
            json!({"name": "q", "spread": spread, "rates": [
            {"limit": 5, "per": "10s"}, {"limit": 12, "per": "1m"}]}),
        );
        job(&mut world, "j", "q", json!({"expr": "@every 1s", "retry": {"max_attempts": 2}}));
        job(&mut world, "k", "q", json!({}));
        world.script("j", &[(Failed, 0), (Succeeded, 3)]);
        world.triggers("k", 40);
        world.run_for(400);
        let times: Vec<Timestamp> = starts(&world).into_iter().map(|(at, _)| at).collect();
        assert_eq!(
            (most_in(&times, 10), most_in(&times, 60)),
            if spread { (2, 12) } else { (5, 12) }
        );
        assert!(times.len() >= 12 * 6, "no more is held back than has to be: {}", times.len());
        let queue = &world.state.queues[&name("q")];
        assert!(matches!(queue.blocked(world.now), Some(Blocked::Rate(..) | Blocked::Spread(_))));
    }
}

#[test]
fn a_start_that_no_window_has_room_for_is_refused_where_it_is_decided() {
    let mut world = World::newest();
    let place = world.node(1, 8);
    define(&mut world, json!({"name": "q", "rates": [{"limit": 1, "per": "1m"}]}));
    job(&mut world, "j", "q", json!({}));
    world.triggers("j", 2);
    world.settle();
    let (id, _) = waiting(&world, "q").remove(0);
    let assign = Op::Assign { run: id, attempt: 1, place };
    assert!(world.op(assign.clone()).is_err(), "the window is full");
    world.run_for(59);
    assert!(world.op(assign.clone()).is_err());
    world.run_for(1);
    assert_eq!(world.runs("j").iter().filter(|run| run.status == Succeeded).count(), 2);
    assert!(world.op(assign).is_err(), "started by the plan, which woke for it");
}

fn waiting(world: &World, queue: &str) -> Vec<(RunId, u8)> {
    let Some(governed) = &world.state.queues[&name(queue)].governed else { return Vec::new() };
    let mut line = governed.line.clone();
    let mut found = Vec::new();
    while let Some((id, spot)) = line.first() {
        let (weight, at) = (governed.rules.weight(&spot.share), spot.lane);
        found.push((id, at));
        line.start(id, weight);
    }
    found
}

/// Acceptance 2: each tenant within 5 % of its weight, however much each has waiting.
#[test]
fn each_share_gets_what_it_weighs() {
    for by in ["job", "tag:tenant", "parameter:of.tenant"] {
        let mut world = World::newest();
        let mut weights = BTreeMap::new();
        for n in 0..10 {
            let share = format!("t{n}");
            weights.insert(share.clone(), 1 + n % 4);
            job(
                &mut world,
                &share,
                "q",
                json!({"tags": [format!("tenant-{share}")],
                "parameters": {"of": {"tenant": share}}}),
            );
        }
        let queue = |paused: bool| {
            json!({"name": "q", "concurrency": 10, "fair_by": by, "weights": weights,
                "paused": paused})
        };
        define(&mut world, queue(true));
        for n in 0..10 {
            // Those that weigh least bring most, and come first.
            world.triggers(&format!("t{n}"), 280 - 10 * n);
            world.script(&format!("t{n}"), &[(Succeeded, 1)]);
        }
        define(&mut world, queue(false));
        world.run_for(60);
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for (_, job) in starts(&world) {
            *counts.entry(job).or_default() += 1;
        }
        let (all, total) = (counts.values().sum::<u32>(), weights.values().sum::<u32>());
        assert!(all >= 550, "{all}");
        for (share, weight) in &weights {
            let due = f64::from(all) * f64::from(*weight) / f64::from(total);
            let got = f64::from(counts[share]);
            assert!((got - due).abs() <= (0.05 * due).max(1.0), "{by} {share}: {got} of {due}");
        }
    }
}

#[test]
fn a_share_that_was_away_has_neither_saved_up_nor_lost() {
    let mut world = World::newest();
    define(&mut world, json!({"name": "q", "concurrency": 1, "fair_by": "job"}));
    for share in ["a", "b"] {
        job(&mut world, share, "q", json!({}));
        world.script(share, &[(Succeeded, 1)]);
    }
    world.triggers("a", 300);
    world.run_for(100);
    world.triggers("b", 300);
    world.run_for(40);
    let since = at("2027-01-04T00:01:41Z");
    let later: Vec<String> =
        starts(&world).into_iter().filter(|(at, _)| *at > since).map(|(_, job)| job).collect();
    let of_b = later.iter().filter(|job| *job == "b").count();
    assert!((of_b * 2).abs_diff(later.len()) <= 2, "{of_b} of {}: half, not all", later.len());
}

/// Acceptance 3: what waits ages, so that nothing waits for ever, and for no longer than told.
#[test]
fn a_stream_of_high_priority_delays_a_low_one_by_a_bound() {
    // Twice as much comes as can be done: what came before, and for 10 s after, goes before.
    for (ageing, bound) in [(Some("100ms"), Some(2 * (15 + 10) + 6)), (None, None)] {
        let mut world = World::newest();
        let mut queue = json!({"name": "q", "concurrency": 1});
        if let Some(ageing) = ageing {
            queue["ageing"] = json!(ageing);
        }
        define(&mut world, queue);
        job(&mut world, "stream", "q", json!({"priority": 100, "expr": "@every 1s"}));
        job(&mut world, "low", "q", json!({}));
        world.script("stream", &[(Succeeded, 2)]);
        world.run_for(30);
        let began = world.now;
        world.trigger("low");
        world.run_for(400);
        let run = world.runs("low").remove(0);
        match bound {
            Some(bound) => {
                let waited = run.attempts[0].assigned_at.since(began).secs();
                assert!((20..=bound).contains(&waited), "{waited}");
            }
            None => assert_eq!(run.status, Queued, "strict priority, as before"),
        }
    }
}

/// Acceptance 4: a queue that is held back costs the others nothing.
#[test]
fn what_waits_in_one_queue_holds_up_no_other() {
    let mut world = World::newest();
    define(&mut world, json!({"name": "a", "concurrency": 1, "fair_by": "job"}));
    define(&mut world, json!({"name": "b", "concurrency": 1}));
    define(&mut world, json!({"name": "c", "paused": true}));
    world.executor = false;
    for n in 0..30 {
        job(&mut world, &format!("a{n}"), "a", json!({"priority": 100}));
        world.triggers(&format!("a{n}"), 1_000);
    }
    job(&mut world, "c", "c", json!({"priority": 100}));
    world.triggers("c", 1_000);
    world.plan_once();
    assert_eq!(world.state.queues[&name("a")].waiting(), 29_999);
    job(&mut world, "b", "b", json!({"priority": -100}));
    let id = world.trigger("b");
    let begun = Instant::now();
    let planned = world.plan_once().len();
    let took = begun.elapsed();
    assert!(world.state.runs[&id].held().is_some(), "at once");
    assert!(planned <= 1 && took.as_millis() < 2_000, "{planned} {took:?}");
}

/// Acceptance 5: the places of a node that died are free after its lease, and none before.
#[test]
fn places_of_a_lost_node_come_back() {
    let mut world = World::bare("2027-01-04T00:00:00Z");
    world.state.format = cronapi::machine::state::FORMAT;
    let dead = world.node(1, 4);
    define(&mut world, json!({"name": "q", "concurrency": 4}));
    job(&mut world, "j", "q", json!({"retry": {"max_attempts": 2, "on": ["lost"]}}));
    world.executor = false;
    world.triggers("j", 6);
    world.plan_once();
    world.node(2, 8);
    assert_eq!(world.plan_once().len(), 0, "four of four are taken");
    world.op(Op::NodeLost { node: dead.node, boot: dead.boot }).unwrap();
    world.run_for(5);
    let queue = &world.state.queues[&name("q")];
    assert_eq!(
        queue.busy,
        2 + 2,
        "{queue:?}: the two that waited, then those that are tried again"
    );
}

#[test]
fn live_goes_before_retries_and_these_before_the_past() {
    let mut world = World::newest();
    define(&mut world, json!({"name": "q", "concurrency": 1}));
    for queue in ["q", "none"] {
        job(
            &mut world,
            &format!("again-{queue}"),
            queue,
            json!({"priority": 100,
            "retry": {"max_attempts": 2, "delay": "1s"}}),
        );
        job(&mut world, &format!("live-{queue}"), queue, json!({"priority": -100}));
    }
    world.op(Op::NodeDraining { node: 1, boot: world.state.nodes[&1].boot }).unwrap();
    world.node(2, 1);
    for queue in ["q", "none"] {
        let (again, live) = (format!("again-{queue}"), format!("live-{queue}"));
        world.script(&again, &[(Failed, 0), (Succeeded, 1)]);
        world.script(&live, &[(Succeeded, 5)]);
        let first = world.trigger(&again);
        world.settle();
        world.triggers(&live, 2);
        world.run_for(3);
        assert_eq!(lane(&world.state.runs[&first]), 1);
        world.run_for(20);
        let order: Vec<String> = starts(&world)
            .into_iter()
            .map(|(_, job)| job)
            .filter(|job| job.ends_with(queue))
            .collect();
        assert_eq!(order, [&again, &live, &live, &again].map(String::as_str), "{queue}");
    }
}

#[test]
fn what_is_caught_up_waits_for_what_is_live() {
    let mut world = World::newest();
    define(&mut world, json!({"name": "q", "concurrency": 1}));
    job(&mut world, "missed", "q", json!({"expr": "* * * * *", "misfire": {"policy": "all"}}));
    job(&mut world, "live", "q", json!({"priority": -1}));
    world.script("missed", &[(Succeeded, 1)]);
    // Nobody led for a while.
    world.now = at("2027-01-04T00:10:30Z");
    world.plan_once();
    let lanes: Vec<u8> = waiting(&world, "q").iter().map(|(_, lane)| *lane).collect();
    assert!(lanes.len() >= 8 && lanes.iter().all(|lane| *lane == 1), "{lanes:?}");
    let id = world.trigger("live");
    assert_eq!(waiting(&world, "q")[0], (id, 0));
}

#[test]
fn a_paused_queue_starts_nothing_and_what_is_too_much_is_not_kept() {
    let mut world = World::newest();
    let queue = |paused: bool| json!({"name": "q", "paused": paused, "max_waiting": 3});
    define(&mut world, queue(true));
    job(&mut world, "j", "q", json!({"expr": "@every 10s"}));
    world.run_for(50);
    assert_eq!((world.runs("j").len(), waiting(&world, "q").len()), (3, 3));
    let rows = world.ledger_of(world.job("j").no);
    let reasons: Vec<&str> =
        rows.iter().filter_map(|row| row.reason.map(|it| it.as_str())).collect();
    assert!(!reasons.is_empty() && reasons.iter().all(|it| *it == "queue_full"), "{reasons:?}");
    assert!(world.runs("j").iter().all(|run| run.status == Queued));
    define(&mut world, queue(false));
    world.settle();
    assert!(world.runs("j").iter().all(|run| run.status == Succeeded));
    assert!(!world.runs("j").iter().any(|run| run.status == Skipped));
}

#[test]
fn who_waits_keeps_waiting_when_the_rules_change_or_go() {
    let mut world = World::newest();
    world.executor = false;
    job(&mut world, "low", "q", json!({}));
    job(&mut world, "high", "q", json!({"priority": 9}));
    define(&mut world, json!({"name": "q", "paused": true}));
    world.triggers("low", 2);
    world.triggers("high", 2);
    let jobs = |world: &World| -> Vec<String> {
        let of = |(id, _): &(RunId, u8)| world.state.runs[id].run.job.to_string();
        waiting(world, "q").iter().map(of).collect()
    };
    assert_eq!(jobs(&world), ["high", "high", "low", "low"]);
    define(&mut world, json!({"name": "q", "paused": true, "fair_by": "job"}));
    assert_eq!(jobs(&world), ["high", "low", "high", "low"]);
    define(&mut world, json!({"name": "q", "paused": true, "ageing": "1h", "concurrency": 3}));
    assert_eq!(jobs(&world), ["high", "high", "low", "low"]);
    world.submit(Intent::Remove { kind: Kind::Queue, name: name("q"), expected: None }).unwrap();
    assert_eq!(world.state.ready.len(), 4);
    assert!(!world.state.queues.contains_key(&name("q")));
    define(&mut world, json!({"name": "q", "paused": true}));
    assert_eq!((world.state.ready.len(), jobs(&world).len()), (0, 4));
    define(&mut world, json!({"name": "q", "paused": false}));
    world.settle();
    assert_eq!(world.state.queues[&name("q")].busy, 4);
}

#[test]
fn until_all_members_know_them_rules_are_refused() {
    let mut world = World::new();
    let spec = Kind::Queue.read(object(json!({"name": "q", "paused": true}))).unwrap();
    let refused = world.submit(Intent::Put { spec, mode: PutMode::Upsert, expected: None });
    assert!(format!("{refused:?}").contains("UpgradeNeeded"), "{refused:?}");
}
