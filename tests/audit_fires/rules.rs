//! Doctored answers: each rule can fail, and says so in words that a person can act on.

use serde_json::{Value, json};

use super::stub::{
    PASSWORD, TOKEN, World, attempt, audit_fires, audit_fires_as, chain, chain_at, fired, minute,
    range, run, second,
};

/// Changes a sound world, and gives what is found there: `rule: what`.
async fn found(doctor: impl FnOnce(&mut World)) -> Vec<String> {
    let mut world = World::sound();
    doctor(&mut world);
    let said = audit_fires(&world.serve().await, &["--output", "json"]).await;
    let report = said.json();
    let violations = report["violations"].as_array().unwrap();
    assert_eq!(said.code, i32::from(!violations.is_empty()), "{report}");
    assert_eq!(report["sound"], violations.is_empty());
    assert_eq!(report["violations_total"], violations.len());
    let text = |violation: &Value| {
        let part = |field: &str| violation[field].as_str().unwrap_or("-").to_owned();
        format!("{} {}: {}", part("rule"), part("job"), part("what"))
    };
    violations.iter().map(text).collect()
}

#[track_caller]
fn only(found: &[String], wanted: &str) {
    assert!(found.len() == 1 && found[0].contains(wanted), "{wanted:?} in {found:#?}");
}

#[track_caller]
fn each(found: &[String], wanted: &[&str]) {
    assert_eq!(found.len(), wanted.len(), "{found:#?}");
    for want in wanted {
        assert!(found.iter().any(|what| what.contains(want)), "{want:?} in {found:#?}");
    }
}

#[tokio::test]
async fn a_sound_ledger_is_sound() {
    let url = World::sound().serve().await;
    let said = audit_fires(&url, &[]).await;
    assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{}", said.stdout);
    let sum = "sound: 1 jobs, 6 nominal times, 5 ledger rows, 4 runs, 4 attempts, 3 audit records";
    assert!(said.stdout.starts_with(sum), "{}", said.stdout);
    let report = audit_fires(&url, &["--output", "json", "--job", "backup"]).await.json();
    assert_eq!(report["checked"]["nominal_times"], 6);
    assert_eq!(report["unchecked"], json!([]));
}

#[tokio::test]
async fn every_time_has_one_outcome() {
    let none = found(|w| drop(w.ledger.remove(1))).await;
    // The run of that row is then one that the ledger does not know.
    each(
        &none,
        &["one-outcome backup: 2026-11-23T10:25:00Z has no outcome", "run-of-row backup: run"],
    );
    let none = found(|w| drop(w.ledger.pop())).await;
    let both = ["10:05:00Z has no outcome", "10:10:00Z has no outcome"];
    each(&none, &both);
    let twice = found(|w| w.ledger[4] = range(5, 16, json!(3))).await;
    only(&twice, "one-outcome backup: 2026-11-23T10:15:00Z has two outcomes: also the range");
    let twice = found(|w| w.ledger.insert(1, w.ledger[1].clone())).await;
    assert!(twice[0].contains("one-outcome backup: the row of 2026-11-23T10:25:00Z is not older"));
}

#[tokio::test]
async fn no_other_time_has_one() {
    let other = found(|w| {
        w.runs.insert(0, run(31));
        w.ledger.insert(0, fired(&w.runs[0]));
    });
    only(&other.await, "named-time backup: 2026-11-23T10:31:00Z is no nominal time of version 1");
    let count = found(|w| w.ledger[4] = range(5, 15, json!(3)));
    only(&count.await, "10:05:00Z..2026-11-23T10:15:00Z skipped counts 3 times and has 2");
}

#[tokio::test]
async fn what_is_due_is_decided() {
    let late = found(|w| w.job["next_fire_at"] = json!(minute(20))).await;
    only(&late, "overdue backup: 2026-11-23T10:20:00Z is not decided, and is 72");
}

#[tokio::test]
async fn a_schedule_may_be_over_only_at_its_end() {
    let over = |missing: usize| {
        found(move |w| {
            w.versions[0]["definition"]["max_runs"] = json!(4);
            w.job["next_fire_at"] = Value::Null;
            w.ledger.remove(missing);
            w.runs.remove(missing);
        })
    };
    assert_eq!(over(0).await, [""; 0]);
    only(&over(1).await, "10:25:00Z has no outcome");
}

#[tokio::test]
async fn an_edit_changes_what_is_due() {
    let edited = |expr: &'static str| {
        found(move |w| {
            let definition = json!({"name": "backup", "expr": expr});
            w.versions.push(json!({"version": 2, "at": second(21, 0), "definition": definition}));
            w.job["version"] = json!(2);
            for at in [0, 1] {
                w.ledger[at]["version"] = json!(2);
                w.runs[at]["version"] = json!(2);
            }
        })
    };
    assert_eq!(edited("*/5 * * * *").await, [""; 0]);
    let other = edited("*/10 * * * *").await;
    only(&other, "named-time backup: 2026-11-23T10:25:00Z is no nominal time of version 2");
    let more = edited("*/5,23 * * * *").await;
    only(&more, "one-outcome backup: 2026-11-23T10:23:00Z has no outcome");
}

/// A job that was paused at 10:21 and goes on a second after 10:25, as its third version says.
fn resumed(w: &mut World, exact: bool, paused: bool, expr: &str) {
    let mut version = |number: u64, at: String, enabled: bool, expr: &str| {
        let definition = json!({"name": "backup", "expr": expr, "enabled": enabled});
        let version =
            json!({"version": number, "at": at, "exact": exact, "definition": definition});
        w.versions.push(version);
    };
    version(2, second(21, 0), !paused, "*/5 * * * *");
    version(3, second(25, 1), true, expr);
    w.job["version"] = json!(3);
    w.ledger[0]["version"] = json!(3);
    w.runs[0]["version"] = json!(3);
}

#[tokio::test]
async fn a_time_of_a_paused_version_has_a_row_however_close_the_next_version_is() {
    let missing = |exact: bool| {
        found(move |w| {
            resumed(w, exact, true, "*/10 * * * *");
            w.ledger.remove(1);
            w.runs.remove(1);
        })
    };
    only(&missing(true).await, "one-outcome backup: 2026-11-23T10:25:00Z has no outcome");
    // Where the log dated the edit, that second may have been of the next version already.
    assert_eq!(missing(false).await, [""; 0]);
}

#[tokio::test]
async fn no_version_fires_a_time_before_its_own_date() {
    let fired = |exact: bool, paused: bool| {
        found(move |w| {
            resumed(w, exact, paused, "*/5 * * * *");
            w.ledger[1]["version"] = json!(3);
            w.runs[1]["version"] = json!(3);
        })
    };
    only(
        &fired(true, true).await,
        "its-version backup: 2026-11-23T10:25:00Z fired as of version 3",
    );
    assert_eq!(fired(false, true).await, [""; 0]);
    // An edit that leaves the schedule alone leaves the times that were still open alone too.
    assert_eq!(fired(true, false).await, [""; 0]);
}

#[tokio::test]
async fn a_deleted_job_is_held_to_its_end() {
    let gone = |w: &mut World| {
        w.job["deleted_at"] = json!(second(31, 0));
        w.job["next_fire_at"] = Value::Null;
    };
    assert_eq!(found(gone).await, [""; 0]);
    let missing = found(|w| {
        gone(w);
        w.ledger.remove(1);
        w.runs.remove(1);
    });
    only(&missing.await, "10:25:00Z has no outcome");
}

#[tokio::test]
async fn a_node_that_the_cluster_itself_found_to_differ_is_told() {
    let found = found(|w| w.status["replicas_differ"] = json!([3])).await;
    only(&found, "replicas -: node 3 has another digest than the leader at the same entry");
}

#[tokio::test]
async fn a_task_starts_once_and_after_what_it_comes_after() {
    let found = |doctor: fn(&mut World)| {
        found(move |w| {
            *w = World::of_tasks();
            doctor(w);
        })
    };
    assert_eq!(found(|_| {}).await, [""; 0]);
    let early = found(|w| w.task_runs[1]["fired_at"] = json!(second(30, 2))).await;
    only(&early, "tasks backup: run");
    assert!(early[0].contains("b was started at 2026-11-23T10:30:02Z"), "{early:?}");
    let failed = found(|w| w.tasks[0]["status"] = json!("failed")).await;
    each(&failed, &["which its edges forbid"; 2]);
    let left_out = found(|w| {
        w.task_runs[0]["task"] = {
            let flow = w.runs[0]["id"].clone();
            json!({"flow": flow, "name": "c"})
        }
    });
    only(&left_out.await, "task c ran as");
    let twice = found(|w| w.task_runs[0]["task"]["index"] = json!(0)).await;
    only(&twice, "task b ran its item 0 twice");
    let again = found(|w| w.tasks[0]["made_by"] = w.runs[1]["id"].clone()).await;
    only(&again, "task a was made by the run");
    let count = found(|w| w.tasks[1]["items"]["succeeded"] = json!(3)).await;
    only(&count, "3 items that succeeded, of 2");
    let fence = found(|w| w.task_runs[2]["attempts"][0]["fence"] = json!(403)).await;
    only(&fence, "has fence 403, which another attempt had");
}

/// What a backfill started for an old time, in milliseconds after a minute.
fn past(no: u64, at: u64, ms: u64) -> Value {
    let mut past = run(at);
    past["id"] = json!(format!("{}{}", &past["id"].as_str().unwrap()[..35], no + 4));
    (past["trigger"], past["backfill"]) = (json!("backfill"), json!(7));
    past["nominal_time"] = json!(minute(no));
    let mut attempt = attempt(1, at, 1);
    attempt["assigned_at"] = json!(format!("2026-11-23T10:{at:02}:00.{ms:03}Z"));
    attempt["fence"] = json!(no);
    past["attempts"] = json!([attempt]);
    past
}

#[tokio::test]
async fn no_backfill_goes_before_what_is_live() {
    let passed = |times: &'static [u64]| {
        found(move |w| {
            let place = w.runs.iter().position(|it| it["nominal_time"] == minute(20)).unwrap();
            for (no, ms) in times.iter().enumerate() {
                w.runs.insert(place, past(no as u64 + 1, 20, *ms));
            }
        })
    };
    only(&passed(&[100, 200, 300]).await, "and 3 starts of backfills went before it (run");
    each(&passed(&[100, 200]).await, &[]);
    // One step of the leader, and what came when the live run had its place.
    each(&passed(&[100, 100, 100, 100]).await, &[]);
    // One that may have waited for something of its own.
    for (field, value) in [("lock", json!({"key": "k"})), ("queue", json!("q"))] {
        let held_back = found(|w| {
            w.versions[0]["definition"][field] = value;
            let place = w.runs.iter().position(|it| it["nominal_time"] == minute(20)).unwrap();
            for (no, ms) in [100, 200, 300].into_iter().enumerate() {
                w.runs.insert(place, past(no as u64 + 1, 20, ms));
            }
        });
        each(&held_back.await, &[]);
    }
}

#[tokio::test]
async fn a_fired_row_has_its_run() {
    let none = found(|w| w.ledger[0]["run_id"] = Value::Null).await;
    each(&none, &["30:00Z fired and names no run", "10:30:00Z is not what the ledger tells"]);
    let version = found(|w| w.runs[0]["version"] = json!(2)).await;
    only(&version, "has another version than its row");
    let uid = found(|w| w.runs[0]["job_uid"] = w.runs[1]["id"].clone()).await;
    only(&uid, "is of another job");
    let outcome = found(|w| w.ledger[0]["outcome"] = json!("skipped")).await;
    only(&outcome, "does not have the outcome that its row tells");
}

#[tokio::test]
async fn a_run_goes_only_as_retention_tells() {
    let gone = found(|w| drop(w.runs.remove(1))).await;
    only(&gone, "run-kept backup: the run of 2026-11-23T10:25:00Z is gone, though only 1 newer");
    let of_two = |w: &mut World| w.versions[0]["definition"]["retention"] = json!({"count": 2});
    let oldest = found(|w| {
        of_two(w);
        w.runs.truncate(2);
    });
    assert_eq!(oldest.await, [""; 0]);
    let middle = found(|w| {
        of_two(w);
        w.runs.remove(2);
    });
    only(&middle.await, "20:00Z is gone, though the older run");
}

#[tokio::test]
async fn attempts_are_as_claimed_and_in_order() {
    let claimed = found(|w| w.runs[0]["attempt"] = json!(2)).await;
    only(&claimed, "attempts backup: run");
    let with = |second_one: Value| {
        found(move |w| {
            w.runs[0]["attempt"] = json!(2);
            w.runs[0]["attempts"] = json!([attempt(1, 30, 1), second_one]);
        })
    };
    assert_eq!(with(attempt(2, 30, 3)).await, [""; 0]);
    let apart = ["and the one before ended 2026-11-23T10:30:02Z", "before the one before it"];
    each(&with(attempt(2, 30, 0)).await, &apart);
    let mut open = attempt(2, 30, 3);
    open["finished_at"] = Value::Null;
    only(&with(open).await, "closed backup: run");
    let mut failed = attempt(2, 30, 3);
    failed["status"] = json!("failed");
    only(&with(failed).await, "its last attempt did not succeed");
    let mut low = attempt(2, 30, 3);
    low["fence"] = json!(300);
    only(&with(low).await, "did not rise: 300");
    let twice = found(|w| w.runs[0]["attempts"][0]["fence"] = json!(251)).await;
    only(&twice, "has fence 251, which another attempt had");
}

#[tokio::test]
async fn nothing_is_early() {
    let decided = found(|w| {
        w.runs[0]["fired_at"] = json!(second(29, 59));
        w.ledger[0]["decided_at"] = json!(second(29, 59));
    });
    each(&decided.await, &["was decided early", "before its time"]);
    let started = |at: String| found(move |w| w.runs[0]["attempts"][0]["started_at"] = json!(at));
    assert_eq!(started(second(30, 0)).await, [""; 0], "clocks may be a second apart");
    let two = ["before it was assigned", "before its time"];
    each(&started(second(29, 58)).await, &two);
    let assigned = |at: u64| found(move |w| w.runs[0]["fired_at"] = json!(second(30, at)));
    assert_eq!(assigned(4).await, [""; 0], "it may be assigned 3 s ahead");
    only(&assigned(5).await, "was assigned at 2026-11-23T10:30:01Z, before its fire");
}

#[tokio::test]
async fn what_is_closed_has_an_end_and_what_is_open_has_none() {
    let unended = found(|w| w.runs[0]["finished_at"] = Value::Null).await;
    only(&unended, "is succeeded and has no end");
    let running = |w: &mut World| w.runs[0]["status"] = json!("running");
    each(&found(running).await, &["is running and has an end", "has no open attempt"]);
    let sound = found(|w| {
        running(w);
        w.runs[0]["finished_at"] = Value::Null;
        w.runs[0]["attempts"][0]["finished_at"] = Value::Null;
        w.runs[0]["attempts"][0]["status"] = json!("running");
    });
    assert_eq!(sound.await, [""; 0]);
}

#[tokio::test]
async fn the_audit_is_one_chain() {
    only(
        &found(|w| w.audit[1]["target"] = json!("z")).await,
        "audit-chain -: record 2 is not as it was written",
    );
    only(&found(|w| drop(w.audit.remove(1))).await, "between records 1 and 3 some are missing");
    only(&found(|w| w.audit[2]["actor"] = json!("eve")).await, "record 1 is not as it was");
    let verdict = json!({"intact": false, "detail": "record 9 is missing"});
    only(&found(|w| w.verdict = verdict).await, "says that it is broken: record 9 is missing");
}

/// Notes of logins bear the time of the login at their node, and come in some time after it.
#[tokio::test]
async fn the_audit_is_one_chain_whatever_its_times() {
    let of = |targets: &[(&str, u64)]| -> Vec<(String, String)> {
        targets.iter().map(|(target, at)| ((*target).to_owned(), minute(*at))).collect()
    };
    let mixed = of(&[("a", 8), ("b", 31), ("c", 24), ("d", 20), ("e", 26)]);
    let chained = |of: &[(String, String)]| {
        chain_at(&of.iter().map(|(name, at)| (&**name, at.clone())).collect::<Vec<_>>())
    };
    let mut world = World::sound();
    world.audit = chained(&mixed);
    let url = world.serve().await;
    for (since, until, records) in [
        ("2026-11-23T10:05:00Z", "2026-11-23T10:30:00Z", 4),
        ("2026-11-23T10:25:00Z", "2026-11-23T10:30:00Z", 1),
        ("2026-11-23T10:00:00Z", "2026-11-23T10:25:00Z", 3),
    ] {
        let more = ["--since", since, "--until", until, "--output", "json"];
        let said = audit_fires(&url, &more).await;
        assert_eq!(said.code, 0, "{}", said.stdout);
        assert_eq!(said.json()["checked"]["audit_records"], records, "{since} {until}");
    }
    let mut world = World::sound();
    world.audit = chained(&mixed);
    world.audit.remove(3);
    let more = ["--until", "2026-11-23T10:30:00Z", "--output", "json"];
    let said = audit_fires(&world.serve().await, &more).await;
    assert!(said.stdout.contains("between records 1 and 3 some are missing"), "{}", said.stdout);
}

#[tokio::test]
async fn nodes_agree() {
    let first = World::sound().serve().await;
    let with = |doctor: fn(&mut World)| {
        let (mut world, first) = (World::sound(), first.clone());
        doctor(&mut world);
        async move {
            let urls = format!("{first},{}", world.serve().await);
            audit_fires(&urls, &["--output", "json"]).await
        }
    };
    let same = with(|_| {}).await;
    assert_eq!((same.code, &same.json()["checked"]["replicas"]), (0, &json!(1)));
    let ahead = with(|w| w.ledger[1]["reason"] = json!("paused")).await;
    assert_eq!(ahead.code, 1);
    let what = ahead.json()["violations"][0].clone();
    assert_eq!(what["rule"], "replicas");
    assert!(what["what"].as_str().unwrap().contains("differ: 2026-11-23T10:25:00Z"), "{what}");
    let run = with(|w| w.runs[0]["exit_code"] = json!(3)).await;
    assert!(run.stdout.contains("differ: run 01a207f4"), "{}", run.stdout);
    let other = with(|w| w.status["cluster_id"] = json!("another")).await;
    assert_eq!(other.code, 2);
    assert!(other.stderr.contains("are not of one cluster"), "{}", other.stderr);
}

#[tokio::test]
async fn what_can_not_be_checked_is_told() {
    let mut world = World::sound();
    world.is_admin = false;
    world.versions.push(json!({"version": 2, "at": second(31, 0),
        "definition": {"name": "backup", "expr": "*/5 * * * * nonsense"}}));
    world.job["version"] = json!(2);
    let said = audit_fires(&world.serve().await, &[]).await;
    assert_eq!(said.code, 0, "{}", said.stdout);
    for want in ["not checked: the audit, which only", "schedule can't be read: version 2"] {
        assert!(said.stdout.contains(want), "{}", said.stdout);
    }
}

#[tokio::test]
async fn a_window_is_judged_alone() {
    let mut world = World::sound();
    world.ledger.remove(1);
    world.runs.remove(1);
    world.audit = chain(&[]);
    let url = world.serve().await;
    for (since, until, code) in [
        ("2026-11-23T10:26:00Z", "2026-11-23T10:31:00Z", 0),
        ("2026-11-23T10:06:00Z", "2026-11-23T10:24:00Z", 0),
        ("2026-11-23T10:25:00Z", "2026-11-23T10:25:00Z", 1),
        ("8m", "6m", 1),
        ("6m", "5m", 0),
    ] {
        let said = audit_fires(&url, &["--since", since, "--until", until]).await;
        assert_eq!(said.code, code, "{since} {until}: {}", said.stdout);
    }
}

#[tokio::test]
async fn exit_codes_tell_who_has_to_act() {
    let url = World::sound().serve().await;
    let login = [("CRONAPI_PASSWORD", PASSWORD)];
    assert_eq!(audit_fires_as(&url, &login, &["--user", "ann"]).await.code, 0);
    assert_eq!(audit_fires_as(&url, &[("CRONAPI_TOKEN", TOKEN)], &[]).await.code, 0);
    for (env, more) in [
        (&[("CRONAPI_TOKEN", "another")][..], &[][..]),
        (&[("CRONAPI_PASSWORD", "wrong")], &["--user", "ann"]),
    ] {
        let said = audit_fires_as(&url, env, more).await;
        assert_eq!((said.code, said.stdout.as_str()), (4, ""), "{}", said.stderr);
    }
    let token = [("CRONAPI_TOKEN", TOKEN)];
    for (urls, more) in [
        ("ftp://a", &[][..]),
        (&*url, &["--job", "no such job"]),
        (&*url, &["--since", "yesterday"]),
        (&*url, &["--output", "xml"]),
    ] {
        let said = audit_fires_as(urls, &token, more).await;
        assert_eq!(said.code, 2, "{urls} {more:?}: {}", said.stderr);
    }
    assert_eq!(audit_fires(&url, &["--job", "missing"]).await.code, 3);
    assert_eq!(audit_fires_as(&url, &[], &[]).await.code, 4, "nobody to be");
    let said = audit_fires("http://127.0.0.1:1", &[]).await;
    assert_eq!(said.code, 6, "{}", said.stderr);
}
