//! The runs that wait in a queue, in the order in which they start.
//!
//! First by lane: what is live, then retries and what is caught up, then the past. Within a lane by
//! share: start-time fair queueing in whole numbers. Each share has a tag; the least goes first,
//! and a start moves the tag of its share on by what one start weighs. A share that had nothing to
//! start begins where the queue is, so that it neither owes nor has saved up. Within a share by the
//! time since which a run waits, moved ahead by what its priority is worth: a constant, so that
//! waiting needs no timer.
//!
//! `plan` walks a copy and takes from it as `apply` will: the two can't differ in the order.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

use crate::model::RunId;

/// What one start moves the tag of a share of weight 1 on by: it divides by every weight that is
/// allowed without much being lost.
pub const START: u64 = 1 << 20;
/// Shares that are told apart; the rest are one.
pub const SHARES_MAX: usize = 10_000;
/// The share of those past the bound.
const OTHERS: &str = "(others)";

/// Whose runs they are.
pub type Share = Arc<str>;

/// Where a waiting run stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spot {
    /// 0 live, 1 retries and what is caught up, 2 the past.
    pub lane: u8,
    /// Its share.
    pub share: Share,
    /// Its order within the share.
    pub order: i64,
    /// Order of creation in the cluster.
    pub seq: u64,
}

/// See the top of this file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Where each run stands.
    spots: OrdMap<RunId, Spot>,
    /// The runs by lane, share and order.
    runs: OrdSet<(u8, Share, i64, u64, RunId)>,
    /// The shares that have runs in a lane, by tag.
    heads: OrdSet<(u8, u64, Share)>,
    /// The tag of each share.
    tags: OrdMap<Share, u64>,
    /// The tag of the share that started last.
    now: u64,
}

impl Line {
    /// Runs in it.
    pub fn len(&self) -> usize {
        self.spots.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.spots.is_empty()
    }

    /// The shares with runs in it, each with how many: of `most` runs that are looked at.
    pub fn shares(&self, most: usize) -> Vec<(Share, usize)> {
        let mut shares: std::collections::BTreeMap<Share, usize> = Default::default();
        for (_, share, _, _, _) in self.runs.iter().take(most) {
            *shares.entry(share.clone()).or_default() += 1;
        }
        shares.into_iter().collect()
    }

    /// Where a run stands.
    pub fn spot(&self, id: RunId) -> Option<&Spot> {
        self.spots.get(&id)
    }

    /// The runs, in no order that matters.
    pub fn ids(&self) -> impl Iterator<Item = &RunId> {
        self.spots.keys()
    }

    /// Puts a run in.
    pub fn insert(&mut self, id: RunId, mut spot: Spot) {
        self.remove(id);
        if !self.tags.contains_key(&spot.share) && self.tags.len() >= SHARES_MAX {
            self.forget();
            if self.tags.len() >= SHARES_MAX {
                spot.share = OTHERS.into();
            }
        }
        let known = self.tags.get(&spot.share).copied().unwrap_or(self.now);
        let tag = if self.waits(&spot.share) { known } else { known.max(self.now) };
        self.tags.insert(spot.share.clone(), tag);
        self.heads.insert((spot.lane, tag, spot.share.clone()));
        self.runs.insert((spot.lane, spot.share.clone(), spot.order, spot.seq, id));
        self.spots.insert(id, spot);
    }

    /// Takes a run out that does not start.
    pub fn remove(&mut self, id: RunId) {
        let Some(spot) = self.spots.remove(&id) else { return };
        let Spot { lane, share, order, seq } = spot;
        self.runs.remove(&(lane, share.clone(), order, seq, id));
        let tag = self.tags.get(&share).copied().unwrap_or(self.now);
        if self.first_of(lane, &share).is_none() {
            self.heads.remove(&(lane, tag, share.clone()));
        }
        if tag <= self.now && !self.waits(&share) {
            self.tags.remove(&share);
        }
    }

    /// Takes a run out that starts; `weight` is that of its share.
    pub fn start(&mut self, id: RunId, weight: u32) {
        let Some(Spot { share, .. }) = self.spots.get(&id).cloned() else { return };
        let tag = self.tags.get(&share).copied().unwrap_or(self.now);
        self.now = self.now.max(tag);
        // It stays while the run is taken out, so that what it owes is not forgotten.
        let next = tag.saturating_add(START / u64::from(weight.max(1)));
        for lane in 0..=LANE_MAX {
            if self.heads.remove(&(lane, tag, share.clone())).is_some() {
                self.heads.insert((lane, next, share.clone()));
            }
        }
        self.tags.insert(share, next);
        self.remove(id);
    }

    /// The run that starts next.
    pub fn first(&self) -> Option<(RunId, &Spot)> {
        let (lane, _, share) = self.heads.get_min()?;
        let id = self.first_of(*lane, share)?;
        Some((id, self.spots.get(&id)?))
    }

    /// How many start before a run, counted up to `most`: by starting them one after the other.
    pub fn before(&self, id: RunId, most: usize, weight: impl Fn(&str) -> u32) -> Option<usize> {
        let mut walked = self.clone();
        for count in 0..most {
            let (first, spot) = walked.first()?;
            if first == id {
                return Some(count);
            }
            let weight = weight(&spot.share);
            walked.start(first, weight);
        }
        None
    }

    fn first_of(&self, lane: u8, share: &Share) -> Option<RunId> {
        let least = (lane, share.clone(), i64::MIN, 0, RunId(uuid::Uuid::nil()));
        let (found, of, _, _, id) = self.runs.range(least..).next()?;
        (*found == lane && of == share).then_some(*id)
    }

    fn waits(&self, share: &Share) -> bool {
        (0..=LANE_MAX).any(|lane| self.first_of(lane, share).is_some())
    }

    /// Lets the shares go that neither wait nor owe.
    fn forget(&mut self) {
        let gone = |(share, tag): &(&Share, &u64)| **tag <= self.now && !self.waits(share);
        let gone: Vec<Share> =
            self.tags.iter().filter(gone).map(|(share, _)| share.clone()).collect();
        for share in gone {
            self.tags.remove(&share);
        }
    }

    /// What does not hold of it, in words.
    pub fn broken(&self) -> Option<String> {
        if self.runs.len() != self.spots.len() {
            return Some(format!("{} in order, {} in place", self.runs.len(), self.spots.len()));
        }
        for (id, spot) in &self.spots {
            let Spot { lane, share, order, seq } = spot;
            let Some(tag) = self.tags.get(share) else { return Some(format!("{id} has no share")) };
            let stands = self.runs.contains(&(*lane, share.clone(), *order, *seq, *id));
            if !stands || !self.heads.contains(&(*lane, *tag, share.clone())) {
                return Some(format!("{id} is not found where it stands"));
            }
        }
        let empty =
            self.heads.iter().find(|(lane, _, share)| self.first_of(*lane, share).is_none());
        empty.map(|(lane, _, share)| format!("share {share:?} has nothing in lane {lane}"))
    }
}

/// The last lane.
pub const LANE_MAX: u8 = 2;
