//! Log, scheduler and executor together, without REST: what is due fires, runs and is recorded.

use std::sync::Arc;
use std::time::Duration;

use cronapi::clock::{self, System};
use cronapi::consensus::{self, Handle, Options};
use cronapi::executor::runner::RunnerEnv;
use cronapi::executor::{Executor, Parts, Work};
use cronapi::machine::command::AuditNote;
use cronapi::machine::history::{self, unpack};
use cronapi::machine::plan::{Around, plan};
use cronapi::machine::prepare::timing::Compiled;
use cronapi::machine::prepare::{Intent, PutMode, prepare};
use cronapi::machine::{Answer, Command, Op, State};
use cronapi::model::{Actor, JobSpec, Name, Run, RunId, RunStatus, Timestamp};
use cronapi::scheduler;
use cronapi::storage::{Direction, Identity, MemoryDisk, Pressure, Scan};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

struct Node {
    consensus: Handle,
    drain: watch::Sender<bool>,
    executor: tokio::task::JoinHandle<()>,
    lease: watch::Sender<Instant>,
    _stop: watch::Sender<bool>,
}

async fn node(path: &std::path::Path, boot: u128) -> Node {
    node_with(Options::new(path, clock::now().millis()), boot).await
}

async fn node_with(options: Options, boot: u128) -> Node {
    let consensus = consensus::open(options).await.unwrap();
    let boot = uuid::Uuid::from_u128(boot);
    let up = Op::NodeUp {
        node: consensus.node_id(),
        boot,
        address: "here".into(),
        api: String::new(),
        slots: 4,
        labels: Default::default(),
    };
    submit(&consensus, up).await.unwrap();
    let clock: Arc<System> = Arc::new(System);
    let (stop, stopped) = watch::channel(false);
    let leading = scheduler::Options { plan_ahead: true };
    tokio::spawn(scheduler::run(consensus.clone(), clock.clone(), leading, stopped));
    let (grant, lease) = watch::channel(far());
    let parts = Parts {
        vault: None,
        locks: None,
        redis_url: None,
        consensus: consensus.clone(),
        clock,
        work: Work::Runners(Arc::new(RunnerEnv::detect())),
        node: consensus.node_id(),
        boot,
        node_name: "1".into(),
        boot_tag: format!("test/{boot}"),
        lease,
    };
    let (drain, drained) = watch::channel(false);
    let executor = tokio::spawn(Executor::new(parts).run(drained, Duration::from_secs(5)));
    Node { consensus, drain, executor, lease: grant, _stop: stop }
}

fn far() -> Instant {
    Instant::now() + Duration::from_secs(3_600)
}

async fn submit(consensus: &Handle, op: Op) -> Answer {
    let command = Command { at: clock::now(), actor: None, request: None, op };
    consensus.submit(command).await.unwrap().answer
}

async fn put(consensus: &Handle, spec: Value) {
    let Value::Object(map) = spec else { panic!("an object") };
    let spec = Arc::new(JobSpec::from_map(map).unwrap());
    let intent = Intent::PutJob { spec, mode: PutMode::Create, expected: None };
    let command = prepare(&consensus.state(), intent, clock::now(), None, None).unwrap();
    consensus.submit(command).await.unwrap().answer.unwrap();
}

async fn runs(consensus: &Handle, job: &str) -> Vec<Run> {
    let no = consensus.state().job(job).unwrap().no;
    let scan = Scan::prefix(&history::runs_prefix(no), Direction::Forward, 1_000);
    let rows = consensus.history().scan(scan).await.unwrap();
    rows.iter().map(|(_, value)| unpack(value).unwrap()).collect()
}

async fn closed(consensus: &Handle, job: &str, count: usize) -> Vec<Run> {
    let mut applied = consensus.applied();
    let wait = async {
        loop {
            applied.borrow_and_update();
            let runs = runs(consensus, job).await;
            if runs.len() >= count {
                return runs;
            }
            applied.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.expect("runs in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_fires_runs_and_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), 1).await;
    put(
        &node.consensus,
        json!({
            "name": "tick", "expr": "* * * * * *",
            "runner": {"type": "shell", "command": "echo out; echo err >&2; exit 0"},
            "on_success": ["after"],
        }),
    )
    .await;
    put(&node.consensus, json!({"name": "after", "code": "def f():\n    return {'a': 1}\n"})).await;
    put(&node.consensus, json!({"name": "gate", "expr": "* * * * * *"})).await;
    let ticks = closed(&node.consensus, "tick", 3).await;
    for run in &ticks {
        assert_eq!(run.status, RunStatus::Succeeded, "{run:?}");
        assert!(run.started_at >= run.nominal_time, "{run:?}");
        assert_eq!(run.log_bytes, 8, "{run:?}");
    }
    let after = closed(&node.consensus, "after", 1).await;
    assert_eq!(after[0].cause, Some(ticks[0].id));
    assert_eq!(after[0].result, Some(json!({"a": 1})), "{:?}", after[0]);
    assert_eq!(closed(&node.consensus, "gate", 2).await[0].attempt, 0);
    node.drain.send_replace(true);
    node.executor.await.unwrap();
    node.consensus.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn output_without_room_is_left_out_and_told() {
    let disk = MemoryDisk::new(Identity::generate(clock::now().millis()).unwrap());
    let in_memory = Some(Arc::clone(&disk));
    let options = Options { in_memory, ..Options::new("unused", clock::now().millis()) };
    let node = node_with(options, 1).await;
    let folder = tempfile::tempdir().unwrap();
    let full = folder.path().join("full");
    let wait = format!("until [ -e {} ]; do sleep 0.01; done", full.display());
    let command = format!("echo kept; {wait}; echo gone");
    let runner = json!({"type": "shell", "command": command});
    put(&node.consensus, json!({"name": "talks", "runner": runner})).await;
    trigger(&node.consensus, "talks").await;
    // What was said so far is on its way.
    let scan = || Scan::prefix(b"o", Direction::Forward, 100);
    while node.consensus.history().scan(scan()).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    disk.press(Pressure::Output);
    std::fs::write(&full, "").unwrap();
    let run = closed(&node.consensus, "talks", 1).await.remove(0);
    assert_eq!(run.status, RunStatus::Succeeded);
    let mut text = String::new();
    for (_, value) in node.consensus.history().scan(scan()).await.unwrap() {
        let row: history::OutputRow = unpack(&value).unwrap();
        row.iter().for_each(|chunk| text += &String::from_utf8_lossy(&chunk.bytes));
    }
    assert_eq!(text, "kept\n… 5 bytes left out: no room for more output …\n");
    node.consensus.shutdown().await.unwrap();
}

/// Waits until the state has what `found` looks for.
async fn seen<T>(consensus: &Handle, found: impl Fn(&State) -> Option<T>) -> T {
    let mut applied = consensus.applied();
    let wait = async {
        loop {
            applied.borrow_and_update();
            if let Some(found) = found(&consensus.state()) {
                return found;
            }
            applied.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.expect("it is seen in time")
}

async fn trigger(consensus: &Handle, job: &str) {
    let name = Name::parse(job).unwrap();
    let intent =
        Intent::Trigger { name, parameters: Default::default(), force: false, cause: None };
    let command = prepare(&consensus.state(), intent, clock::now(), None, None).unwrap();
    consensus.submit(command).await.unwrap().answer.unwrap();
}

fn long(job: &str, on_lease_lost: &str) -> Value {
    json!({"name": job, "on_lease_lost": on_lease_lost, "kill_grace": "1s",
        "runner": {"type": "shell", "argv": ["/bin/sleep", "600"]}})
}

fn with_status(state: &State, job: &str, status: RunStatus) -> Option<RunId> {
    let no = state.job(job)?.no;
    state.open_of(no).find(|open| open.run.status == status).map(|open| open.run.id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_a_lease_stops_what_asks_for_it_and_begins_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), 1).await;
    put(&node.consensus, long("kept", "continue")).await;
    put(&node.consensus, long("killed", "kill")).await;
    put(&node.consensus, json!({"name": "next", "code": "x = 1"})).await;
    for job in ["kept", "killed"] {
        trigger(&node.consensus, job).await;
        seen(&node.consensus, |state| with_status(state, job, RunStatus::Running)).await;
    }
    node.lease.send_replace(Instant::now());
    let killed = closed(&node.consensus, "killed", 1).await.remove(0);
    assert_eq!(killed.status, RunStatus::Lost, "{killed:?}");
    assert_eq!(killed.error.as_deref(), Some("its node lost its lease"));
    let kept = seen(&node.consensus, |state| with_status(state, "kept", RunStatus::Running)).await;
    // Its neighbours end, so it had its turn; yet it has not begun.
    trigger(&node.consensus, "next").await;
    seen(&node.consensus, |state| with_status(state, "next", RunStatus::Assigned)).await;
    submit(&node.consensus, Op::Cancel { run: kept }).await.unwrap();
    closed(&node.consensus, "kept", 1).await;
    let state = node.consensus.state();
    assert!(with_status(&state, "next", RunStatus::Assigned).is_some());
    node.lease.send_replace(far());
    let next = closed(&node.consensus, "next", 1).await.remove(0);
    assert_eq!((next.status, next.attempt), (RunStatus::Succeeded, 1), "{next:?}");
    node.drain.send_replace(true);
    node.executor.await.unwrap();
    node.consensus.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_was_given_up_while_the_lease_was_over_is_never_begun() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), 1).await;
    let mark = folder.path().join("mark");
    let command = format!("echo $CRONAPI_ATTEMPT >> {}", mark.display());
    put(
        &node.consensus,
        json!({"name": "m", "runner": {"type": "shell", "command": command},
            "retry": {"max_attempts": 2, "on": ["lost"], "delay": 0}}),
    )
    .await;
    node.lease.send_replace(Instant::now());
    trigger(&node.consensus, "m").await;
    seen(&node.consensus, |state| with_status(state, "m", RunStatus::Assigned)).await;
    let (id, boot) = (node.consensus.node_id(), uuid::Uuid::from_u128(1));
    submit(&node.consensus, Op::NodeLost { node: id, boot }).await.unwrap();
    let (address, api, labels) = ("here".to_string(), String::new(), Default::default());
    submit(&node.consensus, Op::NodeUp { node: id, boot, address, api, slots: 4, labels })
        .await
        .unwrap();
    node.lease.send_replace(far());
    let run = closed(&node.consensus, "m", 1).await.remove(0);
    assert_eq!((run.status, run.attempt), (RunStatus::Succeeded, 2), "{run:?}");
    assert_eq!(std::fs::read_to_string(mark).unwrap(), "2\n");
    node.drain.send_replace(true);
    node.executor.await.unwrap();
    node.consensus.shutdown().await.unwrap();
}

/// Has the next fire of the job decided ahead, as a leader with another node would.
async fn plan_ahead(node: &Node, job: &str) -> (RunId, Timestamp) {
    let around = Around { early: true, ..Around::default() };
    loop {
        let state = node.consensus.state();
        let ops = plan(&state, clock::now(), &Compiled::default(), &around).ops;
        for op in ops.into_iter().filter(|op| matches!(op, Op::Fire { start_at: Some(_), .. })) {
            // Refused when it is due by now: the next one then.
            let _ = submit(&node.consensus, op).await;
        }
        let state = node.consensus.state();
        let no = state.job(job).unwrap().no;
        if let Some((run, start_at)) = state.ahead(no) {
            return (run, start_at);
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_is_planned_begins_on_time_or_is_withdrawn_without_a_trace() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), 1).await;
    let spec = json!({"name": "m", "expr": "*/3 * * * * *", "overlap": "allow",
        "runner": {"type": "shell", "command": "true"}});
    put(&node.consensus, spec).await;
    let (planned, start_at) = plan_ahead(&node, "m").await;
    let run = closed(&node.consensus, "m", 1).await.remove(0);
    assert_eq!(
        (run.id, run.status, run.nominal_time),
        (planned, RunStatus::Succeeded, Some(start_at))
    );
    assert!(run.started_at >= Some(start_at) && run.attempts[0].assigned_at < start_at, "{run:?}");
    // The node confirms at once that it will not begin, well before the time.
    let (planned, start_at) = plan_ahead(&node, "m").await;
    let no = node.consensus.state().job("m").unwrap().no;
    if submit(&node.consensus, Op::Withdraw { run: planned }).await.is_ok() {
        seen(&node.consensus, |state| (!state.runs.contains_key(&planned)).then_some(())).await;
        let state = node.consensus.state();
        assert_eq!(state.jobs[&no].live.given_back, Some(start_at), "it has not started");
    }
    // Decided again when it is due, by another run.
    let later = closed(&node.consensus, "m", 2).await;
    assert!(later.iter().all(|run| run.id != planned), "{later:?}");
    assert_eq!(later.iter().filter(|run| run.nominal_time == Some(start_at)).count(), 1);
    // A node that leaves hands back what it has not begun.
    let (planned, start_at) = plan_ahead(&node, "m").await;
    node.drain.send_replace(true);
    node.executor.await.unwrap();
    let state = node.consensus.state();
    let handed_back = state.jobs[&no].live.given_back == Some(start_at);
    assert!(handed_back || clock::now() >= start_at, "{planned}");
    node.consensus.shutdown().await.unwrap();
}

/// What the files of the log take.
fn log_files(data: &std::path::Path) -> u64 {
    let files = std::fs::read_dir(data.join("wal")).unwrap();
    files.map(|file| file.unwrap().metadata().map_or(0, |of| of.len())).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_on_disk_is_bounded_by_what_makes_a_checkpoint_due() {
    const DUE: u64 = 4 << 20;
    const SEGMENT: u64 = 8 << 20;
    let dir = tempfile::tempdir().unwrap();
    let options = Options::new(dir.path(), clock::now().millis());
    let node = consensus::open(Options { checkpoint_bytes: DUE, ..options }).await.unwrap();
    let (mut most, mut told) = (0, 0);
    // Three times the bound, in entries that are too few to make a checkpoint due, and that leave
    // nothing in the state. Who writes waits for each checkpoint that is due: how much else comes
    // while one is taken is a matter of the disk's speed.
    for _ in 0..1_800 {
        let actor = Actor { name: "test".into(), from: None, request_id: None, trace: None };
        let (at, change) = (clock::now(), Value::Null);
        let (action, target) = ("x".repeat(50_000), String::new());
        let entries = vec![AuditNote { at, actor, action, target, change }];
        submit(&node, Op::Note { entries }).await.unwrap();
        (most, told) = (log_files(dir.path()).max(most), node.status().log_bytes.max(told));
        while node.status().last_log - node.status().checkpoint > DUE / 45_000 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    // Twice what makes one due, what comes while one is taken, and the segments at both ends.
    let bound = 3 * DUE + 2 * SEGMENT;
    println!("{most} bytes at most, of {bound}");
    assert!(most <= bound, "{most} bytes, of {bound}");
    assert!(DUE <= told && told <= bound, "it says {told}");
    node.shutdown().await.unwrap();
}
