//! Runs: started, waited for, followed, cancelled; what may be done to jobs.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use super::place::{Node, Place, Said};

fn place(jobs: &str) -> Place {
    let place = Place::logged_in();
    place.with_input(&["apply", "-f", "-"], jobs).good();
    place
}

const JOBS: &str = r#"
name: good
runner: {type: shell, command: "echo out; echo err >&2; echo \"got $CRONAPI_PARAMS\""}
---
name: bad
runner: {type: shell, command: "echo no; exit 3"}
---
name: long
runner: {type: shell, command: "echo begun; exec sleep 600"}
"#;

#[test]
fn a_run_is_followed_and_its_end_is_the_exit_code() {
    let place = place(JOBS);
    let said = place.run(&["run", "good", "-f", "-p", "n=3", "-p", "text=a b"]).good();
    for line in ["out\n", "err\n", r#""n":3"#, r#""text":"a b""#] {
        assert!(said.out.contains(line), "{line:?} in {said:?}");
    }
    assert!(said.err.contains("succeeded") && !said.out.contains("succeeded"), "{said:?}");
    place.run(&["run", "bad", "--wait"]).bad(10, "exited with status 3");
    place.run(&["run", "bad", "--wait", "--exit-code"]).bad(3, "exited with status 3");
    let ended = place.run(&["run", "bad", "--wait", "-o", "json"]).bad(10, "").json();
    assert_eq!(ended["exit_code"], 3);
    let started = place.run(&["run", "long", "-o", "name"]).good();
    let id = started.out.trim();
    place.run(&["run", "long"]).bad(5, "");
    let waited = ["run", "long", "--force", "--wait", "--timeout", "200ms"];
    place.run(&waited).bad(7, "cronapi cancel");
    place.run(&["cancel", id]).good();
    place.run(&["run", "good", "-p", "n"]).bad(2, "key=value");
    let wide = "n=18446744073709551616";
    place.run(&["run", "good", "-p", wide]).bad(2, "-p n: 18446744073709551616 is larger than");
    let nested = r#"{"a":{"b":-99999999999999999999}}"#;
    place.run(&["run", "good", "--params", nested]).bad(2, "/a/b: -99999999999999999999 is larger");
    place.run(&["api", "POST", "/jobs/good/run", "-F", wide]).bad(2, "-F n: 1844");
    let body = place.file("body", r#"{"parameters":{"x":18446744073709551616}}"#);
    let sent = ["api", "POST", "/jobs/good/run", "--input", body.to_str().unwrap()];
    let refused = place.run(&sent).bad(1, "18446744073709551616 is larger than 64 bits");
    assert_eq!(refused.json()["errors"][0]["pointer"], "/parameters/x", "{refused:?}");
    place.run(&["run", "good", "--params", "[1]"]).bad(2, "object");
    place.run(&["run", "good", "--dry-run"]).good();
}

#[test]
fn logs_of_a_run_and_of_the_newest_run_of_a_job() {
    let place = place(JOBS);
    let id = place.run(&["run", "good", "--wait", "-o", "name"]).good().out;
    let id = id.trim();
    let whole = place.run(&["logs", id]).good().out;
    assert_eq!(whole, place.run(&["logs", "good"]).good().out);
    assert_eq!(whole, place.run(&["logs", "-f", "good"]).good().out);
    assert!(whole.contains("out\n") && whole.contains("err\n"), "{whole:?}");
    assert_eq!(place.run(&["logs", id, "--stream", "stderr"]).good().out, "err\n");
    let stamped = place.run(&["logs", id, "-t"]).good().out;
    assert!(stamped.lines().all(|line| line.starts_with("20") && line.contains("Z ")), "{stamped}");
    assert!(place.run(&["logs", id, "--jsonl"]).good().out.starts_with('{'));
    // Lines that hold a text, of one run and of all runs of the job.
    assert_eq!(place.run(&["logs", id, "--grep", "ERR"]).good().out, "err\n");
    assert_eq!(place.run(&["logs", "good", "--grep", "err"]).good().out, format!("{id} err\n"));
    assert_eq!(place.run(&["logs", "good", "--grep", "absent"]).good().out, "");
    place.run(&["logs", "good", "--grep", "x", "--tail", "1"]).bad(2, "--tail");
    place.run(&["logs", "none-such", "--grep", "x"]).bad(3, "");
    place.run(&["logs", "00000000-0000-7000-8000-000000000000"]).bad(3, "");
}

#[test]
fn output_is_shown_to_the_character_and_given_to_the_byte() {
    let jobs = r#"
name: umlaut
runner: {type: shell, command: "printf 'gr\\303'; sleep 1; printf '\\274n\\n'"}
---
name: greek
runner:
  type: shell
  command: 'i=0; while [ $i -lt 7000 ]; do echo "$i αβγδε ζηθικ λμνξο"; i=$((i+1)); done'
---
name: bytes
runner: {type: shell, command: "printf 'a\\377\\000b\\303\\n\\274'"}
"#;
    let place = place(jobs);
    let run = |job| place.run(&["run", job, "--wait", "-o", "name"]).good().out.trim().to_owned();
    let umlaut = run("umlaut");
    assert_eq!(place.run(&["logs", &umlaut]).good().out, "grün\n");
    let followed = place.run(&["api", "GET", &format!("/runs/{umlaut}/logs?follow=true")]).good();
    assert!(followed.out.contains(r#""text":"ün\n""#), "{followed:?}");
    let greek = run("greek");
    let text: String = (0..7000).map(|n| format!("{n} αβγδε ζηθικ λμνξο\n")).collect();
    let bytes = |id: &str| place.command(&["logs", id, "--raw"]).output().unwrap().stdout;
    assert!(place.run(&["logs", &greek]).good().out == text);
    assert!(bytes(&greek) == text.as_bytes());
    let page = place.run(&["api", "GET", &format!("/runs/{greek}/logs?limit=3")]).good().json();
    assert!(!page.to_string().contains('\u{fffd}'));
    let last = place.run(&["logs", &greek, "--tail", "2"]).good().out;
    assert_eq!(last, "6998 αβγδε ζηθικ λμνξο\n6999 αβγδε ζηθικ λμνξο\n");
    let last = place.run(&["logs", &greek, "--tail", "1", "-t"]).good().out;
    assert!(last.starts_with("20") && last.ends_with("Z 6999 αβγδε ζηθικ λμνξο\n"), "{last}");
    let odd = run("bytes");
    assert_eq!(bytes(&odd), b"a\xff\x00b\xc3\n\xbc");
    assert_eq!(place.run(&["logs", &odd]).good().out, "a\u{fffd}\0b\u{fffd}\n\u{fffd}");
    place.run(&["logs", &odd, "--raw", "-f"]).bad(2, "--raw");
}

/// Reads lines of a command until one has all these words, then tells which.
fn line_with(lines: &mut impl Iterator<Item = std::io::Result<String>>, words: &[&str]) -> String {
    lines
        .map(|line| line.unwrap())
        .find(|line| words.iter().all(|word| line.contains(word)))
        .expect("the line comes")
}

#[test]
fn a_watch_shows_changes_as_they_come_and_events_tell_of_them() {
    let place = place(JOBS);
    let start = |arguments: &[&str]| {
        let mut child =
            place.command(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        (child, lines)
    };
    let (mut watch, mut shown) = start(&["get", "runs", "-w"]);
    // The head of the list comes once the stream is open.
    line_with(&mut shown, &["RUN", "JOB"]);
    let after = ["events", "--after", "0.0", "--type", "run", "--job", "bad", "-o", "jsonl"];
    place.run(&["run", "bad", "--wait"]).bad(10, "");
    line_with(&mut shown, &["bad", "failed"]);
    let (mut events, mut told) = start(&after);
    line_with(&mut told, &["run.failed", "\"bad\""]);
    for child in [&mut watch, &mut events] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn jobs_are_paused_resumed_described_and_deleted() {
    let place = place("name: a\nexpr: '@hourly'\n---\nname: b\nexpr: '@daily'\n");
    let paused = place.run(&["pause", "a", "b", "--reason", "holiday", "-o", "json"]).good();
    assert_eq!(paused.json()["items"][1]["enabled"], false);
    let resumed = place.run(&["resume", "a", "-o", "json"]).good().json();
    assert_eq!(resumed["enabled"], true);
    let described = place.run(&["describe", "job", "a"]).good().out;
    for part in ["uid:", "Definition:", "expr: \"@hourly\"", "Next times:"] {
        assert!(described.contains(part), "{part} in {described}");
    }
    let next = place.run(&["next", "a", "-n", "3", "-o", "name"]).good().out;
    assert_eq!(next.lines().count(), 3);
    let asked = ["next", "30 1 * * *", "--tz", "Europe/London", "-o", "json"];
    let local = place.run(&asked).good().json();
    assert!(local["items"][0]["local"].as_str().unwrap().contains("T01:30:00"));
    place.run(&["next", "* * *"]).bad(1, "expr");
    let all = place.run(&["next", "-n", "2", "-o", "json"]).good().json();
    assert_eq!(all["items"].as_array().unwrap().len(), 2, "{all}");
    assert!(all["items"][0]["due_at"].as_str() <= all["items"][1]["due_at"].as_str());
    place.run(&["next", "--tz", "UTC"]).bad(2, "expression");
    let explained = place.run(&["explain", "b", "--at", "1h"]).good().out;
    assert!(!explained.is_empty());
    place.run(&["explain", "b", "--at", "yesterday"]).bad(2, "RFC 3339");
    place.run(&["ledger", "a"]).good();
    let Said { out, .. } = place.run(&["audit", "--action", "job.pause", "-o", "json"]).good();
    assert!(out.contains("\"target\": \"a\""), "{out}");
    place.run(&["audit", "--verify"]).good();
    place.run(&["delete", "a"]).bad(2, "--yes");
    place.run(&["delete", "a", "b", "--dry-run"]).good();
    place.run(&["delete", "a", "b", "--yes"]).good();
    place.run(&["get", "job", "a"]).bad(3, "");
}

#[test]
fn users_tokens_and_the_cluster() {
    let place = place("name: a\n");
    let create = ["user", "create", "ann", "--role", "runner", "--jobs", "a*", "--password-stdin"];
    place.with_input(&create, "long enough").good();
    place.with_input(&create, "long enough").bad(5, "ann");
    let user = place.run(&["get", "user", "ann", "-o", "json"]).good().json();
    assert_eq!((&user["role"], &user["scope"]["jobs"][0]), (&"runner".into(), &"a*".into()));
    place.run(&["user", "role", "ann", "viewer"]).good();
    let token = place.run(&["token", "create", "t", "--expires-in", "1h"]).good();
    assert!(token.out.starts_with("crn_") && token.err.contains("never again"), "{token:?}");
    let id = place.run(&["token", "list", "-o", "name"]).good().out;
    place.run(&["token", "delete", id.trim(), "--yes"]).good();
    place.run(&["user", "delete", "ann"]).bad(2, "--yes");
    place.run(&["user", "delete", "ann", "--yes"]).good();
    place.run(&["user", "delete", "admin", "--yes"]).bad(5, "");
    let status = place.run(&["cluster", "status"]).good().out;
    assert!(status.contains("leader:") && status.contains("ADDRESS"), "{status}");
    place.run(&["cluster", "nodes"]).good();
    place.run(&["cluster", "remove", "99", "--yes"]).bad(3, "");
    place.run(&["describe", "node", "99"]).bad(3, "cronapi get nodes");
}

#[test]
fn secrets_are_set_from_standard_input_and_never_shown() {
    let key = [("CRONAPI_SECRETS_KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")];
    let place = Place::logged_in_to(Node::start_with(&key));
    let set = ["secret", "set", "w", "--jobs", "etl-*", "--value-stdin"];
    place.with_input(&set[..3], "").bad(2, "--all-jobs");
    place.with_input(&set[..5], "").bad(2, "--value-stdin");
    let said = place.with_input(&set, "s3cr3t-v4lue\n").good();
    assert!(said.out.contains("etl-*") && !said.out.contains("s3cr3t"), "{said:?}");
    let job = "name: etl-a\nrunner: {type: shell, command: 'echo $P', env: {P: {secret: w}}}\n";
    place.with_input(&["apply", "-f", "-"], job).good();
    assert_eq!(place.run(&["run", "etl-a", "-f"]).good().out, "***\n");
    assert!(place.run(&["secret", "rotate"]).good().err.contains("1 secrets"));
    assert_eq!(place.run(&["get", "secrets", "-o", "name"]).good().out, "w\n");
    place.run(&["secret", "delete", "w"]).bad(2, "--yes");
    place.run(&["secret", "delete", "w", "--yes"]).good();
}
