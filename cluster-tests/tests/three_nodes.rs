//! Three nodes under load while something is done to them. Each of these is a minute or
//! less; `soak` does the same for as long as it is told.

use std::time::Duration;

use cluster_tests::harness::{Sandbox, skipped};
use cluster_tests::nemesis::Kind;
use cluster_tests::scenario::{Failed, Scenario};
use tokio::sync::Mutex;

/// One at a time: the machine is shared by all nodes as it is.
static TURN: Mutex<()> = Mutex::const_new(());

fn scenario(seed: u64, seconds: u64, nemesis: &[Kind], faults: usize) -> Scenario {
    Scenario {
        seed,
        nodes: 3,
        length: Duration::from_secs(seconds),
        jobs: 40,
        nemesis: nemesis.to_vec(),
        faults,
        pace: Some(Duration::from_millis(500)),
        clients: 5,
        talk: true,
    }
}

async fn holds(name: &str, scenario: Scenario) {
    let _turn = TURN.lock().await;
    let sandbox = Sandbox::new();
    let verdict = match scenario.play(&sandbox).await {
        Ok(verdict) => verdict,
        Err(Failed::NotHere(why)) => return skipped(name, &why),
        Err(error) => panic!("seed {}: {error}", scenario.seed),
    };
    println!("{}", verdict.figures);
    let told: Vec<String> = verdict.violations.iter().map(ToString::to_string).collect();
    assert!(told.is_empty(), "seed {}:\n{}", scenario.seed, told.join("\n"));
    // A run in which nothing happened would prove nothing.
    let figures = verdict.figures;
    assert!(figures.fires > 100, "only {} fires", figures.fires);
    assert!(figures.register.0 > 200, "only {} operations", figures.register.0);
    assert_eq!(verdict.history.disturbances.len(), scenario.faults);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_killed_or_cut_off_is_succeeded() {
    holds("leader", scenario(11, 28, &[Kind::Kill, Kind::Leader], 4)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_are_restarted_one_after_the_other_and_nothing_is_lost() {
    holds("rolling", scenario(12, 25, &[Kind::Rolling, Kind::Stop, Kind::Transfer], 3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_stand_still_and_links_that_fail_do_no_harm() {
    let kinds = [Kind::Freeze, Kind::OneWay, Kind::Loss, Kind::Delay, Kind::Halves];
    holds("links", scenario(13, 38, &kinds, 5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_come_and_go_under_load() {
    holds("churn", scenario(14, 28, &[Kind::Churn], 3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disks_that_are_full_or_slow_lose_nothing() {
    holds("disks", scenario(15, 28, &[Kind::DiskFull, Kind::SlowSync], 3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_that_jump_by_an_hour_start_nothing_twice() {
    // What an edit made at a wrong time should do is nobody's to say.
    holds("clock", Scenario { pace: None, ..scenario(16, 22, &[Kind::Clock], 2) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_at_once() {
    holds("mix", scenario(17, 60, &Kind::MIX, Kind::MIX.len())).await;
}
