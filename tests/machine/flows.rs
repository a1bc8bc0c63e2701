//! Workflows: what the end of a task starts and skips, items, stops, pauses, and runs that go on
//! from another one. Every step is followed by the invariants, which hold tasks to their edges.

use cronapi::machine::history::{FlowRow, flow_key, unpack};
use cronapi::machine::prepare::Intent;
use cronapi::machine::reply::{Rejection, Reply};
use cronapi::machine::state::{Items, Kept, NamedTask, Stop, TaskState};
use cronapi::machine::{Op, State, invariants};
use cronapi::model::RunStatus::{self, Cancelled, Failed, Lost, Skipped, Succeeded, TimedOut};
use cronapi::model::{JobSpec, Run, RunId, TaskEnd};
use serde_json::{Value, json};

use crate::world::{Ending, World, name, object, secs, work};

pub fn task(name: &str, more: Value) -> Value {
    let mut task = json!({"name": name, "runner": work()});
    task.as_object_mut().unwrap().extend(object(more));
    if task.get("job").is_some() {
        task.as_object_mut().unwrap().remove("runner");
    }
    task
}

pub fn flow(world: &mut World, tasks: &[Value]) {
    world.put(json!({"name": "w", "tasks": tasks}));
}

/// How the tasks of a closed run ended, by name.
fn ends(world: &World, id: RunId) -> Vec<(String, TaskEnd)> {
    let row: FlowRow = unpack(&world.rows[&flow_key(id)]).unwrap();
    row.tasks.iter().map(|it| (it.name.to_string(), it.state.end.unwrap())).collect()
}

fn end_of(world: &World, id: RunId, task: &str) -> TaskEnd {
    ends(world, id).into_iter().find(|(name, _)| name == task).unwrap().1
}

/// The runs of the tasks of `w`, oldest first.
fn runs_of_tasks(world: &World) -> Vec<Run> {
    let no = world.job("w").no;
    world.runs_of(world.state.task_numbers.of_job[&no])
}

pub fn started(world: &World, task: &str) -> usize {
    let of = |run: &&Run| run.task.as_ref().is_some_and(|of| of.name.as_str() == task);
    runs_of_tasks(world).iter().filter(of).count()
}

/// A run of `w` to its end.
pub fn whole(world: &mut World) -> Run {
    let id = world.trigger("w");
    world.run_for(120);
    world.run(id)
}

fn gives(world: &mut World, key: &str, result: Value) {
    let ending = Ending { status: Succeeded, after: secs(1), result: Some(result) };
    world.script.insert(key.into(), vec![ending]);
}

#[test]
fn every_join_and_edge_holds_after_every_end() {
    // What each end is as an edge sees it: success, failure, or neither.
    let all = [Succeeded, Failed, TimedOut, Lost, Cancelled, Skipped];
    let fits = |status: RunStatus, on: &str| match on {
        "success" => status == Succeeded,
        "failure" => matches!(status, Failed | TimedOut | Lost),
        _ => true,
    };
    for (one, other) in all.iter().flat_map(|one| all.iter().map(move |other| (*one, *other))) {
        for on in ["success", "failure", "always"] {
            for join in ["all", "any"] {
                let mut world = World::newest();
                let source = |name: &str, status: RunStatus| match status {
                    Skipped => task(name, json!({"when": {"value": 0, "gt": 1}})),
                    _ => task(name, json!({})),
                };
                let edge = |name: &str| json!({"task": name, "on": on});
                let after = json!({"after": [edge("a"), edge("b")], "join": join});
                flow(&mut world, &[source("a", one), source("b", other), task("c", after)]);
                world.script("w/a", &[(one, 2)]);
                world.script("w/b", &[(other, 3)]);
                let id = whole(&mut world).id;
                let (a, b) = (fits(one, on), fits(other, on));
                let runs = if join == "all" { a && b } else { a || b };
                assert_eq!(
                    started(&world, "c"),
                    usize::from(runs),
                    "{one:?} {other:?} {on} {join}"
                );
                let end = end_of(&world, id, "c");
                let want = if runs { TaskEnd::Succeeded } else { TaskEnd::Upstream };
                assert_eq!(end, want, "{one:?} {other:?} {on} {join}");
            }
        }
    }
}

#[test]
fn a_diamond_runs_each_task_once_and_the_last_after_both() {
    let mut world = World::newest();
    flow(
        &mut world,
        &[
            task("join", json!({"after": ["left", "right"]})),
            task("left", json!({"after": ["top"]})),
            task("right", json!({"after": ["top"]})),
            task("top", json!({})),
        ],
    );
    world.repeats = true;
    world.script("w/left", &[(Succeeded, 5)]);
    world.script("w/right", &[(Succeeded, 9)]);
    let run = whole(&mut world);
    assert_eq!((run.status, run.tasks.unwrap().succeeded), (Succeeded, 4));
    let runs = runs_of_tasks(&world);
    let names: Vec<&str> = runs.iter().map(|r| r.task.as_ref().unwrap().name.as_str()).collect();
    assert_eq!(names, ["top", "left", "right", "join"]);
    assert!(runs[3].fired_at >= runs[2].finished_at.unwrap());
    assert_eq!(
        runs.iter().filter(|run| run.cause == Some(run.task.as_ref().unwrap().flow)).count(),
        4
    );
    assert_eq!(world.statuses("w"), ["succeeded"], "a task is no run of the job");
}

#[test]
fn a_failure_that_nothing_leaves_fails_the_workflow() {
    for (edge, status) in [(json!("a"), Failed), (json!({"task": "a", "on": "failure"}), Succeeded)]
    {
        let mut world = World::newest();
        flow(&mut world, &[task("a", json!({})), task("b", json!({"after": [edge]}))]);
        world.script("w/a", &[(Failed, 1)]);
        let run = whole(&mut world);
        assert_eq!(run.status, status, "{edge}");
        if status == Failed {
            assert_eq!(run.error.as_deref(), Some("the task a failed: it did not work"));
        }
    }
}

#[test]
fn fail_fast_starts_nothing_more_and_lets_what_runs_end() {
    let mut world = World::newest();
    let tasks = [
        task("bad", json!({})),
        task("slow", json!({})),
        task("many", json!({"over": {"count": 50}, "max_parallel": 2})),
        task("after", json!({"after": ["slow"]})),
        task("clean", json!({"after": [{"task": "slow", "on": "always"}]})),
    ];
    world.put(json!({"name": "w", "tasks": tasks, "fail_fast": true}));
    world.script("w/bad", &[(Failed, 5)]);
    world.script("w/slow", &[(Succeeded, 20)]);
    world.script("w/many", &[(Succeeded, 4)]);
    let id = world.trigger("w");
    world.run_for(6);
    assert_eq!(world.state.flows[&id].stop, Some(Stop::Failed));
    world.run_for(100);
    assert_eq!(world.status(id), Failed);
    assert_eq!(end_of(&world, id, "slow"), TaskEnd::Succeeded);
    assert_eq!(end_of(&world, id, "many"), TaskEnd::Failed);
    assert_eq!(end_of(&world, id, "after"), TaskEnd::Upstream);
    assert_eq!((started(&world, "many"), started(&world, "clean")), (4, 0));
}

#[test]
fn results_go_into_parameters_conditions_items_and_the_result() {
    let mut world = World::newest();
    world.work(json!({"name": "load", "parameters": {"own": 1}, "max_concurrent": 2,
        "overlap": "skip"}));
    let tasks = [
        task("list", json!({})),
        task(
            "copy",
            json!({"after": ["list"], "over": "${tasks.list.result.files}",
            "collect": "list", "parameters": {"at": "${index}", "file": "x/${item}"}}),
        ),
        task(
            "load",
            json!({"job": "load", "after": ["copy"],
            "when": {"value": "${tasks.list.result.n}", "gt": 1},
            "parameters": {"n": "${tasks.copy.count.succeeded}", "all": "${tasks.copy.result}",
                "who": "${parameters.who}"}}),
        ),
        task(
            "never",
            json!({"after": ["list"], "when": {"value": "${tasks.list.result.n}",
            "lt": 1}}),
        ),
    ];
    let result = json!({"loaded": "${tasks.load.result}", "as": "${tasks.never.status}"});
    world.put(json!({"name": "w", "tasks": tasks, "result": result, "parameters": {"who": "me"}}));
    gives(&mut world, "w/list", json!({"files": ["a", "b", "c"], "n": 3}));
    gives(&mut world, "w/copy", json!(7));
    gives(&mut world, "load/load", json!("done"));
    let run = whole(&mut world);
    assert_eq!((run.status, run.error.as_deref()), (Succeeded, None));
    assert_eq!(run.result, Some(json!({"loaded": "done", "as": "skipped"})));
    let load = world.runs("load").remove(0);
    assert_eq!(
        load.parameters.to_value(),
        json!({"own": 1, "n": 3, "all": [7, 7, 7], "who": "me"})
    );
    let copies: Vec<Run> = runs_of_tasks(&world)
        .into_iter()
        .filter(|run| run.task.as_ref().unwrap().name.as_str() == "copy")
        .collect();
    let of = |run: &Run| (run.task.as_ref().unwrap().item.clone(), run.parameters.to_value());
    assert_eq!(of(&copies[1]), (Some(json!("b")), json!({"at": 1, "file": "x/b", "who": "me"})));
    assert_eq!(end_of(&world, run.id, "never"), TaskEnd::Condition);
}

#[test]
fn items_are_never_more_at_a_time_than_allowed_and_each_is_there_once() {
    let mut world = World::newest();
    let many = json!({"over": {"count": 10_000}, "max_parallel": 50});
    flow(&mut world, &[task("many", many), task("end", json!({"after": ["many"]}))]);
    let id = world.trigger("w");
    let mut most = 0;
    for _ in 0..1_000 {
        world.plan_once();
        most = most.max(world.state.flows.get(&id).map_or(0, |flow| flow.open.len()));
        world.run_for(0);
        if !world.state.runs.contains_key(&id) {
            break;
        }
    }
    assert_eq!((world.status(id), most), (Succeeded, 50));
    let mut seen = vec![false; 10_000];
    for run in runs_of_tasks(&world) {
        if let Some(at) = run.task.unwrap().index {
            assert!(!std::mem::replace(&mut seen[at as usize], true), "{at} twice");
        }
    }
    assert!(seen.into_iter().all(|seen| seen));
}

#[test]
fn what_is_no_list_fails_the_task_and_says_so() {
    for (result, says) in [
        (json!({"files": 1}), "over needs a list, and is given a single value"),
        (json!({}), "over needs a list, and is given nothing"),
        (json!({"files": vec![0; 10_001]}), "over gives 10001 items; at most 10000 fit"),
    ] {
        let mut world = World::newest();
        let over = json!({"after": ["list"], "over": "${tasks.list.result.files}"});
        flow(&mut world, &[task("list", json!({})), task("copy", over)]);
        gives(&mut world, "w/list", result);
        let run = whole(&mut world);
        assert!(run.error.as_ref().unwrap().contains(says), "{:?}", run.error);
    }
    let mut world = World::newest();
    let over = json!({"after": ["list"], "over": "${tasks.list.result}"});
    flow(&mut world, &[task("list", json!({})), task("copy", over)]);
    gives(&mut world, "w/list", json!([]));
    assert_eq!(whole(&mut world).status, Succeeded, "nothing to do is done");
}

#[test]
fn a_result_that_does_not_fit_beside_the_others_fails_its_task() {
    let mut world = World::newest();
    let large = "x".repeat(30_000);
    let tasks = [
        task("many", json!({"over": {"count": 40}, "collect": "list", "max_parallel": 1})),
        task("sum", json!({"after": ["many"], "parameters": {"n": "${tasks.many.result.0}"}})),
    ];
    flow(&mut world, &tasks);
    gives(&mut world, "w/many", json!(large));
    let run = whole(&mut world);
    assert_eq!(run.status, Failed);
    let failed = runs_of_tasks(&world).into_iter().filter(|run| run.status == Failed).count();
    assert_eq!(failed, 40 - (1024 * 1024 / 30_002));
}

#[test]
fn a_stop_behind_a_full_queue_ends_all_and_starts_none() {
    let mut world = World::newest();
    world.op(Op::SetQueue { name: name("q"), concurrency: Some(1) }).unwrap();
    let many = json!({"over": {"count": 9}, "max_parallel": 5});
    let tasks = [task("many", many), task("next", json!({"after": ["many"]}))];
    world.put(json!({"name": "w", "tasks": tasks, "queue": "q"}));
    world.script("w/many", &[(Succeeded, 50)]);
    let id = world.trigger("w");
    world.run_for(1);
    assert_eq!(world.state.flows[&id].open.len(), 5);
    world.cancel(id).unwrap();
    assert_eq!(world.state.flows[&id].open.len(), 1, "what waits ends at once");
    world.run_for(5);
    assert_eq!((world.status(id), runs_of_tasks(&world).len()), (Cancelled, 5));
    assert!(runs_of_tasks(&world).iter().all(|run| run.status == Cancelled));
    assert_eq!(end_of(&world, id, "next"), TaskEnd::Cancelled);
    assert!(world.state.flows.is_empty() && world.state.runs.is_empty());
}

#[test]
fn a_pause_starts_nothing_until_it_ends() {
    let mut world = World::newest();
    let many = json!({"over": {"count": 4}, "max_parallel": 1});
    let tasks = [task("many", many), task("next", json!({"after": ["many"]}))];
    flow(&mut world, &tasks);
    world.script("w/many", &[(Succeeded, 10)]);
    let id = world.trigger("w");
    world.run_for(12);
    let pause = |world: &mut World, paused| {
        world.submit(Intent::Plain(Box::new(Op::PauseFlow { run: id, paused }))).unwrap();
    };
    pause(&mut world, true);
    pause(&mut world, true);
    world.run_for(100);
    assert_eq!((started(&world, "many"), world.status(id)), (2, RunStatus::Running));
    pause(&mut world, false);
    world.run_for(100);
    assert_eq!((started(&world, "many"), started(&world, "next")), (4, 1));
    assert_eq!(world.status(id), Succeeded);
    let again = world.submit(Intent::Plain(Box::new(Op::PauseFlow { run: id, paused: true })));
    assert!(matches!(again, Err(Rejection::NotFound { .. })), "{again:?}");
}

#[test]
fn a_task_that_is_a_job_waits_for_its_turn_and_starts_none_of_its_chains() {
    let mut world = World::newest();
    world.work(json!({"name": "tell"}));
    world.work(json!({"name": "gate"}));
    world.work(json!({"name": "load", "on_success": ["tell"], "dependencies": ["gate"]}));
    world.script("load", &[(Succeeded, 10)]);
    flow(&mut world, &[task("one", json!({"job": "load"})), task("two", json!({"job": "load"}))]);
    let id = world.trigger("w");
    world.run_for(1);
    let open: Vec<RunStatus> = world.runs("load").iter().map(|run| run.status).collect();
    assert_eq!(open, [RunStatus::Running, RunStatus::Waiting]);
    world.run_for(30);
    assert_eq!((world.status(id), world.runs("tell").len()), (Succeeded, 0));
    assert_eq!(world.statuses("load"), ["succeeded", "succeeded"]);
    world.enable("load", false);
    assert_eq!(whole(&mut world).status, Failed, "a job that is paused rests");
    world.delete("load");
    let run = whole(&mut world);
    assert_eq!(run.error.as_deref(), Some("the task one failed: there is no job load"));
}

#[test]
fn only_the_task_of_a_node_that_dies_is_lost() {
    let mut world = World::newest();
    world.node(1, 1);
    world.node(2, 1);
    let tasks = [
        task("a", json!({})),
        task("b", json!({})),
        task("c", json!({"after": [{"task": "a", "on": "always"}, {"task": "b", "on": "always"}]})),
    ];
    flow(&mut world, &tasks);
    world.script("w", &[(Succeeded, 30)]);
    let id = world.trigger("w");
    world.run_for(1);
    let on_two = runs_of_tasks(&world).into_iter().find(|run| run.node == Some(2)).unwrap();
    world.node(2, 1);
    world.run_for(100);
    let lost: Vec<String> = ends(&world, id)
        .into_iter()
        .filter(|(_, end)| *end == TaskEnd::Lost)
        .map(|(name, _)| name)
        .collect();
    assert_eq!(lost, [on_two.task.unwrap().name.to_string()]);
    assert_eq!((world.status(id), started(&world, "c")), (Succeeded, 1), "always leaves it");
}

#[test]
fn retries_belong_to_the_task_and_its_successors_wait_for_the_last() {
    let mut world = World::newest();
    let retry = json!({"retry": {"max_attempts": 3, "delay": "5s"}});
    flow(&mut world, &[task("a", retry), task("b", json!({"after": ["a"]}))]);
    world.script("w/a", &[(Failed, 1), (Failed, 1), (Succeeded, 1)]);
    let run = whole(&mut world);
    assert_eq!((run.status, runs_of_tasks(&world)[0].attempt), (Succeeded, 3));
    assert_eq!(started(&world, "b"), 1);
}

/// As a run that does again what failed: the tasks that are kept, of the row of `of`.
pub fn again(world: &mut World, of: RunId, kept: &[&str], items: Option<(&str, Items)>) -> RunId {
    let row: FlowRow = unpack(&world.rows[&flow_key(of)]).unwrap();
    let mut tasks: Vec<NamedTask> =
        row.tasks.into_iter().filter(|it| kept.contains(&it.name.as_str())).collect();
    if let Some((task, items)) = items {
        let state = TaskState { items: Some(items.into()), ..TaskState::default() };
        tasks.push(NamedTask { name: name(task), state });
    }
    let job = world.job("w").clone();
    let trigger = cronapi::machine::command::TriggerRun {
        no: job.no,
        version: job.version,
        parameters: world.run(of).parameters,
        force: false,
        cause: Some(of),
        place: None,
        kept: Some(Box::new(Kept { from: of, tasks })),
    };
    match world.submit(Intent::Plain(Box::new(Op::Trigger(Box::new(trigger))))).unwrap() {
        Reply::Run { id } => id,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_repeat_of_a_repeat_does_no_success_again() {
    let mut world = World::newest();
    let tasks = [
        task("a", json!({})),
        task("b", json!({"after": ["a"], "parameters": {"x": "${tasks.a.result.x}"}})),
        task("c", json!({"after": ["b"], "parameters": {"x": "${tasks.a.result.x}"}})),
    ];
    flow(&mut world, &tasks);
    gives(&mut world, "w/a", json!({"x": 42}));
    world.script("w/b", &[(Failed, 1), (Succeeded, 1)]);
    world.script("w/c", &[(Failed, 1), (Succeeded, 1)]);
    let first = whole(&mut world).id;
    let second = again(&mut world, first, &["a"], None);
    world.run_for(60);
    assert_eq!(world.status(second), Failed);
    let third = again(&mut world, second, &["a", "b"], None);
    world.run_for(60);
    assert_eq!(world.status(third), Succeeded);
    let times = ["a", "b", "c"].map(|task| started(&world, task));
    assert_eq!(times, [1, 2, 2], "what succeeded is not done again");
    let row: FlowRow = unpack(&world.rows[&flow_key(third)]).unwrap();
    let made_by: Vec<Option<RunId>> = row.tasks.iter().map(|it| it.state.made_by).collect();
    assert_eq!(made_by, [Some(first), Some(second), None], "each says who made it");
    let last = runs_of_tasks(&world).pop().unwrap();
    assert_eq!(last.parameters.to_value(), json!({"x": 42}));
}

#[test]
fn items_that_succeeded_are_not_done_again() {
    let mut world = World::newest();
    flow(&mut world, &[task("many", json!({"over": {"count": 10}}))]);
    world.script("w/many", &[(Succeeded, 1)]);
    world.script("w/many/3", &[(Failed, 1), (Succeeded, 1)]);
    world.script("w/many/7", &[(Failed, 1), (Succeeded, 1)]);
    let first = whole(&mut world).id;
    assert_eq!(world.status(first), Failed);
    let row: FlowRow = unpack(&world.rows[&flow_key(first)]).unwrap();
    let items = (**row.tasks[0].state.items.as_ref().unwrap()).clone();
    assert_eq!((items.succeeded, items.failed.len()), (8, 2));
    let second = again(&mut world, first, &[], Some(("many", items)));
    world.run_for(30);
    assert_eq!((world.status(second), started(&world, "many")), (Succeeded, 12));
}

#[test]
fn a_workflow_may_be_a_task_of_another_and_no_circle_is_written() {
    let mut world = World::newest();
    world.put(
        json!({"name": "inner", "tasks": [task("x", json!({}))], "result": "${tasks.x.result}"}),
    );
    gives(&mut world, "inner/x", json!(5));
    let outer = json!({"name": "w", "tasks": [task("in", json!({"job": "inner"}))],
        "result": "${tasks.in.result}"});
    world.put(outer);
    let run = whole(&mut world);
    assert_eq!((run.status, run.result), (Succeeded, Some(json!(5))));
    let circle = json!({"name": "inner", "tasks": [task("x", json!({"job": "w"}))]});
    let refused = world.try_put(circle);
    assert!(
        matches!(&refused, Err(Rejection::Cycle { field, .. }) if field == "tasks/0/job"),
        "{refused:?}"
    );
}

#[test]
fn the_job_goes_and_what_runs_of_it_ends() {
    let mut world = World::newest();
    flow(&mut world, &[task("a", json!({})), task("b", json!({"after": ["a"]}))]);
    world.script("w/a", &[(Succeeded, 50)]);
    let id = world.trigger("w");
    world.run_for(1);
    let no = world.job("w").no;
    let tasks = world.state.task_numbers.of_job[&no];
    world.delete("w");
    world.run_for(100);
    assert_eq!((world.status(id), world.runs_of(tasks).len()), (Cancelled, 1));
    assert!(world.state.runs.is_empty() && world.state.flows.is_empty());
    assert_eq!(world.state.graves.by_no[&no].live.open, 0);
}

#[test]
fn a_scheduled_workflow_has_one_outcome_a_time_and_keeps_its_overlap() {
    let mut world = World::newest();
    let tasks = [task("a", json!({})), task("b", json!({"after": ["a"]}))];
    world.put(json!({"name": "w", "expr": "* * * * *", "tasks": tasks}));
    world.script("w/a", &[(Succeeded, 100)]);
    world.run_for(250);
    assert_eq!(
        world.ledger("w"),
        ["00:01 fired", "00:02 skipped overlap", "00:03 fired", "00:04 skipped overlap"]
    );
    let nominal = runs_of_tasks(&world)[0].task.as_ref().unwrap().nominal_time;
    assert_eq!(nominal, world.runs("w")[0].nominal_time);
}

/// A state with a workflow in the middle of its work.
fn under_way() -> (World, RunId) {
    let mut world = World::newest();
    let many = json!({"over": {"count": 6}, "max_parallel": 2, "after": ["a"]});
    flow(
        &mut world,
        &[task("a", json!({})), task("many", many), task("z", json!({"after": ["many"]}))],
    );
    world.script("w/many", &[(Succeeded, 10)]);
    let id = world.trigger("w");
    world.run_for(2);
    (world, id)
}

#[test]
fn each_rule_of_workflows_catches_what_it_is_there_for() {
    let (world, id) = under_way();
    assert_eq!(invariants::check(&world.state), Vec::<String>::new());
    let bend = |edit: &dyn Fn(&mut cronapi::machine::state::Flow)| -> Vec<String> {
        let mut state: State = world.state.clone();
        let mut flow = (*state.flows[&id]).clone();
        edit(&mut flow);
        state.flows.insert(id, flow.into());
        invariants::check(&state)
    };
    let says = |broken: Vec<String>, word: &str| {
        assert!(broken.iter().any(|it| it.contains(word)), "{word}: {broken:?}");
    };
    says(bend(&|flow| flow.tasks[2].begun = true), "its edges say Waits");
    says(bend(&|flow| flow.tasks[0].end = Some(TaskEnd::Failed)), "its edges say Never");
    says(bend(&|flow| flow.left += 1), "tasks left");
    says(
        bend(&|flow| {
            let first = flow.open.get_min().copied().unwrap();
            flow.open.remove(&first);
        }),
        "does not know it",
    );
    says(bend(&|flow| flow.tasks[1].begun = false), "waits and its edges say Ready");
    let items = |edit: &dyn Fn(&mut Items)| {
        bend(&|flow| {
            let mut items = (**flow.tasks[1].items.as_ref().unwrap()).clone();
            edit(&mut items);
            flow.tasks[1].items = Some(items.into());
        })
    };
    says(items(&|items| items.open = 1), "runs under way of 1");
    says(items(&|items| items.started += 1), "lost count of its items");
    says(items(&|items| items.failed = [1, 1].into_iter().collect()), "lost count of its items");
    // The same item under way twice.
    let mut state = world.state.clone();
    let runs: Vec<RunId> = state.flows[&id].open.iter().copied().collect();
    let mut open = (*state.runs[&runs[1]]).clone();
    open.run.task.as_mut().unwrap().index = state.runs[&runs[0]].run.task.as_ref().unwrap().index;
    state.runs.insert(runs[1], open.into());
    says(invariants::check(&state), "under way twice");
}

#[test]
fn a_state_in_the_middle_of_a_workflow_is_read_back_and_goes_on() {
    let (mut world, id) = under_way();
    let bytes = rmp_serde::to_vec_named(&world.state).unwrap();
    world.state = rmp_serde::from_slice(&bytes).unwrap();
    assert!(rmp_serde::to_vec_named(&world.state).unwrap() == bytes);
    world.run_for(100);
    assert_eq!((world.status(id), started(&world, "z")), (Succeeded, 1));
}

fn faults(job: Value) -> Vec<String> {
    let found = JobSpec::from_map(object(job)).unwrap_err();
    found.into_iter().map(|fault| fault.to_string()).collect()
}

#[test]
fn what_is_wrong_with_tasks_is_told_with_where() {
    let flow = |tasks: Value| json!({"name": "w", "tasks": tasks});
    let rows = [
        (
            flow(json!([task("a", json!({"after": ["b"]})), task("b", json!({"after": ["a"]}))])),
            "/tasks/0/after/0: makes a circle",
        ),
        (flow(json!([task("a", json!({"after": ["z"]}))])), "/tasks/0/after/0: there is no task z"),
        (flow(json!([task("a", json!({})), task("a", json!({}))])), "/tasks/1/name: a is the name"),
        (
            flow(json!([task("a", json!({"after": ["a"]}))])),
            "/tasks/0/after/0: a comes after itself",
        ),
        (flow(json!([task("a.b", json!({}))])), "/tasks/0/name: of a task has no dot"),
        (flow(json!([{"name": "a"}])), "/tasks/0/runner: give runner or job"),
        (flow(json!([task("a", json!({"over": vec![0; 10_001]}))])), "/tasks/0/over: gives 10001"),
        (
            flow(json!([task("a", json!({"over": {"count": 10_001}}))])),
            "/tasks/0/over: gives 10001",
        ),
        (flow(json!([task("a", json!({"over": "files"}))])), "/tasks/0/over: must be a list"),
        (flow(json!([task("a", json!({"max_parallel": 2}))])), "/tasks/0/max_parallel: has no"),
        (flow(json!([task("a", json!({"when": {"value": 1}}))])), "/tasks/0/when: compares with"),
        (
            flow(json!([
                task("a", json!({"parameters": {"x": "${tasks.b.result}"}})),
                task("b", json!({}))
            ])),
            "/tasks/0/parameters/x: b does not come before a",
        ),
        (
            flow(json!([task("a", json!({"parameters": {"x": "${item}"}}))])),
            "/tasks/0/parameters/x: there are items only",
        ),
        (flow(json!([task("a", json!({"parameters": {"x": "${nonsense}"}}))])), "is not known"),
        (
            flow(json!([task(
                "a",
                json!({"runner": {"type": "shell", "argv": ["x", "{{item}}"]}})
            )])),
            "/tasks/0/runner/argv/1: there is an item only",
        ),
        (
            flow(json!([task(
                "a",
                json!({"over": [1],
            "runner": {"type": "shell", "command": "x {{item}}"}})
            )])),
            "/tasks/0/runner/command: is code",
        ),
        (
            json!({"name": "w", "tasks": [task("a", json!({}))], "runner": work()}),
            "/runner: belongs to a task",
        ),
        (json!({"name": "w", "result": 1}), "/result: has no meaning without tasks"),
        (json!({"name": "w", "tasks": [1]}), "/tasks/0: must be an object"),
        (flow(json!([task("w", json!({"job": "w"}))])), "/tasks/0/job: w is this workflow"),
    ];
    for (job, says) in rows {
        let found = faults(job.clone());
        assert!(found.iter().any(|fault| fault.contains(says)), "{says}: {found:?}");
    }
    let long: Vec<Value> = (0..129)
        .map(|at: i32| {
            let before = (at > 0).then(|| format!("t{}", at - 1));
            task(&format!("t{at}"), json!({"after": before.into_iter().collect::<Vec<_>>()}))
        })
        .collect();
    assert!(faults(flow(json!(long)))[0].contains("over 128 tasks"));
    let many: Vec<Value> = (0..1_001).map(|at| task(&format!("t{at}"), json!({}))).collect();
    assert!(faults(flow(json!(many)))[0].contains("are 1001; at most 1000 fit"));
    let large = task("a", json!({"runner": {"type": "shell", "command": "x".repeat(163_840)}}));
    assert!(faults(flow(json!([large])))[0].contains("at most 163840 fit"));
}

#[test]
fn an_older_cluster_takes_no_workflow() {
    let mut world = World::new();
    let refused = world.try_put(json!({"name": "w", "tasks": [task("a", json!({}))]}));
    let what = "the field tasks".to_owned();
    assert_eq!(refused, Err(Rejection::UpgradeNeeded { what, needs: 6, has: 1 }));
}
