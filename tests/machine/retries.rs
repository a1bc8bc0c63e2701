//! Contract sections 2.7, 2.8 and 5: attempts, retries, fences, lost nodes, cancellation.

use cronapi::machine::command::Op;
use cronapi::machine::reply::Rejection;
use cronapi::model::LogStream;
use cronapi::model::RunStatus::{
    self, Assigned, Cancelled, Failed, Lost, Queued, Running, Skipped, Succeeded, TimedOut, Waiting,
};
use serde_json::{Value, json};

use crate::world::{World, at, end_of, secs};

fn retried(retry: Value, endings: &[(RunStatus, u64)]) -> World {
    let mut world = World::new();
    world.work(json!({"name": "m", "retry": retry}));
    world.script("m", endings);
    world.trigger("m");
    world
}

#[test]
fn a_run_is_attempted_again_for_the_ends_it_names_and_no_others() {
    let rows = [
        (json!({"max_attempts": 3}), Failed, 3),
        (json!({"max_attempts": 3}), TimedOut, 3),
        (json!({"max_attempts": 3}), Lost, 1),
        (json!({"max_attempts": 3, "on": ["lost"]}), Lost, 3),
        (json!({"max_attempts": 3, "on": ["lost"]}), Failed, 1),
        (json!({"max_attempts": 3, "on": []}), Failed, 1),
        (json!({"max_attempts": 1}), Failed, 1),
        (json!({"max_attempts": 3}), Cancelled, 1),
        (json!({"max_attempts": 3}), Succeeded, 1),
    ];
    for (retry, status, attempts) in rows {
        let mut world = retried(retry.clone(), &[(status, 1)]);
        world.run_for(3_600);
        let run = world.runs("m").remove(0);
        assert_eq!((run.status, run.attempts.len()), (status, attempts), "{retry} {status:?}");
        let fences: Vec<u64> = run.attempts.iter().map(|attempt| attempt.fence).collect();
        assert!(fences.is_sorted_by(|a, b| a < b));
    }
}

#[test]
fn delays_back_off_up_to_the_bound_and_jitter_is_fixed_by_the_run() {
    let retry = json!({"max_attempts": 5, "delay": "10s", "multiplier": 3, "max_delay": "1m"});
    let mut world = retried(retry, &[(Failed, 0)]);
    world.run_for(3_600);
    let gaps = |world: &World| -> Vec<u64> {
        let attempts = &world.runs("m")[0].attempts;
        let pairs = attempts.windows(2);
        pairs.map(|p| p[1].started_at.unwrap().since(p[0].finished_at.unwrap()).millis()).collect()
    };
    assert_eq!(gaps(&world), [10_000, 30_000, 60_000, 60_000]);
    let jittered = || {
        let retry = json!({"max_attempts": 4, "delay": "10s", "multiplier": 1, "jitter": "5s"});
        let mut world = retried(retry, &[(Failed, 0)]);
        world.run_for(3_600);
        gaps(&world)
    };
    let first = jittered();
    assert!(first.iter().all(|ms| (10_000..=15_000).contains(ms)), "{first:?}");
    assert!(first[0] != first[1] || first[1] != first[2], "{first:?}");
    assert_eq!(first, jittered());
}

#[test]
fn a_restarted_node_loses_what_it_ran_and_only_that() {
    for (on, end) in [(json!(["failed"]), Lost), (json!(["lost"]), Succeeded)] {
        let mut world = World::bare("2027-01-04T00:00:00Z");
        world.node(1, 1);
        world.work(json!({"name": "m", "retry": {"max_attempts": 2, "on": on}}));
        world.work(json!({"name": "other"}));
        world.script("m", &[(Succeeded, 60)]);
        world.script("other", &[(Succeeded, 60)]);
        let m = world.trigger("m");
        world.settle();
        world.node(2, 1);
        let other = world.trigger("other");
        world.settle();
        assert_eq!((world.run(m).node, world.run(other).node), (Some(1), Some(2)));
        world.node(1, 1);
        assert_eq!(world.status(other), Running);
        world.run_for(300);
        assert_eq!((world.status(m), world.status(other)), (end, Succeeded));
    }
}

#[test]
fn a_server_that_asks_for_time_gets_it_within_the_bound() {
    let retry = json!({"max_attempts": 2, "delay": "10s", "max_delay": "60s"});
    for (format, asked, waits) in [
        (5, None, 10),
        (5, Some(30), 30),
        (5, Some(3), 10),
        (5, Some(3_600), 60),
        // A member of an older build would not wait: none does until all have been upgraded.
        (4, Some(30), 10),
    ] {
        let mut world = World::bare("2027-01-04T00:00:00Z");
        world.op(Op::RaiseFormat { to: format }).unwrap();
        world.executor = false;
        world.node(1, 1);
        world.work(json!({"name": "m", "retry": retry.clone()}));
        let id = world.trigger("m");
        world.settle();
        let Op::Ended { run, attempt, fence, mut end } = end_of(world.open(id), Failed, world.now)
        else {
            panic!()
        };
        end.retry_after = asked.map(secs);
        world.op(Op::Ended { run, attempt, fence, end }).unwrap();
        world.run_for(waits - 1);
        assert_eq!(world.status(id), Waiting, "{format} {asked:?}");
        world.run_for(2);
        assert_eq!(world.status(id), Assigned, "{format} {asked:?}");
    }
}

#[test]
fn a_late_report_of_a_lost_attempt_is_fenced() {
    let mut world = World::bare("2027-01-04T00:00:00Z");
    world.executor = false;
    world.node(1, 1);
    world.work(json!({"name": "m", "retry": {"max_attempts": 2, "on": ["lost"], "delay": 0}}));
    let id = world.trigger("m");
    world.settle();
    let late = end_of(world.open(id), Succeeded, world.now);
    world.node(1, 1);
    world.settle();
    assert_eq!((world.status(id), world.run(id).attempt), (Assigned, 2));
    let before = world.state.clone();
    assert_eq!(world.op(late), Err(Rejection::Fenced));
    let Some((fence, _)) = world.open(id).held() else { panic!() };
    for (attempt, fence) in [(1, fence), (2, fence - 1), (3, fence)] {
        let started_at = world.now;
        let late = world.op(Op::Started { run: id, attempt, fence, started_at });
        assert_eq!(late, Err(Rejection::Fenced));
        let output = Op::Output { run: id, attempt, fence, chunks: Vec::new() };
        assert_eq!(world.op(output), Err(Rejection::Fenced));
    }
    assert!(world.state == before);
    let end = end_of(world.open(id), Succeeded, world.now);
    assert!(world.op(end.clone()).is_ok());
    assert_eq!(world.op(end), Err(Rejection::Fenced), "an end counts once");
}

#[test]
fn an_end_must_be_an_end_that_a_node_can_know() {
    let mut world = World::new();
    world.executor = false;
    world.work(json!({"name": "m"}));
    let id = world.trigger("m");
    world.settle();
    for status in [Waiting, Queued, Assigned, Running, Skipped] {
        let end = end_of(world.open(id), status, world.now);
        assert_eq!(world.op(end), Err(Rejection::Fenced), "{status:?}");
    }
}

#[test]
fn the_same_boot_twice_changes_nothing_that_runs() {
    let mut world = World::bare("2027-01-04T00:00:00Z");
    world.executor = false;
    let place = world.node(1, 2);
    world.work(json!({"name": "m"}));
    let id = world.trigger("m");
    world.settle();
    let before = world.state.clone();
    world.now = at("2027-01-04T00:01:00Z");
    world.again(place, 2).unwrap();
    assert_eq!((world.status(id), &world.state.nodes), (Assigned, &before.nodes));
    world.again(place, 1).unwrap();
    world.work(json!({"name": "n"}));
    world.trigger("n");
    world.settle();
    assert_eq!(world.state.placed.len(), 1, "its one slot is taken");
}

#[test]
fn a_late_word_of_an_earlier_boot_is_refused() {
    let mut world = World::bare("2027-01-04T00:00:00Z");
    let old = world.node(1, 2);
    let new = world.node(1, 2);
    world.executor = false;
    world.work(json!({"name": "m"}));
    let id = world.trigger("m");
    world.settle();
    assert_eq!(world.again(old, 2), Err(Rejection::Stale));
    assert_eq!(world.op(Op::NodeDraining { node: 1, boot: old.boot }), Err(Rejection::Stale));
    assert_eq!((world.status(id), world.state.nodes[&1].boot), (Assigned, new.boot));
}

#[test]
fn a_leaving_node_gets_no_more_and_finishes_what_it_has() {
    let mut world = World::bare("2027-01-04T00:00:00Z");
    let place = world.node(1, 5);
    world.work(json!({"name": "m", "overlap": "allow"}));
    world.script("m", &[(Succeeded, 30)]);
    let first = world.trigger("m");
    world.settle();
    world.op(Op::NodeDraining { node: 1, boot: place.boot }).unwrap();
    let second = world.trigger("m");
    world.run_for(60);
    assert_eq!((world.status(first), world.status(second)), (Succeeded, Queued));
    world.node(2, 1);
    world.run_for(60);
    assert_eq!(world.status(second), Succeeded);
}

#[test]
fn an_assignment_to_an_earlier_boot_is_void() {
    let mut world = World::bare("2027-01-04T00:00:00Z");
    let old = world.node(1, 0);
    world.work(json!({"name": "m"}));
    // It finds no slot, so it waits to be assigned.
    let run = world.trigger("m");
    world.node(1, 1);
    assert_eq!(world.op(Op::Assign { run, attempt: 1, place: old }), Err(Rejection::Stale));
    assert_eq!(world.status(run), Queued);
}

#[test]
fn a_run_can_be_cancelled_in_every_state() {
    let mut world = World::bare("2027-01-04T00:00:00Z");
    world.work(json!({"name": "up"}));
    world.work(json!({"name": "m", "overlap": "queue_all", "dependencies": ["up"],
        "retry": {"max_attempts": 2, "delay": "1h"}}));
    // At its gate.
    let gate = world.trigger("m");
    let behind = world.trigger("m");
    assert_eq!([world.status(gate), world.status(behind)], [Waiting, Waiting]);
    world.cancel(behind).unwrap();
    world.cancel(gate).unwrap();
    assert_eq!([world.status(gate), world.status(behind)], [Cancelled, Cancelled]);
    // Queued, assigned, running, between two attempts.
    let force = |world: &mut World| match world.try_trigger("m", json!({}), true).unwrap() {
        cronapi::machine::Reply::Run { id } => id,
        other => panic!("{other:?}"),
    };
    let queued = force(&mut world);
    assert_eq!(world.status(queued), Queued);
    world.cancel(queued).unwrap();
    assert_eq!(world.status(queued), Cancelled);
    world.executor = false;
    world.node(1, 5);
    let assigned = force(&mut world);
    world.settle();
    world.cancel(assigned).unwrap();
    assert!(world.status(assigned) == Assigned && world.open(assigned).cancel);
    assert!(world.cancel(assigned).is_ok(), "asking twice is harmless");
    let end = end_of(world.open(assigned), Cancelled, world.now);
    world.op(end).unwrap();
    assert_eq!(world.status(assigned), Cancelled);
    assert_eq!(world.run(assigned).cancelled_by.as_deref(), Some("ann"));
    world.executor = true;
    world.script("m", &[(Failed, 0)]);
    let retrying = force(&mut world);
    world.settle();
    assert_eq!(world.status(retrying), Waiting);
    world.cancel(retrying).unwrap();
    assert_eq!((world.status(retrying), world.state.timers.len()), (Cancelled, 0));
    assert!(matches!(world.cancel(retrying), Err(Rejection::NotFound { .. })));
}

#[test]
fn a_cancelled_attempt_is_not_retried_however_it_ends() {
    for status in [Failed, TimedOut, Lost, Cancelled] {
        let mut world = World::new();
        world.executor = false;
        world.work(json!({"name": "m",
            "retry": {"max_attempts": 5, "on": ["failed", "timed_out", "lost"]}}));
        let id = world.trigger("m");
        world.settle();
        world.cancel(id).unwrap();
        let end = end_of(world.open(id), status, world.now);
        world.op(end).unwrap();
        assert_eq!((world.status(id), world.run(id).attempts.len()), (status, 1));
    }
}

#[test]
fn deleting_a_job_ends_what_waits_and_stops_what_runs() {
    let mut world = World::bare("2027-01-04T00:00:00Z");
    world.executor = false;
    world.node(1, 1);
    world.work(json!({"name": "next"}));
    world.work(json!({"name": "m", "overlap": "queue_all", "on_finish": ["next"],
        "retry": {"max_attempts": 5, "on": ["failed", "lost"]}}));
    let runs: Vec<_> = (0..3).map(|_| world.trigger("m")).collect();
    world.settle();
    world.delete("m");
    let have: Vec<_> = runs.iter().map(|id| world.status(*id)).collect();
    assert_eq!(have, [Assigned, Cancelled, Cancelled]);
    assert!(world.open(runs[0]).cancel);
    world.node(1, 1);
    assert_eq!(world.status(runs[0]), Lost, "not retried: its job is gone");
    assert!(world.state.runs.is_empty() && world.runs("next").is_empty());
}

#[test]
fn output_is_capped_and_kept_under_its_attempt() {
    let mut world = World::new();
    world.executor = false;
    world.work(json!({"name": "m"}));
    let run = world.trigger("m");
    world.settle();
    let (fence, _) = world.open(run).held().unwrap();
    let chunk = |seq, bytes| cronapi::machine::command::OutputChunk {
        seq,
        stream: LogStream::Stdout,
        at: at("2027-01-04T00:00:00Z"),
        bytes: vec![b'x'; bytes],
    };
    let output =
        |seq, bytes| Op::Output { run, attempt: 1, fence, chunks: vec![chunk(seq, bytes)] };
    for seq in 0..16 {
        world.op(output(seq, 64 * 1024)).unwrap();
    }
    world.op(output(16, 60 * 1024)).unwrap();
    assert!(matches!(world.op(output(17, 64 * 1024)), Err(Rejection::Limit { .. })));
    let prefix = cronapi::machine::history::output_prefix(run);
    assert_eq!(world.rows.keys().filter(|key| key.starts_with(&prefix)).count(), 17);
    assert_eq!(world.run(run).log_bytes, 1024 * 1024 + 60 * 1024);
}
