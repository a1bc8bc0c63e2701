//! Once a change is acknowledged, nothing is fired by the version before it.

use cronapi::machine::Reply;

use crate::history::History;
use crate::record::{Told, Wish};

pub fn check(history: &History<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    for write in &history.inner.writes {
        let (Told::Done(index, reply) | Told::DoneBefore(index, reply)) = &write.told else {
            continue;
        };
        match (&write.wish, reply) {
            (Wish::Put { .. } | Wish::Enable(_), Reply::Job { no, version, .. }) => {
                for run in history.scheduled(*no).filter(|run| run.version < *version) {
                    if history.created.get(&run.id).is_some_and(|at| at > index) {
                        let id = run.id;
                        broken.push(format!("{id} of version {} after {write:?}", run.version));
                    }
                }
            }
            // Where a copy was carried out is not known, and the job may have been made anew since.
            (Wish::Delete, _) if matches!(write.told, Told::Done(..)) => {
                broken.extend(after_delete(history, &write.job, *index))
            }
            _ => {}
        }
        broken.extend(planned(history, write));
    }
    broken
}

/// Runs of a job that was made before the deletion at `index`, and that came after it.
fn after_delete(history: &History<'_>, job: &str, index: u64) -> Vec<String> {
    let mut broken = Vec::new();
    for (no, _) in history.jobs.iter().filter(|(_, (name, at))| name == job && *at <= index) {
        let after = history.created.iter().filter(|(id, at)| id.job_no() == *no && **at > index);
        broken.extend(after.map(|(id, at)| format!("{id} at {at}, after {job} was deleted")));
    }
    broken
}

/// Scheduled attempts of an old version that begin for a nominal time after the
/// acknowledgement: planned ahead, and not taken back.
fn planned(history: &History<'_>, write: &crate::record::Write) -> Vec<String> {
    // By what clock a nominal time is "after" can only be told while clocks agree.
    if history.plan.sets_clocks() || history.plan.skew_micros > 300_000 {
        return Vec::new();
    }
    let (Told::Done(_, reply) | Told::DoneBefore(_, reply)) = &write.told else {
        return Vec::new();
    };
    let Reply::Job { no, version, .. } = reply else { return Vec::new() };
    if !matches!(write.wish, Wish::Put { .. } | Wish::Enable(false)) {
        return Vec::new();
    }
    let micros = i64::try_from(write.answered.as_micros()).unwrap_or(i64::MAX);
    let answered = crate::clock::EPOCH.micros() + micros + history.plan.skew_micros;
    let mut broken = Vec::new();
    for seen in &history.inner.witnessed {
        let Some(run) = history.runs.get(&seen.run) else { continue };
        let late = seen.nominal.is_some_and(|nominal| nominal.micros() > answered);
        if run.backfill.is_none()
            && run.id.job_no() == *no
            && run.version < *version
            && late
            && seen.began > write.answered
        {
            broken.push(format!("{} began for {:?} after {write:?}", seen.run, seen.nominal));
        }
    }
    broken
}
