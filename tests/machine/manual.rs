//! What docs/jobs.md says of misfires, row by row.

use serde_json::{Value, json};

use super::world::{World, at};

/// The ledger of a job that fires each minute, after a time without a leader from 10:00:30
/// until `back`.
fn away_until(back: &str, misfire: Value) -> Vec<String> {
    let mut world = World::bare("2027-01-04T09:59:30Z");
    world.node(1, 100);
    let job = json!({"name": "m", "expr": "* * * * *", "overlap": "allow", "misfire": misfire});
    world.work(job);
    world.run_until("2027-01-04T10:00:30Z");
    world.now = at(&format!("2027-01-04T{back}Z"));
    world.settle();
    world.ledger("m").split_off(1)
}

#[test]
fn a_time_that_is_late_fires_whatever_the_policy() {
    for policy in ["latest", "all", "skip"] {
        assert_eq!(away_until("10:01:04", json!({"policy": policy})), ["10:01 fired"]);
    }
}

#[test]
fn latest_runs_the_newest() {
    let ledger = away_until("10:10:20", json!({}));
    assert_eq!(ledger, ["10:01..10:10/9 skipped misfire", "10:10 fired"]);
}

#[test]
fn all_runs_each_up_to_its_bound() {
    let ledger = away_until("10:10:20", json!({"policy": "all"}));
    assert_eq!((ledger.len(), ledger[0].as_str()), (10, "10:01 fired"));
    assert!(ledger.iter().all(|row| row.ends_with(" fired")), "{ledger:?}");
    let ledger = away_until("10:10:20", json!({"policy": "all", "max": 3}));
    assert_eq!(ledger[..3], ["10:01 fired", "10:02 fired", "10:03 fired"]);
    assert_eq!(ledger[3..], ["10:04..10:10:01/7 skipped limit"]);
}

#[test]
fn skip_runs_what_is_only_late() {
    let ledger = away_until("10:10:20", json!({"policy": "skip"}));
    assert_eq!(ledger, ["10:01..10:10:01/10 skipped misfire"]);
    let ledger = away_until("10:10:03", json!({"policy": "skip"}));
    assert_eq!(ledger.len(), 2, "{ledger:?}");
    assert!(ledger[0].starts_with("10:01..") && ledger[0].ends_with("/9 skipped misfire"));
    assert_eq!(ledger[1], "10:10 fired");
}

#[test]
fn what_is_older_than_the_window_is_not_caught_up() {
    let ledger = away_until("12:00:20", json!({}));
    assert_eq!(ledger.len(), 3, "{ledger:?}");
    assert!(ledger[0].starts_with("10:01..") && ledger[0].ends_with("/60 skipped window_passed"));
    assert_eq!(ledger[1..], ["11:01..12:00/59 skipped misfire", "12:00 fired"]);
}
