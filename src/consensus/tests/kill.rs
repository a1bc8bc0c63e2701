//! Kill -9 while commands are answered: nothing answered is lost, nothing happens twice.
//!
//! The test runs itself again as a child that submits numbers and prints what was answered.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::fixture::{
    accepted, node, node_with_many_checkpoints, numbered, numbers, row_of, sized,
};

const CHILD: &str = "CRONAPI_TEST_KILL_CHILD";
const ROUNDS: u64 = 12;
const WRITERS: u64 = 8;
/// Numbers of a round are its own, so a later round never repeats one.
const ROUND_NUMBERS: u64 = 1_000_000;

/// What the child does, when the test runs as the child; otherwise nothing.
#[tokio::test(flavor = "multi_thread")]
async fn child_that_is_killed() {
    let Ok(order) = std::env::var(CHILD) else { return };
    let (round, path) = order.split_once(':').unwrap();
    let base = round.parse::<u64>().unwrap() * ROUND_NUMBERS;
    let node = node_with_many_checkpoints(Path::new(path)).await;
    let writer = |w| {
        let node = node.clone();
        tokio::spawn(async move {
            for n in (base + w..).step_by(WRITERS as usize) {
                let done = node.submit(numbered(n)).await.unwrap();
                assert!(accepted(&done.answer), "number {n} was there already");
                println!("answered {n} {}", done.index);
                if n % 97 == 0 {
                    node.submit(sized(100 * 1024)).await.unwrap();
                }
            }
        })
    };
    for task in (0..WRITERS).map(writer).collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

/// Runs the child and kills it after `patience` answers and a moment; gives what it printed.
fn killed_child(round: u64, path: &Path, patience: usize) -> Vec<(u64, u64)> {
    let test = "consensus::tests::kill::child_that_is_killed";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, format!("{round}:{}", path.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let answered = |line: &String| {
        let mut words = line.split(' ').skip_while(|word| *word != "answered").skip(1);
        Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
    };
    let mut found = Vec::new();
    while found.len() < patience {
        let line = lines.next().expect("the child ended by itself").unwrap();
        found.extend(answered(&line));
    }
    std::thread::sleep(Duration::from_micros((round * 7919) % 23_000));
    // On Unix this is SIGKILL.
    child.kill().unwrap();
    let rest = lines.map_while(Result::ok);
    found.extend(rest.filter_map(|line| answered(&line)));
    child.wait().unwrap();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_answered_is_lost_over_kills() {
    let dir = tempfile::tempdir().unwrap();
    let mut answered = Vec::new();
    for round in 1..=ROUNDS {
        let patience = 20 + (round as usize * 577) % 900;
        let path = dir.path().to_owned();
        let child = tokio::task::spawn_blocking(move || killed_child(round, &path, patience));
        answered.extend(child.await.unwrap());
        if round % 4 == 0 {
            // A graceful stop now and then: the next kills come on top of a checkpoint.
            check(&answered, dir.path()).await;
        }
    }
    check(&answered, dir.path()).await;
}

async fn check(answered: &[(u64, u64)], path: &Path) {
    let node = node(path).await;
    let state = node.state();
    let there = numbers(&state);
    for (n, index) in answered {
        assert!(there.binary_search(n).is_ok(), "{n}, answered at entry {index}, is lost");
        let row = node.history().get(&row_of(&node, *n)).await.unwrap();
        assert!(row.is_some(), "{n}, answered at entry {index}, lost its row");
    }
    node.health().unwrap();
    node.shutdown().await.unwrap();
}
