//! Output: order, liveness, bytes, bounds.

use std::time::Duration;

use cronapi::executor::runner::Ended;
use cronapi::model::LogStream;

use crate::bench::*;

#[tokio::test]
async fn chunks_are_numbered_stamped_and_whole_lines() {
    let line = "for i in 1 2 3 4 5; do echo out $i; echo err $i >&2; sleep 0.02; done";
    let before = now_micros();
    let ran = attempt(shell(line)).await;
    assert!(ran.chunks.len() >= 6, "{:?}", ran.chunks);
    for (at, chunk) in ran.chunks.iter().enumerate() {
        assert_eq!(chunk.seq as usize, at);
        assert!(chunk.bytes.ends_with(b"\n"), "{chunk:?}");
        assert!((before..=now_micros()).contains(&chunk.at_micros));
    }
    assert!(ran.chunks.is_sorted_by_key(|chunk| chunk.at_micros));
    let of = |text: &str| ran.chunks.iter().position(|c| c.bytes.starts_with(text.as_bytes()));
    assert!(of("out 1") < of("err 3") && of("err 1") < of("out 3"), "{:?}", ran.chunks);
}

#[tokio::test]
async fn output_is_seen_while_the_process_runs() {
    let folder = tempfile::tempdir().expect("made");
    let go = folder.path().join("go");
    let line = format!("echo first; printf 'your name? '; {}; echo Ann", wait_for(&go));
    let mut running = start(shell(&line));
    running.until("first\n").await;
    running.until("your name? ").await;
    std::fs::write(&go, "").expect("written");
    assert_eq!(running.end().await.out(), "first\nyour name? Ann\n");
}

#[tokio::test]
async fn bytes_need_not_be_text() {
    let ran = attempt(shell(r"printf 'a\377\000\n\303'; printf '\251 z' >&2")).await;
    assert_eq!(ran.bytes(LogStream::Stdout), b"a\xff\x00\n\xc3");
    assert_eq!(ran.bytes(LogStream::Stderr), b"\xa9 z");
    assert_eq!(ran.outcome.output_bytes, 8);
}

#[tokio::test]
async fn a_long_line_is_cut_between_characters() {
    let asked = shell("printf '%0.sé' $(seq 1 20000)");
    let ran = attempt(asked).await;
    assert_eq!(ran.out().chars().filter(|&c| c == 'é').count(), 20_000);
    assert!(ran.chunks.iter().all(|chunk| chunk.bytes.len() <= 16 * 1024));
    assert!(ran.chunks.len() >= 3);
    assert!(ran.chunks.iter().all(|chunk| std::str::from_utf8(&chunk.bytes).is_ok()));
}

#[tokio::test]
async fn a_character_that_comes_in_two_writes_is_shown_once_it_is_whole() {
    let folder = tempfile::tempdir().expect("made");
    let go = folder.path().join("go");
    let line = format!(r"printf 'gr\303'; {}; printf '\274n\n'", wait_for(&go));
    let mut running = start(shell(&line));
    running.until("gr").await;
    std::fs::write(&go, "").expect("written");
    let ran = running.end().await;
    let texts: Vec<_> = ran.chunks.iter().map(|c| std::str::from_utf8(&c.bytes)).collect();
    assert_eq!(texts, [Ok("gr"), Ok("ün\n")]);
}

#[tokio::test]
async fn greek_of_any_length_stays_greek() {
    let seven_thousand =
        "awk 'BEGIN { for (n = 0; n < 7000; n++) printf \"%d αβγδε ζηθικ λμνξο\\n\", n }'";
    for (line, output_max) in [
        (seven_thousand.to_owned(), 1 << 20),
        (seven_thousand.to_owned(), 100_001),
        (format!("{seven_thousand} | tr -d '\\n'"), 1 << 20),
        (format!("{seven_thousand} | tr -d '\\n'"), 100_000),
        (format!("{seven_thousand} | tr -d '\\n' >&2"), 99_999),
    ] {
        let mut asked = shell(&line);
        asked.output_max = output_max;
        let ran = attempt(asked).await;
        assert_eq!(ran.outcome.ended, Ended::Succeeded, "{}", ran.error());
        assert!(ran.chunks.iter().all(|chunk| std::str::from_utf8(&chunk.bytes).is_ok()));
    }
}

#[tokio::test]
async fn head_and_tail_are_kept_and_the_cut_is_marked() {
    let whole: String = (1..=100_000).map(|n| format!("{n}\n")).collect();
    for output_max in [10_000, 300_001, 1_000_000] {
        let mut asked = shell("seq 1 100000; echo end >&2");
        asked.output_max = output_max;
        let ran = attempt(asked).await;
        let kept = ran.out().len() + ran.err().len();
        let total = whole.len() + 4;
        let note = format!("… {} bytes left out …\n", total - kept);
        let cut = output_max < total;
        assert_eq!(ran.outcome.output_cut, cut);
        assert_eq!(ran.notes(), if cut { note } else { String::new() });
        assert_eq!(ran.outcome.output_bytes, total as u64);
        assert!(kept <= output_max && kept >= output_max.min(total) * 9 / 10, "{kept}");
        let mut at = 0;
        let is_mark = |chunk: &&cronapi::executor::runner::Chunk| chunk.stream == LogStream::System;
        let mark = ran.chunks.iter().find(is_mark).map_or(u32::MAX, |chunk| chunk.seq);
        for chunk in ran.chunks.iter().filter(|c| c.stream == LogStream::Stdout && c.seq < mark) {
            let text = std::str::from_utf8(&chunk.bytes).expect("digits");
            assert_eq!(&whole[at..at + text.len()], text, "the head is the beginning");
            at += text.len();
        }
        assert!(!cut || whole.as_bytes()[at - 1] == b'\n', "the head ends with a line");
        let tail: Vec<_> = ran.chunks.iter().filter(|c| c.seq > mark).collect();
        let out = tail.iter().filter(|c| c.stream == LogStream::Stdout);
        let text: Vec<u8> = out.flat_map(|c| c.bytes.to_vec()).collect();
        assert!(whole.as_bytes().ends_with(&text), "the tail is the end");
        assert!(ran.chunks.iter().enumerate().all(|(n, c)| c.seq as usize == n));
        assert_eq!(ran.err(), "end\n");
    }
}

#[tokio::test]
async fn no_output_may_be_kept_at_all() {
    let mut asked = shell("echo lost");
    asked.output_max = 0;
    let ran = attempt(asked).await;
    assert_eq!((ran.out().as_str(), ran.notes().as_str()), ("", "… 5 bytes left out …\n"));
}

#[tokio::test]
async fn a_dropped_receiver_loses_the_output_only() {
    let (_cancel, cancelled) = tokio::sync::watch::channel(false);
    let (output, batches) = tokio::sync::mpsc::channel(1);
    drop(batches);
    let asked = shell("seq 1 100000; sleep 0.1; seq 1 10");
    use cronapi::executor::runner::run;
    let outcome = within(run(asked, cancelled, output, |_| {}, now_micros, node())).await;
    assert_eq!((outcome.ended, outcome.output_bytes), (Ended::Succeeded, 588_916));
}

#[test]
fn a_flood_stays_within_bounds() {
    alone("output::in_a_flood", &[]);
}

/// 200 MB through one attempt, whose output nobody takes before the end, beside attempts
/// that want to be served meanwhile.
/// Run by `a_flood_stays_within_bounds` in a process of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_flood() {
    if !is_alone() {
        return;
    }
    attempt(shell("true")).await;
    let before = resident();
    let flood = start(shell("head -c 200000000 /dev/zero | tr '\\0' 'x'"));
    for _ in 0..10 {
        let ran = attempt(shell("echo meanwhile")).await;
        assert!(ran.took < Duration::from_secs(2), "stalled: {:?}", ran.took);
    }
    let ran = flood.end().await;
    assert_eq!(ran.outcome.output_bytes, 200_000_000);
    assert!(ran.took < Duration::from_secs(15), "{:?}", ran.took);
    assert!(ran.bytes(LogStream::Stdout).len() <= 1024 * 1024);
    let grown = resident().saturating_sub(before);
    println!("200 MB in {:?}, {} KiB more memory", ran.took, grown);
    assert!(grown < 24 * 1024, "{grown} KiB");
}

/// The peak so far, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("there");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("there");
    line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
}
