//! What a use case can answer instead of its value. Free of HTTP: `api` owns the one table
//! that turns these into statuses.
//!
//! Everything below is mapped here and nowhere else: refusals of the machine, failures of
//! consensus, failures of storage.

use crate::adapters::Unreadable;
use crate::consensus::SubmitError;
use crate::machine::Rejection;
use crate::machine::reply::differs;
use crate::model::{Invalid, Span};
use crate::storage;

/// How long a caller had better wait when the cluster has no leader, or is busy.
const RETRY_AFTER: Span = Span::from_secs(1);

fn first(faults: &[Invalid]) -> String {
    faults.first().map_or_else(String::new, |fault| format!(", such as {fault}"))
}

/// Why a use case did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// What was sent is faulty; every fault is listed.
    #[error("{} faults{}", .0.len(), first(.0))]
    Invalid(Vec<Invalid>),
    /// A parameter of the request, or a cursor, can't be read.
    #[error("{0}")]
    Malformed(String),
    /// The caller is not known; the text says what to do.
    #[error("{0}")]
    Unauthenticated(String),
    /// The caller is known and may not; the text says which role is needed.
    #[error("{0}")]
    Forbidden(String),
    /// There is no such thing, or none that the caller may see.
    #[error("there is no {what} {name}")]
    NotFound {
        /// Such as `job`.
        what: String,
        /// As the caller named it.
        name: String,
    },
    /// There is one already.
    #[error("there is a {what} {name} already")]
    Exists {
        /// Such as `job`.
        what: String,
        /// Its name.
        name: String,
    },
    /// It can't be done as things stand.
    #[error("{detail}")]
    Conflict {
        /// Stable, in kebab case: `overlap`, `run-open`, `run-ended`, `last-admin`.
        code: &'static str,
        /// For a person.
        detail: String,
    },
    /// `If-Match` names another version than the present one.
    #[error("{}", differs(*.expected, *.actual))]
    Precondition {
        /// The version asked for.
        expected: u64,
        /// The version in force; 0: there is none.
        actual: u64,
    },
    /// The `Idempotency-Key` was used for another request.
    #[error("this Idempotency-Key was used for a different request; use a new one")]
    KeyReused,
    /// Too large to be taken.
    #[error("{what} is too large: at most {most} bytes are taken")]
    TooLarge {
        /// What is.
        what: String,
        /// Bytes, at most.
        most: usize,
    },
    /// A limit of the cluster was reached.
    #[error("{what}: at most {most} are allowed")]
    Limit {
        /// Of what.
        what: String,
        /// How many, at most.
        most: u64,
    },
    /// Too many attempts.
    #[error("too many attempts; try again in {retry_after}")]
    Throttled {
        /// When the next one counts.
        retry_after: Span,
    },
    /// The cluster can't do it now.
    #[error("{detail}")]
    Unavailable {
        /// Why.
        detail: String,
        /// When to try again.
        retry_after: Span,
        /// The request may have been carried out all the same.
        maybe_applied: bool,
    },
    /// A bug or a broken disk. For the log, not for the caller.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    pub(super) fn no_job(name: impl ToString) -> Self {
        Error::NotFound { what: "job".into(), name: name.to_string() }
    }

    pub(super) fn no_run(id: impl ToString) -> Self {
        Error::NotFound { what: "run".into(), name: id.to_string() }
    }

    pub(super) fn fault(pointer: &str, detail: impl Into<String>) -> Self {
        Error::Invalid(vec![Invalid::new(pointer, detail)])
    }

    pub(super) fn unavailable(detail: impl Into<String>, maybe_applied: bool) -> Self {
        Error::Unavailable { detail: detail.into(), retry_after: RETRY_AFTER, maybe_applied }
    }
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        let detail = rejection.to_string();
        match rejection {
            Rejection::Stale => Error::unavailable(
                "others keep changing what this request is about; it was not carried out",
                false,
            ),
            Rejection::Ahead { .. } => Error::unavailable(detail, false),
            Rejection::NotFound { what, name } => Error::NotFound { what, name },
            Rejection::Exists { what, name } => Error::Exists { what, name },
            Rejection::VersionConflict { expected, actual } => {
                Error::Precondition { expected, actual }
            }
            Rejection::Fenced => Error::Conflict { code: "fenced", detail },
            Rejection::Cycle { field, .. } => Error::fault(&field, detail),
            Rejection::TooDeep { .. } => Error::fault("", detail),
            Rejection::Overlap { .. } => Error::Conflict { code: "overlap", detail },
            Rejection::InUse { .. } => Error::Conflict { code: "in-use", detail },
            Rejection::Limit { what, most } => Error::Limit { what, most },
            Rejection::LastAdmin { .. } => Error::Conflict { code: "last-admin", detail },
            Rejection::BackfillOpen { .. } => Error::Conflict { code: "backfill-open", detail },
            Rejection::BackfillEnded { .. } => Error::Conflict { code: "backfill-ended", detail },
            Rejection::Ended { .. } => Error::Conflict { code: "run-ended", detail },
            Rejection::SessionOver => Error::Unauthenticated(detail),
            Rejection::KeyReused => Error::KeyReused,
            Rejection::UpgradeNeeded { .. } => Error::Conflict { code: "upgrade-needed", detail },
            Rejection::Bootstrapped => Error::Conflict { code: "bootstrapped", detail },
            Rejection::Invalid(faults) => Error::Invalid(faults),
        }
    }
}

impl From<SubmitError> for Error {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::NoLeader { .. } | SubmitError::TermMoved { .. } => {
                Error::unavailable("the cluster has no leader at the moment", false)
            }
            SubmitError::Unknown => Error::unavailable(
                "no answer came in time: the request may have been carried out; look before \
                 sending it again, or send it with an Idempotency-Key",
                true,
            ),
            SubmitError::Overloaded => {
                Error::unavailable("too many requests wait at the moment", false)
            }
            SubmitError::NoRoom => Error::unavailable(
                "the disk of the node that leads is nearly full: jobs and triggers are taken \
                 again once it has room",
                false,
            ),
            SubmitError::Stopping => Error::unavailable("this node is stopping", false),
            SubmitError::TooLarge { limit, .. } => {
                Error::TooLarge { what: "the request".into(), most: limit }
            }
            SubmitError::Encode(reason) => Error::Internal(reason),
        }
    }
}

impl From<storage::Error> for Error {
    fn from(error: storage::Error) -> Self {
        Error::Internal(format!("reading the history: {error}"))
    }
}

impl From<Unreadable> for Error {
    fn from(error: Unreadable) -> Self {
        match error {
            Unreadable::Storage(error) => error.into(),
            Unreadable::Row(error) => error.into(),
        }
    }
}

impl From<rmp_serde::decode::Error> for Error {
    fn from(error: rmp_serde::decode::Error) -> Self {
        Error::Internal(format!("a row of the history can't be decoded: {error}"))
    }
}
