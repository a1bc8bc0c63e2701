//! What `${…}` in a workflow stands for: results of tasks, parameters, the item.

use serde_json::{Value, json};

use crate::machine::state::{Flow, Items, OpenRun};
use crate::model::workflow::Over;
use crate::model::{Run, limits};

use super::filling::{Filling, within};

/// The values of a run of a workflow, for one of its tasks or for its result.
pub(super) struct FlowValues<'a> {
    pub open: &'a OpenRun,
    pub flow: &'a Flow,
    /// The number of an item, and itself.
    pub item: Option<(u32, Value)>,
}

impl FlowValues<'_> {
    /// What a path leads to; none: it is no path.
    pub(super) fn look_up(&self, path: &str) -> Option<Value> {
        let mut parts = path.split('.');
        let run = &self.open.run;
        let root = match parts.next()? {
            "tasks" => {
                let name = parts.next()?;
                self.of_task(name, parts.next()?)?
            }
            "parameters" => run.parameters.to_value(),
            "run_id" => Value::String(run.id.to_string()),
            "job" => Value::String(run.job.to_string()),
            "nominal_time" => nominal_time(run),
            "item" => self.item.as_ref()?.1.clone(),
            "index" => Value::from(self.item.as_ref()?.0),
            _ => return None,
        };
        Some(within(root, parts))
    }

    fn of_task(&self, name: &str, what: &str) -> Option<Value> {
        let at = self.open.spec.tasks.iter().position(|task| task.name.as_str() == name)?;
        let task = self.flow.tasks.get(at)?;
        Some(match what {
            "result" => match &task.items {
                Some(items) if task.end.is_some() => listed(items),
                _ => task.result.clone().unwrap_or(Value::Null),
            },
            "status" => task.end.map_or(Value::Null, |end| json!(end.status().as_str())),
            "run_id" => task.run.map_or(Value::Null, |run| Value::String(run.to_string())),
            "count" => {
                let counts = task.items.as_ref().map(|items| items.counts());
                let counts = counts.unwrap_or_default();
                json!({"total": counts.total, "succeeded": counts.succeeded,
                    "failed": counts.failed})
            }
            _ => return None,
        })
    }

    /// Fills a value in.
    ///
    /// # Errors
    /// It gets too large.
    pub(super) fn fill(&self, value: &Value) -> Result<Value, String> {
        let look_up = |path: &str| self.look_up(path);
        Filling::new(&look_up, true).value(value)
    }

    /// The items of a task: how many, and themselves unless they are numbers.
    ///
    /// # Errors
    /// What it names is no list, or is too long.
    pub(super) fn items(&self, over: &Over) -> Result<(usize, Option<Vec<Value>>), String> {
        let list = match over {
            Over::Count(count) => return Ok((count.count as usize, None)),
            Over::List(items) => Value::Array(items.clone()),
            Over::From(text) => Value::String(text.clone()),
        };
        match self.fill(&list)? {
            Value::Array(items) if items.len() > limits::FLOW_ITEMS_MAX => {
                let most = limits::FLOW_ITEMS_MAX;
                Err(format!("over gives {} items; at most {most} fit", items.len()))
            }
            Value::Array(items) => Ok((items.len(), Some(items))),
            other => {
                let what = match other {
                    Value::Null => "nothing",
                    Value::Object(_) => "an object",
                    _ => "a single value",
                };
                Err(format!("over needs a list, and is given {what}"))
            }
        }
    }
}

fn nominal_time(run: &Run) -> Value {
    run.nominal_time.map_or(Value::Null, |at| Value::String(at.to_string()))
}

/// The results of items, in their order; null for one that has none.
fn listed(items: &Items) -> Value {
    let of = |at: u32| items.results.get(&at).cloned().unwrap_or(Value::Null);
    Value::Array((0..items.total).map(of).collect())
}
