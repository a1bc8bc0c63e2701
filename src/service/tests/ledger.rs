use serde_json::json;

use super::world::{World, admin, at};
use crate::model::{LedgerRow, Outcome, RunStatus, SkipReason, Span, Timestamp};
use crate::service::{Error, Paging, WriteOptions};

async fn ledger(world: &World, window: (Option<&str>, Option<&str>)) -> Vec<LedgerRow> {
    walked(world, window, 1000).await
}

async fn walked(
    world: &World,
    (from, to): (Option<&str>, Option<&str>),
    limit: usize,
) -> Vec<LedgerRow> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let p = Paging { limit, cursor };
        let (from, to) = (from.map(at), to.map(at));
        let page = world.service.ledger(&admin(), "a", from, to, p).await.unwrap();
        assert!(page.items.len() <= limit);
        all.extend(page.items);
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => return all,
        }
    }
}

/// `hh:mm` of each row, with what became of it.
fn told(rows: &[LedgerRow]) -> Vec<String> {
    let tell = |row: &LedgerRow| {
        let time = row.nominal_time.to_string();
        let what = match (row.outcome, row.reason) {
            (_, Some(reason)) => reason.as_str(),
            (Outcome::Fired, _) => "fired",
            _ => "superseded",
        };
        let until = row.until.map_or_else(String::new, |u| format!("-{}", &u.to_string()[11..16]));
        format!("{}{until} {what}", &time[11..16])
    };
    rows.iter().map(tell).collect()
}

/// Fires at :10 (still open at :20, which is skipped), runs by hand, fires at :30, is paused.
async fn eventful() -> World {
    let world = World::new().await;
    world.put(json!({"name": "a", "expr": "*/10 * * * *", "code": "pass"})).await;
    world.run_until("2027-03-01T12:10:00Z").await;
    let first = world.open("a").id;
    world.run_until("2027-03-01T12:21:00Z").await;
    world.start(first, &[]).await;
    world.end(first, RunStatus::Succeeded).await;
    world.carried_out("a", RunStatus::Succeeded).await;
    world.run_until("2027-03-01T12:30:00Z").await;
    let o = WriteOptions::default();
    world.sleep_until("2027-03-01T12:35:00Z");
    world.service.set_enabled(&admin(), "a", false, o).await.unwrap();
    world.sleep_until("2027-03-01T13:05:00Z");
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_rows_and_a_pause_are_told_in_one_order() {
    let world = eventful().await;
    let expected = ["12:40-13:05 paused", "12:30 fired", "12:20 overlap", "12:10 fired"];
    let rows = ledger(&world, (None, None)).await;
    assert_eq!(told(&rows), expected);
    assert!(rows[1].run_id == Some(world.open("a").id) && rows[3].run_id.is_some());
    for limit in [1, 2, 3] {
        assert_eq!(told(&walked(&world, (None, None), limit).await), expected, "{limit}");
    }
    let o = WriteOptions::default();
    world.service.set_enabled(&admin(), "a", true, o).await.unwrap();
    let rows = ledger(&world, (None, None)).await;
    assert_eq!(told(&rows)[0], "12:40-13:05 paused", "the range is closed by the resume");
    assert_eq!((rows[0].count, rows[0].reason), (Some(3), Some(SkipReason::Paused)));
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ends_of_a_window_count_and_ranges_reach_into_it() {
    let world = eventful().await;
    for (from, to, expected) in [
        ("2027-03-01T12:20:00Z", "2027-03-01T12:30:00Z", vec!["12:30 fired", "12:20 overlap"]),
        ("2027-03-01T12:20:01Z", "2027-03-01T12:29:59Z", vec![]),
        ("2027-03-01T12:50:00Z", "2027-03-01T12:55:00Z", vec!["12:40-13:05 paused"]),
        ("2027-03-01T14:00:00Z", "2027-03-01T15:00:00Z", vec![]),
        ("2027-03-01T15:00:00Z", "2027-03-01T12:00:00Z", vec![]),
    ] {
        for limit in [1, 1000] {
            let rows = walked(&world, (Some(from), Some(to)), limit).await;
            assert_eq!(told(&rows), expected, "{from} {to} {limit}");
        }
    }
    let o = WriteOptions::default();
    world.service.set_enabled(&admin(), "a", true, o).await.unwrap();
    let within = (Some("2027-03-01T12:50:00Z"), Some("2027-03-01T12:55:00Z"));
    assert_eq!(told(&ledger(&world, within).await), ["12:40-13:05 paused"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_of_another_window_is_refused() {
    let world = eventful().await;
    let p = |cursor| Paging { limit: 1, cursor };
    let page = world.service.ledger(&admin(), "a", None, None, p(None)).await.unwrap();
    let from = Some(at("2027-03-01T12:00:00Z"));
    let other = world.service.ledger(&admin(), "a", from, None, p(page.next_cursor)).await;
    assert!(matches!(other, Err(Error::Malformed(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_by_hand_do_not_hide_what_lies_behind_them() {
    let world = World::new().await;
    world.put(json!({"name": "a", "expr": "*/10 * * * *", "code": "pass"})).await;
    for time in ["2027-03-01T12:10:00Z", "2027-03-01T12:20:00Z", "2027-03-01T12:30:00Z"] {
        world.run_until(time).await;
        let id = world.open("a").id;
        world.start(id, &[]).await;
        world.end(id, RunStatus::Succeeded).await;
        for _ in 0..11 {
            world.tick();
            world.carried_out("a", RunStatus::Succeeded).await;
        }
    }
    for limit in [1, 2, 3, 1000] {
        let rows = walked(&world, (None, None), limit).await;
        assert_eq!(told(&rows), ["12:30 fired", "12:20 fired", "12:10 fired"], "{limit}");
    }
}

/// A page is of one moment, though times are decided while it is read: the run of a time may be
/// open by when the history is read, and the next time already skipped for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_read_while_times_are_decided_has_no_hole() {
    let world = World::new().await;
    world.put(json!({"name": "a", "expr": "* * * * * *", "code": "pass"})).await;
    let noon = at("2027-03-01T12:00:00Z").secs();
    for step in 1..=300_i64 {
        let service = world.service.clone();
        let page = tokio::spawn(async move {
            let p = Paging { limit: 20, cursor: None };
            service.ledger(&admin(), "a", None, None, p).await.unwrap().items
        });
        // One time fires, and the next is skipped for its run.
        world.clock.set(Timestamp::from_secs(noon + 2 * step));
        while world.lead().await {}
        for pair in page.await.unwrap().windows(2) {
            let apart = pair[0].nominal_time.since(pair[1].nominal_time);
            assert_eq!(apart, Span::from_secs(1), "{pair:#?}");
        }
        let id = world.open("a").id;
        world.start(id, &[]).await;
        world.end(id, RunStatus::Succeeded).await;
    }
}
