//! Several nodes: what each tells from its own copy is the same.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::model::{LedgerRow, Run, RunId, Timestamp};

use super::super::exit::Failure;
use super::Audit;
use super::answers::Status;
use super::pages::Pages;
use super::report::{Findings, Report, rule};

/// How often a node is asked whether it has caught up, and how often a difference is looked at
/// again before it counts: copies may be a moment apart.
const TRIES: u32 = 20;
const AGAIN: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);

/// What the cluster found by the digests that its nodes compare.
pub(super) fn differ(status: &Status, report: &mut Report) {
    let mut found = Findings::default();
    for node in &status.replicas_differ {
        let text = format!("node {node} has another digest than the leader at the same entry");
        found.add(rule::REPLICAS, text);
    }
    report.add(found);
}

/// Finds the nodes that have applied what the first one had.
pub(super) async fn caught_up(
    audit: &Audit,
    index: u64,
    report: &mut Report,
) -> Result<(), Failure> {
    for place in 1..audit.client.places() {
        let mut tries = 0;
        let behind = loop {
            let status: Status = audit.client.get(place, "/system/status").await?;
            tries += 1;
            if status.applied_index >= index || tries == TRIES {
                break index.saturating_sub(status.applied_index);
            }
            tokio::time::sleep(PAUSE).await;
        };
        if behind == 0 {
            report.replicas.push(place);
        } else {
            let name = audit.client.name(place);
            report.unchecked(format!("{name}: it is {behind} entries behind, and stays so"));
        }
    }
    Ok(())
}

/// What is compared of a job.
pub(super) struct Copy<'a> {
    pub(super) audit: &'a Audit,
    pub(super) name: &'a str,
    pub(super) floor: Timestamp,
    pub(super) cut: Timestamp,
    /// Runs that were open: what is told of them may change.
    pub(super) open: &'a BTreeSet<RunId>,
}

impl Copy<'_> {
    /// Compares what `other` tells with what the first node tells.
    pub(super) async fn compare(&self, other: usize, found: &mut Findings) -> Result<(), Failure> {
        let mut difference = None;
        for again in 0..AGAIN {
            if again > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            difference = self.difference(other).await?;
            if difference.is_none() {
                return Ok(());
            }
        }
        if let Some(what) = difference {
            let (a, b) = (self.audit.client.name(0), self.audit.client.name(other));
            found.add(rule::REPLICAS, format!("{a} and {b} differ: {what}"));
        }
        Ok(())
    }

    async fn difference(&self, other: usize) -> Result<Option<String>, Failure> {
        let (name, floor) = (self.name, self.floor);
        let last = Timestamp::from_micros(self.cut.micros() - 1);
        let ledger =
            format!("/jobs/{name}/ledger?consistency=local&limit=1000&from={floor}&to={last}");
        // A range that is not over yet ends where the node's clock is.
        let row = |row: &LedgerRow| {
            row.until.is_none_or(|until| until < self.cut)
                && row.run_id.is_none_or(|id| !self.open.contains(&id))
        };
        if let Some(what) = self.first_difference(other, &ledger, row, told_row).await? {
            return Ok(Some(what));
        }
        let runs = format!(
            "/jobs/{name}/runs?consistency=local&limit=200&after={floor}&before={}\
             &status=succeeded,failed,timed_out,cancelled,lost,skipped",
            self.cut
        );
        let run = |run: &Run| {
            run.finished_at.is_some_and(|end| end < self.cut) && !self.open.contains(&run.id)
        };
        self.first_difference(other, &runs, run, |run| format!("run {}", run.id)).await
    }

    async fn first_difference<T: DeserializeOwned + PartialEq + Debug>(
        &self,
        other: usize,
        query: &str,
        counts: impl Fn(&T) -> bool,
        told: impl Fn(&T) -> String,
    ) -> Result<Option<String>, Failure> {
        let client = &self.audit.client;
        let mut here: Pages<'_, T> = Pages::new(client, 0, query);
        let mut there: Pages<'_, T> = Pages::new(client, other, query);
        loop {
            match (here.next_that(&counts).await?, there.next_that(&counts).await?) {
                (None, None) => return Ok(None),
                (Some(a), Some(b)) if a == b => {}
                (Some(a), Some(b)) => {
                    return Ok(Some(format!("{} against {}", told(&a), told(&b))));
                }
                (Some(a), None) => return Ok(Some(format!("{} is in the first only", told(&a)))),
                (None, Some(b)) => return Ok(Some(format!("{} is in the second only", told(&b)))),
            }
        }
    }
}

fn told_row(row: &LedgerRow) -> String {
    format!("{} {:?} of version {}", row.nominal_time, row.outcome, row.version)
}
