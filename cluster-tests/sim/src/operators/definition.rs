//! Definitions of jobs, drawn from chance. Their schedules can be told by arithmetic.

use cronapi::model::JobSpec;
use serde_json::{Value, json};

use crate::chance::Chance;

/// The name of the job at a place.
pub fn job_name(place: u64) -> String {
    format!("job-{place}")
}

/// The name of the job that the clients in `register` put.
pub const REGISTER: &str = "register";

/// The queue that some jobs name.
pub const QUEUE: &str = "narrow";

/// A definition of it.
///
/// # Panics
/// As [`definition`].
pub fn register(mark: &str) -> JobSpec {
    let runner = json!({"type": "shell", "command": mark});
    read(json!({"name": REGISTER, "description": mark, "runner": runner}))
}

/// A definition for the job at `place`, one of `jobs`; `mark` tells it from every other.
///
/// # Panics
/// It is not one that the model takes: a fault of this file.
pub fn definition(chance: &mut Chance, place: u64, jobs: u64, mark: &str) -> JobSpec {
    let overlap = *chance.pick(&["allow", "skip", "skip", "queue_one", "queue_all"]);
    let overlap = if chance.once_in(6) { "cancel_running" } else { overlap };
    let mut job = json!({
        "name": job_name(place),
        "description": mark,
        "runner": {"type": "shell", "command": mark},
        "overlap": overlap,
        "misfire": {
            "policy": chance.pick(&["latest", "latest", "all", "skip"]),
            "max": chance.within(1, 7),
            "window": chance.pick(&["0s", "3s", "20s", "1h"]),
        },
        "on_lease_lost": chance.pick(&["continue", "kill"]),
    });
    // A few are only started by others or by hand.
    if !chance.once_in(6) {
        let span = *chance.pick(&[1_u64, 2, 2, 3, 5, 10]);
        let cron = chance.once_in(2);
        job["expr"] = if cron { json!(format!("*/{span} * * * * *")) } else { every(span) };
    }
    if overlap != "allow" && chance.once_in(3) {
        job["max_concurrent"] = json!(chance.within(1, 4));
    }
    if chance.once_in(3) {
        job["timeout"] = json!(format!("{}ms", chance.within(300, 4_000)));
    }
    if chance.once_in(2) {
        let on: &[&str] = match chance.below(3) {
            0 => &["lost"],
            1 => &["failed", "timed_out"],
            _ => &["failed", "lost"],
        };
        job["retry"] = json!({
            "max_attempts": chance.within(2, 5),
            "delay": format!("{}ms", chance.within(0, 1_500)),
            "on": on,
        });
    }
    // Only to higher places, so that no circle is made.
    if place + 1 < jobs && chance.once_in(3) {
        let target = job_name(chance.within(place + 1, jobs));
        let field = *chance.pick(&["on_success", "on_failure", "on_finish"]);
        job[field] = json!([target]);
    }
    if place > 0 && job.get("expr").is_some() && chance.once_in(8) {
        job["dependencies"] = json!([job_name(chance.below(place))]);
        job["dependency_timeout"] = json!(format!("{}s", chance.within(1, 8)));
    }
    if job.get("expr").is_some() && chance.once_in(12) {
        job["max_runs"] = json!(chance.within(1, 6));
    }
    // Whoever waits there holds up nothing but itself.
    if overlap == "skip" && place % 3 == 1 {
        job["queue"] = json!(QUEUE);
    }
    job["priority"] = json!(chance.within(0, 5) as i64 - 2);
    read(job)
}

fn every(span: u64) -> Value {
    json!(format!("@every {span}s"))
}

/// # Panics
/// As [`definition`].
pub(super) fn read(value: Value) -> JobSpec {
    match value {
        Value::Object(map) => JobSpec::from_map(map).unwrap_or_else(|e| panic!("{e:?}")),
        other => panic!("{other} is no definition"),
    }
}
