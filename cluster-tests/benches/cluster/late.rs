//! How late runs were, from the runs themselves.

use cluster_tests::harness::Client;
use cluster_tests::moment::Moment;
use hdrhistogram::Histogram;
use serde::Deserialize;

use crate::{Failure, jobs, stats};

/// What is read of a run.
#[derive(Clone, Debug, Deserialize)]
pub struct Run {
    pub job: String,
    pub nominal_time: Option<Moment>,
    pub fired_at: Moment,
    pub started_at: Option<Moment>,
    pub finished_at: Option<Moment>,
}

/// Which of its times counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// The decision in the log.
    Fired,
    /// The start of its process.
    Started,
}

/// From due to that time, of the scheduled runs of some jobs that fired in a span.
pub async fn of_jobs(
    client: &Client,
    names: impl IntoIterator<Item = String>,
    spread: bool,
    to: To,
    span: (Moment, Moment),
) -> Result<Histogram<u64>, Failure> {
    let mut late = stats::histogram();
    for name in names {
        let share = if spread { jobs::share(&name) } else { 0 };
        let path = format!("/jobs/{name}/runs?after={}&before={}", span.0, span.1);
        for run in client.list::<Run>(&path).await? {
            let at = match to {
                To::Fired => Some(run.fired_at),
                To::Started => run.started_at,
            };
            if let (Some(nominal), Some(at)) = (run.nominal_time, at) {
                stats::record(&mut late, at.0 - nominal.0 - share);
            }
        }
    }
    Ok(late)
}

/// All runs that fired in a span, in order of time.
pub async fn fired(client: &Client, span: (Moment, Moment)) -> Result<Vec<Run>, Failure> {
    let path = format!("/runs?after={}&before={}", span.0, span.1);
    let mut runs = client.list::<Run>(&path).await?;
    runs.sort_by_key(|run| run.fired_at);
    Ok(runs)
}
