//! What a client was told to be done is there, and what it was told not to be done is not.

use std::collections::BTreeMap;

use cronapi::machine::Reply;
use cronapi::model::JobNo;

use crate::history::History;
use crate::record::{Told, Wish};

pub fn check(history: &History<'_>) -> Vec<String> {
    let Some(state) = history.state() else { return vec!["no node told its state".into()] };
    let kept = history.kept();
    let mut broken = Vec::new();
    let mut marks: BTreeMap<&str, Vec<(JobNo, u64)>> = BTreeMap::new();
    for no in &kept {
        for (version, (_, spec)) in history.versions(*no) {
            // A pause and a resume keep the mark of what they change.
            let mark = spec.description.as_deref().unwrap_or_default();
            marks.entry(mark).or_default().push((*no, version));
        }
    }
    for (place, write) in history.inner.writes.iter().enumerate() {
        let told = format!("#{place} {:?} of {} told {:?}", write.wish, write.job, write.told);
        if let Wish::Put { mark, .. } = &write.wish
            && write.told.not_done()
            && marks.contains_key(mark.as_str())
        {
            broken.push(format!("{told}, and it is there"));
        }
        let (Told::Done(_, reply) | Told::DoneBefore(_, reply)) = &write.told else { continue };
        match (&write.wish, reply) {
            (Wish::Put { mark, expected }, Reply::Job { no, version, changed, .. }) => {
                let there = marks.get(mark.as_str());
                let there = there.is_some_and(|all| all.contains(&(*no, *version)));
                let gone = !kept.contains(no) && *no <= state.counters.job_no;
                // So many versions of a definition are kept, and no more.
                let trimmed = history.versions(*no).keys().next().is_some_and(|v| v > version);
                let follows = expected.is_none_or(|it| it + u64::from(*changed) == *version);
                if !(there || gone || trimmed) || !follows {
                    broken.push(told);
                }
            }
            (Wish::Enable(enabled), Reply::Job { no, version, .. }) => {
                let versions = history.versions(*no);
                let there = versions.get(version).map(|(_, spec)| spec.enabled.0);
                if kept.contains(no) && there != Some(*enabled) {
                    broken.push(told);
                }
            }
            (Wish::Trigger, Reply::Run { id })
                if kept.contains(&id.job_no()) && !history.runs.contains_key(id) =>
            {
                broken.push(told);
            }
            _ => {}
        }
    }
    broken.extend(jobs(history));
    broken
}

/// A job that was acknowledged is there, unless someone may have deleted it since.
fn jobs(history: &History<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    let kept = history.kept();
    for write in &history.inner.writes {
        let (Told::Done(_, reply) | Told::DoneBefore(_, reply)) = &write.told else { continue };
        let Reply::Job { no, .. } = *reply else { continue };
        if kept.contains(&no) {
            continue;
        }
        let deleted = history.inner.writes.iter().any(|other| {
            other.wish == Wish::Delete && other.job == write.job && !other.told.not_done()
        });
        if !deleted {
            broken.push(format!("job {no} {} is gone and nobody deleted it", write.job));
        }
    }
    broken
}
