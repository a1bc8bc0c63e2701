//! What is counted is on the page, once.

use std::time::{Duration, Instant};

use super::*;
use crate::model::{Fact, RunStatus, SkipReason, Trigger};

fn page(metrics: &Metrics) -> String {
    metrics.page(&Gauges::default()).unwrap()
}

#[test]
fn facts_become_counters_and_histograms() {
    let metrics = Metrics::new(0).unwrap();
    metrics.facts.count(&[
        Fact::Fired { late: 20_000 },
        Fact::Missed { reason: SkipReason::Misfire, times: 7 },
        Fact::Skipped { reason: SkipReason::Overlap, times: 1 },
        Fact::Started { waited: Some(4_000), late: None },
        Fact::Closed { status: RunStatus::Failed, trigger: Trigger::Manual, took: Some(2_000_000) },
    ]);
    let page = page(&metrics);
    for line in [
        "cronapi_fires_total 1",
        "cronapi_fire_lateness_seconds_bucket{le=\"0.01\"} 0",
        "cronapi_fire_lateness_seconds_bucket{le=\"0.025\"} 1",
        "cronapi_missed_fires_total{reason=\"misfire\"} 7",
        "cronapi_skipped_fires_total{reason=\"overlap\"} 1",
        "cronapi_skipped_fires_total{reason=\"paused\"} 0",
        "cronapi_queue_wait_seconds_count 1",
        "cronapi_start_lateness_seconds_count 0",
        "cronapi_runs_total{result=\"failed\",trigger=\"manual\"} 1",
        "cronapi_run_duration_seconds_bucket{result=\"failed\",le=\"1\"} 0",
        "cronapi_run_duration_seconds_bucket{result=\"failed\",le=\"5\"} 1",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} in\n{page}");
    }
}

#[test]
fn every_reason_result_and_trigger_has_its_series() {
    let metrics = Metrics::new(0).unwrap();
    let reasons = [
        SkipReason::Overlap,
        SkipReason::Paused,
        SkipReason::WindowPassed,
        SkipReason::Misfire,
        SkipReason::Calendar,
        SkipReason::DependenciesUnmet,
        SkipReason::QueueFull,
        SkipReason::Limit,
        SkipReason::ParametersRefused,
    ];
    for reason in reasons {
        let label = format!("reason=\"{}\"", reason.as_str());
        assert!(page(&metrics).contains(&label), "{label}");
    }
}

#[test]
fn requests_and_streams_are_counted() {
    let metrics = Metrics::new(0).unwrap();
    metrics.http.answered("GET", "/jobs/{name}", 404, Duration::from_millis(3));
    let stream = metrics.http.stream();
    let with = page(&metrics);
    let want = "requests_total{method=\"GET\",route=\"/jobs/{name}\",status=\"404\"} 1";
    assert!(with.contains(want), "{with}");
    assert!(with.contains("cronapi_sse_clients 1"));
    drop(stream);
    assert!(page(&metrics).contains("cronapi_sse_clients 0"));
}

#[test]
fn a_page_has_the_gauges_of_its_own_moment_only() {
    let metrics = Metrics::new(0).unwrap();
    let gauges = Gauges::default();
    gauges.one("cronapi_a", "A.", 2.0).unwrap();
    gauges.many("cronapi_b", "B.", ["of"], [(["x\"y".to_string()], 1.5)]).unwrap();
    let page = metrics.page(&gauges).unwrap();
    assert!(page.contains("cronapi_a 2\n") && page.contains("cronapi_b{of=\"x\\\"y\"} 1.5\n"));
    assert!(!super::tests::page(&metrics).contains("cronapi_a"));
    assert!(gauges.one("cronapi_a", "Again.", 2.0).is_err());
}

/// Ten thousand fires a second, each with its start and its end, must be next to nothing.
#[test]
fn counting_costs_no_more_than_a_hundredth_of_a_core() {
    let metrics = Metrics::new(0).unwrap();
    let fire = [
        Fact::Fired { late: 3_000 },
        Fact::Started { waited: Some(2_000), late: Some(5_000) },
        Fact::Closed {
            status: RunStatus::Succeeded,
            trigger: Trigger::Schedule,
            took: Some(90_000),
        },
    ];
    let least = (0..5)
        .map(|_| {
            let began = Instant::now();
            (0..10_000).for_each(|_| metrics.facts.count(&fire));
            began.elapsed()
        })
        .min()
        .unwrap_or_default();
    eprintln!("10,000 fires counted in {least:?}");
    // Unoptimized builds take several times as long; a lock or a look-up would take far more.
    assert!(least < Duration::from_millis(if cfg!(debug_assertions) { 100 } else { 10 }));
}
