//! A workflow that fires all the while: a task, items of which one never succeeds, what follows a
//! success and what follows a failure, and a last one after both. Each attempt writes a line at its
//! start and its end, as the witness of jobs has it, to a file of its own.

use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::client::{Client, Error};
use crate::history::{Flow, Run, TaskMark};
use crate::moment::Moment;

/// What it is called.
pub const NAME: &str = "flow";
/// Items of its second task.
const ITEMS: u32 = 4;
/// The item that fails.
const FAILS: u32 = 2;

/// Where its attempts write.
pub fn file(folder: &Path) -> PathBuf {
    folder.join("tasks")
}

fn definition(folder: &Path) -> Value {
    let line = |word: &str| {
        let values = "$CRONAPI_FLOW $CRONAPI_TASK $INDEX $CRONAPI_RUN_ID $CRONAPI_ATTEMPT";
        format!("echo {values} {word} $(date +%s%6N) >> {}", file(folder).display())
    };
    let task = |name: &str, index: &str, more: Value| {
        let command =
            format!("{}; sleep 0.1; {}; test $INDEX != {FAILS}", line("start"), line("end"));
        let env = json!({ "INDEX": index });
        let runner = json!({"type": "shell", "command": command, "env": env});
        let mut task = json!({"name": name, "runner": runner,
            "retry": {"max_attempts": 3, "delay": "100ms", "on": ["lost"]}});
        if let (Some(task), Value::Object(more)) = (task.as_object_mut(), more) {
            task.extend(more);
        }
        task
    };
    let after = |task: &str, on: &str| json!({"task": task, "on": on});
    json!({"name": NAME, "expr": "@every 2s", "overlap": "allow", "tasks": [
        task("list", "-", json!({})),
        task("copy", "{{item}}", json!({"after": ["list"], "over": {"count": ITEMS},
            "max_parallel": 2})),
        task("load", "-", json!({"after": ["copy"]})),
        task("mourn", "-", json!({"after": [after("copy", "failure")]})),
        task("tidy", "-", json!({"after": [after("load", "always"), after("mourn", "success")],
            "join": "any"})),
    ]})
}

/// Makes it, as soon as the new cluster has come to the format that has workflows.
///
/// # Errors
/// There is no answer.
pub async fn make(client: &Client, folder: &Path) -> Result<(), Error> {
    let body = definition(folder);
    loop {
        let answer = client.send(Method::POST, "/workflows", Some(&body), Some("flow")).await?;
        if answer.status == 201 || answer.body["code"] == "exists" {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

/// It fires no more.
///
/// # Errors
/// There is no answer, or not the one that was due.
pub async fn pause(client: &Client) -> Result<(), Error> {
    let path = format!("/jobs/{NAME}/pause");
    client.write(Method::POST, &path, None, "pause-flow").await.map(drop)
}

/// All of its runs, when they are over.
///
/// # Errors
/// There is no answer, or not the one that was due.
pub async fn read(client: &Client) -> Result<Vec<Flow>, Error> {
    let mut flows = Vec::new();
    for run in client.list::<Run>(&format!("/jobs/{NAME}/runs")).await? {
        let tasks = client.list(&format!("/runs/{}/tasks", run.id)).await?;
        let runs = client.list(&format!("/runs?flow={}", run.id)).await?;
        flows.push(Flow { run, tasks, runs });
    }
    Ok(flows)
}

/// What its attempts wrote, in order of time; a line that can't be read is none of theirs.
///
/// # Errors
/// The lines that can't be read.
pub fn marks(folder: &Path) -> Result<Vec<TaskMark>, Vec<String>> {
    let text = std::fs::read_to_string(file(folder)).unwrap_or_default();
    let (mut marks, mut torn) = (Vec::new(), Vec::new());
    for line in text.lines() {
        match mark(line) {
            Some(mark) => marks.push(mark),
            None => torn.push(line.to_owned()),
        }
    }
    marks.sort_by_key(|mark| mark.at);
    if torn.is_empty() { Ok(marks) } else { Err(torn) }
}

fn mark(line: &str) -> Option<TaskMark> {
    let words: Vec<&str> = line.split(' ').collect();
    let [flow, task, index, run, attempt, word, at] = words[..] else { return None };
    Some(TaskMark {
        flow: flow.to_owned(),
        task: task.to_owned(),
        index: index.parse().ok(),
        run: run.to_owned(),
        attempt: attempt.parse().ok()?,
        end: match word {
            "start" => false,
            "end" => true,
            _ => return None,
        },
        at: Moment(at.parse().ok()?),
    })
}
