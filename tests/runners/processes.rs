//! Time-outs, cancels, groups, and what processes cost.

use std::time::Duration;

use cronapi::executor::runner::Ended;

use crate::bench::*;

const GRACE: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_timeout_reaches_the_whole_group() {
    let mut asked = shell("sleep 1000 & echo $!; echo $$; wait");
    asked.timeout = Some(Duration::from_millis(200));
    let ran = attempt(asked).await;
    assert_eq!(ran.outcome.ended, Ended::TimedOut);
    assert_eq!(ran.error(), "timed out after 200ms");
    assert_eq!(ran.outcome.signal, Some(15));
    for line in ran.lines() {
        gone(line.parse().expect("a number")).await;
    }
    assert!(ran.took < Duration::from_secs(5), "{:?}", ran.took);
    assert!(ran.notes().contains("timed out: SIGTERM, SIGKILL after 10s"), "{}", ran.notes());
}

#[tokio::test]
async fn a_process_may_end_in_order_within_the_grace() {
    let line = "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done";
    let mut running = start(shell(line));
    running.until("ready").await;
    running.cancel();
    let ran = running.end().await;
    assert_eq!(ran.outcome.ended, Ended::Cancelled);
    assert_eq!((ran.outcome.exit_code, ran.error()), (Some(0), "cancelled"));
    assert_eq!(ran.out(), "ready\nbye\n");
}

#[tokio::test]
async fn a_process_that_ignores_sigterm_is_killed_after_the_grace() {
    let mut asked = shell("trap '' TERM; echo ready; while :; do sleep 0.01; done");
    asked.kill_grace = GRACE;
    let mut running = start(asked);
    running.until("ready").await;
    running.cancel();
    let ran = running.end().await;
    assert_eq!((ran.outcome.ended, ran.outcome.signal), (Ended::Cancelled, Some(9)));
    assert!(ran.took >= GRACE, "{:?}", ran.took);
    assert!(ran.notes().contains("still running: SIGKILL"), "{}", ran.notes());
}

#[tokio::test]
async fn a_suspended_process_hears_sigterm() {
    let mut asked = shell("sh -c 'echo ready; kill -STOP $$'; echo woken");
    asked.timeout = Some(Duration::from_millis(300));
    let ran = attempt(asked).await;
    assert_eq!((ran.outcome.ended, ran.outcome.signal), (Ended::TimedOut, Some(15)));
}

#[tokio::test]
async fn strays_of_a_stopped_group_have_the_rest_of_the_grace() {
    let folder = tempfile::tempdir().expect("made");
    let done = folder.path().join("done");
    // The leader dies at once; its child cleans up, with its output closed.
    let child = format!(
        "trap 'sleep 0.5; : > {}; exit' TERM; echo ready; exec >/dev/null 2>&1; \
         while :; do sleep 0.01; done",
        done.display()
    );
    let mut running = start(shell(&format!("({child}) & wait")));
    running.until("ready").await;
    running.cancel();
    let ran = running.end().await;
    assert_eq!(ran.outcome.signal, Some(15), "{ran:?}");
    assert!(done.exists(), "it was not given the time: {ran:?}");
    assert!(ran.took < Duration::from_secs(5), "and no more than it needed: {:?}", ran.took);
}

#[tokio::test]
async fn strays_that_ignore_sigterm_are_killed_when_the_leader_has_gone() {
    let mut asked = shell("(trap '' TERM; exec sleep 1000) & echo $!; sleep 0.1; echo ready; wait");
    asked.kill_grace = GRACE;
    let mut running = start(asked);
    running.until("ready").await;
    running.cancel();
    let ran = running.end().await;
    assert_eq!(ran.outcome.signal, Some(15), "the leader itself obeyed: {ran:?}");
    gone(ran.lines()[0].parse().expect("a number")).await;
}

#[tokio::test]
async fn an_attempt_ends_with_its_process() {
    for line in [
        "sleep 1000 & echo $!",
        "sleep 1000 >/dev/null 2>&1 & echo $!",
        "(while :; do echo noise; done) >&2 & echo $!",
        "nohup sleep 1000 & echo $!",
    ] {
        let ran = attempt(shell(line)).await;
        assert_eq!(ran.outcome.ended, Ended::Succeeded, "{line}");
        gone(ran.lines()[0].parse().expect("a number")).await;
        assert!(ran.took < Duration::from_secs(4), "{line}: {:?}", ran.took);
    }
}

#[tokio::test]
async fn what_strays_print_in_time_is_kept() {
    let ran = attempt(shell("(sleep 0.1; echo late) & echo early")).await;
    assert_eq!(ran.out(), "early\nlate\n");
}

#[tokio::test]
async fn a_daemon_of_its_own_session_does_not_hold_the_attempt() {
    let ran = attempt(shell("setsid sleep 1000 & sleep 0.1; echo done")).await;
    assert_eq!(ran.outcome.ended, Ended::Succeeded);
    assert_eq!(ran.out(), "done\n");
    assert!(ran.took < Duration::from_secs(3), "{:?}", ran.took);
    for pid in processes_with("sleep\x001000") {
        if session_leader(pid) {
            let _ = std::process::Command::new("kill").arg(pid.to_string()).status();
        }
    }
}

fn processes_with(command: &str) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").expect("there").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let has = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).starts_with(command)
    };
    pids.filter(has).collect()
}

fn session_leader(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<_> = stat.rsplit_once(") ").map_or(vec![], |(_, f)| f.split(' ').collect());
    fields.get(3).and_then(|session| session.parse().ok()) == Some(pid)
}

#[tokio::test]
async fn a_cancelled_attempt_does_not_start() {
    let folder = tempfile::tempdir().expect("made");
    let file = folder.path().join("started");
    let (cancel, cancelled) = tokio::sync::watch::channel(true);
    let (output, _batches) = tokio::sync::mpsc::channel(1);
    let line = format!(": > {}", file.display());
    let started = |_| unreachable!("it did start");
    use cronapi::executor::runner::run;
    let outcome = run(shell(&line), cancelled, output, started, now_micros, node()).await;
    assert_eq!(outcome.ended, Ended::Cancelled);
    assert!(!file.exists());
    drop(cancel);
}

#[tokio::test]
async fn a_forgotten_cancel_is_no_cancel() {
    let mut running = start(shell("echo ready; sleep 0.2; echo done"));
    running.until("ready").await;
    running.forget_cancel();
    assert_eq!(running.end().await.outcome.ended, Ended::Succeeded);
}

#[tokio::test]
async fn a_dropped_attempt_is_killed() {
    let mut running = start(shell("trap '' TERM; echo $$; sleep 1000 & echo $!; echo ready; wait"));
    running.until("ready").await;
    running.abort();
    for line in running.out().lines().take(2) {
        gone(line.parse().expect("a number")).await;
    }
}

#[tokio::test]
async fn a_full_channel_does_not_stand_in_the_way_of_a_kill() {
    let mut asked = shell("echo $$; trap '' TERM; while :; do echo flood; done");
    asked.kill_grace = Duration::from_millis(50);
    let mut running = start(asked);
    running.until("\n").await;
    let pid = running.out().lines().next().expect("a line").parse().expect("a number");
    // Nobody reads from here on until the process is gone.
    running.cancel();
    gone(pid).await;
    let ran = running.end().await;
    assert_eq!((ran.outcome.ended, ran.outcome.signal), (Ended::Cancelled, Some(9)));
}

#[tokio::test]
async fn no_core_is_dumped() {
    assert_eq!(attempt(shell("sleep 0.05; ulimit -Hc")).await.out(), "0\n");
}

#[tokio::test]
async fn processor_time_is_counted_with_children() {
    let line = "sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'; true";
    let ran = attempt(shell(line)).await;
    assert!(ran.outcome.cpu_ms.expect("counted") >= 30, "{ran:?}");
}

#[test]
fn memory_is_that_of_the_child_not_of_the_daemon() {
    alone("processes::in_a_large_daemon", &[]);
}

/// Run by `memory_is_that_of_the_child_not_of_the_daemon` in a process of its own.
#[tokio::test]
async fn in_a_large_daemon() {
    if !is_alone() {
        return;
    }
    const MIB: u64 = 1024 * 1024;
    let ballast = vec![1_u8; 200 * 1024 * 1024];
    let small = attempt(shell("sleep 0.2")).await.outcome.peak_rss_bytes.expect("sampled");
    assert!(small < 20 * MIB, "{small}");
    let quick = attempt(shell("true")).await.outcome.peak_rss_bytes;
    assert!(quick.is_none_or(|peak| peak < 20 * MIB), "{quick:?}");
    if has_python() {
        let code = |mib: u32| format!("def f(): return len(b'x' * ({mib} << 20))");
        for mib in [50, 400] {
            let asked = python(&code(mib), serde_json::json!({}));
            let peak = attempt(asked).await.outcome.peak_rss_bytes.expect("known");
            let mib = u64::from(mib);
            assert!((mib * MIB..(mib + 40) * MIB).contains(&peak), "{mib}: {peak}");
        }
    }
    assert_eq!(ballast.iter().map(|&b| u64::from(b)).sum::<u64>(), 200 * MIB);
}
