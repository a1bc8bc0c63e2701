use serde_json::json;

use super::world::{World, admin, at, only, scoped};
use crate::model::{Role, RunStatus, Span, Timestamp};
use crate::service::{Buckets, EdgeKind, Error, Paging};

fn hours(from: &str, until: &str) -> Buckets {
    Buckets { from: at(from), until: at(until), bucket: Span::from_secs(3_600) }
}

fn paging(limit: usize, cursor: Option<String>) -> Paging {
    Paging { limit, cursor }
}

/// Names and times of what is to come, read in pages of `limit`.
async fn fires(world: &World, from: &str, until: &str, limit: usize) -> Vec<(String, Timestamp)> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let page = world.service.fires(&admin(), at(from), at(until), paging(limit, cursor)).await;
        let page = page.unwrap();
        assert!(page.items.len() <= limit);
        all.extend(page.items.into_iter().map(|fire| (fire.job.to_string(), fire.due_at)));
        cursor = page.next_cursor;
        if cursor.is_none() {
            return all;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_to_come_is_in_order_whatever_the_pages() {
    let world = World::new().await;
    world.put(json!({"name": "half", "expr": "*/30 * * * *"})).await;
    world.put(json!({"name": "hour", "expr": "0 * * * *"})).await;
    world.put(json!({"name": "twice", "expr": "10 * * * *", "max_runs": 2})).await;
    world.put(json!({"name": "rests", "expr": "* * * * *", "enabled": false})).await;
    let off = json!([{"exclude": ["2027-03-01"]}]);
    world.put(json!({"name": "off", "expr": "5 * * * *", "calendars": off})).await;
    let range = ("2027-03-01T12:30:00Z", "2027-03-01T15:00:00Z");
    let whole = fires(&world, range.0, range.1, 100).await;
    let told: Vec<String> =
        whole.iter().map(|(job, at)| format!("{job} {}", &at.to_string()[11..16])).collect();
    let wanted = [
        "half 12:30",
        "half 13:00",
        "hour 13:00",
        "twice 13:10",
        "half 13:30",
        "half 14:00",
        "hour 14:00",
        "half 14:30",
    ];
    // From 12:30 on: how often a job has fired by then is not known, so `twice` may go on.
    let sure: Vec<&String> = told.iter().filter(|one| !one.starts_with("twice 14")).collect();
    assert_eq!(sure, wanted.iter().collect::<Vec<_>>());
    for limit in 1..=9 {
        assert_eq!(fires(&world, range.0, range.1, limit).await, whole, "pages of {limit}");
    }
    let load = world.service.load(&admin(), hours(range.0, range.1)).await.unwrap();
    let sum: u64 = load.buckets.iter().map(|bucket| bucket.fires).sum();
    assert_eq!((sum as usize, load.jobs, load.estimated), (whole.len(), 3, 0));
    assert_eq!(load.slots, 4);
    assert_eq!(load.buckets[0].at, at("2027-03-01T12:30:00Z"), "counted from `from` on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_of_a_jitter_is_part_of_when_a_job_starts() {
    let world = World::new().await;
    world.put(json!({"name": "spread", "expr": "0 * * * *", "jitter": "50m"})).await;
    let job = world.service.consensus().state().job("spread").unwrap().clone();
    let next = job.live.next.unwrap();
    assert!(next.due > next.nominal, "the name has a share");
    // A range that begins between the nominal time and when it is due has it.
    let from = Timestamp::from_micros(next.due.micros() - 1);
    let range = (from, Timestamp::from_micros(next.due.micros() + 1));
    let found = world.service.fires(&admin(), range.0, range.1, paging(5, None)).await.unwrap();
    assert_eq!(found.items.len(), 1);
    assert_eq!((found.items[0].nominal_time, found.items[0].due_at), (next.nominal, next.due));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fires_too_often_to_be_counted_is_counted_on_at_its_pace() {
    let world = World::new().await;
    world.put(json!({"name": "second", "expr": "* * * * * *"})).await;
    world.put(json!({"name": "daily", "expr": "0 13 * * *"})).await;
    let range = hours("2027-03-01T12:00:00Z", "2027-03-01T22:00:00Z");
    let load = world.service.load(&admin(), range).await.unwrap();
    assert_eq!((load.jobs, load.estimated), (2, 1));
    let fires: Vec<u64> = load.buckets.iter().map(|bucket| bucket.fires).collect();
    // Every second, but the one at noon itself, and the daily one at 13:00.
    assert_eq!(fires[1], 3_601);
    let sum: u64 = fires.iter().sum();
    assert!((35_995..=36_002).contains(&sum), "{fires:?}");
    // Far more jobs than are walked: each counts with its next time at least.
    for n in 0..8 {
        world.put(json!({"name": format!("more{n}"), "expr": format!("3{n} 12 * * *")})).await;
    }
    let load = world.service.load(&admin(), range).await.unwrap();
    assert_eq!(load.jobs, 10);
    assert!(load.buckets[0].fires >= 3_590 + 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_the_same_times_are_counted_together_and_others_apart() {
    let world = World::new().await;
    // Far more times together than are counted one by one.
    for n in 0..30 {
        world.put(json!({"name": format!("same{n}"), "expr": "*/30 * * * *"})).await;
        let hashed = json!({"name": format!("own{n}"), "expr": "H 13 * * *"});
        if n < 2 {
            world.put(hashed).await;
        }
    }
    let range = hours("2027-03-01T12:00:00Z", "2027-03-01T15:00:00Z");
    let load = world.service.load(&admin(), range).await.unwrap();
    let fires: Vec<u64> = load.buckets.iter().map(|bucket| bucket.fires).collect();
    // The one at noon itself is decided: its next is at half past.
    assert_eq!((fires, load.jobs, load.estimated), (vec![30, 62, 60], 32, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_without_sense_are_refused() {
    let world = World::new().await;
    let noon = "2027-03-01T12:00:00Z";
    let second = Span::from_secs(1);
    for range in [
        hours(noon, noon),
        hours(noon, "2028-03-03T12:00:00Z"),
        Buckets { bucket: second, ..hours(noon, "2027-03-01T13:00:00Z") },
        Buckets { bucket: Span::from_millis(999), ..hours(noon, "2027-03-01T12:00:01Z") },
    ] {
        for refused in [
            world.service.load(&admin(), range).await.map(|_| ()),
            world.service.activity(&admin(), range).await.map(|_| ()),
        ] {
            assert!(matches!(refused, Err(Error::Malformed(_))), "{range:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_of_a_range_long_ago_are_found_at_once_and_all_of_them() {
    let world = World::new().await;
    world.put(json!({"name": "a", "code": "pass"})).await;
    world.put(json!({"name": "b", "code": "pass"})).await;
    let mut ids = Vec::new();
    for n in 0..40 {
        world.clock.advance(Span::from_secs(60));
        let status = if n % 4 == 0 { RunStatus::Failed } else { RunStatus::Succeeded };
        ids.push(world.carried_out(if n % 2 == 0 { "a" } else { "b" }, status).await);
    }
    // The n-th ended at 12:00 and n + 1 minutes.
    let (from, until) = (at("2027-03-01T12:11:00Z"), at("2027-03-01T12:23:00Z"));
    let wanted: Vec<_> = ids[10..22].iter().rev().copied().collect();
    for limit in [1, 3, 100] {
        let (mut found, mut cursor) = (Vec::new(), None);
        for _ in 0..100 {
            let page = world.service.timeline(&admin(), from, until, paging(limit, cursor)).await;
            let page = page.unwrap();
            found.extend(page.items.iter().map(|bar| bar.run_id));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(found, wanted, "pages of {limit}");
    }
    // Counted as well, part by part: each answer looks at 5 runs.
    let (mut end, mut ok, mut bad, mut rounds) = (until, 0, 0, 0);
    while end > from {
        let range = Buckets { from, until: end, bucket: Span::from_secs(180) };
        let part = world.service.activity(&admin(), range).await.unwrap();
        assert!(part.complete_from < end, "it goes on");
        for bucket in &part.buckets {
            (ok, bad) = (ok + bucket.succeeded, bad + bucket.failed);
        }
        (end, rounds) = (part.complete_from, rounds + 1);
    }
    assert_eq!((ok, bad), (9, 3));
    assert!((3..=6).contains(&rounds), "{rounds}");
    // Who may see one job sees that one alone.
    let bob = scoped(Role::Viewer, only("b"));
    let seen = world.service.timeline(&bob, from, until, paging(100, None)).await.unwrap();
    assert!(seen.items.iter().all(|bar| bar.job.as_str() == "b"));
}

#[tokio::test(flavor = "multi_thread")]
async fn open_runs_come_first_and_those_tried_again_have_their_attempts() {
    let world = World::new().await;
    world
        .put(json!({"name": "a", "code": "pass", "retry": {"max_attempts": 2, "delay": "1s"}}))
        .await;
    let again = world.trigger("a").await.id;
    world.start(again, &[]).await;
    world.end(again, RunStatus::Failed).await;
    world.clock.advance(Span::from_secs(60));
    world.lead().await;
    world.start(again, &[]).await;
    world.end(again, RunStatus::Succeeded).await;
    world.put(json!({"name": "b", "code": "pass"})).await;
    let open = world.trigger("b").await.id;
    let range = (at("2027-03-01T11:00:00Z"), at("2027-03-01T13:00:00Z"));
    let found = world.service.timeline(&admin(), range.0, range.1, paging(9, None)).await.unwrap();
    let ids: Vec<_> = found.items.iter().map(|bar| bar.run_id).collect();
    assert_eq!(ids, [open, again]);
    let parts = &found.items[1].attempts;
    let told: Vec<_> = parts.iter().map(|part| (part.status, part.until.is_some())).collect();
    assert_eq!(told, [(RunStatus::Failed, true), (RunStatus::Succeeded, true)]);
    assert_eq!((found.items[0].finished_at, found.items[0].attempts.len()), (None, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graph_has_chains_and_gates_in_whole_groups() {
    let world = World::new().await;
    world.put(json!({"name": "load", "code": "pass"})).await;
    world
        .put(json!({"name": "extract", "code": "pass", "on_success": ["load"],
        "on_failure": ["call"]}))
        .await;
    world.put(json!({"name": "report", "code": "pass", "dependencies": ["load"]})).await;
    world.put(json!({"name": "alone", "code": "pass"})).await;
    world.put(json!({"name": "x", "code": "pass", "on_finish": ["y"]})).await;
    world.put(json!({"name": "y", "code": "pass"})).await;
    let whole = world.service.graph(&admin(), None).await.unwrap();
    let names: Vec<&str> = whole.jobs.iter().map(|job| job.name.as_str()).collect();
    assert_eq!(names, ["call", "extract", "load", "report", "x", "y"]);
    assert!(!whole.jobs[0].known && whole.jobs[1].known && !whole.cut);
    let edge = |from: &str, to: &str, kind| {
        whole
            .edges
            .iter()
            .any(|edge| (edge.from.as_str(), edge.to.as_str(), edge.kind) == (from, to, kind))
    };
    assert!(edge("extract", "load", EdgeKind::OnSuccess));
    assert!(edge("extract", "call", EdgeKind::OnFailure));
    assert!(edge("load", "report", EdgeKind::Dependency));
    assert!(edge("x", "y", EdgeKind::OnFinish));
    assert_eq!(whole.edges.len(), 4);
    let part = world.service.graph(&admin(), Some("report")).await.unwrap();
    assert_eq!((part.jobs.len(), part.edges.len()), (4, 3));
    let alone = world.service.graph(&admin(), Some("alone")).await.unwrap();
    assert_eq!((alone.jobs.len(), alone.edges.len()), (1, 0));
    let missing = world.service.graph(&admin(), Some("none")).await;
    assert!(matches!(missing, Err(Error::NotFound { .. })));
    // What is out of sight is as if it were not there.
    let bob = scoped(Role::Viewer, only("extract"));
    let seen = world.service.graph(&bob, None).await.unwrap();
    let known: Vec<_> = seen.jobs.iter().map(|job| (job.name.as_str(), job.known)).collect();
    assert_eq!(known, [("call", false), ("extract", true), ("load", false)]);
}
