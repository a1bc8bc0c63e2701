//! Objects must be objects: the reader of structures would take a list of their fields' values
//! in order as well, which nobody means and the interface's document does not allow.

use serde_json::{Map, Value};

use crate::model::Invalid;

const OBJECTS: [&str; 6] = ["runner", "retry", "misfire", "placement", "retention", "parameters"];
const LISTS: [&str; 4] = ["calendars", "on_success", "on_failure", "on_finish"];

/// Takes lists that stand where an object should out of `map`, and says so.
pub(super) fn refuse_lists(map: &mut Map<String, Value>, faults: &mut Vec<Invalid>) {
    for field in OBJECTS {
        if map.get(field).is_some_and(Value::is_array) {
            map.remove(field);
            faults.push(Invalid::new(field, "must be an object, not a list"));
        }
    }
    if let Some(Value::Array(tasks)) = map.get_mut("tasks") {
        for (at, task) in tasks.iter_mut().enumerate() {
            refuse_in_task(at, task, faults);
        }
        tasks.retain(Value::is_object);
    }
    for field in LISTS {
        let Some(Value::Array(items)) = map.get_mut(field) else { continue };
        let mut at = 0;
        items.retain(|item| {
            let list =
                item.is_array() || item.get("parameters").is_some_and(|inner| !inner.is_object());
            if list {
                let detail = "must be a name or an object with objects inside, not a list";
                faults.push(Invalid::new(format!("{field}/{at}"), detail));
            }
            at += 1;
            !list
        });
    }
}

fn refuse_in_task(at: usize, task: &mut Value, faults: &mut Vec<Invalid>) {
    let Value::Object(task) = task else {
        let detail = "must be an object with the fields of a task";
        return faults.push(Invalid::new(format!("tasks/{at}"), detail));
    };
    for field in ["runner", "retry", "placement", "parameters", "when"] {
        if task.get(field).is_some_and(Value::is_array) {
            task.remove(field);
            let detail = "must be an object, not a list";
            faults.push(Invalid::new(format!("tasks/{at}/{field}"), detail));
        }
    }
}
