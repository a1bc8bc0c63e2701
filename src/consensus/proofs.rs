//! Replicas prove each other: at equal index they hold equal digests, and the one that does not
//! stops (ADR 0026).
//!
//! ```text
//! apply ─> State::proof, of every entry ─> recent ─┐      ┌─> the leader holds all that it is
//! every five minutes of log time: the whole state ─┴─ Beat ┘   told against its own, and others'
//!    a majority of the voters holds the same, one another ─> that one stops, its directory with it
//!    no majority either way ─> an alarm
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::types::NodeId;
use crate::machine::state::Proof;
use crate::wire::proto;

/// Own digests that are held, of the last entries: others may be so far behind.
const RECENT_MAX: usize = 32 * 1024;
/// A digest at the first entry of so many is told again with the next ones, so that nodes that
/// are not at the same entry tell of one that is the same.
const MARK_EVERY: u64 = 64;
/// Marks, and digests of whole states, that are told.
const MARKS: usize = 8;
const WHOLES: usize = 4;
/// Digests taken of one message.
const TOLD_MAX: usize = 64;

/// What a digest is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProofOf {
    /// All entries up to an index, and their outcome.
    Log,
    /// The whole state at an index.
    State,
}

/// How a node's digests compare with the leader's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// The last index at which they are equal; 0: none was compared.
    pub equal: u64,
    /// What differs, and where first.
    pub differs: Option<(ProofOf, u64)>,
}

/// Who has to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Odd {
    pub node: NodeId,
    pub what: ProofOf,
    pub index: u64,
}

impl Odd {
    /// For the log, and for whoever starts it again.
    pub fn told(&self) -> String {
        let (node, index) = (self.node, self.index);
        let what = match self.what {
            ProofOf::Log => "what it made of the log",
            ProofOf::State => "its state",
        };
        format!(
            "node {node} differs from a majority of the voters: {what} up to entry {index} has \
             another digest than theirs, so it must not serve or vote any more. Its data is kept \
             for those who look for the cause; start it again with --move-aside-damaged, or with \
             an empty data directory, and it fetches everything from the others"
        )
    }
}

type Key = (ProofOf, u64);

/// The digests of this node, and of those that speak to it while it leads.
#[derive(Default)]
pub(super) struct Proofs(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    recent: VecDeque<Proof>,
    marks: VecDeque<Proof>,
    wholes: VecDeque<Proof>,
    told: BTreeMap<NodeId, BTreeMap<Key, [u8; 16]>>,
    compared: BTreeMap<NodeId, Compared>,
}

impl Proofs {
    /// This node applied an entry.
    pub fn applied(&self, proof: Proof) {
        let mut inner = self.locked();
        let before = inner.recent.back().map_or(0, |last| last.index);
        if proof.is_none() || proof.index <= before {
            return;
        }
        keep(&mut inner.recent, proof, RECENT_MAX);
        if proof.index / MARK_EVERY > before / MARK_EVERY {
            keep(&mut inner.marks, proof, MARKS);
        }
    }

    /// This node goes on from a checkpoint.
    pub fn begins_at(&self, proof: Proof) {
        let mut inner = self.locked();
        inner.recent.clear();
        inner.marks.clear();
        inner.wholes.clear();
        if !proof.is_none() {
            inner.recent.push_back(proof);
        }
    }

    /// The digest of the whole state at an index.
    pub fn whole(&self, proof: Proof) {
        keep(&mut self.locked().wholes, proof, WHOLES);
    }

    /// What this node tells of itself.
    pub fn report(&self) -> Vec<proto::Proof> {
        let inner = self.locked();
        let log = inner.recent.back().into_iter().chain(&inner.marks);
        let log = log.map(|proof| (ProofOf::Log, proof));
        let all = log.chain(inner.wholes.iter().map(|proof| (ProofOf::State, proof)));
        let out = |(of, proof): (ProofOf, &Proof)| proto::Proof {
            of: of as u32,
            index: proof.index,
            digest: proof.digest.to_vec().into(),
        };
        all.map(out).collect()
    }

    /// A node told its digests to this one, `own`, which leads. Gives who is odd, if that is sure.
    pub fn hear(
        &self,
        own: NodeId,
        node: NodeId,
        told: &[proto::Proof],
        voters: &BTreeSet<NodeId>,
    ) -> Option<Odd> {
        let mut inner = self.locked();
        let read = told.iter().take(TOLD_MAX).filter_map(read);
        inner.told.insert(node, read.collect());
        inner.compare(node);
        inner.odd(own, node, voters)
    }

    /// How each node compares that spoke to this one while it led.
    pub fn compared(&self) -> BTreeMap<NodeId, Compared> {
        self.locked().compared.clone()
    }

    /// Only these are members.
    pub fn retain(&self, members: &BTreeSet<NodeId>) {
        let mut inner = self.locked();
        inner.told.retain(|node, _| members.contains(node));
        inner.compared.retain(|node, _| members.contains(node));
    }

    fn locked(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn keep(all: &mut VecDeque<Proof>, proof: Proof, most: usize) {
    if all.len() == most {
        all.pop_front();
    }
    all.push_back(proof);
}

fn read(told: &proto::Proof) -> Option<(Key, [u8; 16])> {
    let of = match told.of {
        0 => ProofOf::Log,
        1 => ProofOf::State,
        // Of a later version.
        _ => return None,
    };
    Some(((of, told.index), <[u8; 16]>::try_from(&told.digest[..]).ok()?))
}

impl Inner {
    fn own(&self, (of, index): Key) -> Option<[u8; 16]> {
        let found = match of {
            ProofOf::Log => {
                let place = self.recent.binary_search_by_key(&index, |proof| proof.index);
                self.recent.get(place.ok()?)
            }
            ProofOf::State => self.wholes.iter().find(|proof| proof.index == index),
        };
        found.map(|proof| proof.digest)
    }

    /// Holds what a node told against the own digests.
    fn compare(&mut self, node: NodeId) {
        let told = self.told.get(&node).cloned().unwrap_or_default();
        let mut now = self.compared.get(&node).copied().unwrap_or_default();
        let mut equal_of_same = BTreeMap::new();
        let mut differs = None;
        for (key, digest) in told {
            match self.own(key) {
                Some(own) if own == digest => {
                    now.equal = now.equal.max(key.1);
                    equal_of_same.insert(key.0, key.1);
                }
                Some(_) => differs = differs.or(Some(key)),
                None => {}
            }
        }
        // What was told before stays true until later digests of its kind are equal again.
        let mended = |(of, index): &Key| equal_of_same.get(of).is_some_and(|equal| equal > index);
        now.differs = now.differs.filter(|known| !mended(known)).or(differs);
        self.compared.insert(node, now);
    }

    /// Who is odd, of this node and one that differs from it: whom a majority of the voters is
    /// against, at any entry that enough of them told of.
    fn odd(&self, own: NodeId, node: NodeId, voters: &BTreeSet<NodeId>) -> Option<Odd> {
        let majority = voters.len() / 2 + 1;
        self.told.get(&node)?.iter().find_map(|(key, theirs)| {
            let ours = self.own(*key).filter(|ours| ours != theirs)?;
            let with = |digest| {
                let so = |voter: &&NodeId| match **voter == own {
                    true => digest == ours,
                    false => self.holds(**voter, *key, digest, ours),
                };
                voters.iter().filter(so).count()
            };
            let odd = match (with(ours) >= majority, with(*theirs) >= majority) {
                (true, _) => node,
                (false, true) => own,
                (false, false) => return None,
            };
            Some(Odd { node: odd, what: key.0, index: key.1 })
        })
    }

    /// Whether a node told this digest of an entry, or must have had it: digests of the log hang on
    /// the ones before, so that what is equal to ours later is equal here.
    fn holds(&self, node: NodeId, key: Key, digest: [u8; 16], ours: [u8; 16]) -> bool {
        match self.told.get(&node).and_then(|told| told.get(&key)) {
            Some(told) => *told == digest,
            None => key.0 == ProofOf::Log && digest == ours && self.is_equal(node, key.1),
        }
    }

    fn is_equal(&self, voter: NodeId, from: u64) -> bool {
        let log = |told: &BTreeMap<Key, [u8; 16]>| {
            told.iter().any(|(key, digest)| {
                key.0 == ProofOf::Log && key.1 >= from && self.own(*key) == Some(*digest)
            })
        };
        self.told.get(&voter).is_some_and(log)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(index: u64, byte: u8) -> Proof {
        Proof { index, digest: [byte; 16] }
    }

    fn told(of: ProofOf, proofs: &[Proof]) -> Vec<proto::Proof> {
        let out = |p: &Proof| proto::Proof {
            of: of as u32,
            index: p.index,
            digest: p.digest.to_vec().into(),
        };
        proofs.iter().map(out).collect()
    }

    fn leader(upto: u64) -> Proofs {
        let proofs = Proofs::default();
        (1..=upto).for_each(|index| proofs.applied(proof(index, index as u8)));
        proofs
    }

    fn voters(n: u64) -> BTreeSet<NodeId> {
        (1..=n).collect()
    }

    #[test]
    fn the_one_that_a_majority_is_against_is_odd() {
        let proofs = leader(200);
        let three = voters(3);
        assert_eq!(proofs.hear(1, 2, &told(ProofOf::Log, &[proof(190, 190)]), &three), None);
        assert_eq!(proofs.compared()[&2], Compared { equal: 190, differs: None });
        let other = told(ProofOf::Log, &[proof(180, 7)]);
        let odd = proofs.hear(1, 3, &other, &three).unwrap();
        assert_eq!((odd.node, odd.what, odd.index), (3, ProofOf::Log, 180));
        // One that is behind the difference says nothing about it.
        let proofs = leader(200);
        proofs.hear(1, 2, &told(ProofOf::Log, &[proof(170, 170)]), &three);
        assert_eq!(proofs.hear(1, 3, &other, &three), None);
        assert_eq!(proofs.compared()[&3].differs, Some((ProofOf::Log, 180)));
        proofs.hear(1, 2, &told(ProofOf::Log, &[proof(181, 181)]), &three);
        assert!(proofs.hear(1, 3, &other, &three).is_some());
    }

    #[test]
    fn a_leader_that_is_odd_finds_itself() {
        let proofs = leader(200);
        let other = told(ProofOf::Log, &[proof(128, 7), proof(192, 9)]);
        assert_eq!(proofs.hear(1, 2, &other, &voters(3)), None);
        let odd = proofs.hear(1, 3, &other, &voters(3)).unwrap();
        assert_eq!((odd.node, odd.index), (1, 128));
        // Five voters: two against one are no majority.
        let proofs = leader(200);
        proofs.hear(1, 2, &other, &voters(5));
        assert_eq!(proofs.hear(1, 3, &other, &voters(5)), None);
    }

    #[test]
    fn two_that_differ_are_an_alarm_and_no_more() {
        let proofs = leader(200);
        let other = told(ProofOf::Log, &[proof(128, 7)]);
        assert_eq!(proofs.hear(1, 2, &other, &voters(2)), None);
        assert_eq!(proofs.compared()[&2].differs, Some((ProofOf::Log, 128)));
    }

    #[test]
    fn whole_states_are_compared_at_their_own_index_only() {
        let proofs = leader(200);
        proofs.whole(proof(100, 1));
        let three = voters(3);
        proofs.hear(1, 2, &told(ProofOf::State, &[proof(150, 3)]), &three);
        let other = told(ProofOf::State, &[proof(100, 2)]);
        assert_eq!(proofs.hear(1, 3, &other, &three), None);
        proofs.hear(1, 2, &told(ProofOf::State, &[proof(100, 1)]), &three);
        assert_eq!(proofs.hear(1, 3, &other, &three).unwrap().node, 3);
    }

    #[test]
    fn an_older_node_says_nothing_and_one_far_behind_is_not_judged() {
        let proofs = leader(200);
        assert_eq!(proofs.hear(1, 2, &[], &voters(3)), None);
        proofs.begins_at(proof(500, 5));
        assert_eq!(proofs.hear(1, 3, &told(ProofOf::Log, &[proof(3, 9)]), &voters(3)), None);
        assert_eq!(proofs.compared()[&3], Compared::default());
    }
}
