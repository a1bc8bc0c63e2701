//! What anybody could know of a job by some moment, from answers alone: whoever asks later
//! must not be shown less.

use std::collections::BTreeMap;
use std::time::Duration;

use cronapi::machine::Reply;

use crate::history::History;
use crate::record::{GONE, Position, Told, Wish, Write};

/// Known positions of jobs, by when they became known.
pub struct Floors(BTreeMap<String, Vec<(Duration, Position)>>);

impl Floors {
    /// Of all that was acknowledged, and, with `reads`, of all that was read.
    pub fn of(history: &History<'_>, reads: bool) -> Self {
        let mut known: Vec<(Duration, &str, Position)> = Vec::new();
        for write in &history.inner.writes {
            if let Some(position) = acknowledged(history, write) {
                known.push((write.answered, &write.job, position));
            }
        }
        for read in history.inner.reads.iter().filter(|_| reads) {
            for (job, position) in &read.jobs {
                known.push((read.answered, job, *position));
            }
        }
        known.sort();
        let mut floors: BTreeMap<String, Vec<(Duration, Position)>> = BTreeMap::new();
        for (at, job, position) in known {
            let of_job = floors.entry(job.to_owned()).or_default();
            let before = of_job.last().map(|(_, position)| *position);
            if before.is_none_or(|before| position > before) {
                of_job.push((at, position));
            }
        }
        Self(floors)
    }

    /// What was known of a job before `at`.
    pub fn before(&self, job: &str, at: Duration) -> Option<Position> {
        let of_job = self.0.get(job)?;
        let later = of_job.partition_point(|(known, _)| *known < at);
        Some(of_job[later.checked_sub(1)?].1)
    }

    /// Jobs of which anything is known.
    pub fn jobs(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// Where the job stood after that write, if that was acknowledged.
fn acknowledged(history: &History<'_>, write: &Write) -> Option<Position> {
    match &write.told {
        Told::Done(_, Reply::Job { no, version, .. })
        | Told::DoneBefore(_, Reply::Job { no, version, .. }) => Some((*no, *version)),
        Told::Done(index, _) if write.wish == Wish::Delete => {
            let of_name = |(name, at): &&(String, u64)| name == &write.job && at < index;
            let made = history.jobs.iter().filter(|(_, job)| of_name(job));
            made.map(|(no, _)| (*no, GONE)).next_back()
        }
        _ => None,
    }
}

/// Whether someone may have deleted the definition `no` of a job before `by`.
pub fn may_be_gone(history: &History<'_>, job: &str, no: u32, by: Duration) -> bool {
    let made = history.jobs.get(&no).map_or(0, |(_, index)| *index);
    history.inner.writes.iter().any(|write| {
        let before = matches!(write.told, Told::Done(index, _) if index < made);
        write.wish == Wish::Delete
            && write.job == job
            && write.asked < by
            && !before
            && !write.told.not_done()
    })
}

/// Whether someone may have put the job between two moments, and so made it anew.
pub fn may_be_put(history: &History<'_>, job: &str, from: Duration, by: Duration) -> bool {
    history.inner.writes.iter().any(|write| {
        let over = matches!(write.told, Told::Done(..)) && write.answered < from;
        matches!(write.wish, Wish::Put { .. })
            && write.job == job
            && write.asked < by
            && !over
            && !write.told.not_done()
    })
}
