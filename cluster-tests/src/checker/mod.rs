//! Judges a history.
//!
//! Owns: the rules, each a pure function of the [`History`]. Does not own: how the history
//! came about. A rule knows the contract, never how the scheduler is built.
//!
//! To add a rule: a file here, a line in `RULES`, a doctored history in `tests.rs`.

mod attempts;
mod audit;
mod backfills;
mod completeness;
mod edits;
mod followers;
mod gates;
mod misfires;
mod outcomes;
mod overlap;
mod queues;
mod registers;
mod replicas;
mod retries;
mod tasks;
#[cfg(test)]
mod tests;
mod writes;

use std::fmt;

use crate::history::History;

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule, in short.
    pub rule: &'static str,
    /// The job.
    pub job: String,
    /// What is wrong.
    pub what: String,
    /// What shows it.
    pub evidence: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}: {}", self.rule, self.job, self.what)?;
        self.evidence.iter().try_for_each(|line| write!(f, "\n      {line}"))
    }
}

/// What the rules write to.
#[derive(Default)]
pub struct Findings {
    rule: &'static str,
    found: Vec<Violation>,
}

impl Findings {
    fn add(&mut self, job: &str, what: impl Into<String>, evidence: Vec<String>) {
        let (job, what) = (job.to_string(), what.into());
        self.found.push(Violation { rule: self.rule, job, what, evidence });
    }
}

type Rule = fn(&History, &mut Findings);

/// What a rule takes for granted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Clocks {
    /// Nothing.
    Any,
    /// That every node's clock is right: it compares times of the log with real ones, or
    /// with nominal ones.
    Right,
}
use Clocks::{Any, Right};

/// All of them.
const RULES: [(&str, Clocks, Rule); 26] = [
    ("every nominal time once", Any, completeness::every_time_once),
    ("fired by its version", Right, completeness::fired_by_its_version),
    ("fired has its run", Any, completeness::fired_has_its_run),
    ("one start an attempt", Any, attempts::one_start),
    ("one run a nominal time", Any, attempts::one_run_a_time),
    ("known attempts only", Any, attempts::known),
    ("intent first", Any, attempts::intent_first),
    ("fences rise", Any, attempts::fences),
    ("never early", Right, attempts::never_early),
    ("outcomes agree", Any, outcomes::agree),
    ("overlap", Right, overlap::held),
    ("edits count", Right, edits::count),
    ("writes are there", Any, writes::are_there),
    ("misfire", Right, misfires::by_policy),
    ("audit", Any, audit::complete),
    ("retries", Any, retries::by_policy),
    ("replicas equal", Any, replicas::equal),
    ("linearizable", Any, registers::linearizable),
    // Rules about several jobs.
    ("chains", Any, followers::chains),
    ("joins", Right, followers::joins),
    ("gates", Right, gates::held),
    ("queue rates", Any, queues::rates),
    ("fair shares", Any, queues::fair),
    ("backfills", Any, backfills::once),
    ("tasks", Any, tasks::by_edges),
    ("tasks seen", Any, tasks::witnessed),
];

/// Everything in the history that must not be.
pub fn check(history: &History) -> Vec<Violation> {
    let mut findings = Findings::default();
    for (name, clocks, rule) in &RULES {
        if *clocks == Any || !history.clocks_moved {
            findings.rule = name;
            rule(history, &mut findings);
        }
    }
    findings.found
}
