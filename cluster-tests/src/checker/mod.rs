//! Judges a history.
//!
//! Owns: the rules, each a pure function of the [`History`]. Does not own: how the history
//! came about. A rule knows the contract, never how the scheduler is built.
//!
//! To add a rule: a file here, a line in `RULES`, a doctored history in `tests.rs`.

mod attempts;
mod audit;
mod completeness;
mod edits;
mod followers;
mod gates;
mod misfires;
mod outcomes;
mod overlap;
mod retries;
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

/// All of them.
const RULES: [(&str, Rule); 14] = [
    ("every nominal time once", completeness::every_time_once),
    ("fired has its run", completeness::fired_has_its_run),
    ("one start an attempt", attempts::one_start),
    ("one run a nominal time", attempts::one_run_a_time),
    ("known attempts only", attempts::known),
    ("fences rise", attempts::fences),
    ("never early", attempts::never_early),
    ("outcomes agree", outcomes::agree),
    ("overlap", overlap::held),
    ("edits count", edits::count),
    ("writes are there", writes::are_there),
    ("misfire", misfires::by_policy),
    ("audit", audit::complete),
    ("retries", retries::by_policy),
];

/// Rules about several jobs.
const RULES_BETWEEN: [(&str, Rule); 3] =
    [("chains", followers::chains), ("joins", followers::joins), ("gates", gates::held)];

/// Everything in the history that must not be.
pub fn check(history: &History) -> Vec<Violation> {
    let mut findings = Findings::default();
    for (name, rule) in RULES.iter().chain(&RULES_BETWEEN) {
        findings.rule = name;
        rule(history, &mut findings);
    }
    findings.found
}
