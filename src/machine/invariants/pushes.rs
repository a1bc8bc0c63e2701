//! What holds of pushes and of heartbeats of jobs: each subscription is of a user who is there,
//! counts what waits and what it was told; each job that has a heartbeat has one; and somebody has
//! the duty as long as there is one.

use std::collections::{BTreeMap, BTreeSet};

use crate::machine::state::{FORMAT_OF_BEATS, State};
use crate::model::{DutyKind, limits};

pub(super) fn check(s: &State, broken: &mut Vec<String>) {
    pushes(s, broken);
    beats(s, broken);
}

fn duties(s: &State, kind: DutyKind, needed: bool, broken: &mut Vec<String>) {
    let count = s.duties.all.keys().filter(|key| key.kind == kind).count();
    if count != usize::from(needed) {
        broken.push(format!("{count} duties of {}", kind.as_str()));
    }
}

fn beats(s: &State, broken: &mut Vec<String>) {
    let have = s.jobs.iter().filter(|(_, job)| job.spec.heartbeat_url.is_some());
    let have = have.map(|(no, _)| *no).filter(|_| s.format() >= FORMAT_OF_BEATS);
    if !have.eq(s.beats.all.keys().copied()) {
        broken.push("heartbeats are not those of the jobs that have one".into());
    }
    let waiting = s.beats.all.iter().filter(|(_, beat)| beat.run.is_some());
    let waiting: BTreeSet<_> = waiting.map(|(no, beat)| (beat.not_before, *no)).collect();
    if !s.beats.waiting.iter().eq(waiting.iter()) {
        broken.push(format!("the heartbeats that wait are {:?}", s.beats.waiting));
    }
    duties(s, DutyKind::Heartbeat, !s.beats.is_none(), broken);
}

fn pushes(s: &State, broken: &mut Vec<String>) {
    let pushes = &s.pushes;
    let (mut waiting, mut open) = (BTreeMap::new(), BTreeMap::new());
    for ((id, seq), notice) in &pushes.waiting {
        *waiting.entry(*id).or_insert(0) += 1;
        if notice.seq != *seq || *seq > pushes.last {
            broken.push(format!("the push {seq} to {id} is {notice:?}"));
        }
    }
    for ((_, id), _) in &pushes.told {
        *open.entry(*id).or_insert(0) += 1;
    }
    let mut endpoints = BTreeSet::new();
    for (id, one) in &pushes.subscriptions {
        let user = s.access.users.get(&one.user);
        let counts = (waiting.remove(id).unwrap_or(0), open.remove(id).unwrap_or(0));
        if one.id != *id
            || user.is_none_or(|user| user.uid != one.user_uid)
            || counts != (one.waiting, one.open)
            || one.waiting > limits::PUSH_WAITING_MAX
            || one.open > limits::PUSH_OPEN_MAX
            || !endpoints.insert(&one.endpoint)
        {
            broken.push(format!("{one:?} counts {counts:?}"));
        }
    }
    if !waiting.is_empty() || !open.is_empty() {
        broken.push("pushes wait for subscriptions that are gone".into());
    }
    duties(s, DutyKind::Push, !pushes.subscriptions.is_empty(), broken);
}
