use serde_json::{Value, json};

use super::*;
use crate::model::JobSpec;

fn read(value: Value) -> JobSpec {
    let Value::Object(map) = value else { panic!("not an object") };
    JobSpec::from_map(map).unwrap()
}

fn full() -> Value {
    json!({"name": "etl", "fail_fast": true, "result": "${tasks.load.result}", "tasks": [
        {"name": "list", "runner": {"type": "shell", "command": "list"}},
        {"name": "copy", "after": ["list"], "over": "${tasks.list.result.files}",
         "max_parallel": 64, "collect": "count", "retry": {"max_attempts": 3}, "timeout": "5m",
         "runner": {"type": "shell", "argv": ["copy", "{{item}}", "{{item.a.b | json}}"]},
         "priority": 2, "queue": "q"},
        {"name": "load", "job": "load", "after": ["copy"],
         "parameters": {"n": "${tasks.copy.count.succeeded}"},
         "when": {"value": "${tasks.list.result.n}", "gt": 0, "in": [1, 2]}},
        {"name": "mourn", "job": "tell-team", "join": "any", "over": [1, {"a": null}],
         "after": [{"task": "load", "on": "failure"}, {"task": "copy", "on": "always"}]}]})
}

#[test]
fn a_workflow_goes_round_both_codecs() {
    let spec = read(full());
    let packed = rmp_serde::to_vec_named(&spec).unwrap();
    assert_eq!(rmp_serde::from_slice::<JobSpec>(&packed).unwrap(), spec);
    let again = read(Value::Object(spec.to_map()));
    assert_eq!(again, spec);
    let need = spec.need().unwrap();
    assert_eq!(need.format, 6);
    assert_eq!(spec.runner_kind(), "workflow");
    assert!(rmp_serde::from_slice::<JobSpec>(&packed).unwrap().is_workflow());
}

#[test]
fn the_definition_of_a_task_takes_what_the_workflow_says() {
    let mut value = full();
    value["queue"] = json!("own");
    value["tags"] = json!(["team"]);
    let spec = read(value);
    let queue = |at: usize| spec.of_task(at).unwrap().queue.unwrap().to_string();
    assert_eq!((queue(0), queue(1)), ("own".to_owned(), "q".to_owned()));
    assert_eq!(spec.of_task(1).unwrap().tags, ["team"]);
    assert!(spec.of_task(9).is_none());
}

#[test]
fn the_graph_knows_what_comes_after_what_and_whose_result_is_named() {
    let spec = read(full());
    let graph = Graph::of(&spec.tasks, spec.result.as_deref()).unwrap();
    assert_eq!(graph.named, [true, false, true, false]);
    assert_eq!(graph.below([1]), [false, true, true, true]);
    assert!(graph.is_left(2, TaskEnd::Lost) && !graph.is_left(0, TaskEnd::Failed));
    assert!(!graph.is_left(2, TaskEnd::Cancelled));
    let ended = |ends: [Option<TaskEnd>; 4]| graph.stand(3, |at| ends[at]);
    let (done, failed) = (Some(TaskEnd::Succeeded), Some(TaskEnd::Failed));
    assert_eq!(ended([done, None, None, None]), Stand::Waits);
    assert_eq!(ended([done, failed, None, None]), Stand::Ready);
    assert_eq!(ended([done, None, done, None]), Stand::Waits);
}
