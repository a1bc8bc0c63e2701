//! Contract sections 7 and 8 as far as the log decides them: idempotency keys, users, tokens,
//! keys, and the audit chain.

use std::sync::Arc;

use cronapi::machine::chain::chain_hash;
use cronapi::machine::command::{AuditNote, Op, RequestKey, SigningKey};
use cronapi::machine::history::unpack;
use cronapi::machine::prepare::{Intent, PutMode};
use cronapi::machine::reply::{Rejection, Reply};
use cronapi::machine::state::{FORMAT, failures_of_address, failures_of_user};
use cronapi::model::{
    Actor, ApiToken, AuditRecord, DataKey, Role, Scope, Sealed, Session, Timestamp, User, limits,
};
use serde_json::json;
use uuid::Uuid;

use crate::world::{World, actor, name, secs, spec, working};

fn key(key: u128, fingerprint: u128) -> Option<RequestKey> {
    let (key, fingerprint) = (Uuid::from_u128(key), Uuid::from_u128(fingerprint));
    Some(RequestKey { key, fingerprint })
}

fn create(job: &str) -> Intent {
    let spec = Arc::new(spec(working(json!({"name": job}))));
    Intent::PutJob { spec, mode: PutMode::Upsert, expected: None }
}

#[test]
fn a_repeated_request_gets_its_first_answer_and_does_nothing() {
    let mut world = World::new();
    let first = world.submit_as(create("m"), Some(actor("ann")), key(1, 1)).unwrap();
    world.delete("m");
    let again = world.submit_as(create("m"), Some(actor("ann")), key(1, 1)).unwrap();
    assert_eq!(again.unwrap_replay(), (first, true));
    assert!(world.state.jobs.is_empty());
    let reused = world.submit_as(create("n"), Some(actor("ann")), key(1, 2));
    assert_eq!(reused, Err(Rejection::KeyReused));
    assert!(world.submit_as(create("n"), Some(actor("ann")), key(2, 2)).is_ok());
}

#[test]
fn a_refused_request_may_be_tried_again_under_its_key() {
    let mut world = World::new();
    let run = cronapi::model::RunId(Uuid::from_u128(5));
    let cancel = || Intent::Plain(Box::new(Op::Cancel { run }));
    for _ in 0..2 {
        let answer = world.submit_as(cancel(), None, key(1, 1));
        assert!(matches!(answer, Err(Rejection::NotFound { .. })));
    }
    assert!(world.submit_as(create("m"), None, key(1, 3)).is_ok());
}

#[test]
fn a_key_is_forgotten_after_its_time_though_nothing_pushed_it_out() {
    let mut world = World::new();
    world.submit_as(create("m"), None, key(1, 1)).unwrap();
    world.now = world.now.plus(limits::IDEMPOTENCY_TTL);
    let replayed = world.submit_as(create("m"), None, key(1, 1)).unwrap();
    assert!(matches!(replayed, Reply::Replayed(_)));
    world.now = world.now.plus(secs(1));
    let fresh = world.submit_as(create("n"), None, key(1, 2)).unwrap();
    assert!(matches!(fresh, Reply::Job { created: true, .. }), "{fresh:?}");
    assert_eq!(world.state.idempotency.by_key.len(), 1);
    let replayed = world.submit_as(create("n"), None, key(1, 2)).unwrap();
    assert!(matches!(replayed, Reply::Replayed(_)));
}

#[test]
fn a_flood_of_keys_is_bounded_and_forgotten_a_few_at_a_time() {
    let mut world = World::new();
    let command = |world: &World, n: u128| {
        let mut command = world.prepare(Intent::Plain(Box::new(Op::TokenUsed { id: Uuid::nil() })));
        command.request = key(n, 1);
        command
    };
    let flood: Vec<_> = (0..2_000).map(|n| command(&world, n)).collect();
    world.entry(&flood);
    world.now = world.now.plus(limits::IDEMPOTENCY_TTL).plus(secs(1));
    let next = command(&world, 9_999);
    world.entry(&[next]);
    let left = world.state.idempotency.by_key.len();
    assert!((1_900..2_000).contains(&left), "{left}");
    let more: Vec<_> = (10_000..10_100).map(|n| command(&world, n)).collect();
    world.entry(&more);
    assert_eq!(world.state.idempotency.by_key.len(), 101);
}

fn user(who: &str, role: Role) -> User {
    let uid = Uuid::from_u128(who.bytes().fold(7, |sum, byte| sum * 31 + u128::from(byte)));
    let (scope, password) = (Scope::default(), "$argon2id$x".to_string());
    let (created_at, updated_at) = Default::default();
    let (epoch, external) = (0, None);
    User { uid, name: name(who), role, scope, password, external, epoch, created_at, updated_at }
}

fn plain(world: &mut World, op: Op) -> Result<Reply, Rejection> {
    world.submit(Intent::Plain(Box::new(op)))
}

fn signing_key(n: u128) -> SigningKey {
    SigningKey::new(Uuid::from_u128(n), [n as u8; 32])
}

fn set_up() -> World {
    let mut world = World::new();
    let admin = Box::new(user("root", Role::Admin));
    world.op(Op::Bootstrap { signing_key: signing_key(1), admin }).unwrap();
    world
}

#[test]
fn a_cluster_is_set_up_once() {
    let mut world = set_up();
    let admin = Box::new(user("eve", Role::Admin));
    let again = world.op(Op::Bootstrap { signing_key: signing_key(2), admin });
    assert_eq!(again, Err(Rejection::Bootstrapped));
    assert_eq!(world.state.access.users.len(), 1);
}

#[test]
fn the_last_admin_stays_whatever_is_tried() {
    let mut world = set_up();
    let some = Scope { jobs: vec!["etl-*".into()], tags: Vec::new() };
    let demote =
        |role, scope: &Scope| Op::SetRole { name: name("root"), role, scope: scope.clone() };
    let tries = [
        demote(Role::Operator, &Scope::default()),
        demote(Role::Admin, &some),
        Op::DeleteUser { name: name("root") },
    ];
    // One whose admin rights end at some jobs does not count as an admin.
    plain(
        &mut world,
        Op::CreateUser { user: Box::new(user("half", Role::Operator)), session: None },
    )
    .unwrap();
    let half = Op::SetRole { name: name("half"), role: Role::Admin, scope: some.clone() };
    plain(&mut world, half).unwrap();
    for op in tries.clone() {
        let refused = plain(&mut world, op);
        assert_eq!(refused, Err(Rejection::LastAdmin { name: name("root") }));
    }
    plain(&mut world, Op::CreateUser { user: Box::new(user("ann", Role::Admin)), session: None })
        .unwrap();
    for op in tries {
        plain(&mut world, op).unwrap();
    }
    let last = plain(&mut world, Op::DeleteUser { name: name("ann") });
    assert_eq!(last, Err(Rejection::LastAdmin { name: name("ann") }));
}

fn token(owner: &User, id: u128) -> ApiToken {
    ApiToken {
        id: Uuid::from_u128(id),
        name: "ci".into(),
        owner: owner.name.clone(),
        owner_uid: owner.uid,
        role: Role::Runner,
        scope: Scope::default(),
        hash: [1; 32],
        created_at: Default::default(),
        expires_at: None,
        last_used_at: None,
    }
}

#[test]
fn tokens_go_with_their_user_and_do_not_come_back_with_the_name() {
    let mut world = set_up();
    let ann = user("ann", Role::Operator);
    let make = |world: &mut World, token: ApiToken| {
        plain(world, Op::CreateToken { token: Box::new(token), session: None })
    };
    assert!(matches!(make(&mut world, token(&ann, 1)), Err(Rejection::NotFound { .. })));
    plain(&mut world, Op::CreateUser { user: Box::new(ann.clone()), session: None }).unwrap();
    make(&mut world, token(&ann, 1)).unwrap();
    make(&mut world, token(&ann, 2)).unwrap();
    world.op(Op::TokensUsed { ids: vec![Uuid::from_u128(7), Uuid::from_u128(1)] }).unwrap();
    assert!(world.state.access.tokens[&Uuid::from_u128(1)].last_used_at.is_some());
    plain(&mut world, Op::DeleteToken { id: Uuid::from_u128(2) }).unwrap();
    plain(&mut world, Op::DeleteUser { name: name("ann") }).unwrap();
    assert!(world.state.access.tokens.is_empty());
    let another = User { uid: Uuid::from_u128(99), ..ann.clone() };
    plain(&mut world, Op::CreateUser { user: Box::new(another), session: None }).unwrap();
    assert!(make(&mut world, token(&ann, 3)).is_err(), "made for the one who is gone");
}

#[test]
fn a_new_password_and_a_revocation_raise_the_epoch() {
    let mut world = set_up();
    let epoch = |world: &World| world.state.access.users[&name("root")].epoch;
    plain(&mut world, password_in(None)).unwrap();
    plain(&mut world, Op::RevokeUser { name: name("root") }).unwrap();
    assert_eq!(epoch(&world), 2);
    assert!(plain(&mut world, Op::RevokeUser { name: name("nobody") }).is_err());
    let over = in_session(&world, "root", 1);
    plain(&mut world, password_in(Some(over))).unwrap();
    assert_eq!(epoch(&world), 3, "as older nodes do it, until all read more");
}

fn password_in(session: Option<Session>) -> Op {
    Op::SetPassword { name: name("root"), password: "$argon2id$y".into(), session }
}

fn in_session(world: &World, user: &str, epoch: u64) -> Session {
    let uid = world.state.access.users[&name(user)].uid;
    Session { user: name(user), uid, epoch }
}

#[test]
fn what_a_session_asked_for_that_is_over_is_refused() {
    let mut world = set_up();
    newest(&mut world);
    let root = world.state.access.users[&name("root")].clone();
    plain(&mut world, Op::RevokeUser { name: name("root") }).unwrap();
    let (over, good) = (in_session(&world, "root", 0), in_session(&world, "root", 1));
    let ann = user("ann", Role::Admin);
    let asked = |session: Session| {
        let session = Some(session);
        let (ann, token) = (Box::new(ann.clone()), Box::new(token(&root, 5)));
        let made = [
            Op::CreateUser { user: ann, session: session.clone() },
            Op::CreateToken { token, session: session.clone() },
        ];
        made.into_iter().chain([password_in(session)])
    };
    let stranger = Session { uid: Uuid::from_u128(98), ..good.clone() };
    let nobody = Session { user: name("nobody"), ..good.clone() };
    for session in [over, stranger, nobody] {
        for op in asked(session.clone()) {
            assert_eq!(world.op(op.clone()), Err(Rejection::SessionOver), "{session:?} {op:?}");
        }
    }
    for op in asked(good) {
        plain(&mut world, op).unwrap();
    }
}

/// From here on the cluster keeps ages of keys, and failed logins.
fn newest(world: &mut World) {
    world.op(Op::RaiseFormat { to: FORMAT }).unwrap();
}

#[test]
fn keys_and_failures_are_kept_as_older_nodes_do_until_all_read_more() {
    let mut world = set_up();
    let first = keys(&world)[0];
    let note = AuditNote {
        at: world.now,
        actor: Actor { from: Some("10.0.0.9".into()), ..actor("eve") },
        action: "login.failed".into(),
        target: "root".into(),
        change: json!({}),
    };
    world.op(Op::Note { entries: vec![note; 3] }).unwrap();
    assert!(world.state.access.failures.is_empty());
    for n in 2..4 {
        plain(&mut world, Op::RotateKey { signing_key: signing_key(n), revoke: false }).unwrap();
    }
    assert_eq!(keys(&world), [2, 3]);
    assert!(world.state.access.keys.iter().all(|key| *key == signing_key(key.id.as_u128())));
    newest(&mut world);
    plain(&mut world, Op::RotateKey { signing_key: signing_key(4), revoke: false }).unwrap();
    assert_eq!(keys(&world), [2, 3, 4]);
    assert!(world.state.access.keys[..2].iter().all(|key| key.retired_at.is_some()));
    assert_ne!(keys(&world)[0], first);
}

fn keys(world: &World) -> Vec<u128> {
    world.state.access.keys.iter().map(|key| key.id.as_u128()).collect()
}

#[test]
fn a_retired_key_stays_while_something_it_signed_is_good() {
    let mut world = set_up();
    newest(&mut world);
    let rotate = |world: &mut World, n: u128, revoke: bool| {
        plain(world, Op::RotateKey { signing_key: signing_key(n), revoke })
    };
    let first = keys(&world)[0];
    rotate(&mut world, 2, false).unwrap();
    rotate(&mut world, 3, false).unwrap();
    assert_eq!(keys(&world), [first, 2, 3]);
    let retired = |world: &World| {
        world.state.access.keys.iter().filter(|key| key.retired_at.is_some()).count()
    };
    assert_eq!(retired(&world), 2);
    world.now = world.now.plus(limits::SESSION_TTL);
    rotate(&mut world, 4, false).unwrap();
    assert_eq!(keys(&world), [3, 4], "nothing that the others signed is good any more");
    for n in 5..11 {
        rotate(&mut world, n, false).unwrap();
    }
    assert_eq!(keys(&world).len(), limits::SIGNING_KEYS_MAX);
    assert!(matches!(rotate(&mut world, 11, false), Err(Rejection::Limit { .. })));
    rotate(&mut world, 12, true).unwrap();
    assert_eq!(keys(&world), [12]);
}

#[test]
fn a_sealed_key_has_no_secret_in_the_state_and_old_nodes_never_see_one() {
    let mut world = set_up();
    let (id, sealed) = (world.state.access.keys[0].id, sealed_key());
    let seal = |id| Op::SealKey { id, sealed: Box::new(sealed.clone()) };
    let refused = plain(&mut world, seal(id));
    assert!(matches!(refused, Err(Rejection::UpgradeNeeded { needs: 5, .. })), "{refused:?}");
    newest(&mut world);
    plain(&mut world, seal(id)).unwrap();
    let key = &world.state.access.keys[0];
    assert_eq!((key.secret, key.sealed.as_deref()), ([0; 32], Some(&sealed)));
    let unknown = plain(&mut world, seal(Uuid::from_u128(404)));
    assert!(matches!(unknown, Err(Rejection::NotFound { .. })), "{unknown:?}");
}

fn sealed_key() -> DataKey {
    let key = Uuid::from_u128(1);
    let sealed = Sealed { key, nonce: [5; 24], bytes: vec![1, 2, 3] };
    DataKey { id: key, under: "0a1b2c3d".into(), sealed, created_at: Timestamp::ZERO }
}

#[test]
fn failed_logins_count_for_account_and_address() {
    let mut world = set_up();
    newest(&mut world);
    let note = |action: &str, at| AuditNote {
        at,
        actor: Actor { from: Some("10.0.0.9".into()), ..actor("eve") },
        action: action.into(),
        target: "root".into(),
        change: json!({}),
    };
    let at = world.now;
    let failed = vec![note("login.failed", at); 12];
    world.op(Op::Note { entries: failed }).unwrap();
    world.op(Op::Note { entries: vec![note("login", at)] }).unwrap();
    let failures = &world.state.access.failures;
    let check = |key: String, rate| failures.check(&key, rate, at).is_ok();
    assert!(!check(failures_of_user("root"), limits::LOGINS_PER_USER));
    assert!(check(failures_of_user("ann"), limits::LOGINS_PER_USER));
    assert!(check(failures_of_address("10.0.0.9"), limits::LOGINS_PER_ADDRESS));
    assert_eq!(failures.len(), 2);
}

fn audit(world: &World) -> Vec<AuditRecord> {
    let blocks = world.rows.iter().filter(|(key, _)| key[0] == b'a');
    blocks.flat_map(|(_, row)| unpack::<Vec<AuditRecord>>(row).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The place of the first record that does not follow from the ones before it.
fn broken_at(records: &[AuditRecord]) -> Option<usize> {
    let mut hash = [0; 32];
    for (at, record) in records.iter().enumerate() {
        hash = chain_hash(&hash, record);
        if record.hash != hex(&hash) || record.seq != at as u64 + 1 {
            return Some(at);
        }
    }
    None
}

#[test]
fn the_audit_is_a_chain_in_which_any_change_shows() {
    let mut world = set_up();
    for at in 0..40 {
        world.work(json!({"name": format!("j{}", at % 3), "description": "x".repeat(at * 7),
            "parameters": {"secret": format!("hunter{at}")}}));
        world.run_for(1);
    }
    let note = AuditNote {
        at: world.now,
        actor: actor("eve"),
        action: "login.failed".into(),
        target: "root".into(),
        change: json!({"n": 1.5, "big": u64::MAX, "text": "ä".repeat(500)}),
    };
    world.op(Op::Note { entries: vec![note; 50] }).unwrap();
    world.trigger("j0");
    world.delete("j0");
    let records = audit(&world);
    assert_eq!(records.len() as u64, world.state.counters.audit);
    assert!(records.len() > 90);
    assert_eq!(broken_at(&records), None);
    assert_eq!(records.last().unwrap().hash, hex(&world.state.audit_hash));
    let text = serde_json::to_string(&records).unwrap();
    assert!(!text.contains("hunter"), "parameters are told by their hash");
    let spoil: [fn(&mut Vec<AuditRecord>); 6] = [
        |r| r[20].actor = "bob".into(),
        |r| r[20].change = json!({}),
        |r| r[20].at = r[21].at,
        |r| r[20].request_id = None,
        |r| drop(r.remove(20)),
        |r| r.swap(20, 21),
    ];
    for change in spoil {
        let mut changed = records.clone();
        change(&mut changed);
        assert_eq!(broken_at(&changed), Some(20));
    }
}
