//! A past for a new cluster: its machine lives through it, on a clock of its own.
//!
//! `prepare`, `plan` and `apply` decide everything, as in a cluster that was there all the time:
//! which nominal times fire, wait or are skipped, and why. Only what attempts do is told.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use uuid::Uuid;

use super::Error;
use crate::consensus::offline::Rebuilding;
use crate::machine::command::{Command, End, OutputChunk};
use crate::machine::plan::{Around, plan};
use crate::machine::prepare::timing::Compiled;
use crate::machine::prepare::{Intent, PutMode, prepare};
use crate::machine::state::{FORMAT, OpenRun};
use crate::machine::{Op, Output, Row, State, apply_entry, invariants};
use crate::model::{
    Actor, Fence, JobSpec, LogStream, Name, NodeId, RunId, RunStatus, Span, Timestamp,
};
use crate::wire::proto::HistoryRow;

/// Rows that are held before they are written.
const ROWS_HELD: usize = 20_000;
/// Steps at one instant, at most: more would have no end.
const STEPS_MAX: u32 = 100_000;
/// What a node takes to begin an attempt, at most.
const BEGIN: u64 = 12;

/// What a person did, or what happened.
#[derive(Clone, Debug)]
pub enum Happening {
    /// A definition was written.
    Put(Arc<JobSpec>),
    /// A job was paused, or resumed.
    Enable(Name, bool),
    /// A queue got a bound.
    Queue(Name, u32),
    /// Nobody led for so long.
    Away(Span),
}

/// An attempt that begins.
#[derive(Clone, Copy, Debug)]
pub struct Beginning<'a> {
    /// Of this job.
    pub job: &'a str,
    /// 1 is the first.
    pub attempt: u32,
    /// When.
    pub at: Timestamp,
}

/// What an attempt does.
#[derive(Clone, Debug)]
pub struct Ending {
    /// How it ends.
    pub status: RunStatus,
    /// How long it takes.
    pub after: Span,
    /// The exit code of its process.
    pub exit_code: i32,
    /// What went wrong.
    pub error: Option<String>,
    /// What it gives back.
    pub result: Option<Value>,
    /// What it writes, spread over its time.
    pub lines: Vec<(LogStream, String)>,
}

/// What is lived through.
pub struct Rehearsal<'a> {
    /// The new data directory.
    pub data: &'a Path,
    /// Who does what people do, for the audit.
    pub who: &'a str,
    /// Attempts at a time.
    pub slots: u32,
    /// What happens, and when; in order.
    pub happenings: Vec<(Timestamp, Happening)>,
    /// What each attempt does.
    pub ends: &'a dyn Fn(&Beginning<'_>) -> Ending,
    /// The end.
    pub until: Timestamp,
    /// Breaks it off.
    pub stop: &'a AtomicBool,
}

/// What was made.
#[derive(Clone, Copy, Debug)]
pub struct Rehearsed {
    /// Definitions.
    pub jobs: u64,
    /// Closed runs.
    pub runs: u64,
    /// Rows of the history.
    pub rows: u64,
}

/// Lives through it, and leaves the data directory of the first node of a new cluster.
///
/// # Errors
/// See [`Error`]; what is in the directory is no data directory then.
pub fn rehearse(rehearsal: &Rehearsal<'_>) -> Result<Rehearsed, Error> {
    let first = rehearsal.happenings.first().map_or(rehearsal.until, |(at, _)| *at);
    let rebuilding = Rebuilding::begin(rehearsal.data, rehearsal.until.millis())?;
    let node = rebuilding.node();
    let mut stage = Stage {
        rehearsal,
        rebuilding,
        node,
        state: State::default(),
        now: first,
        compiled: Compiled::default(),
        around: Around::default(),
        index: 0,
        rows: BTreeMap::new(),
        written: 0,
        held: BTreeMap::new(),
    };
    stage.open()?;
    for (at, happening) in &rehearsal.happenings {
        stage.live(*at)?;
        stage.happen(happening)?;
    }
    stage.live(rehearsal.until)?;
    stage.close()
}

/// An attempt under way.
struct Held {
    run: RunId,
    attempt: u32,
    started_at: Timestamp,
    ends_at: Timestamp,
    ending: Ending,
}

struct Stage<'a> {
    rehearsal: &'a Rehearsal<'a>,
    rebuilding: Rebuilding,
    node: NodeId,
    state: State,
    now: Timestamp,
    compiled: Compiled,
    around: Around,
    index: u64,
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    written: u64,
    held: BTreeMap<Fence, Held>,
}

/// A number that looks like chance, and is the same each time.
fn shuffled(seed: u64) -> u64 {
    let state = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 27)
}

impl Stage<'_> {
    fn open(&mut self) -> Result<(), Error> {
        self.op(Op::RaiseFormat { to: FORMAT })?;
        self.op(Op::NodeUp {
            node: self.node,
            boot: Uuid::from_u128(1),
            address: "rehearsal.invalid:1".to_owned(),
            api: String::new(),
            slots: self.rehearsal.slots,
            labels: Default::default(),
        })
    }

    fn command(&self, op: Op) -> Command {
        Command { at: self.now, actor: None, request: None, op }
    }

    fn op(&mut self, op: Op) -> Result<(), Error> {
        let command = self.command(op);
        self.entry(&[command], true)
    }

    /// Applies one entry; with `all`, each command of it has to be taken.
    fn entry(&mut self, commands: &[Command], all: bool) -> Result<(), Error> {
        let mut out = Output::default();
        self.index += 1;
        let answers = apply_entry(&mut self.state, self.index, commands, &mut out);
        for Row { key, value } in out.rows {
            let Some(value) = value else {
                return Err(Error::Refused("a rehearsal takes no row back".to_owned()));
            };
            self.rows.insert(key, value);
        }
        if self.rows.len() >= ROWS_HELD {
            self.write()?;
        }
        let refused = answers.into_iter().filter_map(Result::err).next().filter(|_| all);
        refused.map_or(Ok(()), |why| Err(Error::Refused(format!("a rehearsal: {why}"))))
    }

    fn write(&mut self) -> Result<(), Error> {
        let rows = std::mem::take(&mut self.rows);
        self.written += rows.len() as u64;
        let row =
            |(key, value): (Vec<u8>, Vec<u8>)| HistoryRow { key: key.into(), value: value.into() };
        Ok(self.rebuilding.rows(rows.into_iter().map(row).collect())?)
    }

    fn happen(&mut self, happening: &Happening) -> Result<(), Error> {
        let intent = match happening.clone() {
            Happening::Put(spec) => Intent::PutJob { spec, mode: PutMode::Upsert, expected: None },
            Happening::Enable(name, enabled) => {
                Intent::SetEnabled { name, enabled, expected: None }
            }
            Happening::Queue(name, most) => {
                Intent::Plain(Box::new(Op::SetQueue { name, concurrency: Some(most) }))
            }
            Happening::Away(span) => {
                self.now = self.now.plus(span);
                return Ok(());
            }
        };
        let name = self.rehearsal.who.to_owned();
        let actor = Actor { name, from: None, request_id: None, trace: None };
        let command = prepare(&self.state, intent, self.now, Some(actor), None);
        let command = command.map_err(|why| Error::Refused(format!("a rehearsal: {why}")))?;
        self.entry(&[command], true)
    }

    /// Lets time pass up to `until`.
    fn live(&mut self, until: Timestamp) -> Result<(), Error> {
        loop {
            let wake = self.settle()?;
            let end = self.held.values().map(|held| held.ends_at).min();
            let next = wake.into_iter().chain(end).filter(|at| *at > self.now).min();
            let Some(next) = next.filter(|at| *at <= until) else { break };
            // A leader is never there on the dot.
            let late = 2 + shuffled(next.micros().unsigned_abs()) % 9;
            self.now = next.plus(Span::from_millis(late));
        }
        self.now = until.max(self.now);
        self.settle().map(|_| ())
    }

    /// Steps until nothing is left to do at this moment; when the next thing is due.
    fn settle(&mut self) -> Result<Option<Timestamp>, Error> {
        for _ in 0..STEPS_MAX {
            if self.rehearsal.stop.load(Ordering::Relaxed) {
                return Err(Error::Refused("it was broken off".to_owned()));
            }
            let planned = plan(&self.state, self.now, &self.compiled, &self.around);
            let none = planned.ops.is_empty();
            if !none {
                let commands: Vec<Command> =
                    planned.ops.into_iter().map(|op| self.command(op)).collect();
                self.entry(&commands, false)?;
            }
            if !self.execute()? && none {
                return Ok(planned.wake_at);
            }
        }
        Err(Error::Refused(format!("a rehearsal has no end of steps at {}", self.now)))
    }

    /// Starts what was assigned and ends what is over; whether there was anything.
    fn execute(&mut self) -> Result<bool, Error> {
        let mut commands = Vec::new();
        let begun: Vec<(Fence, Held)> = {
            let open = self.state.runs.values().filter_map(|open| Some((open.held()?.0, open)));
            let new = open.filter(|(fence, _)| !self.held.contains_key(fence));
            new.map(|(fence, open)| (fence, self.begin(open))).collect()
        };
        for (fence, held) in begun {
            let (run, attempt, started_at) = (held.run, held.attempt, held.started_at);
            commands.push(self.command(Op::Started { run, attempt, fence, started_at }));
            self.held.insert(fence, held);
        }
        let over = self.held.iter().filter(|(_, held)| held.ends_at <= self.now);
        let over: Vec<Fence> = over.map(|(fence, _)| *fence).collect();
        for fence in over {
            if let Some(held) = self.held.remove(&fence) {
                commands.push(self.command(ended(fence, held)));
            }
        }
        let any = !commands.is_empty();
        if any {
            self.entry(&commands, true)?;
        }
        Ok(any)
    }

    fn begin(&self, open: &OpenRun) -> Held {
        let (run, attempt) = (open.run.id, open.run.attempt);
        let (high, low) = run.0.as_u64_pair();
        let begin = 1 + shuffled(high ^ low) % BEGIN;
        let started_at = self.now.plus(Span::from_millis(begin));
        let beginning = Beginning { job: open.run.job.as_str(), attempt, at: self.now };
        let ending = (self.rehearsal.ends)(&beginning);
        Held { run, attempt, started_at, ends_at: started_at.plus(ending.after), ending }
    }

    /// What is under way ends here; then the directory is made.
    fn close(mut self) -> Result<Rehearsed, Error> {
        for _ in 0..STEPS_MAX {
            if self.held.is_empty() {
                break;
            }
            for held in self.held.values_mut() {
                held.ends_at = held.ends_at.min(self.now);
                held.started_at = held.started_at.min(self.now);
            }
            self.settle()?;
        }
        if let Some(broken) = invariants::check(&self.state).into_iter().next() {
            return Err(Error::Refused(format!("a rehearsal broke a rule: {broken}")));
        }
        self.write()?;
        let Stage { rebuilding, state, index, written, .. } = self;
        rebuilding.finish(index, 0, &state, Output::default())?;
        let jobs = state.jobs.len() as u64;
        Ok(Rehearsed { jobs, runs: state.counters.closed, rows: written })
    }
}

/// The end of an attempt, as its node would report it.
fn ended(fence: Fence, held: Held) -> Op {
    let Held { run, attempt, started_at, ends_at, ending } = held;
    let took = ends_at.since(started_at).millis();
    let count = ending.lines.len().max(1) as u64;
    let chunk = |(seq, (stream, line)): (usize, (LogStream, String))| OutputChunk {
        seq: u32::try_from(seq).unwrap_or(u32::MAX),
        stream,
        at: started_at.plus(Span::from_millis(took * seq as u64 / count)),
        bytes: format!("{line}\n").into_bytes(),
    };
    let end = End {
        status: ending.status,
        started_at: Some(started_at),
        finished_at: ends_at,
        exit_code: Some(ending.exit_code),
        signal: None,
        http_status: None,
        error: ending.error,
        result: ending.result,
        usage: None,
        retry_after: None,
        output: ending.lines.into_iter().enumerate().map(chunk).collect(),
    };
    Op::Ended { run, attempt, fence, end: Box::new(end) }
}
