use std::collections::HashSet;

use serde_json::json;

use super::world::{World, admin, elsewhere};
use crate::model::{RunId, RunStatus, Trigger};
use crate::service::{Error, JobFilter, JobSort, JobView, Page, Paging, RunFilter};

fn page(limit: usize, cursor: Option<String>) -> Paging {
    Paging { limit, cursor }
}

fn names(page: &Page<JobView>) -> Vec<&str> {
    page.items.iter().map(|job| job.spec.name.as_str()).collect()
}

/// All jobs, page by page.
async fn walked(world: &World, filter: &JobFilter, limit: usize) -> Vec<String> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let filter = filter.clone();
        let page = world.service.jobs(&admin(), filter, page(limit, cursor)).await.unwrap();
        assert!(page.items.len() <= limit);
        all.extend(names(&page).iter().map(|name| name.to_string()));
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => return all,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_order_is_stable_over_pages_of_any_size() {
    let world = World::new().await;
    for (name, hour) in [("c", "3"), ("a", "1"), ("e", ""), ("b", "1"), ("d", "2")] {
        let mut definition = json!({"name": name, "code": "pass"});
        if !hour.is_empty() {
            definition["expr"] = json!(format!("0 {hour} * * *"));
        }
        world.put(definition).await;
        world.tick();
    }
    world.carried_out("b", RunStatus::Succeeded).await;
    for (sort, order) in [
        ("name", "abcde"),
        ("-name", "edcba"),
        ("next_fire_at", "abdce"),
        ("-next_fire_at", "cdabe"),
        ("created_at", "caebd"),
        ("-updated_at", "dbeac"),
        ("-last_run_at", "bacde"),
    ] {
        let filter = JobFilter { sort: JobSort::parse(sort).unwrap(), ..JobFilter::default() };
        for limit in [1, 2, 3, 5, 1000] {
            assert_eq!(walked(&world, &filter, limit).await.concat(), order, "{sort} {limit}");
        }
    }
    assert!(matches!(JobSort::parse("size"), Err(Error::Malformed(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_take_what_they_say() {
    let world = World::new().await;
    world.put(json!({"name": "Alpha", "tags": ["x", "y"], "code": "pass"})).await;
    world.put(json!({"name": "beta", "description": "after ALPHA", "tags": ["x"]})).await;
    let shell = json!({"type": "shell", "command": "true"});
    world.put(json!({"name": "gamma", "enabled": false, "queue": "q", "runner": shell})).await;
    let none = JobFilter::default;
    let tags = |tags: &[&str]| tags.iter().map(|tag| tag.to_string()).collect::<Vec<_>>();
    for (filter, found) in [
        (JobFilter { q: Some("alpha".into()), ..none() }, vec!["Alpha", "beta"]),
        (JobFilter { tags: tags(&["x", "y"]), ..none() }, vec!["Alpha"]),
        (JobFilter { enabled: Some(false), ..none() }, vec!["gamma"]),
        (JobFilter { runner: Some("none".into()), ..none() }, vec!["beta"]),
        (JobFilter { runner: Some("shell".into()), ..none() }, vec!["gamma"]),
        (JobFilter { queue: Some("q".into()), ..none() }, vec!["gamma"]),
        (JobFilter { q: Some("zeta".into()), ..none() }, vec![]),
    ] {
        let page = world.service.jobs(&admin(), filter.clone(), Paging::default()).await.unwrap();
        assert_eq!(names(&page), found, "{filter:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_belongs_to_its_question() {
    let world = World::new().await;
    for name in ["a", "b", "c"] {
        world.put(json!({"name": name})).await;
    }
    let jobs = |filter, limit, cursor| {
        let service = world.service.clone();
        async move { service.jobs(&admin(), filter, page(limit, cursor)).await }
    };
    let first = jobs(JobFilter::default(), 1, None).await.unwrap();
    let cursor = first.next_cursor.clone().unwrap();
    let other = JobFilter { q: Some("a".into()), ..JobFilter::default() };
    let sorted = JobFilter { sort: JobSort::parse("-name").unwrap(), ..JobFilter::default() };
    for filter in [other, sorted] {
        let refused = jobs(filter, 1, Some(cursor.clone())).await;
        assert!(matches!(refused, Err(Error::Malformed(_))));
    }
    let runs = RunFilter::default();
    let refused = world.service.runs(&admin(), runs, page(1, first.next_cursor)).await;
    assert!(matches!(refused, Err(Error::Malformed(_))));
    for bad in ["", "x", "!!", "AAAA", &"A".repeat(5_000), &cursor[..cursor.len() - 2]] {
        let refused = jobs(JobFilter::default(), 1, Some(bad.to_string())).await;
        assert!(matches!(refused, Err(Error::Malformed(_))), "{bad}");
    }
    for limit in [0, 1001] {
        let refused = jobs(JobFilter::default(), limit, None).await;
        assert!(matches!(refused, Err(Error::Malformed(_))), "{limit}");
    }
    // Another page size is the same question; a job that went does not disturb it.
    let o = crate::service::WriteOptions::default();
    world.service.delete_job(&admin(), "a", o).await.unwrap();
    let rest = jobs(JobFilter::default(), 10, Some(cursor)).await.unwrap();
    assert_eq!(names(&rest), ["b", "c"]);
}

async fn runs_walked(world: &World, filter: &RunFilter, limit: usize) -> Vec<RunId> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let page = page(limit, cursor);
        let page = world.service.runs(&admin(), filter.clone(), page).await.unwrap();
        all.extend(page.items.iter().map(|run| run.id));
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => return all,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn open_runs_come_first_then_closed_ones_newest_first() {
    let world = World::new().await;
    world
        .put(json!({"name": "a", "code": "pass", "placement": elsewhere(), "overlap": "allow"}))
        .await;
    world
        .put(json!({"name": "b", "code": "pass", "placement": elsewhere(), "overlap": "allow"}))
        .await;
    let mut closed = Vec::new();
    for n in 0..7 {
        world.tick();
        let name = if n % 2 == 0 { "a" } else { "b" };
        let status = if n == 3 { RunStatus::Failed } else { RunStatus::Succeeded };
        closed.push(world.carried_out(name, status).await);
    }
    world.tick();
    let old = world.trigger("a").await.id;
    world.tick();
    let new = world.trigger("b").await.id;
    let mut expected = vec![new, old];
    expected.extend(closed.iter().rev());
    let none = RunFilter::default;
    for limit in [1, 2, 4, 1000] {
        assert_eq!(runs_walked(&world, &none(), limit).await, expected, "{limit}");
        let of_a = RunFilter { job: Some("a".into()), ..none() };
        let in_a = [old, closed[6], closed[4], closed[2], closed[0]];
        assert_eq!(runs_walked(&world, &of_a, limit).await, in_a, "{limit}");
        let failed = RunFilter { status: vec![RunStatus::Failed], ..none() };
        assert_eq!(runs_walked(&world, &failed, limit).await, [closed[3]], "{limit}");
    }
    let queued = RunFilter { status: vec![RunStatus::Queued], ..none() };
    assert_eq!(runs_walked(&world, &queued, 1).await, [new, old]);
    let manual = RunFilter { trigger: Some(Trigger::Manual), ..none() };
    assert_eq!(runs_walked(&world, &manual, 3).await.len(), 9);
    let scheduled = RunFilter { trigger: Some(Trigger::Schedule), ..none() };
    assert!(runs_walked(&world, &scheduled, 3).await.is_empty());
    let elsewhere = RunFilter { node: Some(99), ..none() };
    assert!(runs_walked(&world, &elsewhere, 3).await.is_empty());
    let fired = |id| {
        let service = world.service.clone();
        async move { service.run(&admin(), id).await.unwrap().fired_at }
    };
    let (after, before) = (Some(fired(closed[1]).await), Some(fired(closed[5]).await));
    for job in [None, Some("b".to_string())] {
        let window = RunFilter { after, before, job: job.clone(), ..none() };
        let found: HashSet<RunId> = runs_walked(&world, &window, 2).await.into_iter().collect();
        let all = &closed[1..5];
        let wanted = all.iter().filter(|id| job.is_none() || id.job_no() == closed[1].job_no());
        assert_eq!(found, wanted.copied().collect(), "{job:?}");
    }
    let nobody = RunFilter { job: Some("nobody".into()), ..none() };
    let refused = world.service.runs(&admin(), nobody, Paging::default()).await;
    assert!(matches!(refused, Err(Error::NotFound { .. })));
}
