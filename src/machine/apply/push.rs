//! Pushes are decided in the entry that has the trouble, as notices to channels are, and wait for
//! whoever has their duty.
//!
//! A subscription is told once of a trouble of a job, and once of its end. A trouble within a
//! window that mutes is not told, nor is its end. One that was not tried yet when it is over is
//! taken back: nobody was told, and nobody has to be. What is over leaves nothing behind.

use std::sync::Arc;

use serde_json::json;
use uuid::Uuid;

use crate::machine::command::PushStep;
use crate::machine::reply::{Answer, Rejection, Reply};
use crate::machine::state::{Duty, PushSubject};
use crate::model::{
    DutyKey, Facts, Fence, Name, NoticeKind, Position, PushKey, PushNotice, PushOutcome,
    PushSubscription, Pushed, Session, Span, Timestamp, limits,
};

use super::Cx;
use super::alerts::{Came, Subject, Well, first_facts, short};
use super::outbox::retry_delay;
use super::windows::Held;

fn no_subscription(id: Uuid) -> Rejection {
    Rejection::NotFound { what: "push subscription".into(), name: id.to_string() }
}

impl Cx<'_> {
    pub(super) fn push_step(&mut self, step: &PushStep) -> Answer {
        match step {
            PushStep::PutKey { key, again } => self.put_push_key(key, *again),
            PushStep::Subscribe { subscription, session } => {
                self.subscribe(subscription, session.as_ref())
            }
            PushStep::Unsubscribe { id } => self.unsubscribe(*id),
            PushStep::Done { fence, pushed } => self.pushed(*fence, pushed),
        }
    }

    fn put_push_key(&mut self, key: &PushKey, again: bool) -> Answer {
        let there = self.s.pushes.key.as_ref();
        // Browsers take pushes of the key that they subscribed with.
        let right = match there {
            None => !again,
            Some(there) => again && (there.id, &there.public) == (key.id, &key.public),
        };
        if !right {
            return Err(Rejection::Stale);
        }
        self.s.pushes.key = Some(key.clone());
        Ok(Reply::Done)
    }

    fn subscribe(&mut self, new: &PushSubscription, session: Option<&Session>) -> Answer {
        self.check_session(session)?;
        let user = self.s.access.users.get(&new.user);
        if user.is_none_or(|user| user.uid != new.user_uid) {
            return Err(Rejection::no_user(&new.user));
        }
        let all = &self.s.pushes.subscriptions;
        let known = all.values().find(|known| known.endpoint == new.endpoint).cloned();
        let mine = known.as_ref().filter(|known| known.user_uid == new.user_uid);
        if mine.is_none() {
            let of_user = all.values().filter(|one| one.user_uid == new.user_uid).count();
            let limit = |what: &str, most: usize| {
                Err(Rejection::Limit { what: what.into(), most: most as u64 })
            };
            if of_user >= limits::PUSH_SUBSCRIPTIONS_PER_USER {
                return limit("push subscriptions of a user", limits::PUSH_SUBSCRIPTIONS_PER_USER);
            }
            if all.len() >= limits::PUSH_SUBSCRIPTIONS_MAX {
                return limit("push subscriptions", limits::PUSH_SUBSCRIPTIONS_MAX);
            }
        }
        let next = match mine {
            Some(known) => PushSubscription {
                id: known.id,
                created_at: known.created_at,
                sent_at: known.sent_at,
                open: known.open,
                waiting: known.waiting,
                left_out: known.left_out,
                ..new.clone()
            },
            None => PushSubscription { created_at: self.at, ..new.clone() },
        };
        // One browser tells one user: whoever logged in last.
        if let Some(other) = known.filter(|known| known.id != next.id) {
            self.end_subscription(other.id);
        }
        let id = next.id;
        let change = json!({ "label": next.label, "on": next.on });
        self.s.pushes.subscriptions.insert(id, Arc::new(next));
        if let Some(key) = DutyKey::push().filter(|key| !self.s.duties.all.contains_key(key)) {
            self.begin_duty(&key, |cx| Duty::new(Position::default(), cx.at));
        }
        self.audit("push.subscribe", &id.to_string(), change);
        Ok(Reply::Created(id))
    }

    fn unsubscribe(&mut self, id: Uuid) -> Answer {
        if !self.s.pushes.subscriptions.contains_key(&id) {
            return Err(no_subscription(id));
        }
        self.end_subscription(id);
        self.audit("push.unsubscribe", &id.to_string(), json!({}));
        Ok(Reply::Done)
    }

    fn end_subscription(&mut self, id: Uuid) {
        self.s.pushes.subscriptions.remove(&id);
        let told = self.s.pushes.told.keys().filter(|(_, of)| *of == id);
        let told: Vec<(PushSubject, Uuid)> = told.cloned().collect();
        for key in told {
            self.s.pushes.told.remove(&key);
        }
        let waiting: Vec<u64> = self.s.pushes.of(id).map(|notice| notice.seq).collect();
        for seq in waiting {
            self.s.pushes.waiting.remove(&(id, seq));
        }
        if let Some(key) = DutyKey::push().filter(|_| self.s.pushes.subscriptions.is_empty()) {
            self.end_duty(&key);
        }
    }

    pub(super) fn end_pushes_of(&mut self, user: &Name) {
        let all = self.s.pushes.subscriptions.values().filter(|one| one.user == *user);
        let all: Vec<Uuid> = all.map(|one| one.id).collect();
        for id in all {
            self.end_subscription(id);
        }
    }

    /// After a restore nobody knows what was pushed, and it is old.
    pub(super) fn drop_pushes(&mut self) {
        self.s.pushes.waiting.clear();
        let all: Vec<Uuid> = self.s.pushes.subscriptions.keys().copied().collect();
        for id in all {
            self.edit_subscription(id, |one| one.waiting = 0);
        }
    }

    fn edit_subscription(&mut self, id: Uuid, edit: impl FnOnce(&mut PushSubscription)) {
        if let Some(one) = self.s.pushes.subscriptions.get_mut(&id) {
            edit(Arc::make_mut(one));
        }
    }

    /// The subscriptions that tell of such a trouble, to users who may see it.
    fn push_takers(&self, subject: &Subject<'_>, facts: &Facts) -> Vec<Uuid> {
        let all = self.s.pushes.subscriptions.values();
        let takes = |one: &&Arc<PushSubscription>| {
            one.takes(facts.trouble, subject.name.as_str(), subject.tags)
                && self.s.may_push(one, facts)
        };
        all.filter(takes).map(|one| one.id).collect()
    }

    fn push_facts(&self, subject: &Subject<'_>, came: &Came<'_>) -> Facts {
        Facts {
            run: came.run.map(|(id, _)| id),
            status: came.run.map(|(_, status)| status),
            detail: came.detail.map(short),
            troubles: came.times,
            jobs: 1,
            ..first_facts(None, subject, came, self.at)
        }
    }

    /// A trouble has come.
    pub(super) fn push_trouble(&mut self, subject: &Subject<'_>, came: &Came<'_>) {
        if self.s.pushes.subscriptions.is_empty() {
            return;
        }
        let facts = self.push_facts(subject, came);
        let of: PushSubject = (subject.no, subject.part.cloned());
        for id in self.push_takers(subject, &facts) {
            let key = (of.clone(), id);
            if self.s.pushes.told.contains_key(&key) {
                continue;
            }
            let open = self.s.pushes.subscriptions.get(&id).map_or(0, |one| one.open);
            if open >= limits::PUSH_OPEN_MAX {
                self.edit_subscription(id, |one| one.left_out += 1);
                continue;
            }
            if let Some(seq) = self.put_push(id, facts.clone()) {
                self.s.pushes.told.insert(key, seq);
                self.edit_subscription(id, |one| one.open += 1);
            }
        }
    }

    /// Something has come that is over as it happens.
    pub(super) fn push_once(&mut self, subject: &Subject<'_>, came: &Came<'_>) {
        if self.s.pushes.subscriptions.is_empty() {
            return;
        }
        let facts = self.push_facts(subject, came);
        for id in self.push_takers(subject, &facts) {
            self.put_push(id, facts.clone());
        }
    }

    /// A trouble is over; `well` is what ended it, where that is told.
    pub(super) fn push_over(&mut self, of: PushSubject, well: Option<&Well<'_>>) {
        let told: Vec<(Uuid, u64)> = self.s.pushes.told_of(&of).collect();
        for (id, seq) in told {
            self.s.pushes.told.remove(&(of.clone(), id));
            self.edit_subscription(id, |one| one.open -= 1);
            let first = self.s.pushes.waiting.get(&(id, seq));
            if first.is_some_and(|first| first.tries == 0 && first.not_before > self.at) {
                self.take_push(id, seq);
                continue;
            }
            let Some(well) = well else { continue };
            let tells = self.s.pushes.subscriptions.get(&id);
            if !tells.is_some_and(|one| one.on().contains(&well.what)) {
                continue;
            }
            let facts = Facts {
                kind: NoticeKind::Resolved,
                incident: 0,
                rule: None,
                trouble: well.what,
                job: well.name.clone(),
                part: of.1.clone(),
                job_no: well.no,
                run: well.run.map(|(id, _)| id),
                status: well.run.map(|(_, status)| status),
                detail: None,
                since: self.at,
                troubles: 1,
                jobs: 1,
                left_out: 0,
            };
            self.put_push(id, facts);
        }
    }

    /// Puts a notice where it is sent from, and gives its number; none: it is not told.
    fn put_push(&mut self, id: Uuid, facts: Facts) -> Option<u64> {
        let not_before = match self.held_by_window(&facts) {
            Some(Held::Muted(..)) => return None,
            Some(Held::Deferred(_, until)) => until.max(self.at.plus(Span::from_millis(1))),
            None => self.at,
        };
        let one = self.s.pushes.subscriptions.get_mut(&id)?;
        let one = Arc::make_mut(one);
        if one.waiting >= limits::PUSH_WAITING_MAX {
            one.left_out += 1;
            return None;
        }
        one.waiting += 1;
        self.s.pushes.last += 1;
        let seq = self.s.pushes.last;
        let notice = PushNotice { seq, at: self.at, not_before, tries: 0, facts };
        self.s.pushes.waiting.insert((id, seq), Arc::new(notice));
        Some(seq)
    }

    fn take_push(&mut self, id: Uuid, seq: u64) -> Option<PushNotice> {
        let notice = self.s.pushes.waiting.remove(&(id, seq))?;
        self.edit_subscription(id, |one| one.waiting -= 1);
        Some(Arc::unwrap_or_clone(notice))
    }

    fn pushed(&mut self, fence: Fence, pushed: &[Pushed]) -> Answer {
        let key = DutyKey::push().ok_or(Rejection::Fenced)?;
        let duty = self.s.duties.all.get(&key).ok_or(Rejection::Fenced)?;
        if duty.holder.is_none() || duty.fence != fence {
            return Err(Rejection::Fenced);
        }
        let mut any = false;
        for Pushed { to, seqs, outcome } in pushed {
            // Ended meanwhile, or told twice.
            let there = seqs.iter().any(|seq| self.s.pushes.waiting.contains_key(&(*to, *seq)));
            if there {
                any = true;
                self.became_of_push(*to, seqs, outcome);
            }
        }
        if any { Ok(Reply::Done) } else { Err(Rejection::Stale) }
    }

    fn became_of_push(&mut self, to: Uuid, seqs: &[u64], outcome: &PushOutcome) {
        if *outcome == PushOutcome::Gone {
            return self.end_subscription(to);
        }
        let at: Timestamp = self.at;
        for seq in seqs {
            let Some(notice) = self.take_push(to, *seq) else { continue };
            if let PushOutcome::Retry { after, .. } = outcome {
                let not_before = at.plus(retry_delay(notice.tries, *after));
                if not_before <= notice.at.plus(limits::NOTICE_AGE_MAX) {
                    let tries = notice.tries.saturating_add(1);
                    let again = PushNotice { tries, not_before, ..notice };
                    self.s.pushes.waiting.insert((to, *seq), Arc::new(again));
                    self.edit_subscription(to, |one| one.waiting += 1);
                } else {
                    self.edit_subscription(to, |one| one.left_out += 1);
                }
            }
        }
        self.edit_subscription(to, |one| match outcome {
            PushOutcome::Sent => (one.sent_at, one.fault, one.left_out) = (Some(at), None, 0),
            PushOutcome::Retry { error, .. } | PushOutcome::Refused { error } => {
                one.fault = Some(short(error));
            }
            PushOutcome::Gone | PushOutcome::Withheld => {}
        });
    }
}
