//! What nodes send each other on behalf of a caller goes there and back unchanged: intents to
//! the leader, answers to the node that was asked.

use std::sync::Arc;

use cronapi::machine::command::{Op, Ping, TriggerRun};
use cronapi::machine::prepare::{Given, Intent, PutMode};
use cronapi::machine::reply::{Answer, Rejection, Reply};
use cronapi::model::{
    BackfillStatus, EntryId, Invalid, Kind, PingKind, RunId, RunStatus, SkipReason,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use uuid::Uuid;

use crate::world::{at, name, object, parameters, spec};

fn round<T: Serialize + DeserializeOwned>(value: &T) -> T {
    rmp_serde::from_slice(&rmp_serde::to_vec_named(value).unwrap()).unwrap()
}

fn run() -> RunId {
    RunId::new(at("2027-01-04T00:00:00Z"), 7, 3)
}

/// One of each kind after the given one; none: it was the last. A new kind does not compile
/// until it stands here.
fn next_intent(after: Option<&Intent>) -> Option<Intent> {
    let full = || {
        Arc::new(spec(json!({
            "name": "a", "expr": "0 5 * * *", "jitter": "30s", "tags": ["x"],
            "runner": {"type": "http", "url": "http://127.0.0.1/x", "expect_status": ["300-399"]},
            "parameters": {"a": [1, 2.5, null]}, "retry": {"multiplier": 1.5, "on": ["lost"]},
            "on_success": ["b", {"job": "c", "parameters": {"x": "${result}"}}],
            "on_lease_lost": "kill", "retention": {"bytes": 1_000_000},
        })))
    };
    Some(match after {
        None => Intent::PutJob { spec: full(), mode: PutMode::Upsert, expected: Some(4) },
        Some(Intent::PutJob { .. }) => {
            Intent::SetEnabled { name: name("a"), enabled: true, expected: None }
        }
        Some(Intent::SetEnabled { .. }) => Intent::DeleteJob { name: name("a"), expected: Some(1) },
        Some(Intent::DeleteJob { .. }) => {
            let spec = Kind::Queue.read(object(Kind::Queue.example())).unwrap();
            Intent::Put { spec, mode: PutMode::Create, expected: None }
        }
        Some(Intent::Put { .. }) => {
            let spec = Kind::Monitor.read(object(Kind::Monitor.example())).unwrap();
            let (mode, key) = (PutMode::Create, Some([7; 32]));
            Intent::PutMonitor { spec, mode, expected: None, key }
        }
        Some(Intent::PutMonitor { .. }) => {
            let (kind, method) = (PingKind::Fail, "POST".to_owned());
            let (exit_code, rid) = (Some(3), Some(Uuid::from_u128(5)));
            let (from, agent) = (Some("192.0.2.1".into()), Some("curl".into()));
            let ping = Ping { kind, exit_code, rid, method, from, agent, body: vec![0, 255] };
            Intent::Ping { key: [7; 32], ping: Box::new(ping) }
        }
        Some(Intent::Ping { .. }) => {
            Intent::Remove { kind: Kind::Queue, name: name("q"), expected: Some(3) }
        }
        Some(Intent::Remove { .. }) => Intent::Trigger {
            name: name("a"),
            parameters: parameters(json!({"k": {"l": [true]}})),
            force: true,
            cause: Some(run()),
        },
        Some(Intent::Trigger { .. }) => {
            Intent::Plain(Box::new(Op::Trigger(Box::new(TriggerRun {
                no: 1,
                version: 2,
                parameters: parameters(json!({"k": 1.5})),
                force: false,
                cause: None,
                place: None,
                kept: None,
            }))))
        }
        Some(Intent::Plain(_)) => {
            let entries = vec![
                (EntryId(1, 0), Given::Parameters(parameters(json!({"k": 1})))),
                (EntryId(1, 1), Given::Unreadable("no UTF-8".into())),
            ];
            Intent::TakeEntries { trigger: name("a"), fence: 9, entries }
        }
        Some(Intent::TakeEntries { .. }) => return None,
    })
}

#[test]
fn intents_of_every_kind_reach_the_leader_as_they_were() {
    let mut last = None;
    while let Some(intent) = next_intent(last.as_ref()) {
        assert_eq!(round(&intent), intent);
        last = Some(intent);
    }
    for mode in [PutMode::Create, PutMode::Update, PutMode::Upsert] {
        assert_eq!(round(&mode), mode);
    }
}

fn next_reply(after: Option<&Reply>) -> Option<Reply> {
    Some(match after {
        None => Reply::Done,
        Some(Reply::Done) => Reply::Job { no: 1, version: 2, created: true, changed: false },
        Some(Reply::Job { .. }) => Reply::Definition { version: 3, created: false, changed: true },
        Some(Reply::Definition { .. }) => Reply::Run { id: run() },
        Some(Reply::Run { .. }) => Reply::Skipped(SkipReason::QueueFull),
        Some(Reply::Skipped(_)) => Reply::Created(Uuid::from_u128(5)),
        Some(Reply::Created(_)) => Reply::SessionEnded,
        Some(Reply::SessionEnded) => Reply::Backfill { id: 7 },
        Some(Reply::Backfill { .. }) => Reply::Replayed(Box::new(Reply::Run { id: run() })),
        Some(Reply::Replayed(_)) => return None,
    })
}

fn next_rejection(after: Option<&Rejection>) -> Option<Rejection> {
    use Rejection::*;
    let (what, a) = (String::from("job"), String::from("a"));
    Some(match after {
        None => Stale,
        Some(Stale) => NotFound { what, name: a },
        Some(NotFound { .. }) => Exists { what, name: a },
        Some(Exists { .. }) => VersionConflict { expected: 1, actual: u64::MAX },
        Some(VersionConflict { .. }) => Fenced,
        Some(Fenced) => Cycle { field: "on_success/0".into(), path: vec![a, "b".into()] },
        Some(Cycle { .. }) => TooDeep { depth: 40, most: 32 },
        Some(TooDeep { .. }) => Overlap { job: name("a"), run: run().to_string() },
        Some(Overlap { .. }) => Ahead { run: run(), until: at("2027-01-04T00:00:00Z") },
        Some(Ahead { .. }) => Limit { what, most: 3 },
        Some(Limit { .. }) => InUse { what, name: a, by: vec!["job b".into()] },
        Some(InUse { .. }) => LastAdmin { name: name("ann") },
        Some(LastAdmin { .. }) => Ended { status: RunStatus::TimedOut },
        Some(Ended { .. }) => SessionOver,
        Some(SessionOver) => KeyReused,
        Some(KeyReused) => Bootstrapped,
        Some(Bootstrapped) => UpgradeNeeded { what, needs: 5, has: 4 },
        Some(UpgradeNeeded { .. }) => BackfillOpen { job: name("a"), id: 7 },
        Some(BackfillOpen { .. }) => BackfillEnded { id: 7, status: BackfillStatus::Done },
        Some(BackfillEnded { .. }) => Invalid(vec![self::Invalid::new("retry/on", "no"), faulty()]),
        Some(Invalid(_)) => return None,
    })
}

fn faulty() -> Invalid {
    Invalid::new("", "the definition is too large")
}

#[test]
fn answers_of_every_kind_come_back_as_they_were() {
    let mut last = None;
    while let Some(reply) = next_reply(last.as_ref()) {
        let answer: Answer = Ok(reply.clone());
        assert_eq!(round(&answer), answer);
        last = Some(reply);
    }
    let mut last = None;
    while let Some(rejection) = next_rejection(last.as_ref()) {
        let answer: Answer = Err(rejection.clone());
        assert_eq!(round(&answer), answer);
        last = Some(rejection);
    }
}
