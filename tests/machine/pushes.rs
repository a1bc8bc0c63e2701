//! Pushes: a browser is told once of each trouble that its user may see, and once of its end.

use std::sync::Arc;

use cronapi::machine::command::PushStep;
use cronapi::machine::reply::{Answer, Rejection, Reply};
use cronapi::machine::state::Pushes;
use cronapi::machine::{Command, Op};
use cronapi::model::kind::rule::RuleMatch;
use cronapi::model::{
    DataKey, DutyKey, Facts, NoticeKind, PushKey, PushNotice, PushOutcome, PushSubscription,
    Pushed, Role, RunStatus, Scope, Sealed, Session, Span, Timestamp, Trouble, User, limits,
};
use serde_json::json;
use uuid::Uuid;

use super::world::{World, actor, name};

use NoticeKind::{Opened, Resolved};
use RunStatus::{Failed, Succeeded};

fn id(n: u128) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + n)
}

fn user(text: &str, uid: u128) -> User {
    User {
        uid: id(uid),
        name: name(text),
        role: Role::Viewer,
        scope: Scope::default(),
        password: String::new(),
        external: None,
        epoch: 0,
        created_at: Timestamp::ZERO,
        updated_at: Timestamp::ZERO,
    }
}

fn subscription(text: &str, uid: u128, n: u128) -> PushSubscription {
    PushSubscription {
        id: id(n),
        user: name(text),
        user_uid: id(uid),
        endpoint: format!("https://push.example.org/{n}"),
        p256dh: vec![4; 65],
        auth: vec![9; 16],
        on: Vec::new(),
        wanted: None,
        label: "phone".into(),
        created_at: Timestamp::ZERO,
        sent_at: None,
        fault: None,
        open: 0,
        waiting: 0,
        left_out: 0,
    }
}

fn subscribe(world: &mut World, subscription: PushSubscription) -> Answer {
    let step = PushStep::Subscribe { subscription: Box::new(subscription), session: None };
    let command = world.command(Op::Push(step));
    world.entry(&[Command { actor: Some(actor("ann")), ..command }]).remove(0)
}

/// A cluster with the user `ann`, whose phone is told, and a job `j` that runs each minute.
fn telling() -> World {
    let mut world = World::newest();
    world.node(1, 4);
    let ann = Box::new(user("ann", 1));
    world.op(Op::CreateUser { user: ann, session: None }).unwrap();
    assert_eq!(subscribe(&mut world, subscription("ann", 1, 7)), Ok(Reply::Created(id(7))));
    world.work(json!({ "name": "j", "expr": "* * * * *", "tags": ["t"] }));
    world
}

fn waiting(world: &World) -> Vec<(u64, NoticeKind, Trouble)> {
    let all = world.state.pushes.waiting.values();
    all.map(|notice| (notice.seq, notice.facts.kind, notice.facts.trouble)).collect()
}

fn done(world: &mut World, seqs: &[u64], outcome: PushOutcome) -> Answer {
    let duty = &world.state.duties.all[&DutyKey::push().unwrap()];
    let fence = duty.fence;
    let pushed = vec![Pushed { to: id(7), seqs: seqs.to_vec(), outcome }];
    world.op(Op::Push(PushStep::Done { fence, pushed }))
}

fn phone(world: &World) -> PushSubscription {
    (*world.state.pushes.subscriptions[&id(7)]).clone()
}

#[test]
fn a_trouble_is_told_once_and_its_end_once() {
    let mut world = telling();
    world.script("j", &[(Failed, 1), (Failed, 1), (Succeeded, 1)]);
    world.run_for(125);
    assert_eq!(waiting(&world), [(1, Opened, Trouble::Failed)]);
    world.run_for(65);
    assert_eq!(waiting(&world), [(1, Opened, Trouble::Failed), (2, Resolved, Trouble::Recovered)]);
    done(&mut world, &[1, 2], PushOutcome::Sent).unwrap();
    assert_eq!(waiting(&world), []);
    assert_eq!(done(&mut world, &[1, 2], PushOutcome::Sent), Err(Rejection::Stale));
    world.run_for(120);
    assert_eq!(waiting(&world), [], "what is well is told once");
    let phone = phone(&world);
    assert!(phone.sent_at.is_some() && phone.open == 0, "{:?}", (phone.sent_at, phone.open));
}

#[test]
fn who_holds_an_old_fence_is_not_listened_to() {
    let mut world = telling();
    world.script("j", &[(Failed, 1)]);
    world.run_for(65);
    let pushed = vec![Pushed { to: id(7), seqs: vec![1], outcome: PushOutcome::Sent }];
    let told = world.op(Op::Push(PushStep::Done { fence: 0, pushed }));
    assert_eq!(told, Err(Rejection::Fenced));
    assert_eq!(waiting(&world).len(), 1);
}

#[test]
fn what_a_user_may_not_see_is_not_told() {
    let mut world = telling();
    let scope = Scope { jobs: vec!["k*".into()], tags: Vec::new() };
    world.op(Op::SetRole { name: name("ann"), role: Role::Viewer, scope }).unwrap();
    world.script("j", &[(Failed, 1)]);
    world.run_for(65);
    assert_eq!(waiting(&world), []);
    let tags = Scope { jobs: Vec::new(), tags: vec!["t".into()] };
    world.op(Op::SetRole { name: name("ann"), role: Role::Viewer, scope: tags }).unwrap();
    world.script("j", &[(Failed, 1)]);
    world.run_for(65);
    assert_eq!(waiting(&world).len(), 1);
    // Told, and then it is out of scope: whoever sends asks again.
    let notice = world.state.pushes.waiting.values().next().unwrap().clone();
    assert!(world.state.may_push(&phone(&world), &notice.facts));
    let scope = Scope { jobs: vec!["k*".into()], tags: Vec::new() };
    world.op(Op::SetRole { name: name("ann"), role: Role::Viewer, scope }).unwrap();
    assert!(!world.state.may_push(&phone(&world), &notice.facts));
    done(&mut world, &[1], PushOutcome::Withheld).unwrap();
    assert_eq!(waiting(&world), []);
    let withheld = phone(&world);
    assert_eq!((withheld.sent_at, withheld.fault), (None, None));
}

#[test]
fn a_browser_that_is_gone_and_a_user_who_is_leave_nothing() {
    let mut world = telling();
    world.script("j", &[(Failed, 1)]);
    world.run_for(65);
    done(&mut world, &[1], PushOutcome::Gone).unwrap();
    let pushes = &world.state.pushes;
    assert!(pushes.subscriptions.is_empty() && pushes.told.is_empty() && pushes.waiting.is_empty());
    assert!(!world.state.duties.all.contains_key(&DutyKey::push().unwrap()));
    let mut world = telling();
    world.script("j", &[(Failed, 1)]);
    world.run_for(65);
    world.op(Op::DeleteUser { name: name("ann") }).unwrap();
    assert!(world.state.pushes.subscriptions.is_empty() && waiting(&world).is_empty());
}

#[test]
fn one_browser_tells_one_user_and_says_what_it_tells_anew() {
    let mut world = telling();
    let bob = Box::new(user("bob", 2));
    world.op(Op::CreateUser { user: bob, session: None }).unwrap();
    // The same browser of the same user keeps its id.
    let endpoint = "https://push.example.org/7".to_owned();
    let on = vec![Trouble::Late];
    let again = PushSubscription {
        endpoint: endpoint.clone(),
        on: on.clone(),
        ..subscription("ann", 1, 8)
    };
    assert_eq!(subscribe(&mut world, again), Ok(Reply::Created(id(7))));
    assert_eq!(phone(&world).on, on);
    let others = PushSubscription { endpoint, ..subscription("bob", 2, 9) };
    assert_eq!(subscribe(&mut world, others), Ok(Reply::Created(id(9))));
    let known: Vec<Uuid> = world.state.pushes.subscriptions.keys().copied().collect();
    assert_eq!(known, [id(9)]);
    // An account of another time does not come back.
    let refused = subscribe(&mut world, subscription("bob", 3, 10));
    assert_eq!(refused, Err(Rejection::no_user(name("bob"))));
    let (user, uid, epoch) = (name("bob"), id(2), 5);
    let step = PushStep::Subscribe {
        subscription: Box::new(subscription("bob", 2, 11)),
        session: Some(Session { user, uid, epoch }),
    };
    assert_eq!(world.op(Op::Push(step)), Err(Rejection::SessionOver));
}

#[test]
fn a_user_has_so_many_and_no_more() {
    let mut world = telling();
    for n in 1..limits::PUSH_SUBSCRIPTIONS_PER_USER as u128 {
        subscribe(&mut world, subscription("ann", 1, 100 + n)).unwrap();
    }
    let refused = subscribe(&mut world, subscription("ann", 1, 200));
    assert!(matches!(refused, Err(Rejection::Limit { most: 20, .. })), "{refused:?}");
}

#[test]
fn what_failed_is_tried_later_and_given_up_after_a_day() {
    let mut world = telling();
    world.script("j", &[(Failed, 1)]);
    world.run_for(65);
    let retry = || PushOutcome::Retry { error: "503".into(), after: None };
    done(&mut world, &[1], retry()).unwrap();
    let notice = world.state.pushes.waiting[&(id(7), 1)].clone();
    assert_eq!((notice.tries, notice.not_before), (1, world.now.plus(Span::from_secs(5))));
    assert_eq!(phone(&world).fault.as_deref(), Some("503"));
    world.now = world.now.plus(limits::NOTICE_AGE_MAX);
    done(&mut world, &[1], retry()).unwrap();
    assert_eq!(waiting(&world), []);
    assert_eq!(phone(&world).left_out, 1);
}

#[test]
fn too_many_are_counted_and_not_kept() {
    let mut world = telling();
    for n in 0..limits::PUSH_WAITING_MAX + 5 {
        let job = format!("k{n}");
        world.work(json!({ "name": job, "expr": "0 * * * *" }));
        world.script(&job, &[(Failed, 1)]);
    }
    world.run_for(3_700);
    let phone = phone(&world);
    assert_eq!((phone.waiting, phone.open), (limits::PUSH_WAITING_MAX, limits::PUSH_WAITING_MAX));
    assert_eq!(phone.left_out, 5);
    done(&mut world, &[1], PushOutcome::Sent).unwrap();
    assert_eq!(self::phone(&world).left_out, 0);
}

#[test]
fn there_is_one_key_and_it_can_only_be_sealed_anew() {
    let mut world = World::newest();
    let key = |n: u128, public: u8| PushKey {
        id: id(n),
        public: vec![public; 65],
        secret: [3; 32],
        sealed: None,
    };
    let put = |world: &mut World, key: PushKey, again: bool| {
        world.op(Op::Push(PushStep::PutKey { key: Box::new(key), again }))
    };
    assert_eq!(put(&mut world, key(1, 4), true), Err(Rejection::Stale));
    put(&mut world, key(1, 4), false).unwrap();
    assert_eq!(put(&mut world, key(2, 5), false), Err(Rejection::Stale));
    assert_eq!(put(&mut world, key(1, 5), true), Err(Rejection::Stale));
    put(&mut world, PushKey { secret: [0; 32], ..key(1, 4) }, true).unwrap();
    assert_eq!(world.state.pushes.key.as_ref().unwrap().secret, [0; 32]);
}

fn sealed_key() -> PushKey {
    let sealed = Sealed { key: id(5), nonce: [8; 24], bytes: vec![1, 2, 3] };
    let created_at = Timestamp::from_secs(60);
    let sealed = DataKey { id: id(5), under: "0a0b0c0d".into(), sealed, created_at };
    PushKey { id: id(5), public: vec![4; 65], secret: [0; 32], sealed: Some(Box::new(sealed)) }
}

/// With every field that there is.
fn whole() -> PushSubscription {
    PushSubscription {
        on: vec![Trouble::Failed, Trouble::Recovered],
        wanted: Some(RuleMatch { jobs: vec!["etl-*".into()], ..RuleMatch::default() }),
        sent_at: Some(Timestamp::from_secs(61)),
        fault: Some("503".into()),
        open: 1,
        waiting: 1,
        left_out: 2,
        ..subscription("ann", 1, 7)
    }
}

/// What is done to pushes, for the files of earlier builds.
pub fn push_ops() -> Vec<(&'static str, Op)> {
    let became = |outcome| Pushed { to: id(7), seqs: vec![1, 2], outcome };
    let after = Some(Span::from_secs(90));
    let pushed = vec![
        became(PushOutcome::Sent),
        became(PushOutcome::Retry { error: "503".into(), after }),
        became(PushOutcome::Refused { error: "403".into() }),
        became(PushOutcome::Gone),
        became(PushOutcome::Withheld),
    ];
    let session = Some(Session { user: name("ann"), uid: id(1), epoch: 3 });
    let open = PushKey { secret: [3; 32], sealed: None, ..sealed_key() };
    let subscription = Box::new(whole());
    [
        ("push", PushStep::PutKey { key: Box::new(open), again: false }),
        ("push_2", PushStep::PutKey { key: Box::new(sealed_key()), again: true }),
        ("push_3", PushStep::Subscribe { subscription, session }),
        ("push_4", PushStep::Unsubscribe { id: id(7) }),
        ("push_5", PushStep::Done { fence: 9, pushed }),
    ]
    .map(|(file, step)| (file, Op::Push(step)))
    .into()
}

/// A state of pushes, for the files of earlier builds.
pub fn pushes(facts: Facts) -> Pushes {
    let at = Timestamp::from_secs(60);
    let notice = PushNotice { seq: 3, at, not_before: at, tries: 1, facts };
    Pushes {
        key: Some(sealed_key()),
        subscriptions: [(id(7), Arc::new(whole()))].into_iter().collect(),
        told: [(((7, None), id(7)), 3_u64)].into_iter().collect(),
        waiting: [((id(7), 3), Arc::new(notice))].into_iter().collect(),
        last: 3,
    }
}
