//! Alerts: an incident opens once, counts and ends, and each of its notices is there until it is
//! sent or given up, whoever leads and whoever sends.

use cronapi::machine::command::PutDefinition;
use cronapi::machine::history::{
    IncidentRow, NoticeRow, check_row, incident_key, notice_key, unpack,
};
use cronapi::machine::prepare::{Intent, PutMode};
use cronapi::machine::reply::{Rejection, Reply};
use cronapi::machine::state::{Duty, FORMAT};
use cronapi::machine::{Op, Output, State};
use cronapi::model::alert::NoticeEnd;
use cronapi::model::{
    Delivery, DutyKey, Facts, Kind, Notice, NoticeKind, RunStatus, Span, Spec, Trouble, limits,
};
use serde_json::{Value, json};

use super::chance::{Chance, each_seed};
use super::world::{World, actor, at, name, object};

pub fn channel(text: &str) -> Spec {
    let mut map = object(Kind::Channel.example());
    map.insert("name".into(), text.into());
    map.remove("rate");
    Kind::Channel.read(map).unwrap()
}

pub fn put(world: &mut World, spec: Spec) {
    let based_on = world.state.definitions.get(spec.kind(), spec.name().as_str());
    let based_on = based_on.map(|present| present.version);
    world.op(Op::Put(Box::new(PutDefinition { spec, based_on, pinned: false }))).unwrap();
}

fn rule(value: Value) -> Spec {
    Kind::Rule.read(object(value)).unwrap()
}

/// A cluster with the channel `ops`, and a job `j` that runs each minute and tells it.
fn telling(notify: Value) -> World {
    let mut world = World::newest();
    put(&mut world, channel("ops"));
    let mut notify = notify;
    notify["channels"] = json!(["ops"]);
    world.work(json!({"name": "j", "expr": "* * * * *", "notify": notify}));
    world
}

fn waiting(world: &World) -> Vec<Notice> {
    world.state.outbox.waiting.values().map(|notice| (**notice).clone()).collect()
}

fn told(world: &World) -> Vec<(NoticeKind, Trouble, u64)> {
    let told = |notice: &Notice| (notice.facts.kind, notice.facts.trouble, notice.facts.troubles);
    waiting(world).iter().map(told).collect()
}

fn duty<'a>(world: &'a World, text: &str) -> &'a Duty {
    &world.state.duties.all[&DutyKey::channel(name(text))]
}

fn deliver(world: &mut World, text: &str, seqs: &[u64], outcome: Delivery) -> bool {
    let (channel, fence) = (name(text), duty(world, text).fence);
    world.op(Op::Delivered { channel, seqs: seqs.to_vec(), fence, outcome }).is_ok()
}

fn sent(world: &World, seq: u64) -> Option<NoticeRow> {
    let key = notice_key(seq);
    let value = world.rows.get(&key)?;
    check_row(&key, value).unwrap();
    unpack(value).ok()
}

use NoticeKind::{Opened, Reminder, Resolved};
use RunStatus::{Failed, Lost, Succeeded, TimedOut};

#[test]
fn a_failure_is_told_once_and_its_end_once() {
    let mut world = telling(json!({}));
    world.script("j", &[(Failed, 1), (TimedOut, 1), (Lost, 1), (Succeeded, 1)]);
    world.run_for(70);
    assert_eq!(told(&world), [(Opened, Trouble::Failed, 1)]);
    world.run_for(180);
    assert_eq!(told(&world), [(Opened, Trouble::Failed, 1), (Resolved, Trouble::Recovered, 3)]);
    assert!(world.state.alerts.incidents.is_empty());
    let row: IncidentRow = unpack(&world.rows[&incident_key(1)]).unwrap();
    check_row(&incident_key(1), &world.rows[&incident_key(1)]).unwrap();
    assert_eq!((row.incident.failures, row.removed), (3, None));
    let events: Vec<&str> = world.events.iter().map(|event| event.kind.as_str()).collect();
    let count = |kind: &str| events.iter().filter(|event| **event == kind).count();
    assert_eq!((count("incident.opened"), count("incident.resolved")), (1, 1));
    world.run_for(180);
    assert_eq!(waiting(&world).len(), 2, "what is well is told once");
}

#[test]
fn two_failures_in_a_row_are_asked_for_and_a_success_begins_anew() {
    let mut world = telling(json!({"min_failures": 2}));
    let ends = [Failed, Succeeded, Failed, Failed, Succeeded, Failed, Succeeded];
    world.script("j", &ends.map(|end| (end, 1)));
    world.run_for(150);
    assert_eq!(told(&world), [], "one alone is not told, nor its end");
    world.run_for(180);
    assert_eq!(told(&world), [(Opened, Trouble::Failed, 2), (Resolved, Trouble::Recovered, 2)]);
    world.run_for(180);
    assert_eq!(told(&world).len(), 2);
}

#[test]
fn a_new_leader_that_does_all_again_tells_nothing_twice() {
    let mut world = World::newest();
    world.repeats = true;
    put(&mut world, channel("ops"));
    let notify = json!({"min_failures": 2, "channels": ["ops"], "on": ["failed", "late",
        "long_running", "recovered"]});
    world.work(json!({"name": "j", "expr": "* * * * *", "late_after": "5s", "long_after": "20s",
        "notify": notify}));
    world.script("j", &[(Failed, 30), (Failed, 1), (Succeeded, 1)]);
    world.run_for(300);
    let expected = [(Opened, Trouble::LongRunning, 1), (Resolved, Trouble::Recovered, 3)];
    assert_eq!(told(&world), expected);
}

#[test]
fn nobody_is_told_of_what_the_rule_does_not_name() {
    let mut world = telling(json!({"on": ["missed"]}));
    world.script("j", &[(Failed, 1)]);
    world.run_for(200);
    assert_eq!(told(&world), []);
    // The cluster is away for a day: the times of it are gone.
    world.now = world.now.plus(Span::from_secs(86_400));
    world.settle();
    assert_eq!(told(&world).len(), 1);
    assert_eq!(waiting(&world)[0].facts.trouble, Trouble::Missed);
    assert_eq!(waiting(&world)[0].facts.detail.as_deref(), Some("window_passed"));
}

#[test]
fn a_channel_that_is_not_there_is_named_and_one_in_use_stays() {
    let mut world = World::newest();
    let job = json!({"name": "j", "notify": {"channels": ["a", "b"]}});
    put(&mut world, channel("a"));
    let Err(Rejection::Invalid(faults)) = world.try_put(job.clone()) else { panic!() };
    assert_eq!(faults[0].pointer, "/notify/channels/1");
    put(&mut world, channel("b"));
    world.put(job);
    put(&mut world, rule(json!({"name": "r", "channels": ["b"]})));
    let remove =
        |text: &str| Intent::Remove { kind: Kind::Channel, name: name(text), expected: None };
    let Err(Rejection::InUse { by, .. }) = world.submit(remove("b")) else { panic!() };
    assert_eq!(by, ["rule r", "job j"]);
    world.put(json!({"name": "j"}));
    let rule = Intent::Remove { kind: Kind::Rule, name: name("r"), expected: None };
    world.submit(rule).unwrap();
    world.submit(remove("b")).unwrap();
    assert!(!world.state.duties.all.contains_key(&DutyKey::channel(name("b"))));
}

#[test]
fn what_waits_for_a_channel_that_goes_is_given_up() {
    let mut world = telling(json!({}));
    world.script("j", &[(Failed, 1)]);
    world.run_for(70);
    let seq = waiting(&world)[0].seq;
    world.work(json!({"name": "j", "expr": "* * * * *"}));
    assert!(world.state.alerts.incidents.is_empty(), "it does not tell of itself any more");
    let remove = Intent::Remove { kind: Kind::Channel, name: name("ops"), expected: None };
    world.submit(remove).unwrap();
    let row = sent(&world, seq).unwrap();
    assert_eq!(
        (row.end, row.notice.error.as_deref()),
        (NoticeEnd::Dead, Some("the channel was removed"))
    );
    assert!(world.state.outbox.waiting.is_empty());
}

#[test]
fn an_incident_of_a_job_that_goes_is_over_without_a_word() {
    let mut world = telling(json!({}));
    world.script("j", &[(Failed, 1)]);
    world.run_for(70);
    world.delete("j");
    assert_eq!(told(&world), [(Opened, Trouble::Failed, 1)]);
    let row: IncidentRow = unpack(&world.rows[&incident_key(1)]).unwrap();
    assert_eq!(row.removed.as_deref(), Some("its job was deleted"));
}

#[test]
fn one_rule_puts_the_troubles_of_many_jobs_together() {
    let mut world = World::newest();
    put(&mut world, channel("ops"));
    put(
        &mut world,
        rule(json!({"name": "etl", "match": {"jobs": ["etl-*"]}, "channels": ["ops"],
            "group_by": "rule", "group_wait": "30s"})),
    );
    for job in ["etl-a", "etl-b", "other"] {
        world.work(json!({"name": job}));
        world.script(job, &[(Failed, 1), (Succeeded, 1)]);
        world.trigger(job);
        world.run_for(2);
    }
    let notices = waiting(&world);
    assert_eq!(notices.len(), 1);
    assert_eq!((notices[0].facts.troubles, notices[0].facts.jobs), (2, 2), "it waits for more");
    assert!(notices[0].not_before > world.now);
    world.trigger("etl-a");
    world.run_for(2);
    assert_eq!(told(&world).len(), 1, "one of them is not well yet");
    world.trigger("etl-b");
    world.run_for(2);
    let notices = waiting(&world);
    assert_eq!(told(&world).len(), 2);
    assert!(notices[1].not_before >= notices[0].not_before, "the end is not told before");
}

#[test]
fn an_incident_is_told_again_until_somebody_knows() {
    let mut world = World::newest();
    put(&mut world, channel("ops"));
    put(&mut world, rule(json!({"name": "r", "channels": ["ops"], "repeat": "1h"})));
    world.work(json!({"name": "j"}));
    world.script("j", &[(Failed, 1), (Succeeded, 1)]);
    world.trigger("j");
    world.run_for(3 * 3_600 + 60);
    let kinds = |world: &World| told(world).iter().map(|told| told.0).collect::<Vec<_>>();
    assert_eq!(kinds(&world), [Opened, Reminder, Reminder, Reminder]);
    let acknowledge = Intent::Plain(Box::new(Op::Acknowledge { incident: 1 }));
    world.submit(acknowledge.clone()).unwrap();
    world.submit(acknowledge).unwrap();
    world.run_for(5 * 3_600);
    assert_eq!(kinds(&world).len(), 4);
    assert!(world.state.watch.is_empty());
    let none = Intent::Plain(Box::new(Op::Acknowledge { incident: 9 }));
    assert!(matches!(world.submit(none), Err(Rejection::NotFound { .. })));
    world.trigger("j");
    world.run_for(2);
    assert_eq!(kinds(&world).last(), Some(&Resolved));
}

#[test]
fn a_run_that_does_not_begin_is_late_and_one_that_does_not_end_is_long() {
    let mut world = World::newest();
    put(&mut world, channel("ops"));
    let notify = json!({"on": ["late", "long_running"], "channels": ["ops"]});
    world.work(json!({"name": "j", "expr": "0 * * * *", "overlap": "queue_all", "notify": notify,
        "late_after": "5m", "long_after": "10m"}));
    world.script("j", &[(Succeeded, 60), (Succeeded, 4_200), (Succeeded, 1)]);
    world.run_until("2027-01-04T02:00:30Z");
    assert_eq!(told(&world), [], "it began and ended in time");
    world.run_until("2027-01-04T02:11:00Z");
    assert_eq!(told(&world), [(Opened, Trouble::LongRunning, 1)]);
    // The next one waits behind it.
    world.run_until("2027-01-04T03:06:00Z");
    let facts = world.state.alerts.incidents.values().next().unwrap().facts.clone();
    assert_eq!((facts.trouble, facts.troubles), (Trouble::Late, 2));
    world.run_until("2027-01-04T03:30:00Z");
    assert!(world.state.alerts.incidents.is_empty(), "a success ends it");
    assert!(world.state.watch.is_empty(), "{:?}", world.state.watch);
}

#[test]
fn late_and_long_are_worked_out_from_the_schedule_and_the_past() {
    let mut world = World::newest();
    put(&mut world, channel("ops"));
    let notify = json!({"on": ["late", "long_running"], "channels": ["ops"]});
    world.work(json!({"name": "j", "expr": "0 * * * *", "overlap": "queue_all", "notify": notify,
        "late_after": "auto", "long_after": "auto"}));
    // Three times 200 s, once five have succeeded; before that the longest is not told.
    let mut runs = vec![(Succeeded, 3_000)];
    runs.extend([(Succeeded, 200); 19]);
    runs.extend([(Succeeded, 200), (Succeeded, 4_200)]);
    world.script("j", &runs);
    world.run_until("2027-01-04T21:30:00Z");
    assert_eq!(told(&world), [], "nothing of the first runs is told");
    assert_eq!(world.job("j").live.took.long_after(), Some(Span::from_secs(600)));
    world.run_until("2027-01-04T22:09:55Z");
    assert_eq!(told(&world), []);
    world.run_until("2027-01-04T22:10:10Z");
    assert_eq!(told(&world), [(Opened, Trouble::LongRunning, 1)]);
    // The next one waits behind it: a tenth of the hour.
    world.run_until("2027-01-04T23:05:55Z");
    let troubles =
        |world: &World| world.state.alerts.incidents.values().next().unwrap().facts.troubles;
    assert_eq!(troubles(&world), 1);
    world.run_until("2027-01-04T23:06:10Z");
    assert_eq!(troubles(&world), 2);
    world.run_until("2027-01-04T23:50:00Z");
    assert!(world.state.watch.is_empty(), "{:?}", world.state.watch);
}

#[test]
fn auto_is_of_a_newer_format_than_a_span() {
    let mut world = World::newest();
    world.state.format = 6;
    for field in ["late_after", "long_after"] {
        let auto = World::put_intent(json!({"name": "j", "expr": "@hourly", field: "auto"}));
        assert!(matches!(world.submit(auto), Err(Rejection::UpgradeNeeded { needs: 7, .. })));
        let span = World::put_intent(json!({"name": "j", "expr": "@hourly", field: "5m"}));
        world.submit(span).unwrap();
        world.delete("j");
    }
}

#[test]
fn a_time_that_has_not_come_is_not_looked_at() {
    let mut world = World::newest();
    world.work(json!({"name": "j", "long_after": "10m"}));
    world.script("j", &[(Succeeded, 3_600)]);
    world.trigger("j");
    world.settle();
    let (when, key) = *world.state.watch.get_min().unwrap();
    assert_eq!(world.op(Op::Watch { at: when, key }), Err(Rejection::Stale));
    world.now = when;
    world.op(Op::Watch { at: when, key }).unwrap();
    assert_eq!(world.op(Op::Watch { at: when, key }), Err(Rejection::Stale), "it was");
}

#[test]
fn a_channel_has_a_duty_and_only_its_holder_is_believed() {
    let mut world = telling(json!({}));
    world.script("j", &[(Failed, 1), (Succeeded, 1)]);
    world.node(2, 4);
    world.run_for(140);
    let (holder, boot) = duty(&world, "ops").holder.unwrap();
    let old = duty(&world, "ops").fence;
    let seqs: Vec<u64> = waiting(&world).iter().map(|notice| notice.seq).collect();
    world.op(Op::NodeLost { node: holder, boot }).unwrap();
    world.settle();
    assert_ne!(duty(&world, "ops").holder.unwrap().0, holder);
    let late =
        |outcome| Op::Delivered { channel: name("ops"), seqs: seqs.clone(), fence: old, outcome };
    assert_eq!(world.op(late(Delivery::Sent)), Err(Rejection::Fenced));
    assert!(deliver(&mut world, "ops", &seqs[..1], Delivery::Sent));
    assert!(!deliver(&mut world, "ops", &seqs[..1], Delivery::Sent), "it was told before");
    assert_eq!(sent(&world, seqs[0]).unwrap().end, NoticeEnd::Sent);
    assert_eq!(waiting(&world).len(), 1);
}

#[test]
fn a_channel_that_is_down_is_tried_for_a_day_and_less_and_less_often() {
    let mut world = telling(json!({"on": ["failed"]}));
    world.script("j", &[(Failed, 1)]);
    world.run_for(70);
    world.enable("j", false);
    let (mut waits, first) = (Vec::new(), waiting(&world)[0].clone());
    while let Some(notice) = waiting(&world).first().cloned() {
        world.now = world.now.max(notice.not_before);
        let retry = Delivery::Retry { error: "503".into(), after: None };
        assert!(deliver(&mut world, "ops", &[notice.seq], retry));
        waits.extend(waiting(&world).first().map(|n| n.not_before.since(world.now).secs()));
    }
    assert_eq!(waits[..10], [5, 10, 20, 40, 80, 160, 320, 640, 1_280, 1_800]);
    let row = sent(&world, first.seq).unwrap();
    assert_eq!((row.end, row.notice.error.as_deref()), (NoticeEnd::Dead, Some("503")));
    assert!(row.at.since(first.at) <= limits::NOTICE_AGE_MAX);
    assert!(row.at.since(first.at).secs() > 86_400 - 1_801);
    // Somebody mended it.
    let dead = Some(Box::new(row.notice));
    let retry = Intent::Plain(Box::new(Op::RetryNotice { seq: first.seq, dead: dead.clone() }));
    world.submit(retry.clone()).unwrap();
    assert_eq!(waiting(&world)[0].seq, first.seq, "it is the same one");
    assert!(sent(&world, first.seq).is_none());
    assert!(deliver(&mut world, "ops", &[first.seq], Delivery::Sent));
    assert!(matches!(world.submit(retry), Err(Rejection::NotFound { .. })), "it was sent");
}

#[test]
fn a_server_that_asks_for_patience_gets_it() {
    let mut world = telling(json!({}));
    world.script("j", &[(Failed, 1)]);
    world.run_for(70);
    let seq = waiting(&world)[0].seq;
    let after = Some(Span::from_secs(90));
    assert!(deliver(&mut world, "ops", &[seq], Delivery::Retry { error: "429".into(), after }));
    assert_eq!(waiting(&world)[0].not_before.since(world.now).secs(), 90);
    assert_eq!(duty(&world, "ops").fault.as_deref(), Some("429"));
    assert!(deliver(&mut world, "ops", &[seq], Delivery::Sent));
    assert_eq!(duty(&world, "ops").fault, None);
    let kinds: Vec<&str> = world.events.iter().map(|event| event.kind.as_str()).collect();
    assert!(kinds.contains(&"duty.fault") && kinds.contains(&"duty.recovered"));
}

#[test]
fn notices_beyond_the_bound_are_counted_and_the_next_one_says_so() {
    let mut world = telling(json!({}));
    let facts = Facts {
        kind: Opened,
        incident: 1,
        rule: None,
        trouble: Trouble::Failed,
        job: name("j"),
        part: None,
        job_no: 1,
        run: None,
        status: None,
        detail: None,
        since: world.now,
        troubles: 1,
        jobs: 1,
        left_out: 0,
    };
    for seq in 1..=limits::NOTICES_MAX as u64 {
        let (channel, at) = (name("ops"), world.now);
        let notice = Notice {
            seq,
            channel: channel.clone(),
            at,
            not_before: at,
            tries: 0,
            error: None,
            held: false,
            window: None,
            facts: facts.clone(),
        };
        world.state.outbox.waiting.insert((channel, seq), notice.into());
    }
    world.state.outbox.last = limits::NOTICES_MAX as u64;
    world.script("j", &[(Failed, 1), (Succeeded, 1), (Failed, 1)]);
    world.run_for(130);
    assert_eq!(world.state.outbox.waiting.len(), limits::NOTICES_MAX);
    assert_eq!(world.state.outbox.left_out[&name("ops")], 2);
    let seqs: Vec<u64> = (1..=10).collect();
    assert!(deliver(&mut world, "ops", &seqs, Delivery::Sent));
    world.run_for(60);
    assert_eq!(waiting(&world).last().unwrap().facts.left_out, 2);
    assert!(world.state.outbox.left_out.is_empty());
}

#[test]
fn after_a_restore_nothing_goes_out_before_somebody_says_so() {
    let mut world = telling(json!({}));
    world.script("j", &[(Failed, 1)]);
    world.run_for(70);
    let seq = waiting(&world)[0].seq;
    let key = cronapi::machine::command::SigningKey::new(uuid::Uuid::nil(), [1; 32]);
    let restored = cronapi::machine::command::Restored {
        cluster: "before".into(),
        index: world.index,
        as_of: world.now,
        stopped: true,
        settled: Vec::new(),
        signing_key: key,
        format: FORMAT,
    };
    world.submit(Intent::Plain(Box::new(Op::Restored(Box::new(restored))))).unwrap();
    assert!(waiting(&world)[0].held);
    world.submit(Intent::Plain(Box::new(Op::RetryNotice { seq, dead: None }))).unwrap();
    assert!(!waiting(&world)[0].held);
}

#[test]
fn a_cluster_of_an_older_format_has_none_of_it() {
    let mut world = World::newest();
    world.state.format = 5;
    let intent = World::put_intent(json!({"name": "j", "notify": {"channels": ["ops"]}}));
    assert!(matches!(
        world.submit(intent),
        Err(Rejection::Invalid(_) | Rejection::UpgradeNeeded { .. })
    ));
    let late = World::put_intent(json!({"name": "j", "expr": "@hourly", "late_after": "5m"}));
    assert!(matches!(world.submit(late), Err(Rejection::UpgradeNeeded { needs: 6, .. })));
    let spec = channel("ops");
    let put = Intent::Put { spec, mode: PutMode::Upsert, expected: None };
    assert!(matches!(world.submit(put), Err(Rejection::UpgradeNeeded { needs: 6, .. })));
}

#[test]
fn retention_takes_what_is_over() {
    let mut world = telling(json!({}));
    world.script("j", &[(Failed, 1), (Succeeded, 1)]);
    world.run_for(140);
    assert!(deliver(&mut world, "ops", &[1], Delivery::Sent));
    assert_eq!((world.state.outbox.kept, world.state.alerts.kept), (1, 1));
    let keys =
        vec![cronapi::machine::command::TrimKey::Alerts { notices: vec![1], incidents: vec![1] }];
    world.op(Op::Trim { keys }).unwrap();
    assert_eq!((world.state.outbox.kept, world.state.alerts.kept), (0, 0));
    assert!(sent(&world, 1).is_none() && !world.rows.contains_key(&incident_key(1)));
}

/// What the log must have told, worked out beside it: the troubles of a job since its last success.
#[derive(Default)]
struct Expected {
    open: bool,
    failures: u64,
    opened: u64,
    resolved: u64,
}

impl Expected {
    fn ends(&mut self, status: RunStatus, least: u64) {
        match status {
            Succeeded => {
                self.resolved += u64::from(self.open);
                (self.open, self.failures) = (false, 0);
            }
            Failed | TimedOut | Lost => {
                self.failures += 1;
                if !self.open && self.failures >= least {
                    self.open = true;
                    self.opened += 1;
                }
            }
            _ => {}
        }
    }
}

/// Ends at random, leaders that say things twice, channels that fail, holders that go: every notice
/// is in the outbox or in the history, once, and they are those that the ends ask for.
#[test]
fn no_notice_is_lost_or_doubled_whatever_happens() {
    each_seed("alerts", 0..60, |seed| {
        let chance = &mut Chance::new(seed);
        let mut world = World::newest();
        world.repeats = chance.once_in(2);
        world.node(2, 4);
        put(&mut world, channel("ops"));
        let least = 1 + chance.below(3);
        world.work(json!({"name": "j", "overlap": "allow",
            "notify": {"channels": ["ops"], "min_failures": least}}));
        let mut expected = Expected::default();
        for _ in 0..60 {
            match chance.below(6) {
                0..3 => {
                    let status = *chance.pick(&[Succeeded, Failed, TimedOut, Lost]);
                    world.script("j", &[(status, 0)]);
                    world.trigger("j");
                    world.settle();
                    expected.ends(status, least);
                }
                3 => {
                    let Some(notice) = waiting(&world).first().cloned() else { continue };
                    let error = || "no".to_owned();
                    let outcome = match chance.below(4) {
                        0 => Delivery::Retry { error: error(), after: None },
                        1 => Delivery::Dead { error: error() },
                        _ => Delivery::Sent,
                    };
                    world.settle();
                    deliver(&mut world, "ops", &[notice.seq], outcome);
                }
                4 => {
                    let node = 1 + chance.below(2);
                    world.node(node, 4);
                    world.settle();
                }
                _ => world.run_for(chance.below(400)),
            }
        }
        let mut all: Vec<(u64, NoticeKind)> =
            waiting(&world).iter().map(|notice| (notice.seq, notice.facts.kind)).collect();
        for (key, value) in world.rows.iter().filter(|(key, _)| key[0] == b'n') {
            check_row(key, value).unwrap();
            let row: NoticeRow = unpack(value).unwrap();
            all.push((row.notice.seq, row.notice.facts.kind));
        }
        all.sort_unstable();
        let seqs: Vec<u64> = all.iter().map(|(seq, _)| *seq).collect();
        assert!(seqs.iter().copied().eq(1..=world.state.outbox.last), "{seqs:?}");
        let count = |kind| all.iter().filter(|(_, of)| *of == kind).count() as u64;
        assert_eq!((count(Opened), count(Resolved)), (expected.opened, expected.resolved));
    });
}

#[test]
fn state_with_alerts_goes_round_the_codec() {
    let mut world = telling(json!({}));
    world.script("j", &[(Failed, 1)]);
    world.run_for(70);
    let packed = rmp_serde::to_vec_named(&world.state).unwrap();
    assert_eq!(rmp_serde::from_slice::<State>(&packed).unwrap(), world.state);
    let _ =
        (Output::default(), Reply::Done, PutMode::Upsert, actor("a"), at("2027-01-01T00:00:00Z"));
}
