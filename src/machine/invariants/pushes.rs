//! What holds of pushes: each subscription is of a user who is there, counts what waits and what it
//! was told, and somebody has the duty as long as there is one.

use std::collections::{BTreeMap, BTreeSet};

use crate::machine::state::State;
use crate::model::{DutyKind, limits};

pub(super) fn check(s: &State, broken: &mut Vec<String>) {
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
    let duties = s.duties.all.keys().filter(|key| key.kind == DutyKind::Push).count();
    if duties != usize::from(!pushes.subscriptions.is_empty()) {
        broken.push("the duty of pushes is there without a need, or not".into());
    }
}
