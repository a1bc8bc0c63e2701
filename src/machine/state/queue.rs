//! Queues: what the jobs that name one share.

use std::sync::Arc;

use imbl::Vector;
use serde::{Deserialize, Serialize};

use super::line::{Line, Spot};
use super::run::OpenRun;
use crate::model::flow::{QueueRules, StartRate};
use crate::model::{Timestamp, Trigger, limits};

/// A queue: a bound on the attempts of the jobs that name it, and rules for those that wait.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Queue {
    /// Attempts at a time; none: no bound.
    pub concurrency: Option<u32>,
    /// Open attempts.
    pub busy: u32,
    /// Its rules, and who waits in it; none: nobody defined it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub governed: Option<Arc<Governed>>,
}

/// A queue that is defined.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Governed {
    /// Its rules.
    pub rules: QueueRules,
    /// The last attempt starts, by log time, as many as the rates need to know.
    pub starts: Vector<Timestamp>,
    /// Who waits.
    pub line: Line,
}

/// Why nothing of a queue starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// It is paused.
    Paused,
    /// So many attempts go on.
    Full(u32),
    /// So many started in the window; then it has room again.
    Rate(StartRate, Timestamp),
    /// The next start stands apart from the last one.
    Spread(Timestamp),
}

impl Queue {
    /// Whether another attempt would be one too many.
    pub fn is_full(&self) -> bool {
        self.concurrency.is_some_and(|most| self.busy >= most)
    }

    /// Whether nothing needs it any more.
    pub fn is_idle(&self) -> bool {
        self.busy == 0 && self.concurrency.is_none() && self.governed.is_none()
    }

    /// Runs that wait in it.
    pub fn waiting(&self) -> usize {
        self.governed.as_ref().map_or(0, |governed| governed.line.len())
    }

    /// Why an attempt can't start at `at`, if it can't. Of several reasons the one that lasts.
    pub fn blocked(&self, at: Timestamp) -> Option<Blocked> {
        let governed = self.governed.as_deref();
        if governed.is_some_and(|governed| governed.rules.paused) {
            return Some(Blocked::Paused);
        }
        if let Some(most) = self.concurrency.filter(|most| self.busy >= *most) {
            return Some(Blocked::Full(most));
        }
        governed.and_then(|governed| governed.held_back(at))
    }

    /// How many attempts may start at `at`.
    pub fn room(&self, at: Timestamp) -> u32 {
        if self.blocked(at).is_some() {
            return 0;
        }
        let places = self.concurrency.map_or(u32::MAX, |most| most.saturating_sub(self.busy));
        let governed = self.governed.as_deref();
        places.min(governed.map_or(u32::MAX, |governed| governed.room(at)))
    }
}

impl Governed {
    /// An attempt starts.
    pub(in crate::machine) fn started(&mut self, at: Timestamp) {
        let most = self.rules.remembered();
        if most > 0 {
            self.starts.push_back(at);
        }
        self.trim(most);
    }

    /// Forgets starts that no window needs.
    pub(in crate::machine) fn trim(&mut self, most: usize) {
        while self.starts.len() > most {
            self.starts.pop_front();
        }
    }

    /// What the rates say against a start at `at`: the window that is full for longest.
    fn held_back(&self, at: Timestamp) -> Option<Blocked> {
        let full = self.rules.rates.iter().filter_map(|rate| {
            let oldest = self.starts.len().checked_sub(rate.limit as usize)?;
            let until = self.starts.get(oldest)?.plus(rate.per);
            (until > at).then_some((until, Blocked::Rate(*rate, until)))
        });
        let spread = self.spread_until().filter(|until| *until > at);
        let spread = spread.map(|until| (until, Blocked::Spread(until)));
        full.chain(spread).max_by_key(|(until, _)| *until).map(|(_, blocked)| blocked)
    }

    /// Until when a start stands apart from the last one.
    fn spread_until(&self) -> Option<Timestamp> {
        let last = self.starts.last().filter(|_| self.rules.spread)?;
        let gap = |rate: &StartRate| {
            let limit = i64::from(rate.limit.max(1));
            (rate.per.micros() / limit).saturating_add(i64::from(rate.per.micros() % limit != 0))
        };
        let gap = self.rules.rates.iter().map(gap).max()?;
        Some(Timestamp::from_micros(last.micros().saturating_add(gap)))
    }

    fn room(&self, at: Timestamp) -> u32 {
        if self.rules.spread && !self.rules.rates.is_empty() {
            return u32::from(self.held_back(at).is_none());
        }
        let room = |rate: &StartRate| {
            let within = |start: &Timestamp| start.plus(rate.per) > at;
            // They are in order: all before some place are out of the window.
            let (mut low, mut high) = (0, self.starts.len());
            while low < high {
                let middle = low + (high - low) / 2;
                match self.starts.get(middle).is_some_and(within) {
                    true => high = middle,
                    false => low = middle + 1,
                }
            }
            let started = self.starts.len() - low;
            rate.limit.saturating_sub(u32::try_from(started).unwrap_or(u32::MAX))
        };
        self.rules.rates.iter().map(room).min().unwrap_or(u32::MAX)
    }

    /// When the start may be at the earliest that comes after `ahead` others, by the rates alone.
    pub fn earliest(&self, ahead: usize, at: Timestamp) -> Timestamp {
        let mut walked = self.clone();
        let mut now = at;
        for _ in 0..=ahead {
            now = match walked.held_back(now) {
                Some(Blocked::Rate(_, until) | Blocked::Spread(until)) => until,
                _ => now,
            };
            walked.started(now);
        }
        now
    }

    /// Where a run stands that waits since `at`.
    pub(in crate::machine) fn spot(&self, open: &OpenRun, at: Timestamp) -> Spot {
        let (rules, priority) = (&self.rules, i64::from(open.spec.priority.unwrap_or(0)));
        let order = match rules.ageing {
            Some(ageing) => at.micros().saturating_sub(priority.saturating_mul(ageing.micros())),
            None => -priority,
        };
        let share = rules.fair_by.as_ref().map_or_else(String::new, |by| {
            by.share(&open.run.job, &open.spec.tags, &open.run.parameters)
        });
        Spot { lane: lane(open), share: share.into(), order, seq: open.seq }
    }

    /// Whether these rules put the runs that wait into the same order.
    pub(in crate::machine) fn orders_as(&self, rules: &QueueRules) -> bool {
        self.rules.fair_by == rules.fair_by && self.rules.ageing == rules.ageing
    }
}

/// What a run goes before: 0 live, 1 retries and what was missed and is caught up, 2 the past.
pub fn lane(open: &OpenRun) -> u8 {
    lane_of(open, open.run.attempt > 0)
}

/// The lane that the attempt came from which a node has.
pub fn lane_held(open: &OpenRun) -> u8 {
    lane_of(open, open.run.attempt > 1)
}

fn lane_of(open: &OpenRun, again: bool) -> u8 {
    let run = &open.run;
    if run.trigger == Trigger::Backfill || open.past {
        return 2;
    }
    let missed = run.nominal_time.is_some_and(|nominal| {
        let due = nominal.plus(open.spec.jitter.unwrap_or_default());
        run.trigger == Trigger::Schedule && run.fired_at > due.plus(limits::MISFIRE_GRACE)
    });
    u8::from(again || missed)
}
