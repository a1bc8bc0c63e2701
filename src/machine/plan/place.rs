//! Which node a queued run goes to: one with its required labels and a free slot, then the
//! most preferred labels, then the least load; of those that are alike, each in turn.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use crate::machine::command::{Op, Place};
use crate::machine::prepare::parameters;
use crate::machine::state::{Blocked, Job, LANE_MAX, Line, Node, OpenRun, State, lane, lane_held};
use crate::model::flow::QueueRules;
use crate::model::placement::Labels;
use crate::model::{JobNo, JobSpec, Name, NodeId, RunId, Timestamp, limits};

use super::{OPS_MAX, Plan};

/// Queued runs that a place is sought for in one step: those behind wait until the ones
/// before them are placed, so a long queue does not make a step long.
const LOOKED_AT_MAX: usize = 2_048;
/// Queued runs that are walked over in one step, those included that are like one that
/// found no place (a full queue, labels that no node has).
const PASSED_MAX: usize = 32_768;

/// Free slots as the step uses them up.
pub struct Slots {
    nodes: Vec<Free>,
    queues: BTreeMap<Name, u32>,
    /// How many runs there have been, and those that got a slot of this.
    turn: usize,
    /// Whether lanes are counted.
    counted: bool,
}

struct Free {
    id: NodeId,
    place: Place,
    slots: u32,
    busy: u32,
    /// Attempts of lane 1 and behind it among them, and those of lane 2.
    behind: [u32; 2],
    /// How many of each lane, with those behind it, there may be.
    most: [u32; 3],
    labels: Labels,
}

impl Free {
    /// Whether an attempt of a lane finds a slot that lanes before it do not keep.
    fn has_room(&self, lane: u8) -> bool {
        let [late, past] = self.behind;
        let taken = [self.busy, late, past];
        let lane = usize::from(lane.min(LANE_MAX));
        taken.iter().zip(self.most).take(lane + 1).all(|(taken, most)| *taken < most)
    }

    fn count(&mut self, lane: u8, change: i32) {
        for (at, count) in self.behind.iter_mut().enumerate() {
            if usize::from(lane) > at {
                *count = count.saturating_add_signed(change);
            }
        }
    }

    /// Half of its slots would be free beside one more attempt.
    fn is_half_free(&self) -> bool {
        (self.busy + 1) * 2 <= self.slots
    }
}

impl Slots {
    /// The free slots of `state`, those of silent nodes left out.
    pub fn of(state: &State, silent: &BTreeSet<NodeId>, now: Timestamp) -> Slots {
        let shares = state.lane_shares();
        let free = |node: &Arc<Node>| Free {
            id: node.id,
            place: Place { node: node.id, boot: node.boot },
            slots: node.slots,
            busy: node.busy,
            behind: [0; 2],
            most: shares.of(node.slots),
            labels: node.labels.clone(),
        };
        let takes = |node: &&Arc<Node>| node.accepting && !silent.contains(&node.id);
        let nodes: Vec<Free> = state.nodes.values().filter(takes).map(free).collect();
        let queues = state
            .queues
            .iter()
            .filter_map(|(name, queue)| {
                let room = queue.room(now);
                (room < u32::MAX).then(|| (name.clone(), room))
            })
            .collect();
        let closed = &state.totals;
        let closed = closed.succeeded + closed.failed + closed.cancelled + closed.lost;
        let turn = state.runs.len().wrapping_add(closed as usize);
        Slots { nodes, queues, turn, counted: false }
    }

    /// Counts what each node has of which lane: only when something of a lane behind the first is
    /// to be placed, since all that nodes have is walked over.
    fn count_lanes(&mut self, state: &State) {
        if std::mem::replace(&mut self.counted, true) {
            return;
        }
        for node in &mut self.nodes {
            for open in state.placed_on(node.id) {
                node.count(lane_held(open), 1);
            }
        }
    }

    /// Takes a slot for a run of `job`.
    pub(in crate::machine) fn take(&mut self, job: &Job) -> Option<Place> {
        self.take_where(&job.spec, |node| node.has_room(0))
    }

    /// Whether a node other than `own` has room for a planned start: see `ahead.rs`.
    pub(super) fn half_free(&self, own: Option<NodeId>) -> bool {
        self.nodes.iter().any(|node| Some(node.id) != own && node.is_half_free())
    }

    /// Takes a slot for a start that is planned.
    pub(super) fn take_ahead(&mut self, job: &Job, own: Option<NodeId>) -> Option<Place> {
        self.take_where(&job.spec, |node| Some(node.id) != own && node.is_half_free())
    }

    /// Takes a slot for a run of a lane.
    pub(super) fn take_in_lane(
        &mut self,
        state: &State,
        spec: &JobSpec,
        lane: u8,
    ) -> Option<Place> {
        if lane > 0 {
            self.count_lanes(state);
        }
        let place = self.take_where(spec, |node| node.has_room(lane))?;
        self.count_lane(place, lane, 1);
        Some(place)
    }

    fn count_lane(&mut self, place: Place, lane: u8, change: i32) {
        if let Some(node) = self.nodes.iter_mut().find(|node| node.id == place.node) {
            node.count(lane, change);
        }
    }

    fn take_where(&mut self, spec: &JobSpec, fits: impl Fn(&Free) -> bool) -> Option<Place> {
        if spec.queue.as_ref().and_then(|name| self.queues.get(name)) == Some(&0) {
            return None;
        }
        let wanted = spec.placement.as_deref();
        let count = self.nodes.len().max(1);
        let first = self.turn % count;
        let (_, best) = self
            .nodes
            .iter_mut()
            .enumerate()
            .filter(|(_, node)| node.busy < node.slots && fits(node))
            .filter(|(_, node)| wanted.is_none_or(|placement| placement.allows(&node.labels)))
            .max_by_key(|(place, node)| {
                let liked = wanted.map_or(0, |placement| placement.matches(&node.labels));
                // Free share of the node in thousandths, then whose turn it is.
                let free = u64::from(node.slots - node.busy) * 1_000 / u64::from(node.slots);
                (liked, free, Reverse((place + count - first) % count))
            })?;
        best.busy += 1;
        self.turn = self.turn.wrapping_add(1);
        let place = best.place;
        if let Some(left) = spec.queue.as_ref().and_then(|name| self.queues.get_mut(name)) {
            *left -= 1;
        }
        Some(place)
    }

    /// Whether no node has a slot left.
    fn is_used_up(&self) -> bool {
        self.nodes.iter().all(|node| !node.has_room(0))
    }

    fn give_back(&mut self, place: Place, spec: &JobSpec) {
        if let Some(node) = self.nodes.iter_mut().find(|node| node.id == place.node) {
            node.busy -= 1;
        }
        if let Some(left) = spec.queue.as_ref().and_then(|name| self.queues.get_mut(name)) {
            *left += 1;
        }
    }
}

/// Where the next run comes from that may start.
enum Source<'a> {
    /// The runs whose queue nobody defined.
    Plain(Box<dyn Iterator<Item = RunId> + 'a>),
    /// A queue, as it is left by what was taken from it.
    Queue { name: &'a Name, rules: &'a QueueRules, line: Line },
}

/// See [`State::ready_key`].
type ReadyKey = (i32, u64, RunId);

/// The runs that wait, those of all queues together, first in order first.
struct Heads<'a> {
    state: &'a State,
    sources: Vec<Source<'a>>,
    /// The first of each source.
    heads: BinaryHeap<Reverse<(ReadyKey, usize)>>,
}

impl<'a> Heads<'a> {
    /// Queues that are held back are left out. Gives also when the first of them is not any more.
    fn of(state: &'a State, now: Timestamp) -> (Self, Option<Timestamp>) {
        let plain = state.ready.iter().take(PASSED_MAX).map(|(_, _, id)| *id);
        let mut sources = vec![Source::Plain(Box::new(plain))];
        let mut free_at: Option<Timestamp> = None;
        for (name, queue) in &state.queues {
            let Some(governed) = queue.governed.as_deref() else { continue };
            if governed.line.is_empty() {
                continue;
            }
            match queue.blocked(now) {
                None => {
                    let line = governed.line.clone();
                    sources.push(Source::Queue { name, rules: &governed.rules, line });
                }
                Some(Blocked::Rate(_, until) | Blocked::Spread(until)) => {
                    free_at = Some(free_at.map_or(until, |at| at.min(until)));
                }
                Some(Blocked::Paused | Blocked::Full(_)) => {}
            }
        }
        let mut all = Heads { state, sources, heads: BinaryHeap::new() };
        for at in 0..all.sources.len() {
            all.refill(at);
        }
        (all, free_at)
    }

    fn refill(&mut self, at: usize) {
        let state = self.state;
        let next = match &mut self.sources[at] {
            Source::Plain(ids) => ids.find_map(|id| state.runs.get(&id)),
            Source::Queue { line, .. } => line.first().and_then(|(id, _)| state.runs.get(&id)),
        };
        if let Some(open) = next {
            self.heads.push(Reverse((state.ready_key(open), at)));
        }
    }

    fn next(&mut self) -> Option<(&'a OpenRun, usize)> {
        let Reverse(((_, _, id), at)) = self.heads.pop()?;
        let open: &'a OpenRun = self.state.runs.get(&id)?;
        Some((open, at))
    }

    /// The run that was given last is done with: it starts, or it is passed over.
    fn done(&mut self, open: &OpenRun, at: usize, starts: bool, slots: &Slots) {
        if let Source::Queue { name, rules, line } = &mut self.sources[at] {
            let id = open.run.id;
            match line.spot(id).map(|spot| rules.weight(&spot.share)) {
                Some(weight) if starts => line.start(id, weight),
                _ => line.remove(id),
            }
            if slots.queues.get(*name) == Some(&0) || slots.is_used_up() {
                return;
            }
        }
        self.refill(at);
    }
}

/// Gives queued runs to nodes, first in order first. A run that fits nowhere does not hold
/// up the ones behind it: the runs of a definition that found no place are passed over. Gives when
/// a queue that is held back by its rates is free again.
pub(super) fn assign(
    state: &State,
    now: Timestamp,
    slots: &mut Slots,
    plan: &mut Plan,
) -> Option<Timestamp> {
    let mut without_place: BTreeSet<(JobNo, u64, Option<u16>, u8)> = BTreeSet::new();
    let (mut looked_at, mut passed) = (0, 0);
    let (mut heads, free_at) = Heads::of(state, now);
    while let Some((open, source)) = heads.next() {
        passed += 1;
        if plan.ops.len() >= OPS_MAX || looked_at >= LOOKED_AT_MAX || passed > PASSED_MAX {
            break;
        }
        let lane = lane(open);
        let kind = (open.run.id.job_no(), open.run.version, open.task, lane);
        let mut starts = false;
        if without_place.contains(&kind) {
            heads.done(open, source, false, slots);
            continue;
        }
        looked_at += 1;
        if open.spec.is_no_op() {
            let place = Place { node: 0, boot: uuid::Uuid::nil() };
            plan.ops.push(start(open, place));
        } else if let Some(place) = slots.take_in_lane(state, &open.spec, lane) {
            let op = start(open, place);
            starts = !matches!(op, Op::Refuse { .. });
            if !starts {
                slots.give_back(place, &open.spec);
                slots.count_lane(place, lane, -1);
            }
            plan.ops.push(op);
        } else {
            without_place.insert(kind);
        }
        heads.done(open, source, starts, slots);
    }
    free_at
}

/// Starts a run at `place`, or refuses it. Held against the schema only here, where it would
/// start: not at each step that it waits for a slot.
fn start(open: &OpenRun, place: Place) -> Op {
    let run = open.run.id;
    match refused(open) {
        Some(error) => Op::Refuse { run, error },
        None => Op::Assign { run, attempt: open.run.attempt + 1, place },
    }
}

/// Why the parameters that were passed on to a run do not fit, if they don't.
fn refused(open: &OpenRun) -> Option<String> {
    let schema = open.spec.parameters_schema.as_ref().filter(|_| open.unchecked)?;
    let faults = parameters::fits(schema, &open.run.parameters, "parameters").err()?;
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    Some(told.join("; ").chars().take(limits::TEXT_LEN_MAX).collect())
}
