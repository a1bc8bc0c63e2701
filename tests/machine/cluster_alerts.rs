//! What nodes and sinks have is told by rules of the cluster, and what a backfill has done is told
//! once.

use cronapi::machine::Op;
use cronapi::machine::history::{IncidentRow, incident_key, unpack};
use cronapi::machine::state::{FORMAT, Offers};
use cronapi::model::{DutyKey, JobSpec, Kind, Notice, NoticeKind, Part, Position, Spec, Trouble};
use serde_json::{Value, json};

use super::alerts::{channel, put};
use super::backfills::{begin, lead, start};
use super::restore::restore;
use super::world::{World, name, object};

use NoticeKind::{Opened, Resolved};

fn read(kind: Kind, value: Value) -> Spec {
    kind.read(object(value)).unwrap()
}

fn faults(value: Value) -> Vec<String> {
    let faults = Kind::Rule.read(object(value)).unwrap_err();
    faults.into_iter().map(|fault| fault.pointer).collect()
}

/// A cluster with a rule that tells `ops` of what is in `on`, of two nodes.
fn telling(on: Value) -> World {
    let mut world = World::newest();
    world.node(2, 4);
    put(&mut world, channel("ops"));
    put(&mut world, read(Kind::Rule, json!({"name": "cluster", "on": on, "channels": ["ops"]})));
    world
}

/// The notices that wait: what of, of what, and the few words.
fn told(world: &World) -> Vec<(NoticeKind, Trouble, String, String)> {
    let told = |notice: &Notice| {
        let facts = &notice.facts;
        let of = match &facts.part {
            Some(Part::Node(id)) => format!("node {id}"),
            Some(Part::Sink(name)) => format!("sink {name}"),
            None => facts.job.to_string(),
        };
        (facts.kind, facts.trouble, of, facts.detail.clone().unwrap_or_default())
    };
    world.state.outbox.waiting.values().map(|notice| told(notice)).collect()
}

fn brief(world: &World) -> Vec<(NoticeKind, Trouble, String)> {
    told(world).into_iter().map(|(kind, trouble, of, _)| (kind, trouble, of)).collect()
}

fn lose(world: &mut World, node: u64) {
    let boot = world.state.nodes[&node].boot;
    world.op(Op::NodeLost { node, boot }).unwrap();
}

#[test]
fn a_node_that_is_lost_is_told_and_so_is_that_it_is_back() {
    let mut world = telling(json!(["node_lost", "recovered"]));
    lose(&mut world, 2);
    let lost = (Opened, Trouble::NodeLost, "node 2".to_owned());
    assert_eq!(brief(&world), std::slice::from_ref(&lost));
    world.node(2, 4);
    let back = (Resolved, Trouble::Recovered, "node 2".to_owned());
    assert_eq!(brief(&world), [lost, back]);
    assert!(world.state.alerts.incidents.is_empty() && world.state.alerts.by_part.is_empty());
    // A success of a job ends nothing of the cluster.
    world.work(json!({"name": "j"}));
    lose(&mut world, 2);
    world.trigger("j");
    world.run_for(5);
    assert_eq!(world.state.alerts.incidents.len(), 1);
    let node = 2;
    world.op(Op::NodeRemoved { node }).unwrap();
    let row: IncidentRow = unpack(&world.rows[&incident_key(2)]).unwrap();
    assert_eq!(row.removed.as_deref(), Some("its node was removed"));
    assert_eq!(told(&world).len(), 3, "that it was removed is not told");
}

#[test]
fn nodes_have_incidents_of_their_own_and_a_rule_that_goes_takes_them_along() {
    let mut world = World::newest();
    put(&mut world, channel("ops"));
    let rule = json!({"name": "cluster", "on": ["node_lost"], "channels": ["ops"],
        "group_by": "rule", "repeat": "1h"});
    put(&mut world, read(Kind::Rule, rule));
    for node in [2, 3] {
        world.node(node, 4);
        lose(&mut world, node);
    }
    assert_eq!(world.state.alerts.incidents.len(), 2);
    world.run_for(3_700);
    let reminders = told(&world).iter().filter(|told| told.0 == NoticeKind::Reminder).count();
    assert_eq!(reminders, 2);
    world.node(3, 4);
    assert_eq!(world.state.alerts.incidents.len(), 1, "without `recovered` its end is not told");
    let (kind, based_on, pinned) = (Kind::Rule, 1, false);
    world.op(Op::Remove { kind, name: name("cluster"), based_on, pinned }).unwrap();
    assert!(world.state.alerts.incidents.is_empty() && world.state.alerts.by_part.is_empty());
    assert_eq!(told(&world).len(), 4);
}

/// A node that writes the sink `s`, and has the duty of it.
fn with_sink(on: Value) -> World {
    let mut world = telling(on);
    let boot = world.state.nodes[&2].boot;
    let offers = Offers { sink_files: true, ..Offers::default() };
    world.op(Op::NodeOffers { node: 2, boot, offers }).unwrap();
    put(&mut world, read(Kind::Sink, json!({"name": "s", "type": "file"})));
    world.settle();
    world
}

fn report(world: &mut World, position: Position, fault: Option<&str>) {
    let key = DutyKey::sink(name("s"));
    let fence = world.state.duties.all[&key].fence;
    let fault = fault.map(str::to_owned);
    world.op(Op::DutyMoved { key, fence, position, fault }).unwrap();
}

fn place(world: &World) -> Position {
    world.state.duties.all[&DutyKey::sink(name("s"))].position
}

#[test]
fn a_sink_that_cannot_be_written_is_told_until_it_has_caught_up() {
    let mut world = with_sink(json!(["sink_behind", "recovered"]));
    let before = place(&world);
    report(&mut world, before, Some("connection refused"));
    report(&mut world, before, Some("connection refused"));
    let first = (Opened, Trouble::SinkBehind, "sink s".into(), "connection refused".into());
    assert_eq!(told(&world), [first]);
    report(&mut world, before, None);
    assert_eq!(brief(&world)[1..], [(Resolved, Trouble::Recovered, "sink s".into())]);

    // Without a fault, but too slow.
    world.state.events.last = before.number + 10_001;
    report(&mut world, before, None);
    assert_eq!(told(&world).len(), 3);
    assert!(told(&world)[2].3.contains("10001 events"), "{:?}", told(&world)[2]);
    report(&mut world, Position { number: before.number + 9_000, ..before }, None);
    assert_eq!(told(&world).len(), 3, "it is told once, and has not caught up");
    report(&mut world, Position { number: before.number + 9_500, ..before }, None);
    assert_eq!(told(&world).len(), 4);
}

#[test]
fn a_sink_that_is_paused_or_gone_is_no_trouble() {
    let mut world = with_sink(json!(["sink_behind", "recovered"]));
    let before = place(&world);
    report(&mut world, before, Some("connection refused"));
    world.op(Op::PauseSink { name: name("s"), paused: true }).unwrap();
    assert!(world.state.alerts.incidents.is_empty());
    assert_eq!(told(&world).len(), 1);
    report(&mut world, before, Some("disk is full"));
    assert_eq!(told(&world).len(), 1, "whoever paused it knows");
    world.op(Op::PauseSink { name: name("s"), paused: false }).unwrap();
    report(&mut world, before, Some("disk is slow"));
    assert_eq!(told(&world).len(), 2);
    let (kind, based_on, pinned) = (Kind::Sink, 1, false);
    world.op(Op::Remove { kind, name: name("s"), based_on, pinned }).unwrap();
    let row: IncidentRow = unpack(&world.rows[&incident_key(2)]).unwrap();
    assert_eq!(row.removed.as_deref(), Some("its sink was deleted"));
}

#[test]
fn a_backfill_that_is_done_is_told_once_and_stays_nobodys_trouble() {
    let mut world = telling(json!(["backfill_done", "recovered"]));
    world.work(json!({"name": "j", "expr": "* * * * *",
        "notify": {"on": ["backfill_done"], "channels": ["ops"]}}));
    world.run_for(90);
    let from = start(&world, "j", "2027-01-04T00:00:01Z", "2027-01-04T00:01:30Z");
    begin(&mut world, from);
    lead(&mut world, 10);
    let done = (Opened, Trouble::BackfillDone, "j".to_owned(), "backfill 1: 0 of 0 succeeded");
    let done = (done.0, done.1, done.2, done.3.to_owned());
    assert_eq!(told(&world), [done.clone(), done], "the job's own, and the rule's");
    assert!(world.state.alerts.incidents.is_empty() && world.state.alerts.by_id.is_empty());
    for id in [1, 2] {
        let row: IncidentRow = unpack(&world.rows[&incident_key(id)]).unwrap();
        assert_eq!((row.removed, row.at), (None, row.incident.since));
    }
    world.run_for(120);
    assert_eq!(told(&world).len(), 2, "a success of the job ends nothing");
}

#[test]
fn what_is_of_the_cluster_takes_a_rule_for_all() {
    let cluster = |more: Value| {
        let mut rule = json!({"name": "c", "on": ["node_lost"], "channels": ["ops"]});
        rule.as_object_mut().unwrap().extend(object(more));
        rule
    };
    assert!(Kind::Rule.read(object(cluster(json!({"match": {}})))).is_ok());
    assert_eq!(faults(cluster(json!({"match": {"jobs": ["etl-*"]}}))), ["/on"]);
    let job = json!({"name": "j", "notify": {"on": ["node_lost"], "channels": ["ops"]},
        "runner": {"type": "shell", "command": "true"}});
    let faults = JobSpec::from_map(object(job)).unwrap_err();
    assert_eq!(faults[0].pointer, "/notify/on");
}

#[test]
fn nodes_of_a_cluster_before_are_no_trouble_of_the_restored_one() {
    let mut world = telling(json!(["node_lost", "recovered"]));
    lose(&mut world, 2);
    restore(&mut world, "2027-01-04T01:00:00Z", None);
    assert!(world.state.alerts.incidents.is_empty() && world.state.alerts.by_part.is_empty());
    let row: IncidentRow = unpack(&world.rows[&incident_key(1)]).unwrap();
    assert_eq!(row.removed.as_deref(), Some("the cluster was restored from a backup"));
}

#[test]
fn a_cluster_of_an_older_format_tells_nothing_of_itself() {
    let mut world = World::new();
    world.state.format = FORMAT - 1;
    world.node(2, 4);
    lose(&mut world, 2);
    assert!(world.state.alerts.is_none());
}
