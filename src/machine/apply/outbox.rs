//! Notices wait for whoever has the duty of their channel, and what became of each is recorded with
//! the fence of that duty. What is over is a row of the history.

use std::sync::Arc;

use serde_json::json;

use crate::machine::history::{NoticeRow, notice_key};
use crate::machine::reply::{Answer, Rejection, Reply};
use crate::machine::state::{Duty, Incident};
use crate::model::alert::NoticeEnd;
use crate::model::kind::channel::ChannelSpec;
use crate::model::{
    Delivery, DutyKey, Fact, Facts, Fence, Kind, Name, Notice, Position, Span, Spec, Timestamp,
    limits,
};

use super::Cx;
use super::alerts::short;
use super::windows::Held;

/// What became of a notice that was decided.
#[derive(PartialEq, Eq)]
pub(super) enum Put {
    /// It has that number.
    Waits(u64),
    /// There are too many.
    LeftOut,
    /// A window is open.
    Muted,
}

/// How long after so many tries the next one is made.
pub(super) fn retry_delay(tries: u32, asked: Option<Span>) -> Span {
    let delay = limits::NOTICE_RETRY_MIN.millis().saturating_mul(1 << tries.min(20));
    let delay = Span::from_millis(delay).min(limits::NOTICE_RETRY_MAX);
    // As long as the other side asks, but never past the end of its patience.
    delay.max(asked.unwrap_or(Span::ZERO).min(limits::NOTICE_AGE_MAX))
}

impl Cx<'_> {
    /// Puts a notice where it is sent from. One too many is counted only, and what a window mutes
    /// is kept.
    pub(super) fn put_notice(
        &mut self,
        channel: &Name,
        facts: Facts,
        not_before: Timestamp,
    ) -> Put {
        let held = match self.held_by_window(&facts) {
            Some(Held::Muted(window, why)) => {
                self.keep_muted(channel, facts, Some(window), &why);
                return Put::Muted;
            }
            Some(Held::Deferred(window, until)) => Some((window, until)),
            None => None,
        };
        let outbox = &mut self.s.outbox;
        let there = self.s.definitions.get(Kind::Channel, channel.as_str()).is_some();
        if there && outbox.waiting.len() >= limits::NOTICES_MAX {
            *outbox.left_out.entry(channel.clone()).or_default() += 1;
            self.out.facts.push(Fact::NoticeLeftOut { channel: channel.clone() });
            return Put::LeftOut;
        }
        outbox.last += 1;
        let left_out = if there { outbox.left_out.remove(channel).unwrap_or(0) } else { 0 };
        let notice = Notice {
            seq: outbox.last,
            channel: channel.clone(),
            at: self.at,
            not_before: held.as_ref().map_or(not_before, |(_, until)| {
                // Later than now, also where the leader looks late: it is let go by the end alone.
                not_before.max(*until).max(self.at.plus(Span::from_millis(1)))
            }),
            tries: 0,
            error: None,
            held: false,
            window: held.map(|(window, _)| window),
            facts: Facts { left_out, ..facts },
        };
        let seq = notice.seq;
        if there {
            outbox.waiting.insert((channel.clone(), seq), Arc::new(notice));
        } else {
            let error = Some("there is no such channel".to_owned());
            self.end_notice(Notice { error, ..notice }, NoticeEnd::Dead);
        }
        Put::Waits(seq)
    }

    /// A notice that is kept, and not sent.
    pub(super) fn keep_muted(
        &mut self,
        channel: &Name,
        facts: Facts,
        window: Option<Name>,
        why: &str,
    ) {
        self.s.outbox.last += 1;
        let (seq, error) = (self.s.outbox.last, Some(why.to_owned()));
        let (channel, at) = (channel.clone(), self.at);
        let (not_before, tries, held) = (at, 0, false);
        let notice = Notice { seq, channel, at, not_before, tries, error, held, window, facts };
        self.end_notice(notice, NoticeEnd::Muted);
    }

    /// First notices that were not tried yet tell what there is by now.
    pub(super) fn keep_first_up_to_date(&mut self, incident: &Incident) {
        for key in &incident.first {
            let Some(notice) = self.s.outbox.waiting.get_mut(key) else { continue };
            if notice.tries == 0 && notice.not_before > self.at {
                let notice = Arc::make_mut(notice);
                let left_out = notice.facts.left_out;
                notice.facts = Facts { left_out, ..incident.facts.clone() };
            }
        }
    }

    pub(super) fn delivered(
        &mut self,
        channel: &Name,
        seqs: &[u64],
        fence: Fence,
        outcome: &Delivery,
    ) -> Answer {
        let key = DutyKey::channel(channel.clone());
        let duty = self.s.duties.all.get(&key).ok_or(Rejection::Fenced)?;
        if duty.holder.is_none() || duty.fence != fence {
            return Err(Rejection::Fenced);
        }
        let of = |seq: &u64| self.s.outbox.waiting.get(&(channel.clone(), *seq)).cloned();
        let notices: Vec<Arc<Notice>> = seqs.iter().filter_map(of).collect();
        // Told twice, or taken back meanwhile.
        if notices.is_empty() {
            return Err(Rejection::Stale);
        }
        let fault = match outcome {
            Delivery::Sent => None,
            Delivery::Retry { error, .. } | Delivery::Dead { error } => Some(short(error)),
        };
        if *outcome == Delivery::Sent {
            self.remember_sent(channel);
        }
        for notice in notices {
            let notice = Arc::unwrap_or_clone(notice);
            match outcome {
                Delivery::Sent => {
                    self.s.outbox.waiting.remove(&(channel.clone(), notice.seq));
                    self.end_notice(Notice { error: None, ..notice }, NoticeEnd::Sent);
                }
                Delivery::Dead { .. } => self.give_up(notice, fault.clone()),
                Delivery::Retry { after, .. } => self.try_later(notice, fault.clone(), *after),
            }
        }
        let position =
            self.s.duties.all.get(&key).map_or(Position::default(), |duty| duty.position);
        self.duty_moved(&key, fence, position, fault.as_deref())
    }

    fn try_later(&mut self, notice: Notice, error: Option<String>, asked: Option<Span>) {
        let tries = notice.tries.saturating_add(1);
        let not_before = self.at.plus(retry_delay(notice.tries, asked));
        if not_before > notice.at.plus(limits::NOTICE_AGE_MAX) {
            return self.give_up(Notice { tries, ..notice }, error);
        }
        let key = (notice.channel.clone(), notice.seq);
        let notice = Notice { tries, not_before, error, ..notice };
        self.s.outbox.waiting.insert(key, Arc::new(notice));
    }

    fn give_up(&mut self, notice: Notice, error: Option<String>) {
        self.s.outbox.waiting.remove(&(notice.channel.clone(), notice.seq));
        self.end_notice(Notice { error, ..notice }, NoticeEnd::Dead);
    }

    /// Records what became of a notice.
    fn end_notice(&mut self, notice: Notice, end: NoticeEnd) {
        let waited = self.at.micros_since(notice.at);
        self.out.facts.push(Fact::Notice { channel: notice.channel.clone(), end, waited });
        self.s.outbox.kept += 1;
        if end == NoticeEnd::Dead {
            self.s.outbox.dead.insert(notice.seq);
        }
        let row = NoticeRow { notice, end, at: self.at };
        self.out.put(notice_key(row.notice.seq), &row);
    }

    /// Keeps the times of the last messages, as far as the channel's rate asks for them.
    fn remember_sent(&mut self, channel: &Name) {
        let rate = self.channel(channel).and_then(|channel| channel.rate);
        let most = rate.map_or(0, |rate| rate.limit as usize);
        if most == 0 {
            self.s.outbox.sent.remove(channel);
            return;
        }
        let at = self.at;
        let sent = self.s.outbox.sent.entry(channel.clone()).or_default();
        sent.push_back(at);
        while sent.len() > most {
            sent.pop_front();
        }
    }

    fn channel(&self, name: &Name) -> Option<&ChannelSpec> {
        match &self.s.definitions.get(Kind::Channel, name.as_str())?.spec {
            Spec::Channel(channel) => Some(channel),
            _ => None,
        }
    }

    /// A channel is there: somebody sends to it. Or it is gone, and what waited for it is given up.
    pub(super) fn channel_put(&mut self, name: &Name, there: bool) {
        let key = DutyKey::channel(name.clone());
        if there {
            if !self.s.duties.all.contains_key(&key) {
                let duty = Duty::new(Position::default(), self.at);
                self.s.duties.all.insert(key.clone(), Arc::new(duty));
                self.s.duties.free.insert(key);
            }
            // What was in the way may be mended: what failed is tried again at once.
            let failed = self.s.outbox.of(name).filter(|notice| notice.tries > 0);
            let failed: Vec<u64> = failed.map(|notice| notice.seq).collect();
            for seq in failed {
                if let Some(notice) = self.s.outbox.waiting.get_mut(&(name.clone(), seq)) {
                    Arc::make_mut(notice).not_before = self.at;
                }
            }
            return;
        }
        self.s.duties.all.remove(&key);
        self.s.duties.free.remove(&key);
        self.s.outbox.left_out.remove(name);
        self.s.outbox.sent.remove(name);
        let waiting: Vec<Arc<Notice>> = self.s.outbox.of(name).cloned().collect();
        for notice in waiting {
            let error = Some("the channel was removed".to_owned());
            self.give_up(Arc::unwrap_or_clone(notice), error);
        }
    }

    /// A notice is tried again at once. One that was given up comes with the command.
    pub(super) fn retry_notice(&mut self, seq: u64, dead: Option<&Notice>) -> Answer {
        let there = |name: &Name| self.s.definitions.get(Kind::Channel, name.as_str()).is_some();
        let missing = || Rejection::NotFound { what: "notice".into(), name: seq.to_string() };
        let (notice, dead) = match (self.s.outbox.get(seq), dead) {
            (Some(waiting), _) => ((**waiting).clone(), false),
            (None, Some(dead)) if dead.seq == seq && self.s.outbox.dead.contains(&seq) => {
                (dead.clone(), true)
            }
            _ => return Err(missing()),
        };
        if !there(&notice.channel) {
            return Err(Rejection::no_definition(Kind::Channel, &notice.channel));
        }
        if dead && self.s.outbox.waiting.len() >= limits::NOTICES_MAX {
            let most = limits::NOTICES_MAX as u64;
            return Err(Rejection::Limit { what: "notices that wait".into(), most });
        }
        let at = if dead { self.at } else { notice.at };
        let change = json!({ "channel": notice.channel, "job": notice.facts.job });
        let key = (notice.channel.clone(), seq);
        let notice =
            Notice { at, not_before: self.at, held: false, tries: 0, window: None, ..notice };
        self.s.outbox.waiting.insert(key, Arc::new(notice));
        if dead {
            self.s.outbox.dead.remove(&seq);
            self.s.outbox.kept = self.s.outbox.kept.saturating_sub(1);
            self.out.remove(notice_key(seq));
        }
        self.audit("notice.retry", &seq.to_string(), change);
        Ok(Reply::Done)
    }

    /// After a restore nobody knows what was sent: somebody has to say that it may go out.
    pub(super) fn hold_notices(&mut self) {
        let keys: Vec<(Name, u64)> = self.s.outbox.waiting.keys().cloned().collect();
        for key in keys {
            if let Some(notice) = self.s.outbox.waiting.get_mut(&key) {
                Arc::make_mut(notice).held = true;
            }
        }
    }
}
