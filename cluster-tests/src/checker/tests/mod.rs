//! The checker is judged in its turn: a sound history passes, and each planted fault is found
//! by the rule that is there for it.
//!
//! Owns: doctored histories. `sound.rs` makes the sound one. To add one: a line in [`FAULTS`].

mod sound;

use super::check;
use crate::history::{History, Life, Row, Run};
use crate::moment::Moment;
use crate::register::{Asked, Op, Told};
use crate::workload::Definition;
use sound::{T0, at, sound};

type Plant = fn(&mut History);

fn life<'a>(h: &'a mut History, name: &str) -> &'a mut Life {
    h.lives.iter_mut().find(|life| life.name == name).unwrap()
}

/// The run of `job` at a nominal time, in seconds from the begin.
fn run_at<'a>(h: &'a mut History, job: &str, second: i64) -> &'a mut Run {
    let nominal = Some(at(second * 1_000));
    h.runs.values_mut().find(|run| run.job == job && run.nominal_time == nominal).unwrap()
}

fn row_at<'a>(h: &'a mut History, job: &str, second: i64) -> &'a mut Row {
    let rows = &mut life(h, job).ledger;
    rows.iter_mut().find(|row| row.nominal_time == at(second * 1_000)).unwrap()
}

fn first_of(h: &History, job: &str) -> Run {
    h.runs.values().filter(|run| run.job == job).min_by_key(|run| run.fired_at).unwrap().clone()
}

/// A run that a backfill made and that was cancelled before it began.
fn past(h: &mut History, id: &str) {
    let run = first_of(h, "beat");
    let id = id.to_owned();
    let made = Run {
        id: id.clone(),
        trigger: "backfill".into(),
        backfill: Some(7),
        attempts: Vec::new(),
        status: "cancelled".into(),
        cancelled_by: Some("backfill 7 was cancelled".into()),
        ..run
    };
    h.runs.insert(id, made);
}

fn drop_run(h: &mut History, job: &str) {
    let id = first_of(h, job).id;
    h.runs.remove(&id);
    h.marks.retain(|mark| mark.run != id);
}

fn again(h: &mut History, job: &str) {
    let run = first_of(h, job);
    let id = format!("{}-again", run.id);
    h.runs.insert(id.clone(), Run { id, attempts: Vec::new(), status: "skipped".into(), ..run });
}

/// Makes the row of a nominal time one that was skipped.
fn skip_row(h: &mut History, job: &str, second: i64, reason: &str, late_ms: i64) {
    let id = run_at(h, job, second).id.clone();
    h.runs.remove(&id);
    h.marks.retain(|mark| mark.run != id);
    let row = row_at(h, job, second);
    row.outcome = "skipped".into();
    row.reason = Some(reason.into());
    row.run_id = None;
    row.decided_at = row.nominal_time.plus_ms(late_ms);
}

fn mark_of(h: &mut History, second: i64, end: bool) -> &mut crate::witness::Mark {
    let nominal = Some(at(second * 1_000));
    let found = |mark: &&mut crate::witness::Mark| {
        mark.job == "beat" && mark.nominal == nominal && mark.end == end
    };
    h.marks.iter_mut().find(found).unwrap()
}

const FAULTS: &[(&str, &str, Plant)] = &[
    ("backfills", "a time that a backfill ran twice", |h| {
        for id in ["past-1", "past-2"] {
            past(h, id);
        }
    }),
    ("backfills", "a run of a backfill of a time to come", |h| {
        past(h, "past-1");
        let run = h.runs.get_mut("past-1").unwrap();
        run.nominal_time = Some(run.fired_at.plus_ms(1_000));
    }),
    ("tasks", "a task that was started before its edges allow", |h| {
        h.flows[0].runs[1].fired_at = at(1_100);
    }),
    ("tasks", "a task that its edges forbid", |h| {
        let mut run = h.flows[0].runs[3].clone();
        run.task.as_mut().unwrap().name = "mourn".into();
        h.flows[0].runs.push(run);
    }),
    ("tasks", "an item that was run twice", |h| {
        h.flows[0].runs[2].task.as_mut().unwrap().index = Some(0);
    }),
    ("tasks", "an item that was left out", |h| drop(h.flows[0].runs.remove(2))),
    ("tasks seen", "a task that began while the one before went on", |h| {
        h.task_marks.iter_mut().find(|mark| mark.end && mark.task == "list").unwrap().at =
            at(1_300);
    }),
    ("tasks seen", "an attempt of a task that started twice", |h| {
        let mark = h.task_marks[0].clone();
        h.task_marks.push(mark);
    }),
    ("tasks seen", "a start of a task that nobody knows", |h| {
        h.task_marks[0].run = "task-9".into();
    }),
    ("queue rates", "a start more than a window has room for", |h| {
        run_at(h, "beat", 4).attempts[0].assigned_at = at(5_500);
    }),
    ("fair shares", "a job that waits while another starts again and again", |h| {
        let queue = Some("narrow".to_string());
        for version in &mut life(h, "resting").versions {
            version.definition =
                Definition { queue: queue.clone(), ..(*version.definition).clone() }.into();
        }
        let mut run = first_of(h, "beat");
        let resting = life(h, "resting");
        (run.id, run.job, run.job_uid) = ("waits".into(), "resting".into(), resting.uid.clone());
        (run.fired_at, run.nominal_time) = (at(0), None);
        run.attempts[0].assigned_at = at(60_000);
        h.runs.insert(run.id.clone(), run);
    }),
    ("every nominal time once", "a time without a row", |h| {
        life(h, "beat").ledger.retain(|row| row.nominal_time != at(4_000));
    }),
    ("every nominal time once", "a time with two rows", |h| {
        let row = row_at(h, "beat", 4).clone();
        life(h, "beat").ledger.push(row);
    }),
    ("every nominal time once", "a row that a range covers", |h| {
        let mut row = row_at(h, "beat", 4).clone();
        (row.until, row.count) = (Some(at(8_000)), Some(2));
        (row.outcome, row.run_id) = ("skipped".into(), None);
        life(h, "beat").ledger.push(row);
    }),
    ("every nominal time once", "a row at no nominal time", |h| {
        row_at(h, "beat", 4).nominal_time = at(5_000);
    }),
    ("every nominal time once", "a range that counts wrongly", |h| {
        let row = row_at(h, "resting", 6);
        (row.until, row.count) = (Some(at(40_000)), Some(9));
    }),
    ("every nominal time once", "a deleted job's ledger with a hole", |h| {
        life(h, "gone").ledger.retain(|row| row.nominal_time != at(6_000));
    }),
    ("every nominal time once", "a time just after a pause without a row", |h| {
        life(h, "beat").versions[2].effective = at(32_990);
        let row = row_at(h, "beat", 33);
        (row.nominal_time, row.count) = (at(36_000), Some(2));
    }),
    ("fired by its version", "a time of a paused version that the next one fired", |h| {
        let versions = &mut life(h, "beat").versions;
        versions[1].effective = at(24_010);
        let paused = Definition { enabled: false, ..(*versions[0].definition).clone() };
        versions[0].definition = paused.into();
    }),
    ("fired has its run", "a row without its run", |h| drop_run(h, "beat")),
    ("fired has its run", "a run of another time", |h| {
        run_at(h, "beat", 4).nominal_time = Some(at(5_000));
    }),
    ("fired has its run", "a second scheduled run", |h| again(h, "beat")),
    ("one start an attempt", "a second start", |h| {
        let mut mark = mark_of(h, 4, false).clone();
        mark.at = mark.at.plus_ms(3);
        h.marks.push(mark);
    }),
    ("one start an attempt", "a torn line", |h| h.unreadable.push("0190 1".into())),
    ("one run a nominal time", "a time that was started as two runs", |h| {
        let mut mark = mark_of(h, 4, false).clone();
        (mark.run, mark.fence) = ("0190-second".into(), mark.fence + 500);
        h.marks.push(mark);
    }),
    ("known attempts only", "a start nobody knows", |h| {
        mark_of(h, 4, false).run = "0190-unknown".into();
    }),
    ("known attempts only", "an attempt nobody knows", |h| mark_of(h, 4, false).attempt = 2),
    ("known attempts only", "a start with another fence", |h| mark_of(h, 4, false).fence += 500),
    ("known attempts only", "a start long after a deletion", |h| {
        let mut mark = mark_of(h, 4, false).clone();
        (mark.job, mark.run, mark.at) = ("gone".into(), "0190-gone".into(), at(25_000));
        h.marks.push(mark);
    }),
    ("fences rise", "a fence given twice", |h| {
        let fence = mark_of(h, 4, false).fence;
        mark_of(h, 6, false).fence = fence;
    }),
    ("fences rise", "a retry with an older fence", |h| {
        let mut mark = mark_of(h, 4, false).clone();
        (mark.attempt, mark.fence, mark.at) = (2, 0, mark.at.plus_ms(50));
        h.marks.push(mark);
    }),
    ("intent first", "a start by a node that it was not given to", |h| {
        mark_of(h, 4, false).node = Some("node-b".into());
    }),
    ("intent first", "a start before it was given to a node", |h| {
        run_at(h, "beat", 4).attempts[0].assigned_at = at(4_090);
    }),
    ("never early", "a start before its time", |h| {
        mark_of(h, 4, false).at = at(3_990);
    }),
    ("outcomes agree", "a success without its end", |h| {
        let id = run_at(h, "beat", 4).id.clone();
        h.marks.retain(|mark| mark.run != id || !mark.end);
    }),
    ("outcomes agree", "a run that never ended", |h| {
        run_at(h, "beat", 4).status = "running".into();
    }),
    ("outcomes agree", "a failure that should not be", |h| {
        let run = run_at(h, "beat", 4);
        run.status = "failed".into();
        run.attempts[0].status = "failed".into();
    }),
    ("outcomes agree", "lost without a kill", |h| {
        (h.boots[0].ended, h.boots[0].gone) = (Some(at(30_000)), Some(at(30_010)));
    }),
    ("overlap", "two at a time", |h| {
        mark_of(h, 4, true).at = at(6_050);
    }),
    ("overlap", "skipped for overlap while idle", |h| skip_row(h, "beat", 4, "overlap", 5)),
    ("edits count", "an old version fires", |h| {
        let run = run_at(h, "beat", 24);
        run.version = 1;
        row_at(h, "beat", 24).version = 1;
    }),
    ("edits count", "fires with an old version after the edit is acknowledged", |h| {
        let run = run_at(h, "beat", 24);
        (run.version, run.fired_at) = (1, at(21_305));
    }),
    ("edits count", "an old source runs", |h| mark_of(h, 24, false).generation = 1),
    ("edits count", "a paused job fires", |h| {
        run_at(h, "beat", 30).fired_at = at(34_000);
    }),
    ("writes are there", "a job that is gone", |h| drop(h.present.remove("beat"))),
    ("writes are there", "a deleted job that is back", |h| {
        let mut present = h.present["beat"].clone();
        present.uid = life(h, "gone").uid.clone();
        h.present.insert("gone".into(), present);
    }),
    ("writes are there", "a definition that is lost", |h| {
        h.present.get_mut("beat").unwrap().version = 1;
    }),
    ("writes are there", "a run by hand that is lost", |h| {
        let id = life(h, "first").triggered[0].run_id.clone();
        h.runs.remove(&id);
        h.marks.retain(|mark| mark.run != id);
    }),
    ("writes are there", "a run by hand done twice", |h| {
        let id = life(h, "first").triggered[0].run_id.clone();
        let run = h.runs[&id].clone();
        h.runs.insert("twice".into(), Run { id: "twice".into(), ..run });
    }),
    ("misfire", "skipped as missed, and was not late", |h| skip_row(h, "beat", 4, "misfire", 900)),
    ("misfire", "caught up in spite of the window", |h| {
        run_at(h, "gated", 4).fired_at = at(40_000);
    }),
    ("misfire", "not the latest of the missed ones", |h| {
        run_at(h, "beat", 4).fired_at = at(16_000);
    }),
    ("audit", "a broken chain", |h| h.audit_broken = Some("seq 3".into())),
    ("audit", "a write without a record", |h| drop(h.audit.pop())),
    ("audit", "a record without a write", |h| {
        let record = h.audit[0].clone();
        h.audit.push(record);
    }),
    ("retries", "an attempt too many", |h| {
        let run = run_at(h, "beat", 4);
        let attempt = run.attempts[0].clone();
        run.attempts.push(attempt);
    }),
    ("retries", "given up too early", |h| {
        let run = run_at(h, "beat", 10);
        run.status = "failed".into();
        run.attempts[0].status = "failed".into();
        let version = &mut life(h, "beat").versions[0];
        let mut definition = (*version.definition).clone();
        definition.retry = Some(crate::workload::Retry { max_attempts: 3, lost: false });
        version.definition = definition.into();
    }),
    ("replicas equal", "a node with another state", |h| {
        h.replicas[2].parts.insert("jobs".into(), "beat v3, gated v1".into());
    }),
    ("replicas equal", "a node that stays behind", |h| h.replicas[1].applied -= 1),
    ("linearizable", "a stale read", |h| {
        let register = h.register.as_mut().unwrap();
        let last = register.ops.last().unwrap().clone();
        let told = Told::Holds(register.initial);
        register.ops.push(Op {
            told,
            sent: last.answered + 1,
            answered: last.answered + 2,
            ..last
        });
    }),
    ("linearizable", "an acknowledged write that is lost", |h| {
        let register = h.register.as_mut().unwrap();
        let last = register.ops.last().unwrap().clone();
        let asked = Asked::Write(99);
        let (told, sent) = (Told::Written(3), last.answered + 1);
        register.ops.push(Op { asked, told, sent, answered: sent + 1, ..last.clone() });
        register.ops.push(Op { sent: sent + 2, answered: sent + 3, ..last });
    }),
    ("chains", "a success without its follower", |h| drop_run(h, "first")),
    ("chains", "a follower too many", |h| again(h, "first")),
    ("joins", "a join too few", |h| drop_run(h, "join")),
    ("joins", "a join too many", |h| again(h, "join")),
    ("gates", "started before its dependency", |h| {
        let run = run_at(h, "gated", 8);
        run.attempts[0].assigned_at = at(4_100);
    }),
];

#[test]
fn a_sound_history_passes() {
    let found: Vec<String> = check(&sound()).iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(T0 < Moment::now());
}

#[test]
fn each_planted_fault_is_found_by_its_rule() {
    for (rule, what, plant) in FAULTS {
        let mut history = sound();
        plant(&mut history);
        history.marks.sort_by_key(|mark| mark.at);
        let found = check(&history);
        assert!(found.iter().any(|violation| violation.rule == *rule), "{what}: {found:#?}");
    }
}

#[test]
fn every_rule_has_a_planted_fault() {
    let rules = super::RULES.iter().map(|(name, _, _)| *name);
    let missing: Vec<&str> =
        rules.filter(|rule| !FAULTS.iter().any(|(known, _, _)| known == rule)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
