//! Workflows: defined and changed, started by hand, paused, resumed, stopped, and repeated from
//! what did not succeed.

use std::sync::Arc;

use cronapi::consensus::{Handle, Intended};
use cronapi::machine::Op;
use cronapi::machine::command::TriggerRun;
use cronapi::machine::history::{FlowRow, flow_key, unpack};
use cronapi::machine::prepare::{Intent, PutMode};
use cronapi::machine::state::{Items, Job, Kept, NamedTask, TaskState};
use cronapi::model::{Actor, JobSpec, Name, RunId, TaskEnd};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::definition::{QUEUE, job_name, read};
use crate::chance::Chance;
use crate::seat::{Phase, Seat};

/// What names of workflows begin with.
pub const PREFIX: &str = "flow-";
/// How many there are.
const FLOWS: u64 = 2;

/// Asks until the world becomes calm.
pub async fn run(seat: Arc<Seat>, consensus: Handle, mut chance: Chance) {
    while seat.orders.borrow().phase <= Phase::Faulty {
        sleep(chance.millis(400, 4_000)).await;
        let Some(intent) = wish(&consensus, &mut chance).await else { continue };
        let actor = Actor { name: "flows".into(), from: None, request_id: None, trace: None };
        // What it is told does not matter: the state says what holds.
        let _ = consensus.submit(Intended::new(intent, Some(actor), None)).await;
    }
}

async fn wish(consensus: &Handle, chance: &mut Chance) -> Option<Intent> {
    let state = consensus.state();
    let place = chance.below(FLOWS);
    let name = Name::parse(&format!("{PREFIX}{place}")).ok()?;
    let Some(job) = state.job(name.as_str()) else { return Some(put(chance, place)) };
    let open: Vec<(RunId, bool)> =
        state.flows.iter().map(|(id, flow)| (*id, flow.paused)).collect();
    let some = |chance: &mut Chance| {
        let at = chance.below(open.len().max(1) as u64) as usize;
        open.get(at).copied()
    };
    match chance.below(16) {
        0 => Some(put(chance, place)),
        1 if place > 0 && chance.once_in(4) => Some(Intent::DeleteJob { name, expected: None }),
        1 => Some(Intent::SetEnabled { name, enabled: false, expected: None }),
        2..5 => Some(Intent::SetEnabled { name, enabled: true, expected: None }),
        5..8 => {
            let parameters = Default::default();
            Some(Intent::Trigger { name, parameters, force: false, cause: None })
        }
        8..10 => plain(Op::PauseFlow { run: some(chance)?.0, paused: true }),
        10..13 => {
            let (run, _) = open.iter().find(|(_, paused)| *paused)?;
            plain(Op::PauseFlow { run: *run, paused: false })
        }
        13 => plain(Op::Cancel { run: some(chance)?.0 }),
        _ => again(consensus, job).await,
    }
}

fn plain(op: Op) -> Option<Intent> {
    Some(Intent::Plain(Box::new(op)))
}

/// Its last run once more, without the tasks and items of it that succeeded.
async fn again(consensus: &Handle, job: &Job) -> Option<Intent> {
    let last = job.live.last_run.as_ref()?.id;
    let row = consensus.history().get(&flow_key(last)).await.ok()??;
    let row: FlowRow = unpack(&row).ok()?;
    let (mut tasks, mut whole): (Vec<NamedTask>, Vec<&Name>) = (Vec::new(), Vec::new());
    for task in &job.spec.tasks {
        let Some(before) = row.tasks.iter().find(|before| before.name == task.name) else {
            continue;
        };
        // Edges lead from tasks before: if those stand, so does this one.
        if !task.after.iter().all(|after| whole.contains(&after.edge().0)) {
            continue;
        }
        if before.state.end == Some(TaskEnd::Succeeded) {
            whole.push(&task.name);
            tasks.push(before.clone());
        } else if let Some(items) = &before.state.items {
            let items = Items { list: None, todo: None, started: 0, open: 0, ..(**items).clone() };
            let state = TaskState { items: Some(items.into()), ..TaskState::default() };
            tasks.push(NamedTask { name: task.name.clone(), state });
        }
    }
    plain(Op::Trigger(Box::new(TriggerRun {
        no: job.no,
        version: job.version,
        parameters: Default::default(),
        force: false,
        cause: Some(last),
        place: None,
        kept: Some(Box::new(Kept { from: last, tasks })),
    })))
}

fn put(chance: &mut Chance, place: u64) -> Intent {
    let spec = Arc::new(definition(chance, place));
    Intent::PutJob { spec, mode: PutMode::Upsert, expected: None }
}

/// A workflow of a few tasks; edges lead to later ones.
fn definition(chance: &mut Chance, place: u64) -> JobSpec {
    let count = chance.within(2, 6);
    let tasks: Vec<Value> = (0..count).map(|at| task(chance, at)).collect();
    let mut flow = json!({
        "name": format!("{PREFIX}{place}"),
        "overlap": chance.pick(&["allow", "skip", "queue_one"]),
        "fail_fast": chance.once_in(4),
        "tasks": tasks,
    });
    if !chance.once_in(4) {
        flow["expr"] = json!(format!("@every {}s", chance.pick(&[4, 6, 9])));
    }
    read(flow)
}

fn task(chance: &mut Chance, at: u64) -> Value {
    let mut task = json!({"name": format!("t{at}")});
    if chance.once_in(6) {
        task["job"] = json!(job_name(0));
    } else {
        task["runner"] = json!({"type": "shell", "command": "work"});
        if chance.once_in(3) {
            let on = chance.pick(&["lost", "failed"]);
            task["retry"] = json!({"max_attempts": 3, "delay": "200ms", "on": [on]});
        }
        // What fans out does so in the narrow queue: there shares have much that waits.
        if chance.once_in(2) {
            task["queue"] = json!(QUEUE);
        }
    }
    let edges = chance.within(0, 3).min(at);
    let first = chance.below(at.max(1));
    let edge = |chance: &mut Chance, at: u64| {
        let on = chance.pick(&["success", "success", "success", "always", "always", "failure"]);
        json!({"task": format!("t{at}"), "on": on})
    };
    task["after"] = match edges {
        0 => json!([]),
        1 => json!([edge(chance, first)]),
        _ => json!([edge(chance, first), edge(chance, (first + 1) % at)]),
    };
    if edges == 2 && chance.once_in(2) {
        task["join"] = json!("any");
    }
    if chance.once_in(3) {
        task["over"] = json!({"count": chance.within(2, 8)});
        task["max_parallel"] = json!(chance.within(1, 5));
    }
    task
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workflows_are_ones_that_the_model_takes() {
        let mut chance = Chance::of(7, "workflows");
        for _ in 0..500 {
            assert!(definition(&mut chance, 1).is_workflow());
        }
    }
}
