//! The sessions in docs/workflows.md and docs/backfill.md run as they stand there.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::place::{Node, PROGRAM, Place, Said, said};

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// The first block of a kind.
fn block(page: &str, kind: &str) -> String {
    let begin = format!("\n```{kind}\n");
    let from = page.find(&begin).expect("the page has such a block") + begin.len();
    let until = from + page[from..].find("\n```").unwrap();
    page[from..until].to_owned() + "\n"
}

/// The commands of the page's session.
fn commands(page: &str) -> Vec<String> {
    let lines = block(page, "console");
    lines.lines().map(|line| line.strip_prefix("$ ").expect(line).to_owned()).collect()
}

fn shell(place: &Place, line: &str) -> Said {
    let folder = Path::new(PROGRAM).parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut bash = Command::new("bash");
    bash.args(["-c", line]).env_clear().env("HOME", place.home.path()).env("PATH", path);
    said(bash.current_dir(place.home.path()), "")
}

#[test]
fn the_session_of_workflows_runs_as_it_stands_there() {
    let tools = tempfile::tempdir().unwrap();
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(tools.path(), open.clone()).unwrap();
    let broken = tools.path().join("broken");
    for (tool, text) in [
        ("pg_dump", "exit 0".to_owned()),
        ("pg_restore", format!("test ! -e {}", broken.display())),
        ("find", "exit 0".to_owned()),
    ] {
        let file = tools.path().join(tool);
        std::fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&file, open.clone()).unwrap();
    }
    // The dump can't be read until somebody has looked at it.
    std::fs::write(&broken, "").unwrap();
    let path = format!("{}:{}", tools.path().display(), std::env::var("PATH").unwrap());
    let place = Place::logged_in_to(Node::start_with(&[("PATH", &path)]));
    let page = page("workflows.md");
    place.file("nightly.yaml", &block(&page, "yaml"));
    let mut ran = Vec::new();
    for line in commands(&page) {
        let run = place.run(&["runs", "nightly", "-o", "name"]);
        let last = run.out.lines().next().unwrap_or_default().trim();
        let told = loop {
            let told = shell(&place, &line.replace("RUN", last));
            // The cluster comes to its format by itself, soon after its start.
            if !told.err.contains("format") {
                break told;
            }
        };
        match &*line {
            line if line.contains("run nightly") => {
                told.good();
                std::fs::remove_file(&broken).unwrap();
            }
            line if line.contains("graph") => {
                for task in ["dump", "verify", "tidy"] {
                    assert!(told.out.contains(task), "{told:?}");
                }
                told.good();
            }
            _ => drop(told.good()),
        }
        ran.push(line);
    }
    assert!(ran.len() >= 4, "{ran:?}");
    let again = place.run(&["runs", "nightly", "-o", "json"]).good().json();
    let id = again["items"][0]["id"].as_str().unwrap_or_default().to_owned();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let tasks = place.run(&["api", "GET", &format!("/runs/{id}/tasks")]).good().json();
        let of = |name: &str| {
            let tasks = tasks["items"].as_array().unwrap();
            tasks.iter().find(|task| task["name"] == name).unwrap().clone()
        };
        if of("tidy")["status"] == "succeeded" {
            assert!(of("dump")["made_by"].is_string(), "what succeeded is not done again: {tasks}");
            assert_eq!(of("verify")["status"], "succeeded", "{tasks}");
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{tasks}");
    }
}

#[test]
fn the_session_of_backfills_runs_as_it_stands_there() {
    let place = Place::logged_in();
    let runner = json!({"type": "shell", "command": "sleep 0.1"});
    let job = json!({"name": "report", "expr": "0 * * * *", "runner": runner});
    place.with_input(&["apply", "-y", "-f", "-"], &job.to_string()).good();
    let mut ran = Vec::new();
    for line in commands(&page("backfill.md")) {
        let told = loop {
            let told = shell(&place, &line);
            if !told.err.contains("format") {
                break told.good();
            }
        };
        if line.contains("--dry-run") {
            assert!(told.out.contains("168 of 168 times"), "{told:?}");
        }
        ran.push(line);
    }
    assert!(ran.len() >= 6, "{ran:?}");
    let list = place.run(&["backfills", "-o", "json"]).good().json();
    let statuses: Vec<&str> =
        list["items"].as_array().unwrap().iter().filter_map(|it| it["status"].as_str()).collect();
    assert_eq!(statuses, ["done", "cancelled"], "{list}");
}
