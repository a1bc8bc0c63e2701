//! Contract 2.6, 2.7: fires that are decided shortly before they are due, begin on time
//! without a leader, and can be taken back as long as nothing has begun.

use cronapi::machine::command::{Command, Op};
use cronapi::machine::plan::plan;
use cronapi::machine::prepare::{Intent, prepare};
use cronapi::machine::reply::{Rejection, Reply};
use cronapi::machine::state::OpenRun;
use cronapi::model::RunStatus::{self, Assigned, Cancelled, Lost, Succeeded};
use cronapi::model::{RunId, Timestamp};
use serde_json::{Value, json};

use crate::world::{World, at, end_of, name};

/// Two seconds before 00:01, the fire of a job each minute planned on node 1.
fn planned(job: Value) -> (World, RunId) {
    let mut world = World::new();
    world.around.early = true;
    let mut map = json!({"name": "m", "expr": "* * * * *"});
    map.as_object_mut().unwrap().extend(crate::world::object(job));
    world.work(map);
    world.run_until("2027-01-04T00:00:58Z");
    let (run, start_at) = world.state.ahead(1).expect("a start is planned");
    assert_eq!(start_at, world.open(run).run.fired_at);
    (world, run)
}

fn unbegun(open: &OpenRun) -> Op {
    let (fence, _) = open.held().unwrap();
    Op::Unbegun { run: open.run.id, attempt: open.run.attempt, fence }
}

fn try_prepare(world: &World, intent: &Intent) -> Result<Command, Rejection> {
    prepare(&world.state, intent.clone(), world.now, None, None)
}

fn starts_of(world: &World) -> Vec<(Timestamp, Timestamp)> {
    let runs = world.runs("m");
    runs.iter().map(|run| (run.nominal_time.unwrap(), run.started_at.unwrap())).collect()
}

#[test]
fn a_planned_start_is_committed_before_it_is_due_and_begins_then() {
    let (mut world, run) = planned(json!({"jitter": "0s"}));
    let open = world.open(run);
    assert_eq!((open.run.status, open.run.started_at), (Assigned, None));
    assert_eq!(open.run.attempts[0].assigned_at, at("2027-01-04T00:00:57Z"));
    assert_eq!(open.run.fired_at, at("2027-01-04T00:01:00Z"), "it fires when it is due");
    world.run_until("2027-01-04T00:03:30Z");
    assert_eq!(world.ledger("m"), ["00:01 fired", "00:02 fired", "00:03 fired"]);
    assert!(starts_of(&world).iter().all(|(nominal, started)| nominal == started));
}

#[test]
fn it_begins_on_time_though_nobody_leads() {
    let (mut world, run) = planned(json!({}));
    world.script("m", &[(Succeeded, 1)]);
    // No step of a leader from here to 00:01:04.
    world.now = at("2027-01-04T00:01:04Z");
    world.settle();
    assert_eq!(world.run(run).started_at, Some(at("2027-01-04T00:01:00Z")));
    assert_eq!((world.status(run), world.ledger("m")), (Succeeded, vec!["00:01 fired".into()]));
}

#[test]
fn only_what_can_not_come_out_otherwise_is_planned() {
    let rows: [(&str, Value, bool); 9] = [
        ("plain", json!({}), true),
        ("allow", json!({"overlap": "allow"}), true),
        ("gated", json!({"dependencies": ["d"]}), false),
        ("in a queue", json!({"queue": "q"}), false),
        ("paused", json!({"enabled": false}), false),
        ("a day off", json!({"calendars": [{"exclude": ["2027-01-04"]}]}), false),
        ("started by another", json!({"on_finish": []}), false),
        ("busy", json!({"timeout": "1h"}), false),
        ("nothing to do", json!({"runner": null}), false),
    ];
    for (what, more, want) in rows {
        let mut world = World::new();
        world.around.early = true;
        world.work(json!({"name": "d"}));
        if what == "started by another" {
            world.work(json!({"name": "other", "on_finish": ["m"]}));
        }
        let mut job = json!({"name": "m", "expr": "* * * * *", "runner": crate::world::work()});
        job.as_object_mut().unwrap().extend(crate::world::object(more));
        let no = world.put(job);
        if what == "busy" {
            world.script("m", &[(Succeeded, 3_600)]);
            world.trigger("m");
        }
        world.run_until("2027-01-04T00:00:59Z");
        assert_eq!(world.state.ahead(no).is_some(), want, "{what}");
    }
}

#[test]
fn it_goes_to_another_node_than_the_leaders_with_half_of_its_slots_free() {
    for (slots, own, want) in [(2, None, true), (1, None, false), (2, Some(1), false)] {
        let mut world = World::bare("2027-01-04T00:00:00Z");
        (world.around.early, world.around.own) = (true, own);
        world.node(1, slots);
        let no = world.work(json!({"name": "m", "expr": "* * * * *"}));
        world.run_until("2027-01-04T00:00:59Z");
        assert_eq!(world.state.ahead(no).is_some(), want, "{slots} slots, own {own:?}");
        world.run_until("2027-01-04T00:01:00Z");
        assert_eq!(world.ledger("m"), ["00:01 fired"]);
    }
}

#[test]
fn a_fire_that_could_not_start_as_planned_is_refused_as_a_whole() {
    type Change = fn(&mut World, &mut Op);
    let rows: [(&str, Change); 6] = [
        ("no place", |_, op| {
            if let Op::Fire { place, .. } = op {
                *place = None;
            }
        }),
        ("another time", |_, op| {
            if let Op::Fire { start_at: Some(at), .. } = op {
                *at = Timestamp::from_micros(at.micros() - 1);
            }
        }),
        ("it is due", |world, _| world.now = at("2027-01-04T00:01:00Z")),
        ("too early", |world, _| world.now = at("2027-01-04T00:00:56Z")),
        ("the node was started again", |world, _| {
            world.node(1, 9);
        }),
        ("a run came between", |world, _| {
            world.trigger("m");
        }),
    ];
    for (what, change) in rows {
        let mut world = World::new();
        world.executor = false;
        world.work(json!({"name": "m", "expr": "* * * * *"}));
        world.around.early = true;
        world.now = at("2027-01-04T00:00:57.500Z");
        let mut op = plan(&world.state, world.now, &world.compiled, &world.around).ops.remove(0);
        assert!(matches!(op, Op::Fire { start_at: Some(_), .. }));
        if what == "too early" {
            world = World::new();
            world.work(json!({"name": "m", "expr": "* * * * *"}));
        }
        change(&mut world, &mut op);
        assert_eq!(world.op(op), Err(Rejection::Stale), "{what}");
        assert!(world.ledger("m").is_empty() && world.state.ahead(1).is_none(), "{what}");
    }
}

#[test]
fn an_edit_waits_until_the_start_is_withdrawn_or_has_come() {
    let edits = [
        World::put_intent(crate::world::working(json!({"name": "m", "expr": "* * * * *",
            "description": "x"}))),
        World::put_intent(json!({"name": "m"})),
        Intent::SetEnabled { name: name("m"), enabled: false, expected: None },
        Intent::DeleteJob { name: name("m"), expected: None },
    ];
    for edit in edits {
        let (mut world, run) = planned(json!({}));
        world.executor = false;
        let until = at("2027-01-04T00:01:00Z");
        let wait = Err(Rejection::Ahead { run, until });
        assert_eq!(try_prepare(&world, &edit).map(|_| ()), wait);
        // The clock of whoever asks may be ahead of the log: that decides nothing.
        world.now = until;
        assert_eq!(try_prepare(&world, &edit).map(|_| ()), wait);
        // Nobody confirms, the time comes: it counts as fired.
        world.op(Op::Note { entries: Vec::new() }).unwrap();
        let command = try_prepare(&world, &edit).unwrap();
        assert!(world.entry(&[command])[0].is_ok());
        assert_eq!((world.status(run), world.ledger_of(1).len()), (Assigned, 1));
        assert_eq!(world.op(Op::Withdraw { run }), Err(Rejection::Stale), "it is too late");
    }
}

#[test]
fn an_edit_that_was_prepared_before_the_start_was_planned_is_refused() {
    let mut world = World::new();
    world.around.early = true;
    world.work(json!({"name": "m", "expr": "* * * * *"}));
    world.now = at("2027-01-04T00:00:58Z");
    let edit = json!({"name": "m", "expr": "* * * * *", "description": "x"});
    let edit = World::put_intent(crate::world::working(edit));
    let command = world.prepare(edit.clone());
    world.executor = false;
    world.settle();
    let (run, until) = world.state.ahead(1).unwrap();
    let before = world.state.jobs.clone();
    assert_eq!(world.entry(std::slice::from_ref(&command)), [Err(Rejection::Ahead { run, until })]);
    assert!(world.state.jobs == before);
    // An unchanged definition is no edit.
    let same = World::put_intent(crate::world::working(json!({"name": "m", "expr": "* * * * *"})));
    assert!(matches!(world.submit(same), Ok(Reply::Job { changed: false, .. })));
    // Withdrawn and given back, it stands: the time is still the job's next.
    world.op(unbegun(&world.open(run).clone())).unwrap();
    assert!(world.entry(&[command])[0].is_ok());
    world.executor = true;
    world.run_until("2027-01-04T00:01:30Z");
    assert_eq!(world.ledger("m"), ["00:01 fired"]);
}

#[test]
fn a_start_that_was_withdrawn_in_the_last_moment_runs_late_and_is_not_lost() {
    let (mut world, run) = planned(json!({}));
    world.executor = false;
    world.op(Op::Withdraw { run }).unwrap();
    let open = world.open(run).clone();
    world.now = at("2027-01-04T00:01:00Z");
    assert_eq!(world.op(unbegun(&open)), Ok(Reply::Run { id: run }));
    world.executor = true;
    world.run_until("2027-01-04T00:01:30Z");
    assert_eq!((world.status(run), world.ledger("m")), (Succeeded, vec!["00:01 fired".into()]));
}

#[test]
fn a_withdrawn_start_leaves_no_trace_and_its_time_is_decided_when_it_is_due() {
    let (mut world, run) = planned(json!({"max_runs": 1}));
    world.executor = false;
    let before = world.open(run).clone();
    assert_eq!(world.op(Op::Withdraw { run }), Ok(Reply::Done));
    assert_eq!(world.op(Op::Withdraw { run }), Ok(Reply::Done), "asking twice is harmless");
    assert!(world.state.ahead(1).is_some(), "until the node has said so");
    assert_eq!(world.op(unbegun(&before)), Ok(Reply::Done));
    assert_eq!(world.op(unbegun(&before)), Err(Rejection::Fenced));
    assert_eq!(world.op(end_of(&before, Succeeded, world.now)), Err(Rejection::Fenced));
    assert!(world.runs("m").is_empty() && world.state.totals.fired == 0);
    assert_eq!(world.job("m").live.next.unwrap().nominal, at("2027-01-04T00:01:00Z"));
    world.executor = true;
    world.run_until("2027-01-04T00:00:59Z");
    assert!(world.runs("m").is_empty(), "it is not planned a second time");
    world.run_until("2027-01-04T00:05:00Z");
    assert_eq!(world.ledger("m"), ["00:01 fired"]);
    assert_eq!(world.statuses("m"), ["succeeded"]);
}

#[test]
fn what_is_edited_in_time_runs_as_edited_or_not_at_all() {
    let (mut world, _) = planned(json!({}));
    world.work(json!({"name": "m", "expr": "* * * * *", "description": "newer"}));
    world.run_until("2027-01-04T00:01:30Z");
    let run = world.runs("m").remove(0);
    assert_eq!((run.version, run.started_at), (2, run.nominal_time), "no fire is lost");
    assert_eq!(world.ledger("m"), ["00:01 fired"]);
    let (mut world, _) = planned(json!({}));
    world.enable("m", false);
    world.run_until("2027-01-04T00:02:30Z");
    world.enable("m", true);
    assert_eq!(world.ledger("m"), ["00:01..00:02:31/2 skipped paused"]);
    let (mut world, _) = planned(json!({}));
    world.delete("m");
    world.run_until("2027-01-04T00:02:30Z");
    assert!(world.ledger_of(1).is_empty() && world.runs_of(1).is_empty());
}

#[test]
fn a_withdrawal_that_comes_too_late_for_the_node_changes_nothing() {
    let (mut world, run) = planned(json!({}));
    world.executor = false;
    world.op(Op::Withdraw { run }).unwrap();
    let open = world.open(run).clone();
    let (fence, _) = open.held().unwrap();
    let started_at = at("2027-01-04T00:01:00Z");
    world.op(Op::Started { run, attempt: 1, fence, started_at }).unwrap();
    assert_eq!(world.op(unbegun(&open)), Err(Rejection::Fenced), "it has begun");
    assert_eq!(world.state.ahead(1), None, "so edits wait no longer");
    world.op(end_of(&open, Succeeded, world.now)).unwrap();
    assert_eq!((world.status(run), world.ledger("m")), (Succeeded, vec!["00:01 fired".into()]));
}

#[test]
fn a_confirmation_after_an_edit_does_not_decide_the_time_again() {
    let (mut world, run) = planned(json!({}));
    world.executor = false;
    world.op(Op::Withdraw { run }).unwrap();
    let open = world.open(run).clone();
    world.now = at("2027-01-04T00:01:00Z");
    world.work(json!({"name": "m", "expr": "* * * * *", "description": "newer"}));
    assert_eq!(world.op(unbegun(&open)), Ok(Reply::Run { id: run }));
    assert_eq!((world.status(run), world.ledger("m")), (Cancelled, vec!["00:01 fired".into()]));
    assert_eq!(world.run(run).reason.as_deref(), Some("withdrawn before it began"));
}

#[test]
fn a_node_that_leaves_hands_back_what_it_has_not_begun() {
    // A start that is planned: its time is decided when it is due.
    let (mut world, run) = planned(json!({}));
    world.executor = false;
    world.op(unbegun(&world.open(run).clone())).unwrap();
    world.executor = true;
    world.run_until("2027-01-04T00:01:30Z");
    assert_eq!((world.ledger("m"), world.runs("m").len()), (vec!["00:01 fired".to_string()], 1));
    // Any other attempt: another node takes it, and it does not count as one.
    let mut world = World::bare("2027-01-04T00:00:00Z");
    world.executor = false;
    let place = world.node(1, 1);
    world.work(json!({"name": "m"}));
    let run = world.trigger("m");
    world.settle();
    world.op(Op::NodeDraining { node: 1, boot: place.boot }).unwrap();
    world.op(unbegun(&world.open(run).clone())).unwrap();
    assert_eq!((world.status(run), world.open(run).run.node), (RunStatus::Queued, None));
    world.executor = true;
    world.node(2, 1);
    world.settle();
    let run = world.run(run);
    assert_eq!((run.status, run.attempt, run.node), (Succeeded, 1, Some(2)));
}

#[test]
fn a_cancelled_start_is_never_begun() {
    let (mut world, run) = planned(json!({}));
    world.cancel(run).unwrap();
    world.run_until("2027-01-04T00:01:30Z");
    assert_eq!((world.status(run), world.run(run).started_at), (Cancelled, None));
    assert_eq!(world.run(run).cancelled_by.as_deref(), Some("ann"));
    assert_eq!(world.ledger("m"), ["00:01 fired"]);
}

#[test]
fn a_planned_start_whose_node_dies_is_lost_and_not_tried_elsewhere() {
    let (mut world, run) = planned(json!({}));
    world.node(1, 1_000);
    assert_eq!(world.status(run), Lost, "it may have begun, for all that the others know");
    world.run_until("2027-01-04T00:02:30Z");
    assert_eq!(world.ledger("m"), ["00:01 fired", "00:02 fired"]);
    assert_eq!(world.statuses("m"), ["lost", "succeeded"]);
}

#[test]
fn a_run_by_hand_meets_the_policy_as_if_nothing_had_been_planned() {
    for overlap in ["skip", "queue_one", "queue_all", "cancel_running"] {
        let told = [false, true].map(|early| {
            let (mut world, _) = planned(json!({"overlap": overlap}));
            if !early {
                world = World::new();
                world.work(json!({"name": "m", "expr": "* * * * *", "overlap": overlap}));
                world.run_until("2027-01-04T00:00:58Z");
            }
            world.script("m", &[(Succeeded, 5)]);
            world.trigger("m");
            world.run_until("2027-01-04T00:01:30Z");
            let runs = world.runs("m");
            let runs = runs.iter().map(|run| (run.nominal_time, run.started_at, run.status));
            (world.ledger("m"), runs.collect::<Vec<_>>())
        });
        assert_eq!(told[0], told[1], "{overlap}");
    }
}

#[test]
fn a_planned_start_that_is_lost_before_its_time_begins_nowhere_sooner_and_edits_wait() {
    type Loss = fn(&mut World);
    let losses: [Loss; 2] = [
        |world| {
            world.op(Op::NodeRemoved { node: 1 }).unwrap();
        },
        |world| {
            // The same node, started again.
            world.node(1, 4);
        },
    ];
    for (retried, loss) in [(true, losses[0]), (false, losses[0]), (true, losses[1])] {
        let retry = json!({"retry": {"max_attempts": 2, "delay": "0s", "on": ["lost"]}});
        let (mut world, run) = planned(if retried { retry } else { json!({}) });
        world.node(2, 4);
        world.executor = false;
        loss(&mut world);
        let until = at("2027-01-04T00:01:00Z");
        let pause = Intent::SetEnabled { name: name("m"), enabled: false, expected: None };
        assert_eq!(try_prepare(&world, &pause), Err(Rejection::Ahead { run, until }));
        world.executor = true;
        world.run_until("2027-01-04T00:00:59Z");
        assert_eq!(world.ledger("m"), ["00:01 fired"], "it counts as fired");
        let started = |world: &World| world.runs("m").iter().any(|run| run.started_at.is_some());
        assert!(!started(&world), "too early");
        world.run_until("2027-01-04T00:01:01Z");
        assert_eq!(started(&world), retried);
        // Log time moves on, as whoever asks for the start back sees to.
        let _ = world.op(Op::Withdraw { run });
        assert!(try_prepare(&world, &pause).is_ok());
    }
}
