//! A world: nodes on a virtual network, faults that come when the plan says so, and the way
//! to its end: calm, closing, reading.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use turmoil::{Builder, Sim};

use crate::checks::liveness;
use crate::clock;
use crate::network::Network;
use crate::node;
use crate::plan::{Fault, Plan};
use crate::record::Record;
use crate::seat::{Phase, Seat, name};

/// How far time goes in one step.
pub const STEP: Duration = Duration::from_millis(2);
/// From the mending of everything to work that is done in time: the lease of a node that died
/// last and its grace, an election, and some attempts that take long.
pub const CALM: Duration = Duration::from_secs(16);
/// Until the last run has ended.
const CLOSING: Duration = Duration::from_secs(40);
/// Until all nodes have told what they know.
const READING: Duration = Duration::from_secs(20);
/// A link that failed by chance is whole again once in so many messages.
const REPAIR_ONCE_IN: f64 = 10.0;

/// What is to happen to the world at some time.
#[derive(Clone, Debug)]
enum Action {
    Inflict(Fault),
    Start(usize),
    Mend(Vec<(usize, usize)>),
    Release(usize, usize),
    Reliable,
    Fast,
}

/// Runs the world of a plan to its end.
pub fn run(plan: &Arc<Plan>, record: &Record) {
    let mut world = World::new(plan, record);
    world.faulty();
    world.heal();
    let calm_from = world.sim.elapsed();
    world.until(calm_from + CALM, |_| false);
    liveness::after_heal(record, &world.seats);
    world.phase(Phase::Closing);
    let closed = world.until_within(CLOSING, |world| world.record.locked().closed);
    if !closed {
        record.found("world", "after heal: open runs did not end");
    }
    world.phase(Phase::Reading);
    let nodes = plan.nodes;
    let read = world.until_within(READING, |world| world.record.locked().finals.len() == nodes);
    if !read {
        let told: Vec<String> =
            record.locked().finals.iter().map(|read| read.node.clone()).collect();
        record.found("world", &format!("after heal: only {told:?} could tell their state"));
    }
}

struct World<'a> {
    sim: Sim<'a>,
    plan: Arc<Plan>,
    record: Record,
    seats: Vec<Arc<Seat>>,
    network: Network,
    agenda: BTreeMap<(Duration, u64), Action>,
    /// Numbers the agenda, so that what is due at one time keeps its order.
    count: u64,
    /// Nodes that a fault keeps down.
    down: Vec<bool>,
    /// Nodes that ended by themselves, and start again at some time.
    over: Vec<Option<Duration>>,
}

impl World<'_> {
    fn new(plan: &Arc<Plan>, record: &Record) -> Self {
        let mut sim = Builder::new()
            .rng_seed(plan.seed)
            .simulation_duration(Duration::from_secs(3_600))
            .tick_duration(STEP)
            .min_message_latency(Duration::ZERO)
            .max_message_latency(plan.latency)
            .fail_rate(0.0)
            .repair_rate(1.0 / REPAIR_ONCE_IN)
            .tcp_capacity(4_096)
            .enable_random_order()
            .build();
        let mut seats = Vec::new();
        for place in 0..plan.nodes {
            let seat = Seat::new(place, plan, record);
            let on_host = Arc::clone(&seat);
            sim.host(name(place), move || node::live(Arc::clone(&on_host)));
            seats.push(seat);
        }
        let mut world = Self {
            sim,
            plan: Arc::clone(plan),
            record: record.clone(),
            seats,
            network: Network::default(),
            agenda: BTreeMap::new(),
            count: 0,
            down: vec![false; plan.nodes],
            over: vec![None; plan.nodes],
        };
        for (at, fault) in &plan.faults {
            world.plan_at(*at, Action::Inflict(fault.clone()));
        }
        world
    }

    fn plan_at(&mut self, at: Duration, action: Action) {
        self.count += 1;
        self.agenda.insert((at, self.count), action);
    }

    fn plan_in(&mut self, span: Duration, action: Action) {
        self.plan_at(self.sim.elapsed() + span, action);
    }

    fn faulty(&mut self) {
        self.until(self.plan.calm_at, |_| false);
    }

    fn phase(&mut self, phase: Phase) {
        self.record.trace("world", &format!("{phase:?}"));
        for seat in &self.seats {
            seat.order(|orders| orders.phase = phase);
        }
    }

    fn until_within(&mut self, span: Duration, done: impl Fn(&Self) -> bool) -> bool {
        self.until(self.sim.elapsed() + span, done)
    }

    /// Steps until `done` or until a time; whether it was `done`.
    fn until(&mut self, at: Duration, done: impl Fn(&Self) -> bool) -> bool {
        while self.sim.elapsed() < at {
            if done(self) {
                return true;
            }
            self.step();
        }
        done(self)
    }

    fn step(&mut self) {
        let now = self.sim.elapsed();
        clock::stepped_to(now);
        while let Some(first) = self.agenda.first_entry()
            && first.key().0 <= now
        {
            let action = first.remove();
            self.act(action);
        }
        self.raise(now);
        if let Err(error) = self.sim.step() {
            self.record.found("world", &format!("a node failed: {error}"));
        }
    }

    /// Starts again what ended by itself, as whoever watches a daemon would.
    fn raise(&mut self, now: Duration) {
        for place in 0..self.plan.nodes {
            if self.down[place] || self.sim.is_host_running(name(place)) {
                self.over[place] = None;
                continue;
            }
            match self.over[place] {
                None => self.over[place] = Some(now + Duration::from_millis(700)),
                Some(at) if at <= now => self.start(place),
                Some(_) => {}
            }
        }
    }

    fn act(&mut self, action: Action) {
        self.record.trace("world", &format!("{action:?}"));
        match action {
            Action::Inflict(fault) => self.inflict(fault),
            Action::Start(place) => self.start(place),
            Action::Mend(pairs) => self.network.mend(&self.sim, &pairs),
            Action::Release(a, b) => self.network.release(&self.sim, a, b),
            Action::Reliable => self.reliable(),
            Action::Fast => self.sim.set_max_message_latency(self.plan.latency),
        }
    }

    fn inflict(&mut self, fault: Fault) {
        match fault {
            Fault::Crash { node, down } => self.crash(node, down),
            Fault::Blackout { down } => {
                (0..self.plan.nodes).for_each(|node| self.crash(node, down));
            }
            Fault::Stop { node, down } => {
                let number = self.seats[node].boot_number();
                self.seats[node].order(|orders| orders.stop = number);
                // It starts again a while after it ended, but not before `down`.
                let _ = down;
            }
            Fault::Cut { from, to, one_way, lasts } => {
                let mut pairs = Vec::new();
                for a in &from {
                    for b in &to {
                        pairs.push((*a, *b));
                        if !one_way {
                            pairs.push((*b, *a));
                        }
                    }
                }
                self.network.cut(&self.sim, &pairs);
                self.plan_in(lasts, Action::Mend(pairs));
            }
            Fault::Hold { a, b, lasts } => {
                if self.network.hold(&self.sim, a, b) {
                    self.plan_in(lasts, Action::Release(a, b));
                }
            }
            Fault::Lossy { once_in, lasts } => {
                self.sim.set_fail_rate(1.0 / f64::from(once_in));
                self.plan_in(lasts, Action::Reliable);
            }
            Fault::Slow { latency, lasts } => {
                self.sim.set_max_message_latency(latency);
                self.plan_in(lasts, Action::Fast);
            }
            Fault::Clock { node, error_micros } => self.set_clock(node, error_micros),
            Fault::AtLeader(fault) => {
                let fault = match self.leader() {
                    Some(leader) => fault.meeting(leader, self.plan.nodes),
                    None => *fault,
                };
                self.record.trace("world", &format!("that is {fault:?}"));
                self.inflict(fault);
            }
        }
    }

    /// Whoever takes itself for the leader, in the latest term.
    fn leader(&mut self) -> Option<usize> {
        let shown: Vec<_> = {
            let inner = self.record.locked();
            let shown = |place| inner.latest.get(&name(place)).map(|latest| latest.leadership);
            (0..self.plan.nodes).map(shown).collect()
        };
        let leads = |place: &usize| {
            let leads = shown[*place].is_some_and(|it| it.is_leader);
            leads && self.sim.is_host_running(name(*place))
        };
        (0..self.plan.nodes).filter(leads).max_by_key(|place| shown[*place].map(|it| it.term))
    }

    fn set_clock(&self, place: usize, error_micros: i64) {
        self.record.clock_set(error_micros);
        self.seats[place].clock.set_error(error_micros);
    }

    fn reliable(&mut self) {
        self.sim.set_fail_rate(0.0);
    }

    fn crash(&mut self, place: usize, down: Duration) {
        // One that is late has not begun, and one that is down can't fall.
        let begun = self.seats[place].applied.load(Ordering::Relaxed) > 0;
        if self.down[place] || !begun || !self.sim.is_host_running(name(place)) {
            return;
        }
        self.down[place] = true;
        self.sim.crash(name(place));
        self.seats[place].disk().crash();
        self.seats[place].trace("crashed");
        self.plan_in(down, Action::Start(place));
    }

    fn start(&mut self, place: usize) {
        if !self.sim.is_host_running(name(place)) {
            (self.down[place], self.over[place]) = (false, None);
            self.sim.bounce(name(place));
        }
    }

    /// Mends everything: links, nodes, clocks.
    fn heal(&mut self) {
        // What a node showed before counts no more.
        self.record.locked().latest.clear();
        self.record.trace("world", "everything is mended");
        self.agenda.clear();
        self.network.mend_all(&self.sim, self.plan.nodes);
        self.reliable();
        self.sim.set_max_message_latency(self.plan.latency);
        // Log time never runs backwards: all clocks go on from the one that was furthest.
        let last = self.record.locked().last_at;
        let ahead = last.micros() - clock::EPOCH.micros() - self.sim.elapsed().as_micros() as i64;
        for place in 0..self.plan.nodes {
            self.set_clock(place, ahead.max(0));
            self.start(place);
        }
        self.phase(Phase::Calm);
    }
}
