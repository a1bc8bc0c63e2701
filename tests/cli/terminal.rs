//! On a terminal: questions, colours, relative times, Ctrl-C.

use super::place::{PASSWORD, Place};
use super::screen::Screen;

fn screen(place: &Place, arguments: &[&str]) -> Screen {
    Screen::start(place, arguments, &[])
}

#[test]
fn a_login_asks_and_shows_no_password() {
    let place = Place::new();
    let mut screen = screen(&place, &["login", "--server", &place.url()]);
    screen.shows("User:");
    screen.types("\r");
    screen.shows("Password:");
    screen.types(PASSWORD);
    screen.types("\r");
    assert_eq!(screen.ends(), 0, "{}", screen.written);
    screen.shows("logged in to");
    assert!(!screen.written.contains(PASSWORD));
    place.run(&["whoami"]).good();
}

#[test]
fn an_apply_shows_its_plan_and_asks() {
    let place = Place::logged_in();
    place.file("a.yaml", "name: a\nexpr: '@hourly'\n");
    let mut no = screen(&place, &["apply", "-f", "a.yaml"]);
    no.shows("NEXT THEN");
    no.shows("Go ahead?");
    no.types("\r");
    assert_eq!(no.ends(), 1, "{}", no.written);
    assert_eq!(place.run(&["get", "jobs", "-o", "name"]).good().out, "");
    let mut interrupted = screen(&place, &["apply", "-f", "a.yaml"]);
    interrupted.shows("Go ahead?");
    interrupted.types("\u{3}");
    assert_eq!(interrupted.ends(), 130, "{}", interrupted.written);
    assert_eq!(place.run(&["get", "jobs", "-o", "name"]).good().out, "");
    let mut yes = screen(&place, &["apply", "-f", "a.yaml"]);
    yes.shows("Go ahead?");
    yes.types("y\r");
    assert_eq!(yes.ends(), 0, "{}", yes.written);
    assert_eq!(place.run(&["get", "jobs", "-o", "name"]).good().out, "a\n");
    let mut delete = screen(&place, &["delete", "a"]);
    delete.shows("Delete job a?");
    delete.types("y\r");
    assert_eq!(delete.ends(), 0, "{}", delete.written);
}

#[test]
fn what_others_wrote_does_not_command_the_terminal() {
    let place = Place::logged_in();
    let jobs = r#"
name: a
description: "say \u001b]0;owned\u0007 \u009b31m \u202e"
runner: {type: shell, command: "printf 'x\\033[2J\\033]52;c;aGk=\\007y\\nred \\033[31m\\n'; exit 1"}
---
name: b
runner: {type: python, code: "raise ValueError('\\x1b[31mred\\x9b2J')"}
"#;
    place.with_input(&["apply", "-f", "-"], jobs).good();
    place.run(&["run", "a", "--wait"]).bad(10, "");
    let failed = place.run(&["run", "b", "--wait"]).bad(10, r"ValueError: \x1b[31mred\u{9b}2J");
    assert!(!failed.err.contains('\u{1b}'), "{failed:?}");
    let commands = ["\u{1b}]", "\u{1b}[2J", "\u{1b}[31m", "\u{7}", "\u{9b}", "\u{202e}"];
    for arguments in [
        &["logs", "a"][..],
        &["logs", "a", "-t"],
        &["logs", "a", "-f"],
        &["logs", "b"],
        &["describe", "job", "a"],
        &["get", "job", "a", "-o", "json"],
        &["get", "job", "a", "-o", "yaml"],
        &["get", "jobs", "-o", "wide", "--color", "never"],
        &["get", "runs", "-o", "wide", "--color", "never"],
        &["run", "b", "-f"],
        &["api", "GET", "/jobs/a"],
    ] {
        let mut screen = screen(&place, arguments);
        screen.ends();
        for command in commands {
            let written = &screen.written;
            assert!(!written.contains(command), "{arguments:?}: {command:?} in {written:?}");
        }
    }
    let piped = place.run(&["logs", "a"]).good();
    assert!(piped.out.contains("x\u{1b}[2J"), "programs get what was written");
    let mut raw = screen(&place, &["logs", "a", "--raw"]);
    raw.ends();
    assert!(raw.written.contains("\u{1b}[31m"), "who asks for it gets it");
}

#[test]
fn colours_times_and_columns_are_for_people() {
    let place = Place::logged_in();
    place.with_input(&["apply", "-f", "-"], "name: a\nexpr: '@hourly'\n").good();
    let shown = |arguments: &[&str], env: &[(&str, &str)]| {
        let mut screen = Screen::start(&place, arguments, env);
        assert_eq!(screen.ends(), 0, "{}", screen.written);
        screen.written.clone()
    };
    let colored = shown(&["get", "jobs"], &[]);
    assert!(colored.contains("\u{1b}[") && !colored.contains("T0") && colored.contains("in "));
    for env in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        assert!(!shown(&["get", "jobs"], &[env]).contains('\u{1b}'), "{env:?}");
    }
    assert!(!shown(&["get", "jobs", "--color", "never"], &[]).contains('\u{1b}'));
    // More columns than the screen is wide: the last are left out, unless asked for.
    let long = format!("name: {}\nexpr: '@hourly'\n", "x".repeat(80));
    place.with_input(&["apply", "-f", "-"], &long).good();
    let narrow = shown(&["get", "jobs", "--color", "never"], &[]);
    assert!(narrow.contains("NAME") && !narrow.contains("ENDED"), "{narrow}");
    assert!(shown(&["get", "jobs", "-o", "wide"], &[]).contains("ENDED"));
}

#[test]
fn runs_fit_eighty_columns_with_ids_that_commands_take() {
    let place = Place::logged_in();
    let job = "name: nightly-report\nrunner: {type: shell, command: 'exit 3'}\n";
    place.with_input(&["apply", "-f", "-"], job).good();
    let whole = place.run(&["run", "nightly-report", "--wait", "-o", "name"]).out;
    for arguments in [&["get", "runs"][..], &["get", "runs", "nightly-report"]] {
        let mut screen = Screen::of(80, &place, arguments, &[("NO_COLOR", "1")]);
        assert_eq!(screen.ends(), 0, "{}", screen.written);
        let lines: Vec<&str> = screen.written.lines().map(str::trim_end).collect();
        let too_long = lines.iter().find(|line| line.chars().count() > 80);
        assert_eq!(too_long, None, "{}", screen.written);
        let row = lines.iter().find(|line| line.contains("failed")).expect(&screen.written);
        let id = row.split_whitespace().next().expect("an id");
        assert!(id.len() < 36 && whole.trim().starts_with(id), "{row} of {whole}");
        assert!(place.run(&["describe", "run", id]).good().out.contains(whole.trim()));
    }
}

#[test]
fn ctrl_c_ends_the_wait_and_not_the_run() {
    let place = Place::logged_in();
    let job = "name: long\nrunner: {type: shell, command: 'echo begun; exec sleep 600'}\n";
    place.with_input(&["apply", "-f", "-"], job).good();
    let mut screen = screen(&place, &["run", "long", "-f"]);
    screen.shows("begun");
    screen.types("\u{3}");
    assert_eq!(screen.ends(), 130, "{}", screen.written);
    let run = place.run(&["get", "runs", "long", "-o", "json"]).good().json();
    assert_eq!(run["items"][0]["status"], "running");
    place.run(&["cancel", run["items"][0]["id"].as_str().unwrap()]).good();
}

#[test]
fn top_shows_what_goes_on_and_leaves_the_terminal_as_it_was() {
    let place = Place::logged_in();
    let jobs = "name: long\nrunner: {type: shell, command: 'exec sleep 600'}\n---\n\
                name: nightly\nexpr: '@daily'\n";
    place.with_input(&["apply", "-f", "-"], jobs).good();
    let id = place.run(&["run", "long", "-o", "name"]).good().out;
    let mut screen = screen(&place, &["top"]);
    for part in ["Nodes", "leader", "Running", "long", "Next", "nightly"] {
        screen.shows(part);
    }
    screen.types("q");
    assert_eq!(screen.ends(), 0, "{}", screen.written);
    assert!(screen.written.contains("\u{1b}[?1049l"), "the other screen is left");
    place.run(&["cancel", id.trim()]).good();
    place.run(&["top"]).bad(2, "terminal");
}

#[test]
fn ctrl_c_in_an_editor_is_for_the_editor() {
    let place = Place::logged_in();
    place.with_input(&["apply", "-f", "-"], "name: a\nexpr: '@hourly'\n").good();
    let script = "trap 'echo heard' INT\necho open\nread line\nread line\n\
                  sed -i s/hourly/daily/ \"$1\"\n";
    let editor = format!("sh {}", place.file("editor.sh", script).display());
    let mut screen = Screen::start(&place, &["edit", "a", "--yes"], &[("EDITOR", &editor)]);
    screen.shows("open");
    screen.types("\u{3}");
    screen.shows("heard");
    screen.types("\r\r");
    screen.shows("is version 2");
    assert_eq!(screen.ends(), 0, "{}", screen.written);
}
