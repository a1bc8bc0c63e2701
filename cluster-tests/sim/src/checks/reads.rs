//! A read shows all that was acknowledged, or read by anyone, before it was asked for; and a
//! refusal is not made from less.

use std::time::Duration;

use cronapi::machine::Rejection;

use crate::floor::{Floors, may_be_gone, may_be_put};
use crate::history::History;
use crate::record::{GONE, Told, Write};
use crate::world::STEP;

/// What was answered up to here was so before anything that was asked then: what happens within
/// one step of the world on several nodes has no order, whatever their clocks say.
fn surely_before(asked: Duration) -> Duration {
    asked.saturating_sub(STEP)
}

pub fn check(history: &History<'_>) -> Vec<String> {
    let floors = Floors::of(history, true);
    let mut broken = Vec::new();
    for read in &history.inner.reads {
        for job in floors.jobs() {
            let Some(floor) = floors.before(job, surely_before(read.asked)) else { continue };
            let shown = read.jobs.get(job);
            let fits = match shown {
                Some(shown) => *shown >= floor,
                None => floor.1 == GONE || may_be_gone(history, job, floor.0, read.answered),
            };
            if !fits {
                let (who, asked) = (&read.who, read.asked);
                broken.push(format!(
                    "{who}, at {asked:?}, is shown {shown:?} of {job}, {floor:?} was known",
                ));
            }
        }
        broken.extend(behind(history, read.asked, read.index));
    }
    for write in &history.inner.writes {
        if let Told::Rejected(rejection) = &write.told {
            broken.extend(refused(history, &floors, write, rejection));
        }
    }
    broken
}

/// The same by the log's own numbers.
fn behind(history: &History<'_>, asked: Duration, index: u64) -> Option<String> {
    let newer = history.inner.writes.iter().find(|write| {
        matches!(write.told, Told::Done(at, _) if at > index)
            && write.answered < surely_before(asked)
    });
    newer.map(|write| format!("a read at {asked:?} is answered from {index}, before {write:?}"))
}

/// A refusal that what was known before contradicts.
fn refused(
    history: &History<'_>,
    floors: &Floors,
    write: &Write,
    rejection: &Rejection,
) -> Option<String> {
    let (no, version) = floors.before(&write.job, surely_before(write.asked))?;
    let gone = version == GONE;
    let may_be_gone = || gone || may_be_gone(history, &write.job, no, write.answered);
    let old = match rejection {
        Rejection::VersionConflict { actual, .. } => *actual < version && !may_be_gone(),
        Rejection::NotFound { what, .. } if what == "job" => !may_be_gone(),
        Rejection::Exists { what, .. } if what == "job" => {
            gone && !may_be_put(history, &write.job, surely_before(write.asked), write.answered)
        }
        _ => false,
    };
    old.then(|| format!("refused from an old state, {no} {version} was known: {write:?}"))
}
