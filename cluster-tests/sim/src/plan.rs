//! What a seed stands for: how large the world is, how bad its network and clocks are, and
//! which faults come when.

use std::time::Duration;

use crate::chance::Chance;

/// Something that goes wrong. Nodes are given by their place, from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A node loses its power, and what it had not flushed; it comes back after a while.
    Crash {
        /// Which.
        node: usize,
        /// For how long it is down.
        down: Duration,
    },
    /// All nodes lose their power at once.
    Blackout {
        /// For how long.
        down: Duration,
    },
    /// A node is stopped in order, and started again.
    Stop {
        /// Which.
        node: usize,
        /// For how long it is down.
        down: Duration,
    },
    /// Nothing gets from the ones to the others, nor back unless `one_way`.
    Cut {
        /// The ones.
        from: Vec<usize>,
        /// The others.
        to: Vec<usize>,
        /// Only in that direction.
        one_way: bool,
        /// For how long.
        lasts: Duration,
    },
    /// What two nodes say to each other is held back, and then comes all at once.
    Hold {
        /// The one.
        a: usize,
        /// The other.
        b: usize,
        /// For how long.
        lasts: Duration,
    },
    /// Links fail by chance, once in so many messages.
    Lossy {
        /// Once in so many.
        once_in: u32,
        /// For how long.
        lasts: Duration,
    },
    /// Messages take up to so long.
    Slow {
        /// So long.
        latency: Duration,
        /// For how long.
        lasts: Duration,
    },
    /// The clock of a node is set.
    Clock {
        /// Which.
        node: usize,
        /// By how much it is off from now on.
        error_micros: i64,
    },
    /// The same, but it meets whoever leads then.
    AtLeader(Box<Fault>),
}

impl Fault {
    /// The same fault of another node; of those that have one.
    pub fn meeting(self, leader: usize, nodes: usize) -> Fault {
        match self {
            Fault::Crash { down, .. } => Fault::Crash { node: leader, down },
            Fault::Stop { down, .. } => Fault::Stop { node: leader, down },
            Fault::Clock { error_micros, .. } => Fault::Clock { node: leader, error_micros },
            Fault::Cut { one_way, lasts, .. } => {
                let to = (0..nodes).filter(|node| *node != leader).collect();
                Fault::Cut { from: vec![leader], to, one_way, lasts }
            }
            other => other,
        }
    }
}

/// A world before it begins.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What all of this follows from.
    pub seed: u64,
    /// Nodes there are in the end.
    pub nodes: usize,
    /// Nodes that are there from the beginning.
    pub founders: usize,
    /// When the others come.
    pub late: Duration,
    /// Voters wanted.
    pub voters: usize,
    /// Names that jobs are given.
    pub jobs: usize,
    /// Entries from one checkpoint to the next.
    pub checkpoint_entries: u64,
    /// Attempts at a time, a node.
    pub slots: u32,
    /// Whether starts are planned ahead.
    pub plan_ahead: bool,
    /// Whether events are kept in the history.
    pub keep_events: bool,
    /// By how much clocks are off at first, at most.
    pub skew_micros: i64,
    /// How long messages take at most.
    pub latency: Duration,
    /// How long who submits something waits for an answer.
    pub patience: Duration,
    /// Faults, by when they come.
    pub faults: Vec<(Duration, Fault)>,
    /// When everything is mended.
    pub calm_at: Duration,
}

/// When faults begin: a cluster forms before it can be tried.
const FAULTS_FROM: Duration = Duration::from_secs(4);
/// One hour, as a clock that loses its time zone may be off.
const HOUR_MICROS: i64 = 3_600_000_000;

impl Plan {
    /// The plan of a seed.
    pub fn of(seed: u64) -> Self {
        let mut chance = Chance::of(seed, "plan");
        let founders = *chance.pick(&[3, 3, 3, 3, 5]);
        let joiners = if chance.once_in(4) { 1 } else { 0 };
        let mut plan = Plan {
            seed,
            nodes: founders + joiners,
            founders,
            late: chance.millis(8_000, 20_000),
            voters: founders,
            jobs: chance.within(4, 10) as usize,
            checkpoint_entries: chance.within(20, 300),
            slots: chance.within(3, 9) as u32,
            plan_ahead: chance.once_in(2),
            keep_events: Chance::of(seed, "events").once_in(2),
            skew_micros: *chance.pick(&[0, 20_000, 300_000, 2_000_000]),
            latency: chance.millis(2, 15),
            patience: Duration::from_millis(*chance.pick(&[300, 1_000, 4_000])),
            faults: Vec::new(),
            calm_at: chance.millis(22_000, 40_000),
        };
        plan.faults = faults(&plan, &mut Chance::of(seed, "faults"));
        plan
    }

    /// Whether clocks are set while the world runs, so that they tell little.
    pub fn sets_clocks(&self) -> bool {
        self.faults.iter().any(|(_, fault)| matches!(fault, Fault::Clock { .. }))
    }
}

fn faults(plan: &Plan, chance: &mut Chance) -> Vec<(Duration, Fault)> {
    let mut faults = Vec::new();
    // Some worlds are only partitioned, some only crash, most have it all.
    let kinds: &[u64] = match chance.below(6) {
        0 => &[0, 1, 2],
        1 => &[3, 4, 5],
        _ => &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    };
    let steps = chance.once_in(4);
    let pace = chance.within(600, 4_000);
    let mut at = FAULTS_FROM + chance.millis(0, 2_000);
    while at < plan.calm_at {
        let kind = *chance.pick(kinds);
        let mut fault = fault(plan, kind, chance);
        if chance.once_in(2) {
            fault = Fault::AtLeader(Box::new(fault));
        }
        faults.push((at, fault));
        if steps && chance.once_in(4) {
            let node = chance.below(plan.nodes as u64) as usize;
            let hours = *chance.pick(&[1, -1, 0]) * HOUR_MICROS;
            let error_micros = hours + chance.within(0, 4_000_000) as i64 - 2_000_000;
            faults.push((at, Fault::Clock { node, error_micros }));
        }
        at += chance.millis(pace / 4, pace * 2);
    }
    faults
}

fn fault(plan: &Plan, kind: u64, chance: &mut Chance) -> Fault {
    let node = chance.below(plan.nodes as u64) as usize;
    let other = (node + 1 + chance.below(plan.nodes as u64 - 1) as usize) % plan.nodes;
    let lasts = match chance.below(4) {
        0 => chance.millis(50, 600),
        1..3 => chance.millis(600, 5_000),
        _ => chance.millis(5_000, 15_000),
    };
    let down = match chance.below(3) {
        0 => chance.millis(1, 300),
        1 => chance.millis(300, 3_000),
        _ => chance.millis(3_000, 14_000),
    };
    match kind {
        0 | 1 => Fault::Crash { node, down },
        2 if chance.once_in(3) => Fault::Blackout { down },
        2 => Fault::Stop { node, down },
        3 => Fault::Cut { from: vec![node], to: vec![other], one_way: chance.once_in(2), lasts },
        4 | 5 => {
            // Halves, or one alone.
            let alone = chance.once_in(2);
            let mut from = vec![node];
            from.extend((0..plan.nodes).filter(|n| *n != node && !alone && chance.once_in(3)));
            let to = (0..plan.nodes).filter(|n| !from.contains(n)).collect();
            Fault::Cut { from, to, one_way: chance.once_in(4), lasts }
        }
        6 => Fault::Hold { a: node, b: other, lasts },
        7 => Fault::Lossy { once_in: chance.within(40, 2_000) as u32, lasts },
        8 => Fault::Slow { latency: chance.millis(20, 400), lasts },
        _ => Fault::Stop { node, down },
    }
}
