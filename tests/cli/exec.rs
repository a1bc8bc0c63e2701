//! Commands that tell a monitor, and crontabs whose lines do.

use std::process::{Command, Stdio};

use serde_json::Value;

use super::place::{Place, said};

/// A monitor, and where its pings go.
fn monitor(place: &Place, name: &str) -> String {
    let beat = format!("kind: monitor\nname: {name}\nevery: 1h\n");
    place.with_input(&["apply", "-f", "-", "--yes"], &beat).good();
    place.run(&["monitor", "key", name]).good().out.trim().to_owned()
}

fn status(place: &Place, name: &str) -> Value {
    let mut shown = place.run(&["get", "monitor", name, "-o", "json"]).good().json();
    shown["status"].take()
}

/// What the last pings of a monitor said, the newest first.
fn pings(place: &Place, name: &str) -> Vec<(String, String)> {
    let pings = place.run(&["monitor", "pings", name, "-o", "json"]).good().json();
    let text = |ping: &Value, field: &str| ping[field].as_str().unwrap_or_default().to_owned();
    let items = pings["items"].as_array().cloned().unwrap_or_default();
    items.iter().map(|ping| (text(ping, "kind"), text(ping, "body"))).collect()
}

#[test]
fn a_command_tells_how_it_ended_and_is_what_it_was() {
    let place = Place::logged_in();
    let path = monitor(&place, "beat");
    let url = format!("{}{path}", place.url());
    let good = place.with_input(&["exec", &url, "--", "tr", "a-z", "A-Z"], "hello\n").good();
    assert_eq!(good.out, "HELLO\n");
    assert_eq!(status(&place, "beat"), "up");
    let told = pings(&place, "beat");
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0].1, "", "what a success wrote is nobody's business");

    // From a file; by the shell; with what it wrote, since it failed.
    place.file("beat.ping", &format!("{url}\n"));
    let line = "echo out; echo no space left >&2; exit 3";
    let bad = place.run(&["exec", "@beat.ping", "-c", line]).bad(3, "no space left");
    assert_eq!(bad.out, "out\n");
    assert_eq!(status(&place, "beat"), "down");
    assert!(pings(&place, "beat")[0].1.contains("no space left"), "{:?}", pings(&place, "beat"));

    // A path alone is at the server that all commands ask; one that a signal ends says so.
    place.run(&["exec", &path, "-c", "kill -9 $$"]).bad(137, "");
    place.run(&["exec", &path, "--", "no-such-program"]).bad(127, "no-such-program");
    let quiet = ["exec", &path, "--send-output", "never", "-c", "echo secret; exit 1"];
    assert_eq!(place.run(&quiet).bad(1, "").out, "secret\n");
    assert_eq!(pings(&place, "beat")[0].1, "");
}

#[test]
fn a_monitor_that_is_not_there_keeps_no_command_from_its_work() {
    let place = Place::logged_in();
    for wrong in ["@gone", "nightly dump", "/ping/0a6e", "http://127.0.0.1:9/ping/0a6e"] {
        let ended = place.run(&["exec", wrong, "-c", "echo done; exit 5"]).bad(5, "is not told");
        assert_eq!(ended.out, "done\n", "{wrong}");
    }
    place.run(&["exec", "/ping/0a6e"]).bad(2, "COMMAND");
}

/// The reader takes its time, and more is on its way than two pipes hold.
#[test]
fn what_a_slow_reader_reads_is_whole() {
    let place = Place::bare();
    let program = super::place::PROGRAM;
    let line = format!("'{program}' exec 'no monitor' -c 'seq 20000' | (sleep 2; wc -l)");
    let read = said(Command::new("/bin/sh").args(["-c", &line]).env("HOME", place.home.path()), "");
    assert_eq!(read.good().out.trim(), "20000");
}

#[test]
fn a_signal_is_the_commands() {
    let place = Place::logged_in();
    let path = monitor(&place, "beat");
    let wait = "trap 'echo ended; exit 9' TERM; touch here; while :; do sleep 0.05; done";
    let mut command = place.command(&["exec", &path, "-c", wait]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    while !place.home.path().join("here").exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let kill = format!("kill -TERM {}", child.id());
    Command::new("/bin/sh").args(["-c", &kill]).status().unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(9), "{ended:?}");
    assert_eq!(String::from_utf8_lossy(&ended.stdout), "ended\n");
    assert_eq!(status(&place, "beat"), "down");
}

#[test]
fn the_lines_of_a_crontab_stay_and_are_watched() {
    let place = Place::logged_in();
    let tab = "MAILTO=ann\n# Every night.\n30 2 * * * echo \"it's $((1+1))\" > made\n\
               @reboot start-it\n0 9 * * 1 cat > read%one%two\n";
    place.file("tab", tab);
    let import = ["import", "crontab", "tab", "--monitor", "--tz", "UTC"];
    let dry = place.run(&[&import[..], &["--dry-run"]].concat()).good();
    assert!(dry.out.contains("kind: monitor") && dry.out.contains("30 2 * * *"), "{dry:?}");
    assert!(place.run(&["get", "monitors", "-o", "name"]).good().out.is_empty());
    let made = place.run(&[&import[..], &["--server", &place.url()]].concat()).good();
    assert!(made.err.contains("tab:4: not watched: @reboot"), "{made:?}");
    assert_eq!(place.run(&["get", "monitors", "-o", "name"]).good().out, "cat\necho\n");
    let shown = place.run(&["get", "monitor", "echo", "-o", "json"]).good().json();
    assert_eq!(
        (&shown["expr"], &shown["description"]),
        (&"30 2 * * *".into(), &"Every night.".into())
    );

    let lines: Vec<&str> = made.out.lines().collect();
    assert_eq!(lines.len(), 5, "{made:?}");
    assert_eq!(
        (lines[0], lines[1], lines[3]),
        ("MAILTO=ann", "# Every night.", "@reboot start-it")
    );
    // As cron does it: what stands before the % by a shell, what follows as its input.
    let carry_out = |line: &str, times: &str| {
        let rest = line.strip_prefix(times).unwrap_or_else(|| panic!("{line}"));
        let (command, input) = rest.split_once('%').unwrap_or((rest, ""));
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", command]).current_dir(place.home.path());
        shell.env_clear().env("PATH", "/usr/bin:/bin");
        said(&mut shell, &input.replace('%', "\n")).good();
    };
    carry_out(lines[2], "30 2 * * * ");
    carry_out(lines[4], "0 9 * * 1 ");
    let text = |name: &str| std::fs::read_to_string(place.home.path().join(name)).unwrap();
    assert_eq!((text("made").as_str(), text("read").as_str()), ("it's 2\n", "one\ntwo"));
    assert_eq!((status(&place, "echo"), status(&place, "cat")), ("up".into(), "up".into()));

    // Once more: what is watched stays as it is, and what was taken out of it gets a new key.
    place.file("tab", &made.out);
    place.run(&import).bad(1, "tells a monitor already");
    place.file("tab", tab);
    let again = place.run(&[&import[..], &["--server", &place.url()]].concat()).good();
    carry_out(again.out.lines().nth(2).unwrap_or_default(), "30 2 * * * ");
    assert_ne!(again.out, made.out);
    place.run(&["import", "crontab", "tab", "tab", "--monitor"]).bad(2, "one file");
}
