//! One instant decides an edit: the look at the clock from which its schedule begins is the date of
//! the version, wherever its entry lands in the log.

use cronapi::machine::Op;
use cronapi::machine::command::Command;
use cronapi::machine::history::{VersionRow, unpack, version_key};
use cronapi::machine::prepare::Intent;
use cronapi::machine::reply::{Rejection, Reply};
use cronapi::machine::state::FORMAT_OF_PAST;
use cronapi::model::{JobNo, Span, Timestamp};
use serde_json::{Value, json};

use super::world::{World, at, name, secs};

const BEGIN: &str = "2027-01-04T00:00:10.2Z";

fn millis(n: u64) -> Span {
    Span::from_millis(n)
}

fn version(world: &World, no: JobNo, version: u64) -> VersionRow {
    unpack(&world.rows[&version_key(no, version)]).unwrap()
}

/// Others moved log time on while a command was on its way.
fn later(world: &mut World, span: Span) {
    world.now = world.now.plus(span);
    world.op(Op::SetQueue { name: name("other"), concurrency: Some(3) }).unwrap();
}

fn every_second(more: Value) -> Value {
    let mut job = json!({"name": "a", "expr": "* * * * * *"});
    job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    job
}

fn enable(on: bool) -> Intent {
    Intent::SetEnabled { name: name("a"), enabled: on, expected: None }
}

/// What the ledger tells of each second from `from` on, up to `until`: all of them, once each.
fn whole(world: &World, no: JobNo, from: Timestamp, until: Timestamp) {
    let rows = world.ledger_of(no);
    let mut second = Timestamp::from_secs(from.secs() + 1);
    while second <= until {
        let over = rows.iter().filter(|row| match row.until {
            Some(until) => row.nominal_time <= second && second < until,
            None => row.nominal_time == second,
        });
        assert_eq!(over.count(), 1, "{second} in {rows:#?}");
        second = second.plus(secs(1));
    }
}

#[test]
fn edits_in_one_second_are_dated_when_they_were_made() {
    let mut world = World::newest();
    world.now = at(BEGIN);
    let no = world.put(every_second(json!({})));
    world.run_for(3);
    // The first settles up to the end of its second, in which there is no other time.
    for edit in 2..5 {
        world.now = world.now.plus(millis(40));
        let made = world.now;
        world.submit(enable(edit % 2 == 1)).unwrap();
        assert_eq!(version(&world, no, edit).at, made, "version {edit}");
    }
}

#[test]
fn a_version_is_dated_by_the_instant_that_its_schedule_begins_at() {
    let mut world = World::newest();
    world.now = at(BEGIN);
    let no = world.put(every_second(json!({})));
    world.run_for(3);
    world.enable("a", false);
    world.now = world.now.plus(secs(4));
    let (resumed_at, resume) = (world.now, world.prepare(enable(true)));
    later(&mut world, millis(2_700));
    world.entry(&[resume]).remove(0).unwrap();
    world.run_for(3);
    let row = version(&world, no, 3);
    assert_eq!((row.at, row.exact), (resumed_at, true));
    for run in world.runs_of(no).iter().filter(|run| run.version == 3) {
        assert!(run.nominal_time.unwrap() > row.at, "{run:#?}");
    }
    whole(&world, no, at(BEGIN), world.now.minus(secs(1)));
}

#[test]
fn what_the_version_before_decided_meanwhile_is_before_the_date_or_the_edit_is_prepared_anew() {
    let mut world = World::newest();
    world.now = at(BEGIN);
    let no = world.put(every_second(json!({})));
    world.run_for(2);
    let sparse = World::put_intent(json!({"name": "a", "expr": "0 * * * * *"}));
    let edit = world.prepare(sparse);
    // The times that come while the edit is on its way are still of the version before.
    world.run_for(3);
    let decided = world.state.jobs[&no].live.decided;
    assert!(decided > edit.at);
    match world.entry(&[edit]).remove(0) {
        Ok(Reply::Job { version: 2, .. }) => {
            assert_eq!(version(&world, no, 2).at, decided);
        }
        other => panic!("{other:?}"),
    }
    let mut world = World::newest();
    world.now = at(BEGIN);
    let no = world.put(every_second(json!({})));
    let faster = World::put_intent(every_second(json!({"timezone": "Europe/Rome"})));
    let edit = world.prepare(faster);
    world.run_for(3);
    assert_eq!(world.entry(&[edit]).remove(0), Err(Rejection::Stale), "its next time is decided");
    assert_eq!(world.state.jobs[&no].version, 1);
}

/// A new leader's clock may be behind the one that dated the version before.
#[test]
fn an_edit_that_leaves_the_times_alone_goes_on_from_the_date_before() {
    for edit in [enable(false), World::put_intent(every_second(json!({"tags": ["edited"]})))] {
        let mut world = World::newest();
        world.now = at(BEGIN).plus(secs(2));
        let no = world.put(every_second(json!({})));
        let (made, first) = (world.now, world.state.jobs[&no].live.next.unwrap().nominal);
        world.now = world.now.minus(secs(2));
        let edit = world.prepare(edit);
        world.entry(&[edit]).remove(0).unwrap();
        let live = &world.state.jobs[&no].live;
        let next = live.next.map(|next| next.nominal).or(live.paused_from);
        assert_eq!((next, version(&world, no, 2).at), (Some(first), made));
    }
    // One that makes a new beginning begins when it is made.
    let mut world = World::newest();
    world.now = at(BEGIN).plus(secs(2));
    let no = world.put(every_second(json!({"enabled": false})));
    world.now = world.now.minus(secs(2));
    world.submit(enable(true)).unwrap();
    assert_eq!(version(&world, no, 2).at, world.now);
    assert!(world.state.jobs[&no].live.next.unwrap().nominal < world.now.plus(secs(1)));
}

#[test]
fn a_cluster_with_older_nodes_dates_as_they_do() {
    let mut world = World::newest();
    world.state.format = FORMAT_OF_PAST - 1;
    world.now = at(BEGIN);
    let no = world.put(every_second(json!({"enabled": false})));
    let resume: Command = world.prepare(enable(true));
    later(&mut world, secs(2));
    world.entry(&[resume]).remove(0).unwrap();
    let row = version(&world, no, 2);
    assert_eq!((row.at, row.exact), (world.state.last_at, false));
}
