//! Monitors: each transition, what is told of it, and what is excused.

use cronapi::machine::command::{MonitorEdit, Ping};
use cronapi::machine::history::{PingRow, check_row, ping_body_key, ping_key, unpack};
use cronapi::machine::prepare::{Intent, PutMode};
use cronapi::machine::reply::{Answer, Rejection, Reply};
use cronapi::machine::state::{Monitor, WatchKey};
use cronapi::machine::{Op, needs};
use cronapi::model::monitor::hash_of;
use cronapi::model::{
    Fact, Kind, MonitorStatus, NoticeKind, PingKind, Spec, Timestamp, Trouble, limits,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::alerts::{channel, put};
use super::world::{World, at, name, object, secs};

use MonitorStatus::{Down, Late, New, Paused, Started, Up};
use NoticeKind::{Opened, Resolved};

const KEY: Uuid = Uuid::from_u128(7);

fn monitor(value: Value) -> Spec {
    Kind::Monitor.read(object(value)).unwrap()
}

fn define(world: &mut World, value: Value) -> Answer {
    let (mode, expected) = (PutMode::Upsert, None);
    let spec = monitor(value);
    world.submit(Intent::PutMonitor { spec, mode, expected, key: Some(hash_of(KEY)) })
}

/// A monitor `m` that tells the channel `ops` of itself.
fn listening(mut value: Value) -> World {
    let mut world = World::newest();
    put(&mut world, channel("ops"));
    value["name"] = json!("m");
    value["notify"] = json!({"channels": ["ops"]});
    define(&mut world, value).unwrap();
    world
}

fn said(kind: PingKind) -> Ping {
    let (exit_code, rid, from, agent) = (None, None, None, None);
    Ping { kind, exit_code, rid, method: "GET".into(), from, agent, body: Vec::new() }
}

fn send(world: &mut World, ping: Ping) -> Answer {
    world.submit_as(Intent::Ping { key: hash_of(KEY), ping: Box::new(ping) }, None, None)
}

fn ping(world: &mut World, kind: PingKind) {
    assert_eq!(send(world, said(kind)), Ok(Reply::Done));
}

fn of(kind: PingKind, run: u128) -> Ping {
    Ping { rid: Some(Uuid::from_u128(run)), ..said(kind) }
}

fn live(world: &World) -> &Monitor {
    world.state.monitors.named(&name("m")).unwrap()
}

fn status(world: &World) -> MonitorStatus {
    live(world).status_at(world.now)
}

fn told(world: &World) -> Vec<(NoticeKind, Trouble, Option<String>)> {
    let waiting = world.state.outbox.waiting.values();
    waiting.map(|n| (n.facts.kind, n.facts.trouble, n.facts.detail.clone())).collect()
}

fn edit(world: &mut World, edit: MonitorEdit) -> Answer {
    let no = live(world).no;
    world.submit(Intent::Plain(Box::new(Op::EditMonitor { no, edit })))
}

#[test]
fn silence_is_told_once_and_a_ping_after_it_once() {
    let mut world = listening(json!({"every": "1h", "grace": "10m"}));
    world.run_for(86_400);
    assert_eq!((status(&world), told(&world)), (New, vec![]), "it waits for the first one");
    ping(&mut world, PingKind::Success);
    world.run_for(3_599);
    assert_eq!(status(&world), Up);
    world.run_for(2);
    assert_eq!((status(&world), told(&world)), (Late, vec![]));
    world.run_for(598);
    assert_eq!(status(&world), Late);
    world.run_for(1);
    assert_eq!(status(&world), Down);
    let since = live(&world).last_at.unwrap();
    let silent = (Opened, Trouble::MonitorDown, Some(format!("no ping since {since}")));
    assert_eq!(told(&world), std::slice::from_ref(&silent));
    world.run_for(86_400);
    ping(&mut world, PingKind::Success);
    assert_eq!(told(&world), [silent, (Resolved, Trouble::MonitorUp, None)]);
    assert_eq!(status(&world), Up);
    assert!(world.state.alerts.incidents.is_empty());
    let kinds: Vec<&str> = world.events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds.iter().filter(|kind| kind.starts_with("monitor.")).count(), 2, "{kinds:?}");
    let overdue = world.facts.iter().find_map(|fact| match fact {
        Fact::Overdue { late } => Some(*late),
        _ => None,
    });
    assert_eq!(overdue, Some(0), "it was decided at its deadline");
}

#[test]
fn the_next_ping_is_awaited_by_the_schedule_in_its_zone() {
    let mut world =
        listening(json!({"expr": "30 2 * * *", "timezone": "Europe/London", "grace": "10m"}));
    world.now = at("2027-03-27T02:30:05Z");
    ping(&mut world, PingKind::Success);
    let expected = live(&world).expected.unwrap();
    // Clocks go forward in the night to the 28th.
    assert_eq!(expected.at, at("2027-03-28T01:30:00Z"));
    assert_eq!(live(&world).deadline, Some(at("2027-03-28T01:40:00Z")));
    define(&mut world, json!({"name": "m", "every": "1h", "grace": "1m"})).unwrap();
    let last = live(&world).last_at.unwrap();
    assert_eq!(live(&world).deadline, Some(last.plus(secs(3_660))), "by the new definition");
    assert_eq!(live(&world).key, Some(hash_of(KEY)), "its key stays");
}

#[test]
fn a_failure_is_told_at_once_and_said_again_only_once() {
    let mut world = listening(json!({"every": "1h"}));
    let failed = Ping { exit_code: Some(3), ..said(PingKind::Fail) };
    send(&mut world, failed.clone()).unwrap();
    send(&mut world, failed).unwrap();
    let why = Some("it failed with exit status 3".to_owned());
    assert_eq!(told(&world), [(Opened, Trouble::MonitorDown, why)]);
    world.run_for(86_400);
    assert_eq!(told(&world).len(), 1, "what is down is not awaited");
    ping(&mut world, PingKind::Log);
    assert_eq!(status(&world), Down, "a log says nothing");
    ping(&mut world, PingKind::Success);
    assert_eq!(told(&world)[1], (Resolved, Trouble::MonitorUp, None));
}

#[test]
fn work_that_begins_and_does_not_end_is_down() {
    let mut world = listening(json!({"every": "1d", "grace": "1h", "max_duration": "5m"}));
    ping(&mut world, PingKind::Start);
    assert_eq!(status(&world), Started);
    world.run_for(299);
    assert_eq!(status(&world), Started);
    world.run_for(1);
    assert_eq!(status(&world), Down);
    let why = told(&world)[0].2.clone().unwrap();
    assert!(why.ends_with("did not end within 5m"), "{why}");
    ping(&mut world, PingKind::Success);
    assert_eq!((status(&world), live(&world).took), (Up, Some(secs(300))));
    // The work of the next day, in time.
    world.run_for(86_400);
    ping(&mut world, PingKind::Start);
    world.run_for(60);
    ping(&mut world, PingKind::Success);
    assert_eq!((told(&world).len(), live(&world).took), (2, Some(secs(60))));
}

#[test]
fn an_end_belongs_to_the_beginning_of_its_run() {
    let mut world = listening(json!({"every": "1d", "max_duration": "5m"}));
    let (one, two) = (of(PingKind::Start, 1), of(PingKind::Start, 2));
    send(&mut world, one).unwrap();
    world.run_for(10);
    send(&mut world, two).unwrap();
    world.run_for(10);
    let ended = of(PingKind::Success, 1);
    send(&mut world, ended).unwrap();
    assert_eq!((status(&world), live(&world).took), (Started, None), "the other goes on");
    let ended = of(PingKind::Success, 2);
    send(&mut world, ended).unwrap();
    assert_eq!((status(&world), live(&world).took), (Up, Some(secs(10))));
    let one = of(PingKind::Start, 3);
    send(&mut world, one).unwrap();
    ping(&mut world, PingKind::Success);
    assert!(live(&world).begun.is_none(), "one without a run ends any");
}

#[test]
fn nobody_is_told_of_a_paused_one_until_it_is_pinged_again() {
    let mut world = listening(json!({"every": "1h", "grace": "10m"}));
    ping(&mut world, PingKind::Success);
    world.run_for(4_200);
    assert_eq!(status(&world), Down);
    edit(&mut world, MonitorEdit::Pause).unwrap();
    assert_eq!((status(&world), told(&world).len()), (Paused, 1), "its incident is over, unsaid");
    assert!(world.state.alerts.incidents.is_empty());
    world.run_for(86_400);
    edit(&mut world, MonitorEdit::Resume).unwrap();
    assert_eq!(status(&world), New);
    edit(&mut world, MonitorEdit::Pause).unwrap();
    ping(&mut world, PingKind::Success);
    assert_eq!((status(&world), told(&world).len()), (Up, 1), "as healthchecks has it");
    let paused = world.events.iter().filter(|event| event.kind == "monitor.up").count();
    assert_eq!(paused, 0);
}

#[test]
fn a_rule_tells_of_monitors_that_it_names() {
    let mut world = World::newest();
    put(&mut world, channel("ops"));
    let rules = [
        ("all", json!({"channels": ["ops"]})),
        ("jobs", json!({"channels": ["ops"], "match": {"jobs": ["*"]}})),
        ("named", json!({"channels": ["ops"], "match": {"monitors": ["m*"]}})),
        ("tagged", json!({"channels": ["ops"], "match": {"tags": ["t"]}})),
        ("failed", json!({"channels": ["ops"], "on": ["failed"]})),
    ];
    for (of, mut rule) in rules {
        rule["name"] = json!(of);
        put(&mut world, Kind::Rule.read(object(rule)).unwrap());
    }
    define(&mut world, json!({"name": "m", "every": "1h", "tags": ["t"]})).unwrap();
    ping(&mut world, PingKind::Fail);
    let waiting = world.state.outbox.waiting.values();
    let told: Vec<String> =
        waiting.map(|notice| notice.facts.rule.as_ref().unwrap().to_string()).collect();
    assert_eq!(told, ["all", "named", "tagged"]);
}

#[test]
fn what_came_due_while_nobody_led_is_excused_and_then_judged() {
    let mut world = listening(json!({"every": "1h", "grace": "10m"}));
    ping(&mut world, PingKind::Success);
    world.run_for(3_600);
    let (from, deadline) = (world.state.last_at, live(&world).deadline.unwrap());
    // Nobody leads for half an hour, over the deadline.
    world.now = world.now.plus(secs(1_800));
    let until = world.now;
    let (at, key) = (deadline, WatchKey::Monitor(live(&world).no));
    assert_eq!(world.op(Op::Watch { at, key }), Err(Rejection::Stale), "even if it is first");
    assert_eq!((status(&world), told(&world)), (Late, vec![]));
    assert_eq!(live(&world).excused, Some((from, until)));
    assert_eq!(live(&world).deadline, Some(until.plus(secs(600))));
    let said = world.events.iter().find(|event| event.kind == "monitor.excused").unwrap();
    assert!(said.reason.as_ref().unwrap().starts_with("1 monitors: nobody led for 30m"));
    world.run_for(599);
    assert_eq!(told(&world), []);
    world.run_for(1);
    assert_eq!((status(&world), told(&world).len()), (Down, 1));
}

#[test]
fn an_election_excuses_nothing_and_tells_once() {
    let mut world = listening(json!({"every": "1h", "grace": "10m"}));
    world.repeats = true;
    ping(&mut world, PingKind::Success);
    world.run_for(4_199);
    // A new leader, three seconds later, knows the deadline that has come.
    world.now = world.now.plus(secs(3));
    world.run_for(60);
    assert_eq!((status(&world), told(&world).len()), (Down, 1));
    assert_eq!(live(&world).excused, None);
}

#[test]
fn a_gap_leaves_alone_what_was_not_due_in_it() {
    let mut world = listening(json!({"every": "2h", "grace": "10m"}));
    ping(&mut world, PingKind::Success);
    let deadline = live(&world).deadline;
    world.now = world.now.plus(secs(3_600));
    world.run_for(10);
    assert_eq!((live(&world).deadline, live(&world).excused), (deadline, None));
}

#[test]
fn pings_are_kept_within_bounds_and_go_with_their_monitor() {
    let mut world = listening(json!({"every": "1h"}));
    let no = live(&world).no;
    for _ in 0..120 {
        let ping = Ping { body: b"done".to_vec(), ..said(PingKind::Success) };
        send(&mut world, ping).unwrap();
    }
    let count = |world: &World, kind: u8| world.rows.keys().filter(|key| key[0] == kind).count();
    assert_eq!(count(&world, b'p') as u64, limits::PINGS_KEPT);
    assert_eq!(count(&world, b'q') as u64, limits::PING_BODIES_KEPT);
    for key in [ping_key(no, 120), ping_body_key(no, 120)] {
        check_row(&key, &world.rows[&key]).unwrap();
    }
    let row: PingRow = unpack(&world.rows[&ping_key(no, 21)]).unwrap();
    assert_eq!((row.seq, row.body_bytes), (21, 4));
    let (kind, name) = (Kind::Monitor, name("m"));
    world.submit(Intent::Remove { kind, name, expected: None }).unwrap();
    assert_eq!((count(&world, b'p'), count(&world, b'q')), (0, 0));
    let unknown = send(&mut world, said(PingKind::Success));
    assert!(matches!(unknown, Err(Rejection::NotFound { .. })), "{unknown:?}");
}

#[test]
fn a_key_that_was_replaced_opens_nothing() {
    let mut world = listening(json!({"every": "1h"}));
    edit(&mut world, MonitorEdit::Key(hash_of(Uuid::from_u128(8)))).unwrap();
    let refused = send(&mut world, said(PingKind::Success));
    assert!(matches!(refused, Err(Rejection::NotFound { .. })));
    let (key, ping) = (hash_of(Uuid::from_u128(8)), Box::new(said(PingKind::Success)));
    world.submit_as(Intent::Ping { key, ping }, None, None).unwrap();
    assert_eq!(status(&world), Up);
}

#[test]
fn a_ping_prepared_on_another_definition_is_stale() {
    let mut world = listening(json!({"every": "1h"}));
    let ping = Box::new(said(PingKind::Success));
    let prepared = world.prepare(Intent::Ping { key: hash_of(KEY), ping });
    define(&mut world, json!({"name": "m", "every": "2h"})).unwrap();
    assert_eq!(world.entry(&[prepared]), [Err(Rejection::Stale)]);
    // And a definition on another ping.
    let spec = monitor(json!({"name": "m", "every": "3h"}));
    let (mode, expected, key) = (PutMode::Upsert, None, None);
    let prepared = world.prepare(Intent::PutMonitor { spec, mode, expected, key });
    self::ping(&mut world, PingKind::Success);
    assert_eq!(world.entry(&[prepared]), [Err(Rejection::Stale)]);
}

#[test]
fn an_older_cluster_has_none() {
    let mut world = World::new();
    world.state.format = 5;
    let refused = define(&mut world, json!({"name": "m", "every": "1h"}));
    assert!(matches!(refused, Err(Rejection::UpgradeNeeded { needs: 6, .. })), "{refused:?}");
    let ping = Intent::Ping { key: hash_of(KEY), ping: Box::new(said(PingKind::Log)) };
    assert!(needs::check_intent(&world.state, &ping).is_err());
}

#[test]
fn a_channel_that_a_monitor_tells_stays() {
    let mut world = listening(json!({"every": "1h"}));
    let (kind, ops) = (Kind::Channel, name("ops"));
    let refused = world.submit(Intent::Remove { kind, name: ops, expected: None });
    assert!(matches!(refused, Err(Rejection::InUse { .. })), "{refused:?}");
}

#[test]
fn the_clock_of_the_log_goes_on_while_there_are_monitors() {
    let mut world = listening(json!({"every": "1h"}));
    let before: Timestamp = world.state.last_at;
    world.run_for(60);
    assert!(world.state.last_at.since(before) >= secs(58));
    let (kind, name) = (Kind::Monitor, name("m"));
    world.submit(Intent::Remove { kind, name, expected: None }).unwrap();
    let index = world.index;
    world.run_for(600);
    assert_eq!(world.index, index, "and rests without");
}
