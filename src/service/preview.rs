//! Nominal times to come: of a job, and of a definition before it is saved.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Caller, Error, Service};
use crate::model::Timestamp;

/// A nominal time to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct NextFire {
    /// The instant.
    pub at: Timestamp,
    /// What clocks in the job's time zone will show, with the offset then in force.
    pub local: String,
    /// A calendar leaves its day out: it will be skipped.
    pub off: bool,
}

/// What a definition's schedule means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Preview {
    /// In a sentence; empty when there is no schedule.
    pub text: String,
    /// The first nominal times.
    pub next: Vec<NextFire>,
}

impl Service {
    /// The next nominal times of a job, 1,000 at most. Of a paused job, those it would have.
    ///
    /// # Errors
    /// `NotFound`, `Malformed`.
    pub async fn next(&self, c: &Caller, name: &str, count: usize) -> Result<Vec<NextFire>, Error> {
        let _ = (c, name, count);
        Err(Error::Internal(String::new()))
    }

    /// What the schedule of a definition means, before it is saved. Of the other fields
    /// only what is given is judged; the name may be missing.
    ///
    /// # Errors
    /// `Invalid`, `Malformed`.
    pub async fn preview(
        &self,
        c: &Caller,
        map: Map<String, Value>,
        count: usize,
    ) -> Result<Preview, Error> {
        let _ = (c, map, count);
        Err(Error::Internal(String::new()))
    }
}
