//! What a run amounted to, in numbers.

use std::collections::BTreeMap;
use std::fmt;

use crate::history::{Boot, History};
use crate::moment::Moment;
use crate::register::Told;

/// Numbers of a run.
#[derive(Debug, Default)]
pub struct Figures {
    /// Jobs, with those that were deleted.
    pub jobs: usize,
    /// Acknowledged writes.
    pub writes: usize,
    /// Nominal times that fired.
    pub fires: usize,
    /// Ledger rows that did not, by outcome and reason.
    pub skipped: BTreeMap<String, usize>,
    /// Runs by status.
    pub runs: BTreeMap<String, usize>,
    /// Attempts that the witness saw start.
    pub starts: usize,
    /// Processes of nodes.
    pub boots: usize,
    /// Milliseconds from the nominal time to its decision, for times at which the node was up.
    pub decided: Vec<i64>,
    /// Milliseconds from the nominal time to the witness's start, likewise.
    pub started: Vec<i64>,
    /// Milliseconds from the start of a process to its readiness.
    pub ready: Vec<i64>,
    /// Milliseconds from the start of a process to its first scheduled fire.
    pub recovery: Vec<i64>,
    /// How late the latest fire around each fault was decided, in milliseconds.
    pub gaps: Vec<(String, i64)>,
    /// Operations on the register, and those of them whose outcome is unknown.
    pub register: (usize, usize),
}

impl Figures {
    /// Counts.
    pub fn of(history: &History) -> Figures {
        let mut figures = Figures {
            jobs: history.lives.len(),
            writes: history.lives.iter().map(|life| life.writes().count()).sum(),
            starts: history.marks.iter().filter(|mark| !mark.end).count(),
            boots: history.boots.len(),
            ..Figures::default()
        };
        for row in history.lives.iter().flat_map(|life| &life.ledger) {
            if row.outcome == "fired" {
                figures.fires += 1;
            } else {
                let reason = row.reason.as_deref().unwrap_or("edited");
                *figures.skipped.entry(format!("{} {reason}", row.outcome)).or_default() += 1;
            }
        }
        for run in history.runs.values() {
            *figures.runs.entry(run.status.clone()).or_default() += 1;
        }
        (figures.decided, figures.started) = lateness(history).into_iter().unzip();
        figures.decided.sort_unstable();
        figures.started.sort_unstable();
        figures.gaps = gaps(history);
        if let Some(register) = &history.register {
            let unknown = register.ops.iter().filter(|op| op.told == Told::Nothing).count();
            figures.register = (register.ops.len(), unknown);
        }
        for boot in &history.boots {
            figures.ready.extend(boot.ready.map(|ready| ready.ms_since(boot.spawned)));
            figures.recovery.extend(first_fire(history, boot));
        }
        figures
    }
}

/// First attempts of scheduled runs without jitter or gate, at times when the node was up
/// and had been for a while.
fn lateness(history: &History) -> Vec<(i64, i64)> {
    let up = |time: Moment| {
        history.boots.iter().any(|boot| {
            let ready = boot.ready.is_some_and(|ready| ready.plus_ms(2_000) <= time);
            ready && boot.ended.is_none_or(|end| time.plus_ms(2_000) <= end)
        }) && !disturbed(history, time)
    };
    history
        .marks
        .iter()
        .filter(|mark| !mark.end && mark.attempt == 1)
        .filter_map(|mark| {
            let nominal = mark.nominal.filter(|nominal| up(*nominal))?;
            let run = history.runs.get(&mark.run)?;
            let definition = history.definition_of(run)?;
            let plain = definition.jitter_s == 0 && definition.dependencies.is_empty();
            // What a policy held back is not late.
            let at_once = run.attempts.first()?.assigned_at.ms_since(run.fired_at) < 1_000;
            let late = (run.fired_at.ms_since(nominal), mark.at.ms_since(nominal));
            (plain && at_once).then_some(late)
        })
        .collect()
}

/// Whether something was done to a cluster of several nodes at that time, or just before.
fn disturbed(history: &History, time: Moment) -> bool {
    let near =
        |from: Moment, until: Moment| from.plus_ms(-2_000) <= time && time <= until.plus_ms(10_000);
    history.disturbances.iter().any(|one| near(one.from, one.until))
}

/// Around each thing that was done to the cluster: how late the latest fire was decided.
fn gaps(history: &History) -> Vec<(String, i64)> {
    let mut fired: Vec<(Moment, i64)> = Vec::new();
    for run in history.runs.values().filter(|run| run.trigger == "schedule") {
        let jitter = history.definition_of(run).map_or(0, |definition| definition.jitter_s);
        if let Some(nominal) = run.nominal_time.filter(|_| jitter == 0) {
            fired.push((nominal, run.fired_at.ms_since(nominal)));
        }
    }
    let latest = |from: Moment, until: Moment| {
        let near = |at: Moment| from.plus_ms(-1_000) <= at && at <= until.plus_ms(2_000);
        fired.iter().filter(|(nominal, _)| near(*nominal)).map(|(_, late)| *late).max()
    };
    let told = history.disturbances.iter();
    told.filter_map(|one| Some((one.what.clone(), latest(one.from, one.until)?))).collect()
}

fn first_fire(history: &History, boot: &Boot) -> Option<i64> {
    boot.ready?;
    let until = boot.ended.unwrap_or(Moment(i64::MAX));
    let fired = history.runs.values().filter(|run| run.trigger == "schedule");
    let fired = fired.map(|run| run.fired_at).filter(|at| boot.spawned < *at && *at < until);
    fired.min().map(|at| at.ms_since(boot.spawned))
}

/// The value below which `share` of 1000 lie.
fn per_mille(sorted: &[i64], share: usize) -> i64 {
    let at = (sorted.len() * share / 1_000).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or_default()
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = |map: &BTreeMap<String, usize>| {
            let told: Vec<_> = map.iter().map(|(name, count)| format!("{name} {count}")).collect();
            told.join(", ")
        };
        let Figures { jobs, writes, fires, starts, boots, .. } = self;
        writeln!(f, "jobs {jobs}, writes {writes}, processes {boots}")?;
        writeln!(f, "nominal times: fired {fires}; rows {}", counts(&self.skipped))?;
        writeln!(f, "runs: {}; starts witnessed {starts}", counts(&self.runs))?;
        for (what, times) in [("decided", &self.decided), ("started", &self.started)] {
            let late = |share| per_mille(times, share);
            let (count, most) = (times.len(), times.last().copied().unwrap_or_default());
            let (half, most_all) = (late(500), late(990));
            writeln!(
                f,
                "{what} late, of {count}: p50 {half} ms, p99 {most_all} ms, most {most} ms"
            )?;
        }
        let (ops, unknown) = self.register;
        if ops > 0 {
            writeln!(f, "register: {ops} operations, {unknown} of unknown outcome")?;
        }
        for (what, gap) in &self.gaps {
            writeln!(f, "{gap:>6} ms late at most, around {}", what.trim_start())?;
        }
        writeln!(f, "from process start to ready, ms: {:?}", self.ready)?;
        write!(f, "from process start to first fire, ms: {:?}", self.recovery)
    }
}
