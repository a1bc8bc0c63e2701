use serde_json::json;

use super::world::{World, admin, at, map};
use crate::machine::command::{Op, PutDefinition};
use crate::machine::state::FORMAT;
use crate::model::{Kind, Name, RunStatus, SkipReason, Span};
use crate::service::{Explanation, Verdict, WriteOptions};

async fn explain(world: &World, name: &str, time: &str) -> Explanation {
    world.service.explain(&admin(), name, at(time)).await.unwrap()
}

/// Holds an explanation against its verdict and words of its summary.
fn says(told: &Explanation, verdict: Verdict, words: &[&str]) {
    assert_eq!(told.verdict, verdict, "{}", told.summary);
    for word in words {
        assert!(told.summary.contains(word), "{word:?} in {:?}", told.summary);
    }
    assert!(told.summary.ends_with('.'), "{:?}", told.summary);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fire_is_told_with_its_lateness_and_its_run() {
    let world = World::new().await;
    world.put(json!({"name": "a", "expr": "*/10 * * * *", "code": "pass"})).await;
    world.run_until("2027-03-01T12:10:00Z").await;
    let id = world.open("a").id;
    let told = explain(&world, "a", "2027-03-01T12:10:00Z").await;
    says(&told, Verdict::Fired, &["on time", &id.to_string()]);
    world.start(id, &[]).await;
    says(&explain(&world, "a", "2027-03-01T12:10:00Z").await, Verdict::Fired, &["is running"]);
    world.end(id, RunStatus::Failed).await;
    let told = explain(&world, "a", "2027-03-01T12:10:00.7Z").await;
    says(&told, Verdict::Fired, &["failed (it broke)"]);
    assert_eq!(told.run.as_ref().map(|run| run.id), Some(id));
    assert_eq!(told.row.and_then(|row| row.run_id), Some(id));
    assert_eq!(told.next, Some(at("2027-03-01T12:20:00Z")));

    world.sleep_until("2027-03-01T12:20:04Z");
    world.lead().await;
    says(&explain(&world, "a", "2027-03-01T12:20:00Z").await, Verdict::Fired, &["4s late"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reason_to_skip_is_told() {
    let world = World::new().await;
    world.put(json!({"name": "a", "expr": "*/10 * * * *", "code": "pass"})).await;
    world.run_until("2027-03-01T12:20:00Z").await;
    let told = explain(&world, "a", "2027-03-01T12:20:00Z").await;
    says(&told, Verdict::Skipped, &["earlier run", "overlap"]);
    assert_eq!(told.row.unwrap().reason, Some(SkipReason::Overlap));
    for (reason, word) in [
        (SkipReason::WindowPassed, "misfire window (now 1h)"),
        (SkipReason::Misfire, "only the newest"),
        (SkipReason::Calendar, "calendar"),
        (SkipReason::QueueFull, "too many runs"),
        (SkipReason::Limit, "misfire.max (now 100)"),
        (SkipReason::DependenciesUnmet, "dependency"),
        (SkipReason::ParametersRefused, "parameters_schema"),
        (SkipReason::Paused, "paused"),
    ] {
        let name = reason.as_str();
        world.put(json!({"name": name, "expr": "*/10 * * * *", "code": "pass"})).await;
        world.skip(name, "2027-03-01T13:00:00Z", reason, None).await;
        let told = explain(&world, name, "2027-03-01T12:40:00Z").await;
        says(&told, Verdict::Skipped, &[word, "one of a range"]);
        let between = explain(&world, name, "2027-03-01T12:45:00Z").await;
        says(&between, Verdict::NotNominal, &["12:40", "12:50"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_supersedes_what_was_open() {
    let world = World::new().await;
    world.put(json!({"name": "a", "expr": "*/10 * * * *", "code": "pass"})).await;
    world.sleep_until("2027-03-01T12:25:00Z");
    world.put(json!({"name": "a", "expr": "5 * * * *", "code": "pass"})).await;
    let told = explain(&world, "a", "2027-03-01T12:20:00Z").await;
    says(&told, Verdict::Superseded, &["12:25:00", "changed"]);
    // Named by the schedule of now, not by the one in force then.
    let told = explain(&world, "a", "2027-03-01T12:05:00Z").await;
    says(&told, Verdict::NotNominal, &["version 1"]);
    let told = explain(&world, "a", "2027-03-01T12:30:00Z").await;
    says(&told, Verdict::NotNominal, &["the schedule of a"]);
    let told = explain(&world, "a", "2027-03-01T13:05:00Z").await;
    says(&told, Verdict::Future, &["to come"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_decided_is_told_by_the_job() {
    let world = World::new().await;
    world.put(json!({"name": "a", "expr": "0 * * * *", "code": "pass"})).await;
    world.put(json!({"name": "none", "code": "pass"})).await;
    says(&explain(&world, "none", "2027-03-01T13:00:00Z").await, Verdict::NoSchedule, &["by hand"]);
    let told = explain(&world, "a", "2027-03-01T11:00:00Z").await;
    says(&told, Verdict::BeforeCreation, &["created at 2027-03-01T12:00:00Z"]);
    assert_eq!(told.next, Some(at("2027-03-01T12:00:00Z")));
    let told = explain(&world, "a", "2027-03-01T13:30:00Z").await;
    says(&told, Verdict::NotNominal, &["13:00", "14:00"]);
    says(&explain(&world, "a", "2027-03-01T13:00:00Z").await, Verdict::Future, &["to come"]);
    for far in ["1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"] {
        assert_ne!(explain(&world, "a", far).await.verdict, Verdict::Future, "{far}");
    }
    world.sleep_until("2027-03-01T13:00:01Z");
    says(&explain(&world, "a", "2027-03-01T13:00:00Z").await, Verdict::Undecided, &["leader"]);

    let off =
        json!({"name": "off", "expr": "0 * * * *", "calendars": [{"exclude": ["2027-03-02"]}]});
    world.put(off).await;
    says(&explain(&world, "off", "2027-03-02T09:00:00Z").await, Verdict::Future, &["calendar"]);
    world.put(json!({"name": "slow", "expr": "0 * * * *", "jitter": "10m"})).await;
    says(&explain(&world, "slow", "2027-03-02T09:00:00Z").await, Verdict::Future, &["to come"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_is_told_while_it_lasts_and_after() {
    let world = World::new().await;
    world.put(json!({"name": "a", "expr": "0 * * * *", "code": "pass"})).await;
    let o = WriteOptions::default();
    world.service.set_enabled(&admin(), "a", false, o).await.unwrap();
    world.sleep_until("2027-03-01T14:30:00Z");
    let told = explain(&world, "a", "2027-03-01T14:00:00Z").await;
    says(&told, Verdict::Paused, &["is paused"]);
    assert!(told.row.is_some());
    says(&explain(&world, "a", "2027-03-01T15:00:00Z").await, Verdict::Paused, &["resumed before"]);
    world.service.set_enabled(&admin(), "a", true, o).await.unwrap();
    says(&explain(&world, "a", "2027-03-01T14:00:00Z").await, Verdict::Skipped, &["was paused"]);
    says(&explain(&world, "a", "2027-03-01T15:00:00Z").await, Verdict::Future, &["to come"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_that_is_over_says_so() {
    let world = World::new().await;
    world.put(json!({"name": "a", "expr": "0 * * * *", "code": "pass", "max_runs": 1})).await;
    world.run_until("2027-03-01T13:00:00Z").await;
    for time in ["2027-03-01T14:00:00Z", "2027-03-01T15:00:00Z"] {
        world.sleep_until("2027-03-01T14:30:00Z");
        says(&explain(&world, "a", time).await, Verdict::Over, &["1 of at most 1"]);
    }
    says(&explain(&world, "a", "2027-03-01T13:00:00Z").await, Verdict::Fired, &["on time"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_retention_took_is_not_made_up() {
    use crate::machine::command::TrimKey;
    let world = World::new().await;
    world.put(json!({"name": "a", "expr": "0 * * * *", "code": "pass"})).await;
    world.run_until("2027-03-01T13:00:00Z").await;
    let id = world.open("a").id;
    world.start(id, &[]).await;
    world.end(id, RunStatus::Succeeded).await;
    let run = world.service.run(&admin(), id).await.unwrap();
    let ledger = crate::machine::history::ledger_of(&run).map(Box::new);
    let keys = vec![TrimKey::Run { id, outputs: Vec::new(), ledger }];
    world.does(Op::Trim { keys }).await.unwrap();
    let told = explain(&world, "a", "2027-03-01T13:00:00Z").await;
    says(&told, Verdict::Fired, &["on time", "older than the history"]);
    let keys = vec![TrimKey::Ledger { no: id.job_no(), nominal: at("2027-03-01T13:00:00Z") }];
    world.does(Op::Trim { keys }).await.unwrap();
    let told = explain(&world, "a", "2027-03-01T13:00:00Z").await;
    says(&told, Verdict::Forgotten, &["nothing is known"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queued_run_says_what_it_waits_for() {
    let (world, admin) = (World::new().await, admin());
    // The node has four slots.
    let work = json!({"name": "a", "code": "pass", "overlap": "allow", "expr": "*/10 * * * *"});
    world.put(work).await;
    let mut ids = Vec::new();
    for _ in 0..6 {
        let run = world.service.trigger(&admin, "a", Default::default(), false, Default::default());
        ids.push(run.await.unwrap().value.id);
    }
    world.lead().await;
    let reason = async |at: usize| world.service.run(&admin, ids[at]).await.unwrap().reason;
    assert_eq!(reason(0).await, None, "it was placed");
    let told = "for a slot: all 4 it may have are taken, and";
    assert_eq!(reason(4).await, Some(format!("{told} it is the next")));
    assert_eq!(reason(5).await, Some(format!("{told} it is number 2 in line")));
    world.run_until("2027-03-01T12:10:00Z").await;
    let told = explain(&world, "a", "2027-03-01T12:10:00Z").await;
    says(&told, Verdict::Fired, &["is queued for a slot: all 4", "it is number 3 in line"]);
    let require = json!({"require": {"zone": "moon"}});
    world.put(json!({"name": "b", "code": "pass", "placement": require})).await;
    let run = world.service.trigger(&admin, "b", Default::default(), false, Default::default());
    let id = run.await.unwrap().value.id;
    let reason = world.service.run(&admin, id).await.unwrap().reason.unwrap();
    assert!(reason.contains("labels it requires, which none of 1 has"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_says_what_its_queue_waits_for_and_when_it_may_start() {
    let (world, admin) = (World::new().await, admin());
    let _ = world.does(Op::RaiseFormat { to: FORMAT }).await;
    let define = async |queue: serde_json::Value| {
        let spec = Kind::Queue.read(map(queue)).unwrap();
        let put = PutDefinition { spec, based_on: None, pinned: false };
        world.does(Op::Put(Box::new(put))).await.unwrap();
    };
    define(json!({"name": "q", "rates": [{"limit": 1, "per": "1m"}], "fair_by": "job"})).await;
    define(json!({"name": "p", "paused": true})).await;
    world.put(json!({"name": "a", "code": "pass", "overlap": "allow", "queue": "q"})).await;
    world.put(json!({"name": "b", "code": "pass", "overlap": "allow", "queue": "p"})).await;
    let mut ids = Vec::new();
    for job in ["a", "a", "a", "b"] {
        let run = world.service.trigger(&admin, job, Default::default(), false, Default::default());
        ids.push(run.await.unwrap().value.id);
    }
    world.lead().await;
    let reason = async |at: usize| world.service.run(&admin, ids[at]).await.unwrap().reason;
    assert_eq!(reason(0).await, None, "it was placed");
    let told = "for its queue q, which starts at most 1 in 1m; ";
    let first = world.service.run(&admin, ids[0]).await.unwrap().attempts[0].assigned_at;
    let (next, after) = (first.plus(Span::from_secs(60)), first.plus(Span::from_secs(120)));
    let next = format!("{told}it is the next, and it starts at {next} at the earliest");
    let after = format!("{told}1 run is before it, and it starts at {after} at the earliest");
    assert_eq!((reason(1).await, reason(2).await), (Some(next), Some(after)));
    let paused = "for its queue p, which is paused; it is the next";
    assert_eq!(reason(3).await.as_deref(), Some(paused));
    let name = Name::parse("q").unwrap();
    let view = world.service.definition(&admin, Kind::Queue, &name).await.unwrap();
    let view = serde_json::to_value(view).unwrap();
    assert_eq!((&view["busy"], &view["waiting"]), (&json!(1), &json!(2)), "{view}");
    assert!(view["blocked"].as_str().is_some_and(|why| why.contains("has room again")), "{view}");
    assert_eq!(view["shares"], json!([{"share": "a", "waiting": 2, "weight": 1}]));
}
