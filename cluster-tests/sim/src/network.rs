//! The links between nodes, and what cuts them. Several faults may cut the same link: it is
//! whole again when the last of them is over.

use std::collections::BTreeMap;

use turmoil::Sim;

use crate::seat::name;

/// How many faults cut each direction.
#[derive(Default)]
pub struct Network {
    cuts: BTreeMap<(usize, usize), u32>,
    holds: BTreeMap<(usize, usize), u32>,
}

impl Network {
    /// Cuts the directions from the ones to the others.
    pub fn cut(&mut self, sim: &Sim<'_>, pairs: &[(usize, usize)]) {
        for (from, to) in pairs {
            let cuts = self.cuts.entry((*from, *to)).or_default();
            *cuts += 1;
            if *cuts == 1 {
                sim.partition_oneway(name(*from), name(*to));
            }
        }
    }

    /// Undoes one [`Network::cut`].
    pub fn mend(&mut self, sim: &Sim<'_>, pairs: &[(usize, usize)]) {
        for (from, to) in pairs {
            let cuts = self.cuts.entry((*from, *to)).or_default();
            *cuts = cuts.saturating_sub(1);
            if *cuts == 0 {
                sim.repair_oneway(name(*from), name(*to));
            }
        }
    }

    /// Holds back what two nodes say to each other, unless their link is cut.
    pub fn hold(&mut self, sim: &Sim<'_>, a: usize, b: usize) -> bool {
        let cut = |pair| self.cuts.get(&pair).is_some_and(|cuts| *cuts > 0);
        let held = self.holds.get(&(a, b)).is_some_and(|holds| *holds > 0);
        if cut((a, b)) || cut((b, a)) || held {
            return false;
        }
        self.holds.insert((a, b), 1);
        sim.hold(name(a), name(b));
        true
    }

    /// Lets it go.
    pub fn release(&mut self, sim: &Sim<'_>, a: usize, b: usize) {
        self.holds.remove(&(a, b));
        sim.release(name(a), name(b));
        // A cut that came meanwhile goes on.
        for (from, to) in [(a, b), (b, a)] {
            if self.cuts.get(&(from, to)).is_some_and(|cuts| *cuts > 0) {
                sim.partition_oneway(name(from), name(to));
            }
        }
    }

    /// Mends everything.
    pub fn mend_all(&mut self, sim: &Sim<'_>, nodes: usize) {
        for (a, b) in std::mem::take(&mut self.holds).into_keys() {
            sim.release(name(a), name(b));
        }
        self.cuts.clear();
        for a in 0..nodes {
            for b in a + 1..nodes {
                sim.repair(name(a), name(b));
            }
        }
    }
}
