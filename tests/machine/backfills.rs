//! Backfills: which times they run, that none is run twice, and that the job is as it would be
//! without them.

use std::collections::{BTreeMap, BTreeSet};

use cronapi::machine::command::{BackfillEdit, StartBackfill};
use cronapi::machine::past::Past;
use cronapi::machine::plan::backfill;
use cronapi::machine::prepare::Intent;
use cronapi::machine::prepare::timing::Timing;
use cronapi::machine::reply::{Answer, Rejection, Reply};
use cronapi::machine::state::Backfill;
use cronapi::machine::{Op, State, history};
use cronapi::model::RunStatus::{Failed, Running, Succeeded};
use cronapi::model::flow::StartRate;
use cronapi::model::{
    BackfillOrder, BackfillStatus, BackfillWhich, Outcome, Parameters, Run, Timestamp, Trigger,
};
use serde_json::{Value, json};

use crate::world::{World, at, secs};

/// What a backfill of `job` is begun with.
pub fn start(world: &World, job: &str, from: &str, to: &str) -> StartBackfill {
    let job = world.state.job(job).unwrap();
    StartBackfill {
        no: job.no,
        version: job.version,
        spec: None,
        from: at(from),
        to: at(to),
        which: BackfillWhich::Missing,
        order: BackfillOrder::Oldest,
        max_concurrent: 2,
        rate: None,
        parameters: Parameters::default(),
        total: 0,
        reason: None,
    }
}

pub fn begin(world: &mut World, start: StartBackfill) -> u64 {
    let op = Op::StartBackfill(Box::new(start));
    match world.submit(Intent::Plain(Box::new(op))).unwrap() {
        Reply::Backfill { id } => id,
        other => panic!("{other:?}"),
    }
}

pub fn edit(world: &mut World, id: u64, edit: BackfillEdit) -> Answer {
    world.submit(Intent::Plain(Box::new(Op::EditBackfill { id, edit })))
}

pub fn shown(world: &World, id: u64) -> &Backfill {
    &world.state.backfills.all[&id]
}

/// The step that a leader would propose now.
pub fn step(world: &World, id: u64) -> Option<Op> {
    step_of(&world.state, &world.rows, world.now, id)
}

/// The same, of a state and its history.
pub fn step_of(
    state: &State,
    rows: &BTreeMap<Vec<u8>, Vec<u8>>,
    now: Timestamp,
    id: u64,
) -> Option<Op> {
    let it = state.backfills.all.get(&id)?;
    let job = state.jobs.get(&it.no)?.clone();
    let room = it.room(now.max(state.last_at));
    if it.status != BackfillStatus::Running || it.is_exhausted() || room == 0 {
        return None;
    }
    let timing = Timing::compile(it.spec.as_deref()?, job.created_at).ok()??;
    let ahead = backfill::ahead(it, &timing);
    let mut past = Past::of(state, &job, now);
    if let Some((from, to)) = ahead.range() {
        for (from, to) in Past::asks(job.no, from, to) {
            for (key, value) in rows.range(from..to) {
                past.take(key, value).unwrap();
            }
        }
    }
    backfill::step(it, &timing, &past, &ahead, (room, now))
}

/// Leads all backfills on, second by second, until they have ended or `most` seconds passed.
/// Every step is proposed twice, as by two leaders.
pub fn lead(world: &mut World, most: u64) {
    for _ in 0..most {
        let open: Vec<u64> = world.state.backfills.open.iter().map(|(_, id)| *id).collect();
        if open.is_empty() {
            return;
        }
        for id in open {
            if let Some(op) = step(world, id) {
                world.op(op.clone()).unwrap();
                assert_eq!(world.op(op), Err(Rejection::Stale), "a step is taken once");
            }
        }
        world.run_for(1);
    }
}

/// The times that backfills ran, with how often.
pub fn backfilled(world: &World, job: &str) -> Vec<Timestamp> {
    let runs = world.runs(job).into_iter().filter(|run| run.trigger == Trigger::Backfill);
    let mut times: Vec<Timestamp> = runs.filter_map(|run| run.nominal_time).collect();
    times.sort();
    times
}

fn minutes(from: i64, until: i64) -> Vec<Timestamp> {
    let first = at("2027-01-04T00:00:00Z").secs();
    (from..until).map(|minute| Timestamp::from_secs(first + minute * 60)).collect()
}

fn ledger(world: &World, job: &str) -> Vec<cronapi::model::LedgerRow> {
    world.ledger_of(world.job(job).no)
}

fn pause(world: &mut World, job: &str, enabled: bool) {
    let name = crate::world::name(job);
    world.submit(Intent::SetEnabled { name, enabled: !enabled, expected: None }).unwrap();
}

/// A job that fires each minute, ten of which it was paused for.
fn paused_between(more: Value) -> World {
    let mut world = World::newest();
    let mut spec = json!({"name": "j", "expr": "* * * * *"});
    spec.as_object_mut().unwrap().extend(crate::world::object(more));
    world.work(spec);
    world.run_for(600);
    pause(&mut world, "j", true);
    world.run_for(600);
    pause(&mut world, "j", false);
    world.run_for(630);
    world
}

/// Acceptance 1.
#[test]
fn what_is_missing_is_exactly_what_was_paused() {
    let mut world = paused_between(json!({}));
    let before = ledger(&world, "j");
    let from = start(&world, "j", "2027-01-04T00:00:01Z", "2027-01-04T00:30:00Z");
    let id = begin(&mut world, from.clone());
    lead(&mut world, 60);
    assert_eq!(backfilled(&world, "j"), minutes(11, 21));
    let it = shown(&world, id);
    assert_eq!((it.status, it.counts.made, it.counts.succeeded), (BackfillStatus::Done, 10, 10));
    assert_eq!(it.counts.passed, 19, "{it:?}");
    let after = ledger(&world, "j");
    assert!(before.iter().all(|row| after.contains(row)), "the ledger is added to, as without");
    let fired = after.iter().filter(|row| row.outcome == Outcome::Fired).count();
    assert!(fired < 40, "{fired}");
    // Once they are there, nothing is missing.
    let again = begin(&mut world, from);
    lead(&mut world, 10);
    assert_eq!(shown(&world, again).counts.made, 0);
    assert_eq!(backfilled(&world, "j").len(), 10);
}

#[test]
fn those_that_failed_are_run_again_when_asked_for_and_all_are_when_all_are() {
    let mut world = World::newest();
    world.work(json!({"name": "j", "expr": "* * * * *"}));
    world.script("j", &[(Failed, 0), (Succeeded, 0)]);
    world.run_for(300);
    let failed: Vec<Run> = world.runs("j").into_iter().filter(|run| run.status == Failed).collect();
    let failed: Vec<Timestamp> = failed.iter().filter_map(|run| run.nominal_time).collect();
    assert_eq!(failed.len(), 1);
    let mut from = start(&world, "j", "2027-01-04T00:00:01Z", "2027-01-04T00:04:30Z");
    let id = begin(&mut world, from.clone());
    lead(&mut world, 10);
    assert_eq!(shown(&world, id).counts.made, 0, "nothing is missing");
    from.which = BackfillWhich::Failed;
    begin(&mut world, from.clone());
    lead(&mut world, 10);
    assert_eq!(backfilled(&world, "j"), failed);
    from.which = BackfillWhich::All;
    from.order = BackfillOrder::Newest;
    let all = begin(&mut world, from);
    world.executor = false;
    let op = step(&world, all).unwrap();
    let Op::BackfillStep { times, .. } = &op else { panic!("{op:?}") };
    assert_eq!(*times, [minutes(4, 5), minutes(3, 4)].concat(), "the newest first");
    world.executor = true;
    lead(&mut world, 30);
    assert_eq!(shown(&world, all).counts.made, 4);
}

/// Acceptance 3: what the job does is what it would have done.
#[test]
fn a_backfill_that_is_paused_and_cancelled_leaves_the_job_as_it_is() {
    let run = |with: bool| {
        let mut world = paused_between(json!({"overlap": "skip", "max_runs": 100}));
        world.script("j", &[(Succeeded, 45)]);
        if with {
            let from = start(&world, "j", "2027-01-03T00:00:00Z", "2027-01-04T00:30:00Z");
            let id = begin(&mut world, from);
            lead(&mut world, 100);
            assert!(shown(&world, id).open > 0 && !backfilled(&world, "j").is_empty());
            edit(&mut world, id, BackfillEdit::Pause { reason: None }).unwrap();
            let made = shown(&world, id).counts.made;
            assert_eq!(step(&world, id), None);
            world.run_for(100);
            assert_eq!(shown(&world, id).counts.made, made, "paused");
            edit(&mut world, id, BackfillEdit::Resume).unwrap();
            lead(&mut world, 50);
            assert!(shown(&world, id).counts.made > made);
            edit(&mut world, id, BackfillEdit::Cancel { reason: None }).unwrap();
            let answer = edit(&mut world, id, BackfillEdit::Resume);
            assert!(matches!(answer, Err(Rejection::BackfillEnded { .. })), "{answer:?}");
            world.run_for(50);
            assert_eq!(shown(&world, id).open, 0, "its runs were stopped");
        } else {
            world.run_for(300);
        }
        world
    };
    let (without, with) = (run(false), run(true));
    assert_eq!(without.now, with.now);
    let job = |world: &World| {
        let job = world.state.job("j").unwrap();
        (job.version, job.live.next, job.live.fired, job.live.decided, job.live.open)
    };
    assert_eq!(job(&without), job(&with));
    let rows = |world: &World| {
        let row = |row: cronapi::model::LedgerRow| {
            (row.nominal_time, row.outcome, row.reason, row.decided_at)
        };
        ledger(world, "j").into_iter().map(row).collect::<Vec<_>>()
    };
    assert_eq!(rows(&without), rows(&with));
}

/// Acceptance 4: one that is live goes before all that is of the past.
#[test]
fn a_live_run_starts_as_soon_as_one_of_a_backfill_ends() {
    let mut world = World::bare("2027-01-04T00:00:00Z");
    world.state.format = cronapi::machine::state::FORMAT;
    world.node(1, 4);
    world.work(json!({"name": "past", "expr": "* * * * *"}));
    world.work(json!({"name": "live", "overlap": "allow"}));
    world.script("past", &[(Succeeded, 20)]);
    world.script("live", &[(Succeeded, 20)]);
    let mut from = start(&world, "past", "2027-01-03T00:00:00Z", "2027-01-03T12:00:00Z");
    from.max_concurrent = 50;
    let id = begin(&mut world, from);
    lead(&mut world, 30);
    assert!(shown(&world, id).open == 50);
    world.triggers("live", 4);
    world.settle();
    let going = |world: &World, job: &str| {
        world.runs(job).iter().filter(|run| run.status == Running).count()
    };
    let before = going(&world, "live");
    lead(&mut world, 21);
    let live: Vec<Run> = world.runs("live");
    let waited: Vec<i64> =
        live.iter().filter_map(|run| Some(run.started_at?.secs() - run.fired_at.secs())).collect();
    assert_eq!(waited.len(), 4, "all have started once those of the backfill ended");
    assert!(before == 2 && waited.iter().all(|waited| *waited <= 20), "{before} {waited:?}");
}

/// Acceptance 5.
#[test]
fn an_edit_does_not_change_the_version_that_is_run() {
    let mut world = World::newest();
    world.work(json!({"name": "j", "expr": "0 * * * *"}));
    let from = start(&world, "j", "2027-01-03T00:00:00Z", "2027-01-03T12:00:00Z");
    begin(&mut world, from);
    lead(&mut world, 2);
    world.work(json!({"name": "j", "expr": "30 * * * *", "runner": {
        "type": "shell", "command": "false"}}));
    lead(&mut world, 60);
    let runs = world.runs("j");
    let runs: Vec<&Run> = runs.iter().filter(|run| run.trigger == Trigger::Backfill).collect();
    assert_eq!(runs.len(), 12);
    assert!(runs.iter().all(|run| run.version == 1));
    assert!(runs.iter().all(|run| run.nominal_time.unwrap().secs() % 3_600 == 0));
}

/// Acceptance 6.
#[test]
fn a_day_on_which_clocks_change_has_the_times_that_the_preview_has() {
    for (zone, day) in [("Europe/Berlin", "2026-10-25"), ("Europe/Berlin", "2026-03-29")] {
        let mut world = World::newest();
        world.work(json!({"name": "j", "expr": "30 */2 * * *", "timezone": zone}));
        let job = world.state.job("j").unwrap().clone();
        let timing = Timing::compile(&job.spec, job.created_at).unwrap().unwrap();
        let (from, to) = (format!("{day}T00:00:00+01:00"), format!("{day}T23:59:59Z"));
        let mut named = Vec::new();
        let mut next = timing.next_from(at(&from));
        while let Some(found) = next.filter(|next| next.nominal < at(&to)) {
            named.push(found.nominal);
            next = timing.next_after(found.nominal);
        }
        for order in [BackfillOrder::Oldest, BackfillOrder::Newest] {
            let mut from = start(&world, "j", &from, &to);
            from.order = order;
            from.which = BackfillWhich::All;
            let id = begin(&mut world, from);
            lead(&mut world, 60);
            assert_eq!(shown(&world, id).counts.made, named.len() as u64, "{order:?} {day}");
        }
        let twice: BTreeSet<Timestamp> = backfilled(&world, "j").into_iter().collect();
        assert_eq!(twice.into_iter().collect::<Vec<_>>(), named);
    }
}

#[test]
fn bounds_hold_where_runs_are_made() {
    let mut world = World::newest();
    world.work(json!({"name": "j", "expr": "* * * * *"}));
    let mut from = start(&world, "j", "2027-01-03T00:00:00Z", "2027-01-03T12:00:00Z");
    from.rate = Some(StartRate { limit: 3, per: secs(10) });
    let id = begin(&mut world, from.clone());
    for _ in 0..60 {
        lead(&mut world, 1);
        let runs = world.runs("j");
        let now = world.now;
        let late = runs.iter().filter(|run| run.fired_at.plus(secs(10)) > now).count();
        assert!(late <= 3 && shown(&world, id).open <= 2);
    }
    assert!((18..=21).contains(&shown(&world, id).counts.made), "{:?}", shown(&world, id));
    // Whatever a leader proposes.
    world.run_for(20);
    let Some(Op::BackfillStep { cursor, times, next, .. }) = step(&world, id) else { panic!() };
    let forged = |times: Vec<Timestamp>, cursor, next| Op::BackfillStep {
        id,
        cursor,
        times,
        next,
        passed: 0,
    };
    let four: Vec<Timestamp> =
        (0..4).map(|n| Timestamp::from_secs(times[0].secs() + n * 60)).collect();
    let end = at("2027-01-03T12:00:00Z");
    for bad in [
        forged(four, cursor, end),
        forged(times.clone(), next, end),
        forged(vec![times[0], times[0]], cursor, next),
        forged(vec![next], cursor, next),
        forged(times.clone(), cursor, world.now),
    ] {
        assert_eq!(world.op(bad.clone()), Err(Rejection::Stale), "{bad:?}");
    }
    // Another over the same times, and too many.
    let refused = world.submit(Intent::Plain(Box::new(Op::StartBackfill(Box::new(from.clone())))));
    assert!(matches!(refused, Err(Rejection::BackfillOpen { .. })), "{refused:?}");
    for hour in 12..15 {
        from.from = at(&format!("2027-01-03T{hour}:00:00Z"));
        from.to = at(&format!("2027-01-03T{}:00:00Z", hour + 1));
        begin(&mut world, from.clone());
    }
    (from.from, from.to) = (at("2027-01-02T00:00:00Z"), at("2027-01-02T01:00:00Z"));
    let refused = world.submit(Intent::Plain(Box::new(Op::StartBackfill(Box::new(from.clone())))));
    assert!(matches!(refused, Err(Rejection::Limit { most: 4, .. })), "{refused:?}");
    // With its job they end.
    world.submit(Intent::DeleteJob { name: crate::world::name("j"), expected: None }).unwrap();
    assert!(world.state.backfills.open.is_empty());
    assert_eq!(shown(&world, id).status, BackfillStatus::Cancelled);
}

#[test]
fn nothing_follows_from_a_run_of_the_past_and_its_row_stays() {
    let mut world = World::newest();
    world.work(json!({"name": "after"}));
    world.work(json!({"name": "gated", "dependencies": ["j"]}));
    world.work(json!({"name": "j", "expr": "0 0 1 1 *", "on_success": ["after"],
        "on_finish": ["after"]}));
    let from = start(&world, "j", "2025-01-01T00:00:00Z", "2027-01-02T00:00:00Z");
    let id = begin(&mut world, from);
    lead(&mut world, 20);
    assert_eq!(shown(&world, id).counts.succeeded, 3);
    assert!(world.runs("after").is_empty() && world.runs("gated").is_empty());
    let job = world.state.job("j").unwrap();
    assert_eq!((job.live.last_run, job.live.success, job.live.kept), (None, 0, 3));
    let prefix = history::backfilled_prefix(job.no);
    assert_eq!(world.rows.keys().filter(|key| key.starts_with(&prefix)).count(), 3);
    assert!(ledger(&world, "j").is_empty(), "no time has an outcome by it");
}
