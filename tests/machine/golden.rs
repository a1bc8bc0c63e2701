//! Commands and a state as earlier builds wrote them: today's code reads them, and writes
//! the same bytes again. `UPDATE_GOLDEN=1 cargo test --test machine golden` writes new ones;
//! an old file is never changed by hand: what it holds stands in somebody's log.

use std::path::PathBuf;
use std::sync::Arc;

use cronapi::machine::command::{
    AuditNote, BackfillEdit, Command, End, Entry, MonitorEdit, Next, Op, OutputChunk, Ping, Place,
    PutDefinition, PutJob, PutMonitor, Range, RequestKey, Restored, SendPing, Settled, SigningKey,
    StartBackfill, TakeEntries, Taken, TriggerEdit, TriggerRun, TrimKey,
};
use cronapi::machine::history::{IncidentRow, NoticeRow, PingBody, PingRow};
use cronapi::machine::prepare::Intent;
use cronapi::machine::state::{
    Alerts, Begun, Incident, IncidentKey, Kept, Monitor, Monitors, NamedTask, Offers, OpenRun,
    Outbox, Proof, TaskState, Took, WatchKey, Watched,
};
use cronapi::machine::{State, invariants};
use cronapi::model::LogStream;
use cronapi::model::flow::StartRate;
use cronapi::model::placement::Labels;
use cronapi::model::{
    ApiToken, BackfillOrder, BackfillWhich, Backfilled, DataKey, Delivery, DutyKey, EntryId,
    Expected, External, Facts, JobSpec, Kind, LedgerRow, MonitorStatus, Notice, NoticeEnd,
    NoticeKind, OnLeaseLost, Outcome, Part, PingKind, Position, Role, RunId, RunStatus, Scope,
    Sealed, Session, SkipReason, Span, SpanOrAuto, Spec, TaskEnd, Timestamp, TraceParent, Trouble,
    Usage, User,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use uuid::Uuid;

use crate::beats::{beat_ops, beats};
use crate::pushes::{push_ops, pushes};
use crate::world::{World, actor, at, name, object, parameters, spec};

fn file(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(path)
}

/// Reads the file and writes what it read: the same bytes, and the same value as `now`.
fn keeps<T>(path: &str, now: &T)
where
    T: Serialize + DeserializeOwned + PartialEq,
{
    let path = file(path);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, rmp_serde::to_vec_named(now).unwrap()).unwrap();
    }
    let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let read: T = rmp_serde::from_slice(&bytes).unwrap();
    let again = rmp_serde::to_vec_named(&read).unwrap();
    assert!(again == bytes, "{} is written otherwise than it was", path.display());
    assert!(read == *now, "{} reads as another value", path.display());
}

fn t(secs: i64) -> Timestamp {
    Timestamp::from_micros(at("2027-01-04T00:00:00Z").micros() + secs * 1_000_000 + 250_000)
}

fn id(n: u128) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + n)
}

/// A user whom a login provider knows.
fn outside() -> User {
    let (issuer, subject) = ("https://id.example".into(), "42".into());
    User { external: Some(External { issuer, subject }), password: String::new(), ..user() }
}

fn user() -> User {
    let scope = Scope { jobs: vec!["etl-*".into()], tags: vec!["nightly".into()] };
    let password = "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA".to_string();
    let (role, epoch) = (Role::Operator, 3);
    let (created_at, updated_at) = (t(1), t(2));
    let external = None;
    User {
        uid: id(1),
        name: name("ann"),
        role,
        scope,
        password,
        external,
        epoch,
        created_at,
        updated_at,
    }
}

fn token() -> ApiToken {
    ApiToken {
        id: id(2),
        name: "deploy".into(),
        owner: name("ann"),
        owner_uid: id(1),
        role: Role::Runner,
        scope: Scope::default(),
        hash: [7; 32],
        created_at: t(3),
        expires_at: Some(t(4)),
        last_used_at: None,
    }
}

fn definition() -> JobSpec {
    spec(json!({
        "name": "full", "description": "every field", "tags": ["a", "b"], "enabled": false,
        "expr": "0 5 * * *", "timezone": "Europe/London", "jitter": "30s", "max_runs": 3,
        "start_at": "2027-01-01T00:00:00Z", "end_at": "2028-01-01T00:00:00Z", "is_async": true,
        "calendars": [{"exclude": ["2027-12-25"], "include": ["2027-01-01..2027-12-31"]}],
        "dst_fold": "both", "dst_gap": "skip",
        "runner": {"type": "http", "url": "http://127.0.0.1/x", "headers": {"x": "y"},
            "expect_status": [200, "300-399"]},
        "parameters": {"a": [1, 2.5, null, -3, {"b": "c"}]},
        "parameters_schema": {"type": "object", "properties": {"a": {"type": "array"}}},
        "timeout": "5m", "kill_grace": "3s", "overlap": "queue_one", "max_concurrent": 2,
        "retry": {"max_attempts": 3, "multiplier": 1.5, "jitter": "1s", "on": ["lost"]},
        "misfire": {"policy": "all", "window": "2h", "max": 5},
        "dependencies": ["d"], "dependency_timeout": "90s", "on_failure": ["f"],
        "on_success": ["b", {"job": "c", "parameters": {"x": "${result}"}}], "on_finish": ["g"],
        "queue": "q", "priority": -5,
        "placement": {"require": {"zone": "a"}, "prefer": {"disk": "ssd"}},
        "retention": {"count": 9, "age": "1d", "bytes": 1000000},
    }))
}

/// A job with tasks, and with every field that a task has.
fn workflow() -> JobSpec {
    let shell = json!({"type": "shell", "argv": ["copy", "{{item}}"]});
    spec(json!({"name": "etl", "fail_fast": true, "result": "${tasks.list.result}", "tasks": [
        {"name": "list", "runner": {"type": "shell", "command": "list"}},
        {"name": "copy", "runner": shell, "after": ["list"], "over": "${tasks.list.result.files}",
         "max_parallel": 2, "collect": "list", "retry": {"max_attempts": 2}, "timeout": "5m",
         "queue": "q", "priority": 3, "placement": {"require": {"a": "b"}}},
        {"name": "load", "job": "load", "parameters": {"x": "${tasks.copy.result}"}, "join": "any",
         "after": [{"task": "list", "on": "always"}, {"task": "copy", "on": "failure"}],
         "when": {"value": "${tasks.list.result.n}", "gt": 0, "in": [1, 2], "exists": true}}
    ]}))
}

fn job_ops() -> Vec<(&'static str, Op)> {
    let range = Range {
        from: t(0),
        until: t(60),
        count: Some(2),
        outcome: Outcome::Skipped,
        reason: Some(SkipReason::Misfire),
    };
    let gone = Range { count: None, outcome: Outcome::Superseded, reason: None, ..range };
    let next = Some(Next { nominal: t(120), due: t(130) });
    let place = Some(Place { node: 2, boot: id(3) });
    let put = PutJob {
        spec: definition().into(),
        based_on: Some((7, 2)),
        pinned: true,
        next,
        settled: Some(range),
        verb: "update".into(),
    };
    let mut later = put.clone();
    let full = JobSpec::clone(&put.spec);
    later.spec = JobSpec { on_lease_lost: Some(OnLeaseLost::Kill), ..full }.into();
    let trigger = TriggerRun {
        no: 7,
        version: 3,
        parameters: parameters(json!({"k": "v"})),
        force: true,
        cause: Some(RunId::new(t(5), 7, 9)),
        place,
        kept: None,
    };
    let mut flow = put.clone();
    flow.spec = workflow().into();
    let mut again = trigger.clone();
    let done = TaskState {
        end: Some(TaskEnd::Succeeded),
        run: Some(RunId::new(t(6), 8, 10)),
        result: Some(json!({"n": 3})),
        ..TaskState::default()
    };
    let tasks = vec![NamedTask { name: name("list"), state: done }];
    again.kept = Some(Box::new(Kept { from: RunId::new(t(5), 7, 9), tasks }));
    let fire = |start_at| {
        let scheduled_for = t(60);
        Op::Fire { no: 7, version: 3, scheduled_for, next, place, start_at }
    };
    vec![
        ("put_job", Op::PutJob(Box::new(put))),
        ("put_job_2", Op::PutJob(Box::new(later))),
        ("put_job_3", Op::PutJob(Box::new(flow))),
        ("trigger_2", Op::Trigger(Box::new(again))),
        ("delete_job", Op::DeleteJob { no: 7, based_on: 3, pinned: false, settled: Some(gone) }),
        ("fire", fire(None)),
        ("fire_2", fire(Some(t(65)))),
        ("skip", Op::Skip { no: 7, version: 3, range, next: None }),
        ("trigger", Op::Trigger(Box::new(trigger))),
        ("set_queue", Op::SetQueue { name: name("q"), concurrency: Some(4) }),
    ]
}

fn run_ops() -> Vec<(&'static str, Op)> {
    let (run, place) = (RunId::new(t(60), 7, 11), Place { node: 2, boot: id(3) });
    let (attempt, fence) = (2, 99);
    let end = End {
        status: RunStatus::Failed,
        started_at: Some(t(61)),
        finished_at: t(62),
        exit_code: Some(-9),
        signal: Some(9),
        http_status: Some(503),
        error: Some("no".into()),
        result: Some(json!({"n": [1, -2.5, "x", null, true]})),
        usage: Some(Usage { cpu_ms: 12, peak_memory_bytes: 1 << 33 }),
        retry_after: None,
        output: Vec::new(),
    };
    let asked = End { retry_after: Some(Span::from_secs(30)), ..end.clone() };
    let chunk =
        OutputChunk { seq: 4, stream: LogStream::Stderr, at: t(61), bytes: vec![0, 255, 10] };
    let row = LedgerRow {
        nominal_time: t(0),
        until: None,
        count: None,
        outcome: Outcome::Fired,
        reason: None,
        run_id: Some(run),
        decided_at: t(1),
        version: 3,
        backfilled_by: None,
        backfilled: None,
    };
    let keys = vec![
        TrimKey::Run { id: run, outputs: vec![(1, 0), (2, 7)], ledger: Some(Box::new(row)) },
        TrimKey::Ledger { no: 7, nominal: t(0) },
        TrimKey::Version { no: 7, version: 1 },
        TrimKey::Feed { first: 300 },
        TrimKey::Gone { no: 6 },
    ];
    let events = TrimKey::Events { rows: vec![(41, 0), (41, 60)], from: 42, first: 120 };
    vec![
        ("assign", Op::Assign { run, attempt, place }),
        ("refuse", Op::Refuse { run, error: "/parameters/n: no".into() }),
        ("due", Op::Due { run }),
        ("unbegun", Op::Unbegun { run, attempt, fence }),
        ("lock_busy", Op::LockBusy { run, attempt, fence, held: true, why: "by x".into() }),
        ("withdraw", Op::Withdraw { run }),
        ("started", Op::Started { run, attempt, fence, started_at: t(61) }),
        ("ended", Op::Ended { run, attempt, fence, end: Box::new(end) }),
        ("ended_2", Op::Ended { run, attempt, fence, end: Box::new(asked) }),
        ("output", Op::Output { run, attempt, fence, chunks: vec![chunk] }),
        ("cancel", Op::Cancel { run }),
        ("pause_flow", Op::PauseFlow { run, paused: true }),
        ("trim", Op::Trim { keys }),
        ("trim_2", Op::Trim { keys: vec![TrimKey::Output { id: run, rows: vec![(1, 0)] }] }),
        ("trim_4", Op::Trim { keys: vec![events] }),
        ("trim_5", Op::Trim { keys: vec![TrimKey::Backfilled { runs: vec![run] }] }),
        ("trim_3", Op::Trim { keys: vec![TrimKey::Forget { no: 3 }] }),
    ]
}

fn cluster_ops() -> Vec<(&'static str, Op)> {
    let labels = Labels::from([("region".to_string(), "eu".to_string())]);
    let address = "10.0.0.2:8001".to_string();
    let up = |api| {
        let (address, labels) = (address.clone(), labels.clone());
        Op::NodeUp { node: 2, boot: id(3), address, api, slots: 8, labels }
    };
    let key = SigningKey::new(id(4), [9; 32]);
    let note = AuditNote {
        at: t(9),
        actor: actor("eve"),
        action: "login.failed".into(),
        target: "ann".into(),
        change: json!({"why": "password"}),
    };
    let ann = || name("ann");
    let password = |session| {
        let password = "$argon2id$x".into();
        Op::SetPassword { name: ann(), password, session }
    };
    let offers = Offers { keep_events: true, sink_files: true, redis: false };
    let duty = || DutyKey::sink(name("lines"));
    let position = Position { index: 41, sub: 2, number: 119 };
    let moved = |fault| Op::DutyMoved { key: duty(), fence: 9, position, fault };
    let session = || Some(Session { user: ann(), uid: id(1), epoch: 3 });
    vec![
        ("bootstrap", Op::Bootstrap { signing_key: key.clone(), admin: Box::new(user()) }),
        ("node_up", up(String::new())),
        ("node_up_2", up("10.0.0.2:8000".into())),
        ("node_offers", Op::NodeOffers { node: 2, boot: id(3), offers }),
        (
            "node_offers_2",
            Op::NodeOffers { node: 2, boot: id(3), offers: Offers { redis: true, ..offers } },
        ),
        ("pause_sink", Op::PauseSink { name: name("lines"), paused: true }),
        ("rewind_sink", Op::RewindSink { name: name("lines"), to: position }),
        (
            "give_duty",
            Op::GiveDuty { key: duty(), former: 8, place: Place { node: 2, boot: id(3) } },
        ),
        ("duty_moved", moved(None)),
        ("duty_moved_2", moved(Some("the disk is full".into()))),
        ("node_draining", Op::NodeDraining { node: 2, boot: id(3) }),
        ("node_lost", Op::NodeLost { node: 2, boot: id(3) }),
        ("node_removed", Op::NodeRemoved { node: 2 }),
        ("create_user", Op::CreateUser { user: Box::new(user()), session: None }),
        ("create_user_2", Op::CreateUser { user: Box::new(user()), session: session() }),
        ("external_login", Op::ExternalLogin { user: Box::new(outside()) }),
        ("set_role", Op::SetRole { name: ann(), role: Role::Admin, scope: Scope::default() }),
        ("set_password", password(None)),
        ("set_password_2", password(session())),
        ("revoke_user", Op::RevokeUser { name: ann() }),
        ("delete_user", Op::DeleteUser { name: ann() }),
        ("create_token", Op::CreateToken { token: Box::new(token()), session: None }),
        ("create_token_2", Op::CreateToken { token: Box::new(token()), session: session() }),
        ("delete_token", Op::DeleteToken { id: id(2) }),
        ("token_used", Op::TokenUsed { id: id(2) }),
        ("tokens_used", Op::TokensUsed { ids: vec![id(2), id(3)] }),
        ("refresh_session", refresh(2)),
        ("refresh_session_2", of_tabs(refresh(2))),
        ("rotate_key", Op::RotateKey { signing_key: key.clone(), revoke: false }),
        ("rotate_key_2", Op::RotateKey { signing_key: key.clone(), revoke: true }),
        ("rotate_key_3", Op::RotateKey { signing_key: key.sealed(data_key()), revoke: false }),
        ("seal_key", Op::SealKey { id: id(4), sealed: Box::new(data_key()) }),
        ("note", Op::Note { entries: vec![note] }),
        ("raise_format", Op::RaiseFormat { to: 2 }),
        ("restored", restored()),
    ]
}

fn refresh(generation: u64) -> Op {
    let session = Session { user: name("ann"), uid: id(1), epoch: 3 };
    Op::RefreshSession { id: id(9), session, generation, until: t(600), tabs: false }
}

fn of_tabs(mut op: Op) -> Op {
    if let Op::RefreshSession { tabs, .. } = &mut op {
        *tabs = true;
    }
    op
}

fn data_key() -> DataKey {
    DataKey { id: id(8), under: "0a1b2c3d".into(), sealed: sealed(id(8)), created_at: t(5) }
}

fn sealed(key: Uuid) -> Sealed {
    Sealed { key, nonce: [5; 24], bytes: vec![0, 127, 255] }
}

fn secret_ops() -> Vec<(&'static str, Op)> {
    let (jobs, name) = (Scope { jobs: vec!["etl-*".into()], tags: Vec::new() }, name("db"));
    let sealed = sealed(id(8));
    let put = |expected| {
        let (name, jobs, sealed) = (name.clone(), jobs.clone(), sealed.clone());
        Op::PutSecret { name, jobs, sealed, expected }
    };
    let reseal = |replaced| {
        let (name, sealed) = (name.clone(), sealed.clone());
        Op::ResealSecret { name, version: 3, sealed, replaced }
    };
    vec![
        ("put_secret_key", Op::PutSecretKey { key: data_key(), after: Some(id(7)) }),
        ("drop_secret_key", Op::DropSecretKey { id: id(7) }),
        ("put_secret", put(None)),
        ("put_secret_2", put(Some(3))),
        ("reseal_secret", reseal(None)),
        ("reseal_secret_2", reseal(Some([6; 24]))),
        ("delete_secret", Op::DeleteSecret { name: name.clone(), expected: None }),
        ("delete_secret_2", Op::DeleteSecret { name, expected: Some(3) }),
    ]
}

fn example(kind: Kind) -> Spec {
    kind.read(object(kind.example())).unwrap()
}

fn kind_ops() -> Vec<(&'static str, Op)> {
    let put = |based_on| {
        let spec = example(Kind::Queue);
        Op::Put(Box::new(PutDefinition { spec, based_on, pinned: false }))
    };
    let (kind, name) = (Kind::Queue, name("q"));
    vec![
        ("put", put(None)),
        ("put_2", put(Some(3))),
        ("remove", Op::Remove { kind, name, based_on: 3, pinned: true }),
    ]
}

fn start_backfill() -> StartBackfill {
    StartBackfill {
        no: 7,
        version: 2,
        spec: Some(Arc::new(spec(json!({"name": "a", "expr": "@hourly"})))),
        from: t(0),
        to: t(7_200),
        which: BackfillWhich::Failed,
        order: BackfillOrder::Newest,
        max_concurrent: 3,
        rate: Some(StartRate { limit: 10, per: Span::from_secs(60) }),
        parameters: parameters(json!({"a": 1})),
        total: 2,
        reason: Some("the disk was full".into()),
    }
}

fn backfill_ops() -> Vec<(&'static str, Op)> {
    let edit = |edit| Op::EditBackfill { id: 9, edit };
    let (cursor, next, times) = (t(7_200), t(3_600), vec![t(7_199), t(3_600)]);
    let rate = Some(StartRate { limit: 1, per: Span::from_secs(1) });
    vec![
        ("start_backfill", Op::StartBackfill(Box::new(start_backfill()))),
        ("edit_backfill", edit(BackfillEdit::Pause { reason: Some("month end".into()) })),
        ("edit_backfill_2", edit(BackfillEdit::Resume)),
        ("edit_backfill_3", edit(BackfillEdit::Cancel { reason: None })),
        ("edit_backfill_4", edit(BackfillEdit::Bounds { max_concurrent: 9, rate })),
        ("backfill_step", Op::BackfillStep { id: 9, cursor, times, next, passed: 3 }),
    ]
}

/// A backfill under way, one that has ended, and what is kept of its runs.
#[test]
fn backfills_are_read_and_written_as_before() {
    let mut world = World::newest();
    world.work(json!({"name": "j", "expr": "@hourly"}));
    let mut start =
        crate::backfills::start(&world, "j", "2027-01-03T00:00:00Z", "2027-01-03T06:00:00Z");
    start.rate = Some(StartRate { limit: 9, per: Span::from_secs(60) });
    crate::backfills::begin(&mut world, start.clone());
    crate::backfills::lead(&mut world, 20);
    (start.from, start.to) = (at("2027-01-02T00:00:00Z"), at("2027-01-02T06:00:00Z"));
    let id = crate::backfills::begin(&mut world, start);
    world.executor = false;
    world.op(crate::backfills::step(&world, id).unwrap()).unwrap();
    keeps("parts/backfills.msgpack", &world.state.backfills);
    let open: Vec<_> = world.state.runs.values().cloned().collect();
    assert_eq!(open.len(), 2);
    keeps("parts/backfill_runs.msgpack", &open);
    let no = world.job("j").no;
    let prefix = cronapi::machine::history::backfilled_prefix(no);
    let rows = world.rows.iter().filter(|(key, _)| key.starts_with(&prefix));
    let rows: Vec<Backfilled> =
        rows.map(|(_, row)| cronapi::machine::history::unpack(row).unwrap()).collect();
    assert_eq!(rows.len(), 6);
    keeps("parts/backfilled.msgpack", &rows);
}

fn facts() -> Facts {
    Facts {
        kind: NoticeKind::Opened,
        incident: 3,
        rule: Some(name("etl")),
        trouble: Trouble::Failed,
        job: name("load"),
        part: None,
        job_no: 7,
        run: Some(RunId::new(t(60), 7, 9)),
        status: Some(RunStatus::TimedOut),
        detail: Some("exit code 1".into()),
        since: t(61),
        troubles: 2,
        jobs: 1,
        left_out: 4,
    }
}

fn notice() -> Notice {
    Notice {
        seq: 12,
        channel: name("ops"),
        at: t(61),
        not_before: t(91),
        tries: 2,
        error: Some("503".into()),
        held: true,
        window: None,
        facts: facts(),
    }
}

fn alert_ops() -> Vec<(&'static str, Op)> {
    let run = RunId::new(t(60), 7, 9);
    let delivered =
        |outcome| Op::Delivered { channel: name("ops"), seqs: vec![12, 13], fence: 9, outcome };
    let retry =
        |error: &str| Delivery::Retry { error: error.into(), after: Some(Span::from_secs(90)) };
    let alerts = TrimKey::Alerts { notices: vec![1, 2], incidents: vec![3] };
    vec![
        ("watch", Op::Watch { at: t(90), key: WatchKey::Late(run) }),
        ("watch_2", Op::Watch { at: t(90), key: WatchKey::Long(run) }),
        ("watch_3", Op::Watch { at: t(90), key: WatchKey::Repeat(3) }),
        ("window", Op::Window { name: name("w"), version: 2, active: true, until: Some(t(90)) }),
        ("delivered", delivered(Delivery::Sent)),
        ("delivered_2", delivered(retry("503"))),
        ("delivered_3", delivered(Delivery::Dead { error: "404".into() })),
        ("acknowledge", Op::Acknowledge { incident: 3 }),
        ("retry_notice", Op::RetryNotice { seq: 12, dead: None }),
        ("retry_notice_2", Op::RetryNotice { seq: 12, dead: Some(Box::new(notice())) }),
        ("trim_6", Op::Trim { keys: vec![alerts] }),
    ]
}

fn sent() -> Ping {
    Ping {
        kind: PingKind::Fail,
        exit_code: Some(3),
        rid: Some(id(6)),
        method: "POST".into(),
        from: Some("192.0.2.7".into()),
        agent: Some("curl/8.1".into()),
        body: vec![0, 255, 10],
    }
}

fn monitor_ops() -> Vec<(&'static str, Op)> {
    let put = PutDefinition { spec: example(Kind::Monitor), based_on: Some(2), pinned: true };
    let expected = Some(Expected { at: t(60), deadline: t(120) });
    let put = PutMonitor { put, key: Some([7; 32]), last: Some(t(1)), expected };
    let ping = SendPing { no: 7, version: 2, expected, ping: sent() };
    vec![
        ("put_monitor", Op::PutMonitor(Box::new(put))),
        ("ping", Op::Ping(Box::new(ping))),
        ("take_entries", Op::TakeEntries(Box::new(taken()))),
        ("edit_trigger", Op::EditTrigger { name: name("orders"), edit: TriggerEdit::Pause(true) }),
        (
            "edit_trigger_2",
            Op::EditTrigger {
                name: name("orders"),
                edit: TriggerEdit::Rewind(EntryId(1_767_225_600_000, 7)),
            },
        ),
        ("edit_monitor", Op::EditMonitor { no: 7, edit: MonitorEdit::Pause }),
        ("edit_monitor_2", Op::EditMonitor { no: 7, edit: MonitorEdit::Resume }),
        ("edit_monitor_3", Op::EditMonitor { no: 7, edit: MonitorEdit::Key([7; 32]) }),
        ("watch_4", Op::Watch { at: t(90), key: WatchKey::Monitor(7) }),
    ]
}

/// Monitors of a state, and their pings in the history.
#[test]
fn monitors_are_read_and_written_as_before() {
    let live = Monitor {
        no: 7,
        name: name("dump"),
        tags: vec!["db".into()],
        key: Some([7; 32]),
        status: MonitorStatus::Up,
        since: t(1),
        last_at: Some(t(2)),
        took: Some(Span::from_secs(3)),
        begun: Some(Begun { at: t(4), rid: Some(id(6)), deadline: t(200) }),
        expected: Some(Expected { at: t(60), deadline: t(120) }),
        deadline: Some(t(120)),
        pings: 9,
        excused: Some((t(5), t(6))),
        why: Some("it failed".into()),
    };
    let monitors = Monitors {
        all: [(7_u32, Arc::new(live))].into_iter().collect(),
        by_name: [(name("dump"), 7_u32)].into_iter().collect(),
        by_key: [([7_u8; 32], 7_u32)].into_iter().collect(),
    };
    keeps("parts/monitors.msgpack", &monitors);
    let row = PingRow { seq: 9, at: t(3), ping: Ping { body: vec![], ..sent() }, body_bytes: 3 };
    keeps("parts/ping_row.msgpack", &row);
    keeps("parts/ping_body.msgpack", &PingBody { seq: 9, body: vec![0, 255, 10] });
}

/// Incidents, notices and times of a state, and what is left of them in the history.
#[test]
fn alerts_are_read_and_written_as_before() {
    let incident = Incident {
        id: 3,
        since: t(61),
        opened_at: Some(t(62)),
        last_at: t(63),
        failures: 2,
        facts: facts(),
        jobs: [(7, name("load"))].into(),
        acknowledged: Some(("ann".into(), t(64))),
        channels: vec![name("ops")],
        tells_end: true,
        first: vec![(name("ops"), 12)],
        muted: Vec::new(),
        repeat_at: Some(t(90)),
    };
    let key = IncidentKey { rule: Some(name("etl")), job: Some(7), part: None };
    let row = IncidentRow {
        key: key.clone(),
        incident: incident.clone(),
        at: t(99),
        removed: Some("its rule was deleted".into()),
    };
    keeps("parts/incident_row.msgpack", &row);
    let ended = NoticeRow { notice: notice(), end: NoticeEnd::Dead, at: t(99) };
    keeps("parts/notice_row.msgpack", &ended);
    let alerts = Alerts {
        incidents: [(key.clone(), Arc::new(incident))].into_iter().collect(),
        by_id: [(3_u64, key.clone())].into_iter().collect(),
        by_job: [(7, key)].into_iter().collect(),
        by_part: Default::default(),
        naming: [(name("ops"), 7)].into_iter().collect(),
        last: 3,
        kept: 2,
        left_out: 1,
    };
    keeps("parts/alerts.msgpack", &alerts);
    let parts = [Part::Node(2), Part::Sink(name("reports"))].map(|part| {
        let key = IncidentKey { rule: Some(name("cluster")), job: None, part: Some(part.clone()) };
        (part, key)
    });
    let of_cluster = Alerts { by_part: parts.into_iter().collect(), ..Alerts::default() };
    keeps("parts/alerts_of_cluster.msgpack", &of_cluster);
    let facts = Facts { part: Some(Part::Node(2)), trouble: Trouble::NodeLost, ..facts() };
    keeps("parts/facts_of_node.msgpack", &facts);
    let outbox = Outbox {
        waiting: [((name("ops"), 12), Arc::new(notice()))].into_iter().collect(),
        last: 12,
        kept: 5,
        dead: [4_u64].into_iter().collect(),
        left_out: [(name("ops"), 2_u64)].into_iter().collect(),
        sent: [(name("ops"), imbl::Vector::from_iter([t(1), t(2)]))].into_iter().collect(),
    };
    keeps("parts/outbox.msgpack", &outbox);
    keeps("parts/pushes.msgpack", &pushes(facts));
    keeps("parts/beats.msgpack", &beats());
    let (late, long) = (Some(t(1)), Some(t(2)));
    let watched = Watched { late, long, long_told: true, begin_by: None };
    keeps("parts/watched.msgpack", &watched);
    keeps("parts/watched_2.msgpack", &Watched { begin_by: Some(t(3)), ..watched });
    let mut took = Took::default();
    [7, 300, 12_000].into_iter().for_each(|millis| took.add(millis));
    keeps("parts/took.msgpack", &took);
    keeps("parts/auto.msgpack", &SpanOrAuto::Auto);
}

/// The example of each kind: every field of it stands there.
#[test]
fn definitions_of_every_kind_are_read_and_written_as_before() {
    // `_2` is with the fields that came later.
    let later = [(Kind::Sink, "what")];
    for kind in Kind::plain() {
        let mut first = object(kind.example());
        for (_, field) in later.iter().filter(|(of, _)| *of == kind) {
            first.remove(*field);
            keeps(&format!("kinds/{}_2.msgpack", kind.as_str()), &example(kind));
        }
        keeps(&format!("kinds/{}.msgpack", kind.as_str()), &kind.read(first).unwrap());
    }
}

/// And definitions: one that was limited before there were kinds, and one of each kind.
#[test]
fn a_state_with_definitions_is_read_and_written_as_before() {
    let mut world = World::bare("2027-01-04T00:00:00Z");
    world.op(Op::SetQueue { name: name("old"), concurrency: Some(4) }).unwrap();
    world.op(Op::RaiseFormat { to: 5 }).unwrap();
    let put = PutDefinition { spec: example(Kind::Queue), based_on: None, pinned: false };
    world.op(Op::Put(Box::new(put))).unwrap();
    assert_eq!(world.state.definitions.count(Kind::Queue), 2);
    world.state.proof = Proof { index: 9, digest: [7; 16] };
    // As queues were before they had rules.
    let mut state = world.state;
    let names: Vec<_> = state.queues.keys().cloned().collect();
    for name in names {
        state.queues.get_mut(&name).unwrap().governed = None;
    }
    keeps("state/definitions.msgpack", &state);
}

/// A queue with every rule, and runs that wait in it.
#[test]
fn a_queue_with_rules_is_read_and_written_as_before() {
    let rules = json!({"name": "q", "concurrency": 2, "spread": true, "ageing": "6s",
        "rates": [{"limit": 2, "per": "1m"}, {"limit": 9, "per": "1h"}], "paused": false,
        "fair_by": "parameter:tenant", "weights": {"gold": 3}, "max_waiting": 50});
    let spec = Kind::Queue.read(object(rules)).unwrap();
    keeps("kinds/queue_2.msgpack", &spec);
    let mut world = World::newest();
    let put = PutDefinition { spec, based_on: None, pinned: false };
    world.op(Op::Put(Box::new(put))).unwrap();
    for (job, tenant) in [("a", "gold"), ("b", "iron")] {
        world.work(json!({"name": job, "queue": "q", "overlap": "allow",
            "parameters": {"tenant": tenant}}));
        world.triggers(job, 3);
    }
    world.settle();
    let governed = world.state.queues[&name("q")].governed.clone().unwrap();
    assert!(governed.line.len() >= 4 && !governed.starts.is_empty());
    keeps("parts/queue_line.msgpack", &governed);
}

fn restored() -> Op {
    let range = Range {
        from: t(0),
        until: t(60),
        count: Some(2),
        outcome: Outcome::Skipped,
        reason: Some(SkipReason::Restored),
    };
    let next = Some(Next { nominal: t(120), due: t(130) });
    Op::Restored(Box::new(Restored {
        cluster: "before".into(),
        index: 42,
        as_of: t(59),
        stopped: false,
        settled: vec![Settled { no: 7, version: 3, range, next }],
        signing_key: SigningKey::new(id(4), [9; 32]),
        format: 2,
    }))
}

/// The name of the file of each kind of step; a new kind does not compile until it has one.
/// Two entries of a stream: one starts a run, the other does not.
fn taken() -> TakeEntries {
    let run = TriggerRun {
        no: 7,
        version: 3,
        parameters: parameters(json!({"order": 17})),
        force: false,
        cause: None,
        place: None,
        kept: None,
    };
    let entries = vec![
        Entry { id: EntryId(1_767_225_600_000, 0), taken: Taken::Run(Box::new(run)) },
        Entry {
            id: EntryId(1_767_225_600_000, 1),
            taken: Taken::Refused("the field parameters is no JSON object".into()),
        },
    ];
    TakeEntries { trigger: name("orders"), fence: 9, entries }
}

fn file_of(op: &Op) -> &'static str {
    match op {
        Op::Bootstrap { .. } => "bootstrap",
        Op::PutJob(_) => "put_job",
        Op::DeleteJob { .. } => "delete_job",
        Op::Fire { .. } => "fire",
        Op::Skip { .. } => "skip",
        Op::Trigger(_) => "trigger",
        Op::Assign { .. } => "assign",
        Op::Refuse { .. } => "refuse",
        Op::Due { .. } => "due",
        Op::Unbegun { .. } => "unbegun",
        Op::LockBusy { .. } => "lock_busy",
        Op::Push(_) => "push",
        Op::Beaten { .. } => "beaten",
        Op::Withdraw { .. } => "withdraw",
        Op::Started { .. } => "started",
        Op::Ended { .. } => "ended",
        Op::Output { .. } => "output",
        Op::Cancel { .. } => "cancel",
        Op::PauseFlow { .. } => "pause_flow",
        Op::NodeUp { .. } => "node_up",
        Op::NodeOffers { .. } => "node_offers",
        Op::PauseSink { .. } => "pause_sink",
        Op::RewindSink { .. } => "rewind_sink",
        Op::GiveDuty { .. } => "give_duty",
        Op::DutyMoved { .. } => "duty_moved",
        Op::Watch { .. } => "watch",
        Op::Window { .. } => "window",
        Op::Delivered { .. } => "delivered",
        Op::Acknowledge { .. } => "acknowledge",
        Op::RetryNotice { .. } => "retry_notice",
        Op::NodeDraining { .. } => "node_draining",
        Op::NodeLost { .. } => "node_lost",
        Op::NodeRemoved { .. } => "node_removed",
        Op::CreateUser { .. } => "create_user",
        Op::ExternalLogin { .. } => "external_login",
        Op::SetRole { .. } => "set_role",
        Op::SetPassword { .. } => "set_password",
        Op::RevokeUser { .. } => "revoke_user",
        Op::DeleteUser { .. } => "delete_user",
        Op::CreateToken { .. } => "create_token",
        Op::DeleteToken { .. } => "delete_token",
        Op::TokenUsed { .. } => "token_used",
        Op::TokensUsed { .. } => "tokens_used",
        Op::RefreshSession { .. } => "refresh_session",
        Op::RotateKey { .. } => "rotate_key",
        Op::SealKey { .. } => "seal_key",
        Op::Note { .. } => "note",
        Op::SetQueue { .. } => "set_queue",
        Op::Trim { .. } => "trim",
        Op::PutSecretKey { .. } => "put_secret_key",
        Op::DropSecretKey { .. } => "drop_secret_key",
        Op::PutSecret { .. } => "put_secret",
        Op::ResealSecret { .. } => "reseal_secret",
        Op::DeleteSecret { .. } => "delete_secret",
        Op::Put(_) => "put",
        Op::Remove { .. } => "remove",
        Op::RaiseFormat { .. } => "raise_format",
        Op::PutMonitor(_) => "put_monitor",
        Op::Ping(_) => "ping",
        Op::EditMonitor { .. } => "edit_monitor",
        Op::TakeEntries(_) => "take_entries",
        Op::EditTrigger { .. } => "edit_trigger",
        Op::StartBackfill(_) => "start_backfill",
        Op::EditBackfill { .. } => "edit_backfill",
        Op::BackfillStep { .. } => "backfill_step",
        Op::Restored(_) => "restored",
    }
}

#[test]
fn commands_of_every_kind_are_read_and_written_as_before() {
    let own = [job_ops(), run_ops(), cluster_ops(), secret_ops(), kind_ops()].concat();
    let all = [own, backfill_ops(), alert_ops(), monitor_ops(), push_ops(), beat_ops()].concat();
    let mut kinds = std::collections::BTreeSet::new();
    let mut files = std::collections::BTreeSet::new();
    for (file, op) in all {
        // `_2` and so on are the kind with the fields that came later.
        assert_eq!(file_of(&op), file.trim_end_matches(['_', '2', '3', '4', '5', '6']));
        assert!(files.insert(file));
        kinds.insert(file_of(&op));
        let request = RequestKey { key: id(5), fingerprint: id(6) };
        let command = Command { at: t(7), actor: Some(actor("ann")), request: Some(request), op };
        keeps(&format!("commands/{file}.msgpack"), &command);
    }
    assert_eq!(kinds.len(), 66, "one file for every kind of step");
}

/// A state with something in every table.
fn busy_state() -> State {
    let mut world = World::bare("2027-01-04T00:00:00Z");
    let key = SigningKey::new(id(4), [9; 32]);
    let admin = User { role: Role::Admin, scope: Scope::default(), ..user() };
    world.op(Op::Bootstrap { signing_key: key, admin: Box::new(admin) }).unwrap();
    let op = Op::CreateToken { token: Box::new(token()), session: None };
    world.submit(Intent::Plain(Box::new(op))).unwrap();
    world.op(Op::SetQueue { name: name("q"), concurrency: Some(4) }).unwrap();
    world.labelled(1, 3, &[("zone", "a")]);
    world.labelled(1, 3, &[("zone", "a")]);
    let full = serde_json::Value::Object(definition().to_map());
    let request = RequestKey { key: id(5), fingerprint: id(6) };
    world.submit_as(World::put_intent(full), Some(actor("ann")), Some(request)).unwrap();
    world.work(json!({"name": "d"}));
    world.work(json!({"name": "gated", "expr": "* * * * *", "dependencies": ["d"]}));
    world.work(json!({"name": "rows", "overlap": "queue_all", "queue": "q"}));
    world.work(json!({"name": "again", "retry": {"max_attempts": 2, "delay": "1h"}}));
    world.script("rows", &[(RunStatus::Succeeded, 900)]);
    world.script("again", &[(RunStatus::Failed, 0)]);
    for job in ["rows", "rows", "again"] {
        world.trigger(job);
    }
    world.run_until("2027-01-04T00:01:30Z");
    world.state
}

/// As states were when runs did not know since when they could start.
fn before_traces(state: State) -> State {
    with_runs(state, |open| open.queued_at = None)
}

fn with_runs(mut state: State, edit: impl Fn(&mut OpenRun)) -> State {
    let ids: Vec<_> = state.runs.keys().copied().collect();
    for id in ids {
        edit(Arc::make_mut(state.runs.get_mut(&id).unwrap()));
    }
    state
}

#[test]
fn a_state_is_read_and_written_as_before() {
    let state = before_traces(busy_state());
    assert!(!state.timers.is_empty() && !state.gated.is_empty() && !state.placed.is_empty());
    keeps("state/checkpoint.msgpack", &state);
    let bytes = std::fs::read(file("state/checkpoint.msgpack")).unwrap();
    let read: State = rmp_serde::from_slice(&bytes).unwrap();
    assert_eq!(invariants::check(&read), Vec::<String>::new());
}

/// What states hold beside that since: a node that was given up, and one with a second
/// address; a start that is planned ahead, and a time whose start was given back.
fn later_state() -> State {
    let mut world = World::bare("2027-01-04T00:00:00Z");
    world.around.early = true;
    let gone = world.node(1, 2);
    world.op(Op::NodeLost { node: 1, boot: gone.boot }).unwrap();
    let (address, labels) = ("10.0.0.2:8001".to_string(), Labels::new());
    let (boot, api) = (id(3), "10.0.0.2:8000".to_string());
    world.op(Op::NodeUp { node: 2, boot, address, api, slots: 9, labels }).unwrap();
    world.work(json!({"name": "m", "expr": "* * * * *", "on_lease_lost": "kill"}));
    world.work(json!({"name": "n", "expr": "* * * * *"}));
    world.run_until("2027-01-04T00:00:58Z");
    world.work(json!({"name": "n", "expr": "* * * * *", "description": "x"}));
    world.state
}

#[test]
fn a_state_with_what_came_later_is_read_and_written_as_before() {
    let state = before_traces(later_state());
    assert!(state.ahead(1).is_some() && state.jobs[&2].live.given_back.is_some());
    assert!(state.nodes[&1].lost && !state.nodes[&2].api.is_empty());
    keeps("state/checkpoint_2.msgpack", &state);
}

/// What runs hold beside that since: when they were ready, and their trace.
#[test]
fn a_state_with_traces_is_read_and_written_as_before() {
    let trace = TraceParent::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let state = with_runs(busy_state(), |open| open.run.traceparent.clone_from(&trace));
    assert!(state.runs.values().any(|open| open.queued_at.is_some()));
    keeps("state/checkpoint_3.msgpack", &state);
}

/// Logins that were refreshed, one of them with a token that was used up.
#[test]
fn a_state_with_sessions_is_read_and_written_as_before() {
    let mut world = World::bare("2027-01-04T00:00:00Z");
    let admin = User { role: Role::Admin, scope: Scope::default(), epoch: 3, ..user() };
    let signing_key = SigningKey::new(id(4), [9; 32]);
    world.op(Op::Bootstrap { signing_key, admin: Box::new(admin) }).unwrap();
    world.op(Op::RaiseFormat { to: 5 }).unwrap();
    for generation in [0, 1, 0] {
        world.op(refresh(generation)).unwrap();
    }
    assert!(world.state.access.sessions.has_ended(id(9)));
    keeps("state/sessions.msgpack", &world.state);
}

/// And what they hold of who comes in: a format, failed logins, keys with an age, an account of
/// a login provider.
#[test]
fn a_state_with_logins_is_read_and_written_as_before() {
    let mut world = World::bare("2027-01-04T00:00:00Z");
    let admin = User { role: Role::Admin, scope: Scope::default(), ..user() };
    let key = |n: u8| SigningKey::new(id(n.into()), [n; 32]);
    world.op(Op::Bootstrap { signing_key: key(4), admin: Box::new(admin) }).unwrap();
    world.op(Op::RaiseFormat { to: 3 }).unwrap();
    world.op(Op::RotateKey { signing_key: key(5), revoke: false }).unwrap();
    let external = User { uid: id(7), name: name("bob"), ..outside() };
    world.op(Op::ExternalLogin { user: Box::new(external) }).unwrap();
    let note = AuditNote {
        at: world.now,
        actor: actor("eve"),
        action: "login.failed".into(),
        target: "ann".into(),
        change: json!({}),
    };
    world.op(Op::Note { entries: vec![note] }).unwrap();
    assert!(!world.state.access.failures.is_empty());
    keeps("state/logins.msgpack", &world.state);
}

/// And deleted jobs whose past is kept.
#[test]
fn a_state_with_deleted_jobs_is_read_and_written_as_before() {
    let mut world = World::bare("2027-01-04T00:00:00Z");
    world.op(Op::RaiseFormat { to: 5 }).unwrap();
    world.node(1, 2);
    let retention = json!({"count": 9, "bytes": 1_000});
    world.work(json!({"name": "a", "tags": ["x"], "retention": retention}));
    world.trigger("a");
    world.run_until("2027-01-04T00:00:30Z");
    world.delete("a");
    assert!(world.state.graves.by_no[&1].live.last_run.is_some());
    // What it is of changes with what is written.
    world.state.proof = Proof { index: 9, digest: [7; 16] };
    keeps("state/deleted.msgpack", &world.state);
}

/// And duties, one that is held and one that is free, and events that are kept.
#[test]
fn a_state_with_duties_is_read_and_written_as_before() {
    let mut world = World::bare("2027-01-04T00:00:00Z");
    world.op(Op::RaiseFormat { to: 5 }).unwrap();
    let place = world.node(1, 2);
    let offers = Offers { keep_events: true, sink_files: true, redis: false };
    world.op(Op::NodeOffers { node: 1, boot: place.boot, offers }).unwrap();
    super::duties::duty(&mut world.state, "lines");
    world.settle();
    super::duties::duty(&mut world.state, "more");
    let position = Position { index: 3, sub: 1, number: 2 };
    let (key, fault) = (super::duties::key("lines"), Some("the disk is full".to_owned()));
    world.op(Op::DutyMoved { key, fence: 1, position, fault }).unwrap();
    world.state.proof = Proof { index: 9, digest: [7; 16] };
    keeps("state/duties.msgpack", &world.state);
}

/// And workflows: one under way, one that waits for its turn.
#[test]
fn a_state_with_workflows_is_read_and_written_as_before() {
    let mut world = World::bare("2027-01-04T00:00:00Z");
    world.op(Op::RaiseFormat { to: 6 }).unwrap();
    world.node(1, 2);
    let result = Some(json!({"files": ["a", "b", "c"], "n": 3}));
    let ending = crate::world::Ending { status: RunStatus::Succeeded, after: Span::ZERO, result };
    world.script.insert("etl/list".into(), vec![ending]);
    world.script("etl/copy", &[(RunStatus::Succeeded, 60)]);
    let flow = rmp_serde::to_vec_named(&workflow()).unwrap();
    let mut flow: JobSpec = rmp_serde::from_slice(&flow).unwrap();
    flow.overlap = Some(cronapi::model::Overlap::QueueAll);
    flow.tasks[1].placement = None;
    let mode = cronapi::machine::prepare::PutMode::Create;
    world.submit(Intent::PutJob { spec: Arc::new(flow), mode, expected: None }).unwrap();
    world.trigger("etl");
    world.run_until("2027-01-04T00:00:30Z");
    world.trigger("etl");
    assert_eq!((world.state.flows.len(), world.state.runs.len()), (1, 4));
    world.state.proof = Proof { index: 9, digest: [7; 16] };
    keeps("state/flows.msgpack", &world.state);
}
