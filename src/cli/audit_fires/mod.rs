//! `cronapi audit-fires`: reads a live cluster over REST and says whether its ledger is sound.
//!
//! Owns: the rules, each a function of what was read, and how the findings are shown. Does not
//! own: anything of a node; it knows what a client knows, and works out nominal times by itself.
//!
//! ```text
//! job, versions ──> timeline: which times must have an outcome
//! ledger, newest first ──> rows: one outcome each, none for other times ─┐
//! runs, newest first ──> runs, fences: attempts, their order ────────────┼─> report
//! runs of workflows ──> tasks                                            │
//! audit ──> chain      ledger and runs of other nodes ──> replicas ──────┘
//! ```
//!
//! Invariants:
//! - Nothing is written to the cluster. In memory are a page of each list, a few bytes for each
//!   attempt of the jobs at hand and of those in queues, and a bit for each fence.
//! - What changes while it is read is no finding: what is judged was decided before, and what
//!   is wrong must be wrong again at a second look.
//! - What could not be checked is told ([`report::Report::unchecked`]).
//!
//! To add a rule: a constant in `report.rs`, its check in the file of its subject, a doctored
//! answer in tests/audit_fires, a row of the table in docs/cli.md.

mod answers;
mod chain;
mod client;
mod fences;
mod gathered;
mod job;
mod lanes;
mod options;
mod pages;
mod queues;
mod replicas;
mod report;
mod rows;
mod runs;
mod tasks;
mod timeline;

use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use super::exit::{Code, Failure, Outcome};
use super::session::Session;
use crate::model::{Span, Timestamp};

use answers::Status;
use client::Client;
use fences::Fences;
use lanes::Lanes;
pub use options::Options;
use options::{Output, Wanted};
use pages::Pages;
use queues::Queues;
use report::{Progress, Report};

/// Jobs that are read at a time.
const JOBS_AT_A_TIME: usize = 4;
/// Definitions in a page: they may be long.
const PAGE: usize = 100;

/// What concerns all jobs together.
#[derive(Default)]
struct Seen {
    fences: Fences,
    lanes: Lanes,
    queues: Queues,
}

/// What every part of an audit knows.
struct Audit {
    client: Client,
    wanted: Wanted,
    /// The cluster's clock when the audit began.
    began: Timestamp,
    watch: Instant,
}

impl Audit {
    /// The time of the node that is asked.
    fn now(&self) -> Timestamp {
        let millis = u64::try_from(self.watch.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.began.plus(Span::from_millis(millis))
    }
}

impl Options {
    /// Runs the command.
    pub(in crate::cli) async fn run(self, session: &Session) -> Outcome {
        let output = self.output;
        let report = audit(self, session).await?;
        super::output::text(&match output {
            Output::Json => format!("{}\n", report.json()),
            Output::Table => report.table(),
        })?;
        Ok(if report.violations == 0 { 0 } else { Code::Failed as u8 })
    }
}

async fn audit(options: Options, session: &Session) -> Result<Report, Failure> {
    let wanted = options.read()?;
    let client = Client::new(session.client_as(&options.who).await?);
    let status = same_cluster(&client).await?;
    let began = status.now();
    let wanted = wanted.at(began);
    let watch = Instant::now();
    let audit = Audit { client, wanted, began, watch };
    let mut report = Report::new(&status.cluster_id, &audit.wanted);
    let mut seen = Seen::default();
    let mut progress = Progress::new();
    replicas::differ(&status, &mut report);
    replicas::caught_up(&audit, status.applied_index, &mut report).await?;
    if audit.wanted.jobs.is_empty() {
        let mut jobs: Pages<'_, answers::Named> =
            Pages::new(&audit.client, 0, &format!("/jobs?limit={PAGE}"));
        while let Some(page) = jobs.page().await? {
            let names = page.into_iter().map(|job| job.name).collect();
            each(&audit, names, &mut report, &mut seen, &mut progress).await?;
        }
        let mut deleted: Pages<'_, answers::Named> =
            Pages::new(&audit.client, 0, &format!("/jobs?deleted=true&limit={PAGE}"));
        while let Some(page) = deleted_page(&mut deleted, &mut report).await? {
            let uids = page.into_iter().map(|job| job.uid.to_string()).collect();
            each(&audit, uids, &mut report, &mut seen, &mut progress).await?;
        }
    } else {
        each(&audit, audit.wanted.jobs.clone(), &mut report, &mut seen, &mut progress).await?;
    }
    seen.lanes.check(&mut report);
    seen.queues.check(&audit.client, &mut report).await?;
    chain::check(&audit, &mut report).await?;
    progress.end();
    Ok(report)
}

/// Nodes from before the past of deleted jobs was kept do not know what is asked.
async fn deleted_page(
    deleted: &mut Pages<'_, answers::Named>,
    report: &mut Report,
) -> Result<Option<Vec<answers::Named>>, Failure> {
    match deleted.page().await {
        Err(failure) if failure.code == Code::Usage => {
            report.unchecked("jobs that were deleted: this version keeps nothing of them".into());
            Ok(None)
        }
        page => page,
    }
}

async fn each(
    audit: &Audit,
    names: Vec<String>,
    report: &mut Report,
    seen: &mut Seen,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let asked = !audit.wanted.jobs.is_empty();
    let others = report.replicas.clone();
    let mut cases = stream::iter(names)
        .map(|name| job::look(audit, name, &others))
        .buffer_unordered(JOBS_AT_A_TIME);
    while let Some(read) = cases.next().await {
        match read {
            Ok(mut findings) => {
                seen.fences.check(&mut findings);
                seen.lanes.take(&mut findings);
                seen.queues.take(&mut findings);
                report.add(findings);
            }
            // Deleted since it was listed.
            Err(failure) if failure.code == Code::NotFound && !asked => {}
            Err(failure) => return Err(failure),
        }
        progress.show(report);
    }
    Ok(())
}

/// The status of the first node; the others must be of its cluster.
async fn same_cluster(client: &Client) -> Result<Status, Failure> {
    let first: Status = client.get(0, "/system/status").await?;
    for place in 1..client.places() {
        let other: Status = client.get(place, "/system/status").await?;
        if other.cluster_id != first.cluster_id {
            let (a, b) = (client.name(0), client.name(place));
            return Err(Failure::usage(format!("{a} and {b} are not of one cluster")));
        }
    }
    Ok(first)
}
