//! `workflow`: the tasks of a workflow as a graph, or where those of a run are.

use std::collections::BTreeMap;

use clap::Subcommand;
use serde_json::{Value, json};

use super::super::client::{Client, Request, escaped};
use super::super::exit::{Failure, Outcome};
use super::super::output::{As, columns};
use super::super::session::Session;
use super::get::is_run;
use super::jobs::found;

/// Tasks of one page.
const PAGE: usize = 1_000;

/// What to do with workflows.
#[derive(Debug, Subcommand)]
pub enum Workflow {
    /// Show the tasks of a workflow, each below what it comes after; of a run, where each is
    ///
    /// Examples:
    ///   cronapi workflow graph etl
    ///   cronapi workflow graph 01a207f4-6c1c-7b1e-9d0a-0c6a3a2f9a11
    #[command(verbatim_doc_comment)]
    Graph {
        /// The workflow, or a run of one
        #[arg(value_name = "NAME|RUN")]
        of: String,
        #[command(flatten)]
        output: As,
    },
}

impl Workflow {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let Workflow::Graph { of, output } = self;
        let client = session.client()?;
        let tasks = match is_run(&of) {
            true => of_run(&client, &of).await?,
            false => of_job(&client, &of).await?,
        };
        if tasks.is_empty() {
            return Err(Failure::usage(format!("{of} has no tasks"))
                .advise("`cronapi get jobs --runner workflow` lists workflows"));
        }
        let items = ordered(tasks);
        session.output(output).list(&json!({ "items": items }), &columns::TASKS)?;
        Ok(0)
    }
}

async fn of_run(client: &Client, id: &str) -> Result<Vec<Value>, Failure> {
    let page = client.fetch(Request::get(format!("/runs/{id}/tasks?limit={PAGE}"))).await?;
    Ok(page["items"].as_array().cloned().unwrap_or_default())
}

async fn of_job(client: &Client, name: &str) -> Result<Vec<Value>, Failure> {
    let answer = client.fetch(Request::get(format!("/jobs/{}", escaped(name)))).await;
    let job = found(client, name, answer).await?;
    let mut tasks = job["tasks"].as_array().cloned().unwrap_or_default();
    for task in &mut tasks {
        let after = task["after"].as_array().cloned().unwrap_or_default();
        let after = after.into_iter().map(|after| match after {
            Value::String(task) => json!({"task": task, "on": "success"}),
            other => other,
        });
        let after: Vec<Value> = after.collect();
        *task = json!({"name": task["name"], "job": task["job"], "after": after});
    }
    Ok(tasks)
}

/// The tasks, each after all that it comes after, with how many are before it on the longest way.
fn ordered(tasks: Vec<Value>) -> Vec<Value> {
    let name = |task: &Value| task["name"].as_str().unwrap_or_default().to_owned();
    let before = |task: &Value| -> Vec<String> {
        let after = task["after"].as_array().into_iter().flatten();
        after.filter_map(|after| Some(after["task"].as_str()?.to_owned())).collect()
    };
    let mut depth: BTreeMap<String, usize> = BTreeMap::new();
    let mut left = tasks;
    let mut items = Vec::new();
    while !left.is_empty() {
        let known = |task: &Value| before(task).iter().all(|name| depth.contains_key(name));
        let (ready, rest): (Vec<Value>, Vec<Value>) = left.into_iter().partition(known);
        if ready.is_empty() {
            // No circle is ever written; whatever this is, it is shown.
            items.extend(rest);
            break;
        }
        let deep: Vec<usize> = ready
            .iter()
            .map(|task| {
                before(task).iter().filter_map(|it| depth.get(it)).max().map_or(0, |d| d + 1)
            })
            .collect();
        for (mut task, deep) in ready.into_iter().zip(deep) {
            depth.insert(name(&task), deep);
            task["shown"] = json!(format!("{}{}", "  ".repeat(deep), name(&task)));
            task["comes_after"] = json!(told(&task));
            items.push(task);
        }
        left = rest;
    }
    items
}

fn told(task: &Value) -> String {
    let after = task["after"].as_array().into_iter().flatten();
    let texts = after.map(|after| {
        let task = after["task"].as_str().unwrap_or_default();
        match after["on"].as_str() {
            None | Some("success") => task.to_owned(),
            Some(on) => format!("{task} ({on})"),
        }
    });
    texts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_task_stands_below_what_it_comes_after() {
        let after = |names: &[&str]| -> Vec<Value> {
            names.iter().map(|name| json!({"task": name, "on": "failure"})).collect()
        };
        let items = ordered(vec![
            json!({"name": "c", "after": after(&["a", "b"])}),
            json!({"name": "b", "after": after(&["a"])}),
            json!({"name": "a", "after": []}),
        ]);
        let shown: Vec<&str> = items.iter().filter_map(|item| item["shown"].as_str()).collect();
        assert_eq!(shown, ["a", "  b", "    c"]);
        assert_eq!(items[2]["comes_after"], "a (failure), b (failure)");
    }
}
