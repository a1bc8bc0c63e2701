//! The session in docs/cli.md runs as it stands there, and is answered so.

use std::path::Path;
use std::process::Command;

use regex::Regex;

use super::place::{PASSWORD, PROGRAM, Place, said};
use crate::skip::skipped;

/// A command, and what the page says that it answers.
struct Step {
    line: String,
    answer: String,
}

/// The fenced blocks of a section: their kind and their text.
fn blocks(section: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut parts = section.split("\n```");
    parts.next();
    while let (Some(block), _rest) = (parts.next(), parts.next()) {
        let (kind, text) = block.split_once('\n').expect("a block has lines");
        found.push((kind.to_owned(), text.to_owned() + "\n"));
    }
    found
}

fn steps(text: &str) -> Vec<Step> {
    let mut found: Vec<Step> = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("$ ") {
            Some(command) => found.push(Step { line: command.to_owned(), answer: String::new() }),
            None => {
                let step = found.last_mut().expect("a command comes first");
                step.answer.push_str(line);
                step.answer.push('\n');
            }
        }
    }
    found
}

/// The same text, whenever and wherever it was written.
fn timeless(text: &str) -> String {
    let rules = [
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", "TIME"),
        (r"\bin (\d+[dhms])+\b|\b(\d+[dhms])+ ago\b|\bnow\b", "TIME"),
        (r"\b(\d+(ms|[dhms]))+\b", "SPAN"),
        (r"127\.0\.0\.1[:-]\d+", "HOST"),
        (r"\b\d{9,}\b", "NODE"),
        (r" +", " "),
        (r" ?\n", "\n"),
    ];
    rules.iter().fold(text.to_owned(), |text, (pattern, with)| {
        Regex::new(pattern).unwrap().replace_all(&text, *with).into_owned()
    })
}

#[test]
fn the_session_in_the_manual_runs_as_it_stands_there() {
    if Command::new("jq").arg("--version").output().is_err() {
        skipped("the session in docs/cli.md", "it needs jq");
        return;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md");
    let page = std::fs::read_to_string(path).unwrap();
    let section = page.split("\n## ").find(|part| part.starts_with("A session")).unwrap();
    let place = Place::new();
    let folder = Path::new(PROGRAM).parent().unwrap();
    let search = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut commands = 0;
    for (kind, text) in blocks(section) {
        if kind == "yaml" {
            place.file("jobs.yaml", &text);
            continue;
        }
        for step in steps(&text) {
            commands += 1;
            let mut bash = Command::new("bash");
            bash.args(["-c", &format!("exec 2>&1; {}", step.line)]).env_clear();
            bash.env("HOME", place.home.path()).env("PATH", &search);
            bash.current_dir(place.home.path());
            if commands == 1 {
                bash.env("CRONAPI_SERVER", place.url()).env("CRONAPI_PASSWORD", PASSWORD);
            }
            let answer = said(&mut bash, "").out;
            // Nothing is asked here.
            let expected = step.answer.replace("Password: ********\n", "");
            assert_eq!(timeless(&answer), timeless(&expected), "$ {}", step.line);
        }
    }
    assert!(commands >= 12, "the page has lost its session");
}

#[test]
fn every_command_is_in_the_manual() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md");
    let page = std::fs::read_to_string(path).unwrap();
    let section = page.split("\n## ").find(|part| part.starts_with("Commands")).unwrap();
    let help = Place::bare().run(&["--help"]).good().out;
    let listed = help.split("\nCommands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names = listed.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let names: Vec<&str> = names.filter(|name| !name.is_empty() && *name != "help").collect();
    assert!(names.len() > 30, "{names:?}");
    for name in names {
        let word = Regex::new(&format!("`{name}[` ]")).unwrap();
        assert!(word.is_match(section), "docs/cli.md has no {name}");
    }
}
