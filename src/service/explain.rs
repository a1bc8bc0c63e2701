//! Why a job did, or did not, run at an instant.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::{Caller, Error, Service};
use crate::model::{LedgerRow, Name, Run, Timestamp};

/// The kind of an explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is a nominal time, and has a run.
    Fired,
    /// It is a nominal time that was decided not to run.
    Skipped,
    /// It was a nominal time; the schedule changed before it was decided.
    Superseded,
    /// The schedule names no such instant.
    NotNominal,
    /// The job did not exist yet.
    BeforeCreation,
    /// It is to come.
    Future,
    /// The job has no schedule.
    NoSchedule,
    /// The job is paused.
    Paused,
    /// It has come and is not decided yet.
    Undecided,
    /// It is past, and retention has taken its row.
    Forgotten,
}

/// Why a job did, or did not, run at an instant.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Explanation {
    /// The job.
    #[schema(value_type = Name)]
    pub job: Name,
    /// The instant asked about.
    pub at: Timestamp,
    /// The kind of the answer.
    pub verdict: Verdict,
    /// The answer, for a person.
    pub summary: String,
    /// The ledger row, if there is one.
    #[schema(required)]
    pub row: Option<LedgerRow>,
    /// The run, if there is one.
    #[schema(required)]
    pub run: Option<Run>,
    /// The nearest nominal time before, by the schedule now in force.
    #[schema(required)]
    pub previous: Option<Timestamp>,
    /// The nearest nominal time after, by the schedule now in force.
    #[schema(required)]
    pub next: Option<Timestamp>,
    /// What the answer rests on.
    pub facts: BTreeMap<String, Value>,
}

impl Service {
    /// Explains what became, or will become, of `at`.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn explain(
        &self,
        c: &Caller,
        name: &str,
        at: Timestamp,
    ) -> Result<Explanation, Error> {
        let _ = (c, name, at);
        Err(Error::Internal(String::new()))
    }
}
