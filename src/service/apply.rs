//! A set of definitions at once, and the plan of what that would change.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Caller, Error, Service};
use crate::model::{Invalid, Timestamp};

/// What became, or would become, of one definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApplyAction {
    /// It is new.
    Created,
    /// It replaces another.
    Updated,
    /// It is what it was.
    Unchanged,
    /// It is faulty or not allowed: see `errors`. The others are not affected.
    Refused,
}

/// One definition of an `apply`.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct ApplyItem {
    /// As given; empty when there was none.
    pub name: String,
    /// What became of it.
    pub action: ApplyAction,
    /// The version in force after it; none: there is none.
    #[schema(required)]
    pub version: Option<u64>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Invalid>,
    /// What the caller had better know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The next nominal time before.
    #[schema(required)]
    pub next_before: Option<Timestamp>,
    /// The next nominal time after.
    #[schema(required)]
    pub next_after: Option<Timestamp>,
}

impl Service {
    /// Creates or replaces many definitions, each on its own: one that is refused does not
    /// keep the others from being written. `dry_run` answers the plan and writes nothing.
    ///
    /// # Errors
    /// `Forbidden` for a role that manages no jobs; `Limit` for more than 10,000 items;
    /// `Unavailable` when the cluster can't take them (some may have been written).
    pub async fn apply(
        &self,
        c: &Caller,
        items: Vec<Map<String, Value>>,
        dry_run: bool,
    ) -> Result<Vec<ApplyItem>, Error> {
        let _ = (c, items, dry_run);
        Err(Error::Internal(String::new()))
    }
}
