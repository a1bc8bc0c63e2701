//! The short form: one node under load, with kills and an orderly restart.

use std::time::Duration;

use cluster_tests::harness::Sandbox;
use cluster_tests::nemesis::Kind;
use cluster_tests::scenario::Scenario;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_nominal_time_ends_in_one_outcome_and_none_starts_twice() {
    let scenario = Scenario {
        seed: 20_270_101,
        length: Duration::from_secs(60),
        jobs: 60,
        nodes: 1,
        nemesis: vec![Kind::Kill, Kind::Kill, Kind::Kill, Kind::Kill, Kind::Stop],
        faults: 5,
        pace: Some(Duration::from_millis(500)),
        clients: 3,
        talk: true,
    };
    let sandbox = Sandbox::new();
    let verdict = scenario.play(&sandbox).await.expect("everything is acknowledged");
    println!("{}", verdict.figures);
    let told: Vec<String> = verdict.violations.iter().map(ToString::to_string).collect();
    assert!(told.is_empty(), "seed {}:\n{}", scenario.seed, told.join("\n"));
    // A run in which nothing happened would prove nothing.
    let figures = verdict.figures;
    assert!(figures.fires > 200, "only {} fires", figures.fires);
    assert!(figures.runs.contains_key("lost"), "no kill met a running attempt");
    assert!(figures.writes > 80, "only {} writes", figures.writes);
}
